"""The client's plugin in a kernel: what it costs, and NET mode with keys from a device flow."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import anyio
import pytest
from objectkernel import BootError
from objectkernel_contracts import COMMANDS
from objectkernel_device_auth.client_plugin import ApiKeySourcePlugin
from objectkernel_device_auth.contracts import API_KEY_SOURCE, AuthorizationFailed
from objectkernel_system_dialect.contracts import DIALECT, AccessDenied, Dialect
from objectkernel_system_dialect.sqlite_dialect import open_sqlite

from tests.plugins.device_auth.authorization_server import AuthorizationServer, authorization_server
from tests.plugins.device_auth.client_side import kernel
from tests.plugins.system_dialect.kernels import ORDER, shop
from tests.plugins.system_dialect.served import HOST, Served, serve

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("home", "quick")]

BUDGET = """
import sys
from importlib.abc import MetaPathFinder

class Missing(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"sqlalchemy", "fastapi", "starlette", "pydantic", "sqlite3", "jinja2", "alembic"}:
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Missing())
import anyio
from objectkernel import ObjectKernel
from objectkernel_device_auth.client_plugin import ApiKeySourcePlugin
from objectkernel_device_auth.contracts import API_KEY_SOURCE

async def main():
    environ = {"MOSTA_NET_URL": sys.argv[1]}
    async with ObjectKernel(plugins=[ApiKeySourcePlugin], discover=False, environ=environ) as kernel:
        for name in ("httpx", "segno", "filelock", "platformdirs"):
            assert name not in sys.modules, name
        source = kernel.get(API_KEY_SOURCE)
        key = await source.ensure_api_key(on_code_issued=lambda code: None)
        assert key == await source.api_key()
        print(key)

anyio.run(main)
"""


async def orders() -> Dialect:
    """What the server of the data has."""
    dialect = await open_sqlite(":memory:")
    await dialect.register(ORDER)
    return dialect


@pytest.fixture
async def data(anyio_backend: str) -> AsyncIterator[Served]:
    """The server of the data."""
    async with serve(orders) as served:
        yield served


@pytest.fixture
def keys(data: Served) -> Iterator[AuthorizationServer]:
    """The authorization server, whose keys the server of the data takes."""
    with authorization_server() as server:
        server.on_issue = lambda key: data.keys.known.__setitem__(key, HOST)
        yield server


def net(data: Served, keys: AuthorizationServer, folder: Path) -> dict[str, str]:
    """Settings of a host whose business data is on the server, and which has no key yet."""
    return {
        "MOSTA_DATA": "net",
        "MOSTA_NET_URL": data.url,
        "MOSTA_AUTH_FLOW_URL": keys.url,
        "MOSTA_SYSTEM_DIALECT": "sqlite",
        "MOSTA_SYSTEM_URI": str(folder / "system.db"),
        "OBJECTKERNEL_PLUGINS__API_KEY_SOURCE__WAIT": "true",
    }


@pytest.mark.slow
def test_the_client_needs_no_database_and_no_server_side(tmp_path: Path) -> None:
    """It gets a key where SQLAlchemy, FastAPI and the like are not installed."""
    with authorization_server() as server:
        server.interval = 1
        environ = {**os.environ, "XDG_CONFIG_HOME": str(tmp_path)}
        ran = subprocess.run(
            [sys.executable, "-c", BUDGET, server.url], env=environ, capture_output=True, text=True, check=False
        )
        assert (ran.returncode, ran.stderr) == (0, "")
        assert ran.stdout.strip() in server.keys


async def test_nothing_is_asked_for_before_somebody_wants_a_key(anyio_backend: str, home: Path) -> None:
    """A host that has the plugin and uses no key starts without an address, a folder or a terminal."""
    async with kernel({}) as running:
        assert running.get(API_KEY_SOURCE) is not None
    assert not home.exists()


async def test_settings_are_refused_with_their_names(anyio_backend: str) -> None:
    """A host that is no folder's name, and a switch that is none."""
    for name, value in (("MOSTA_HOST", "../x"), ("MOSTA_NO_AUTOREGISTER", "perhaps")):
        with pytest.raises(BootError) as caught:
            async with kernel({name: value}):
                pass
        assert name in str(caught.value)


async def test_the_commands_are_contributed(anyio_backend: str) -> None:
    """They are there before anything is started."""
    made = kernel({}).contributions(COMMANDS)
    assert {maker().name for maker in made} == {"login", "logout", "whoami"}


