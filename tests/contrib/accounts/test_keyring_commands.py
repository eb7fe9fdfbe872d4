"""``objectkernel secrets``: what there is, changing it, and the one command that shows secrets."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import attrs
import pytest
from click.testing import Result
from objectkernel import ObjectKernel, Plugin, contributes
from objectkernel.errors import ConfigError, KernelError
from objectkernel_accounts.keyring_commands import secrets
from objectkernel_accounts.keyring_errors import KeyNotChanged, KeysInvalid
from objectkernel_accounts.keyring_file import KeyFile, key_file
from objectkernel_accounts.keyring_plugin import KeyringPlugin
from objectkernel_accounts.keyring_text import key_text, new_key
from objectkernel_contracts import KEY_NAMES

from tests.contrib.accounts.commanding import Commands


class Sealer(Plugin):
    """Tells the name of a key that it will ask for."""

    name = "sealer"

    @contributes(KEY_NAMES, uses=())
    def seals(self) -> str:
        return "seals"


@attrs.define
class Host:
    """A host in a folder, whose environment may change."""

    folder: Path
    environ: dict[str, str] = attrs.field(factory=dict)

    @property
    def file(self) -> KeyFile:
        return key_file(self.folder)

    def make(self) -> ObjectKernel:
        environ = {"OBJECTKERNEL_DATA_DIR": str(self.folder), **self.environ}
        return ObjectKernel(plugins=[KeyringPlugin, Sealer], discover=False, environ=environ)

    def __call__(self, *arguments: str) -> Result:
        return Commands(self.make)(secrets, *arguments)

    def rows(self) -> list[dict[str, str]]:
        rows: list[dict[str, str]] = Commands(self.make).as_json(secrets, "list")
        return rows


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_list(host: Host) -> None:
    """Every name is listed, with its keys and where they come from, without a secret; nothing is made by looking."""
    assert host.rows() == [{"name": "seals", "id": None, "state": "not made yet", "source": ""}]
    assert not host.file.path.exists()
    made = host.file.ensure("sessions")["sessions"][0]
    given = new_key()
    host.environ["OBJECTKERNEL_KEYS"] = json.dumps({"seals": [key_text(given), key_text(new_key())]})
    rows = [(row["name"], row["id"], row["state"], row["source"]) for row in host.rows()]
    assert rows[0] == ("seals", given.id, "current", "OBJECTKERNEL_KEYS")
    assert (rows[1][0], rows[1][2]) == ("seals", "accepted")
    assert rows[2] == ("sessions", made.id, "current", str(host.file.path))
    text = host("list").stdout
    assert f"sessions  {made.id}  current  {host.file.path}" in text
    assert key_text(made).partition(":")[2] not in text + json.dumps(host.rows())


def test_rotate_and_retire(host: Host) -> None:
    """A new key is current while the old one is accepted, until that is retired; neither shows a secret."""
    old = host.file.ensure("sessions", "csrf")
    printed = host("rotate", "sessions").stdout
    new, kept = host.file.read()["sessions"]
    assert (kept, new.id in printed) == (old["sessions"][0], True)
    printed += host("retire", "sessions", kept.id).stdout
    assert host.file.read() == {"sessions": (new,), "csrf": old["csrf"]}
    for key in (new, kept):
        assert key_text(key).partition(":")[2] not in printed


def test_not_changed(host: Host) -> None:
    """The current key cannot be retired; a key that is not in the file, or given, is changed where it is."""
    key = host.file.ensure("sessions", "given")["sessions"][0]
    host.environ["OBJECTKERNEL_KEYS"] = json.dumps({"given": [key_text(new_key())]})
    for arguments, why in (
        (("retire", "sessions", key.id), "the current one"),
        (("retire", "sessions", "nonsense"), "none of this id"),
        (("rotate", "nonsense"), "the key file has given, sessions"),
        (("rotate", "given"), "given to the host in OBJECTKERNEL_KEYS"),
        (("retire", "given", "x"), "given to the host in OBJECTKERNEL_KEYS"),
    ):
        before = host.file.path.read_bytes()
        with pytest.raises(KeyNotChanged) as caught:
            host(*arguments)
        assert why in caught.value.why[0]
        assert host.file.path.read_bytes() == before


def exported(done: Result) -> dict[str, str]:
    """The environment that a shell makes of what was printed."""
    (assignment,) = shlex.split(done.stdout)
    name, _, value = assignment.partition("=")
    return {name: value}


def test_export(host: Host) -> None:
    """What is exported gives another host the same secrets, and new ones for names that had none."""
    old = host.file.ensure("sessions", "csrf")
    other = Host(host.folder / "other", exported(host("export-env")))
    rows = {row["name"]: row["id"] for row in other.rows()}
    assert (rows["sessions"], rows["csrf"]) == (old["sessions"][0].id, old["csrf"][0].id)
    assert {row["source"] for row in other.rows()} == {"OBJECTKERNEL_KEYS"}
    assert exported(other("export-env")) == other.environ
    assert host.file.read() == old


def test_export_rotated(host: Host) -> None:
    """A host that is given its secrets is given a new one before the old ones, which stay accepted."""
    host.environ = exported(host("export-env"))
    (before,) = host.rows()
    host.environ = exported(host("export-env", "--rotate", "seals"))
    rows = host.rows()
    assert [row["state"] for row in rows] == ["current", "accepted"]
    assert (rows[1]["id"], rows[0]["id"] != before["id"]) == (before["id"], True)
    assert host("export-env", "--rotate", "nonsense").exit_code == 2


@pytest.mark.parametrize(
    ("environ", "kind"),
    [
        ({"OBJECTKERNEL_KEYS": '{"seals": ["hunter2"]}'}, KeysInvalid),
        ({"OBJECTKERNEL_KEYS": "hunter2"}, KernelError),
        ({"OBJECTKERNEL_PLUGINS__KEYRING__KEY": "hunter2"}, KernelError),
    ],
    ids=["keys", "text", "unknown"],
)
def test_settings_that_are_refused(host: Host, environ: dict[str, str], kind: type[Exception]) -> None:
    """Settings that are refused are told as when the host starts, and do not show what they say."""
    host.environ = environ
    for arguments in (("list",), ("export-env",)):
        with pytest.raises(kind) as caught:
            host(*arguments)
        assert not isinstance(caught.value, ConfigError)
        assert "hunter2" not in str(caught.value)
