"""The plugin `keyring`: given secrets, a file of its own, and never that file beside a shared database."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from objectkernel import ObjectKernel, Plugin, contributes, needs, provides
from objectkernel.errors import BootError
from objectkernel.keys import Service
from objectkernel_accounts.keyring_errors import KeyFileDamaged, KeyFileUnusable, KeyMissing, KeysInvalid
from objectkernel_accounts.keyring_file import key_file
from objectkernel_accounts.keyring_plugin import KeyringPlugin
from objectkernel_accounts.keyring_text import key_text, new_key
from objectkernel_contracts import KEY_NAMES, KEYRING
from objectkernel_system_dialect.plugin import SystemDialectPlugin

from tests.contrib.accounts.trails import KINDS, database
from tests.plugins.system_dialect.databases import mariadb_database, mariadb_url, postgres_database, postgres_url

__all__ = ["database", "mariadb_database", "mariadb_url", "postgres_database", "postgres_url"]  # fixtures
pytestmark = pytest.mark.anyio

SEAL = Service[str]("seal")
OTHER_KINDS = KINDS[1:]


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """The only event loop that the servers' drivers know."""
    return "asyncio"


class Sealer(Plugin):
    """Asks for a key by a name that it tells beforehand."""

    name = "sealer"
    keyring = needs(KEYRING)

    @contributes(KEY_NAMES, uses=())
    def seals(self) -> str:
        return "seals"

    @provides(SEAL)
    def seal(self) -> str:
        return self.keyring.current("seals").id


def host(environ: dict[str, str], *plugins: Any) -> ObjectKernel:
    return ObjectKernel(plugins=[KeyringPlugin, Sealer, *plugins], discover=False, environ=environ)


def given(**keys: Any) -> dict[str, str]:
    return {"OBJECTKERNEL_KEYS": json.dumps({name: [key_text(key) for key in some] for name, some in keys.items()})}


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
async def test_file(database: dict[str, str], tmp_path: Path) -> None:
    """Beside an SQLite database, or none, the host makes its secrets once; the next start has the same."""
    async with host(database, SystemDialectPlugin) as kernel:
        first = kernel.get(SEAL)
    async with host(database) as kernel:
        assert kernel.get(SEAL) == first
    assert (tmp_path / "keys.json").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("database", OTHER_KINDS, indirect=True)
async def test_server(database: dict[str, str], tmp_path: Path) -> None:
    """Beside a database on a server, which hosts may share, they are given; a missing one ends the boot by name."""
    with pytest.raises(BootError) as caught:
        async with host(database, SystemDialectPlugin):
            pass
    (problem,) = caught.value.exceptions
    assert isinstance(problem, KeyMissing)
    assert (problem.names, problem.variable) == (("seals",), "OBJECTKERNEL_KEYS")
    new, old = new_key(), new_key()
    async with host({**database, **given(seals=[new, old])}, SystemDialectPlugin) as kernel:
        assert kernel.get(SEAL) == new.id
        assert kernel.get(KEYRING).find("seals", old.id) == old
    assert not (tmp_path / "keys.json").exists()


async def test_given_from_settings(tmp_path: Path) -> None:
    """The variable, or the table `keys` of the plugin, gives keys, which no display of the settings shows."""
    key = new_key()
    environ = {"OBJECTKERNEL_DATA_DIR": str(tmp_path), **given(seals=[key])}
    async with host(environ) as kernel:
        assert kernel.get(SEAL) == key.id
        configuration = kernel.compose().configuration
        assert configuration is not None
        assert key_text(key).partition(":")[2] not in str(configuration.rows())
    config = {"plugins": {"keyring": {"keys": {"seals": [key_text(key)]}, "data_dir": str(tmp_path)}}}
    async with ObjectKernel(plugins=[KeyringPlugin, Sealer], discover=False, config=config, environ={}) as kernel:
        assert kernel.get(SEAL) == key.id
    assert list(tmp_path.iterdir()) == []


async def test_unusable_keys_end_the_boot(tmp_path: Path) -> None:
    """Keys that cannot be used, and a damaged file, are errors of the boot."""
    environ = {"OBJECTKERNEL_DATA_DIR": str(tmp_path)}
    with pytest.raises(BootError) as caught:
        async with host({**environ, "OBJECTKERNEL_KEYS": '{"seals": ["hunter2"]}'}):
            pass
    assert isinstance(caught.value.exceptions[0], KeysInvalid)
    assert "hunter2" not in str(caught.value)
    (tmp_path / "keys.json").write_text("{")
    (tmp_path / "keys.json").chmod(0o600)
    with pytest.raises(BootError) as caught:
        async with ObjectKernel(plugins=[KeyringPlugin], discover=False, environ=environ):
            pass
    assert isinstance(caught.value.exceptions[0], KeyFileDamaged)


async def test_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests there is a keyring that writes nothing."""
    monkeypatch.chdir(tmp_path)
    async with ObjectKernel(plugins=[KeyringPlugin.in_memory(), Sealer], discover=False, environ={}) as kernel:
        assert kernel.get(KEYRING).current("seals").id == kernel.get(SEAL)
    assert list(tmp_path.iterdir()) == []


class Teller(Plugin):
    """Tells names, and does not ask for their keys."""

    name = "teller"
    told = "waiting"

    @contributes(KEY_NAMES, uses=())
    def names(self) -> str:
        return self.told


async def test_made_at_the_start(tmp_path: Path) -> None:
    """Keys that will be asked for are made when the host starts: where that fails, it does not."""
    environ = {"OBJECTKERNEL_DATA_DIR": str(tmp_path / "data")}
    async with ObjectKernel(plugins=[KeyringPlugin, Teller], discover=False, environ=environ):
        assert sorted(key_file(tmp_path / "data").read()) == ["waiting"]
    (tmp_path / "full").write_text("")
    environ = {"OBJECTKERNEL_DATA_DIR": str(tmp_path / "full")}
    with pytest.raises(BootError) as caught:
        async with ObjectKernel(plugins=[KeyringPlugin, Teller], discover=False, environ=environ):
            pass
    assert isinstance(caught.value.exceptions[0], KeyFileUnusable)


async def test_no_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A plugin that tells what is no name of a key ends the boot, and leaves the key file as it was."""
    monkeypatch.setattr(Teller, "told", "No Name")
    environ = {"OBJECTKERNEL_DATA_DIR": str(tmp_path)}
    with pytest.raises(BootError) as caught:
        async with ObjectKernel(plugins=[KeyringPlugin, Teller], discover=False, environ=environ):
            pass
    assert "no name of a key" in str(caught.value.exceptions[0])
    assert list(tmp_path.iterdir()) == []