async def test_net_mode_asks_for_a_key_when_it_starts(
    anyio_backend: str, data: Served, keys: AuthorizationServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The code is shown, the approval waited for, and the data is there; the next start needs nobody."""
    environ = net(data, keys, tmp_path)
    for _ in range(2):
        async with shop(environ, ApiKeySourcePlugin) as running:
            await running.get(DIALECT).create(ORDER, {"total": 1})
    assert keys.flows == 1
    assert capsys.readouterr().err.count("    BCDF-GHJK\n") == 1


async def test_an_approval_may_take_longer_than_a_plugin_may_start(
    anyio_backend: str, data: Served, keys: AuthorizationServer, tmp_path: Path
) -> None:
    """Whoever waits for a person has as long as the code is good."""
    keys.approve_after, keys.interval = 2, 0.3
    async with shop(net(data, keys, tmp_path), ApiKeySourcePlugin, start_timeout=0.5) as running:
        assert await running.get(DIALECT).count(ORDER) == 0


async def test_a_401_from_the_data_renews_once(
    anyio_backend: str, data: Served, keys: AuthorizationServer, tmp_path: Path
) -> None:
    """The key is revoked while the host runs: its refresh token gives the next, for all that was refused at once."""
    async with shop(net(data, keys, tmp_path), ApiKeySourcePlugin) as running:
        dialect = running.get(DIALECT)
        data.keys.known.clear()
        counts: list[int] = []

        async def count() -> None:
            counts.append(await dialect.count(ORDER))

        async with anyio.create_task_group() as tasks:
            for _ in range(10):
                tasks.start_soon(count)
        assert counts == [0] * 10
    grants = [form["grant_type"] for form in keys.sent("/token")]
    assert (keys.flows, grants.count("refresh_token")) == (1, 1)


async def test_a_401_without_a_refresh_token_asks_again(
    anyio_backend: str, data: Served, keys: AuthorizationServer, tmp_path: Path
) -> None:
    """There is somebody to ask: the host goes on when they have approved."""
    keys.renewable = False
    async with shop(net(data, keys, tmp_path), ApiKeySourcePlugin) as running:
        data.keys.known.clear()
        assert await running.get(DIALECT).count(ORDER) == 0
    assert keys.flows == 2


async def test_a_stale_variable_is_replaced_after_a_401(
    anyio_backend: str, data: Served, keys: AuthorizationServer, tmp_path: Path
) -> None:
    """What ``MOSTA_NET_API_KEY`` says is shown first, and not again."""
    environ = net(data, keys, tmp_path) | {"MOSTA_NET_API_KEY": "stale"}
    async with shop(environ, ApiKeySourcePlugin) as running:
        assert await running.get(DIALECT).count(ORDER) == 0
    assert keys.flows == 1


async def test_a_401_that_stays_is_told(
    anyio_backend: str, data: Served, keys: AuthorizationServer, tmp_path: Path
) -> None:
    """The server of the data takes none of the keys: one renewal, then the error."""
    async with shop(net(data, keys, tmp_path), ApiKeySourcePlugin) as running:
        data.keys.known.clear()
        keys.on_issue = lambda key: None
        with pytest.raises(AccessDenied):
            await running.get(DIALECT).count(ORDER)
    assert len(keys.sent("/token")) == 3  # two polls, one renewal


async def test_a_401_that_nobody_approves_is_asked_once(
    anyio_backend: str, data: Served, keys: AuthorizationServer, tmp_path: Path
) -> None:
    """Access is denied, with the reason of this plugin; whoever was refused with the same key waits for one answer."""
    keys.renewable = False
    async with shop(net(data, keys, tmp_path), ApiKeySourcePlugin) as running:
        data.keys.known.clear()
        keys.decision, keys.interval = "access_denied", 0.2
        denied: list[AccessDenied] = []

        async def count() -> None:
            try:
                await running.get(DIALECT).count(ORDER)
            except AccessDenied as error:
                denied.append(error)

        async with anyio.create_task_group() as tasks:
            for _ in range(10):
                tasks.start_soon(count)
        assert (len(denied), keys.flows) == (10, 2)
        told = [error for error in denied if "[O106]" in str(error)]
        assert told and "was denied" in str(told[0]) and "approve it" in told[0].fix
        keys.decision = None
        assert await running.get(DIALECT).count(ORDER) == 0  # the next call asks anew


@pytest.mark.parametrize("path", ["", "/astro_08"])
async def test_a_host_without_a_terminal_says_what_to_set(
    anyio_backend: str, data: Served, tmp_path: Path, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The boot fails at once, and its report has the words of this plugin, also where the address has a path."""
    with authorization_server(path) as keys:
        environ = net(data, keys, tmp_path) | {"OBJECTKERNEL_PLUGINS__API_KEY_SOURCE__WAIT": "false"}
        environ["MOSTA_NET_URL"] = keys.url
        with caplog.at_level(logging.DEBUG), pytest.raises(BootError) as caught:
            async with shop(environ, ApiKeySourcePlugin):
                pass
        (problem,) = caught.value.exceptions
        assert isinstance(problem, AuthorizationFailed)
        assert "objectkernel login" in str(caught.value)
        assert keys.flows == 0
