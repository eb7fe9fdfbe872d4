"""``objectkernel keys`` and ``objectkernel clients``, run as click runs them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from objectkernel import ObjectKernel
from objectkernel_accounts.contracts import PEOPLE, Membership
from objectkernel_accounts.plugin import AccountsPlugin
from objectkernel_contracts import KEYRING
from objectkernel_device_auth.client_commands import clients
from objectkernel_device_auth.contracts import API_KEYS, CLIENTS, Client
from objectkernel_device_auth.errors import ClientMissing, InvalidRequest, KeyMissing
from objectkernel_device_auth.key_commands import keys
from objectkernel_device_auth.plugin import DeviceAuthPlugin
from objectkernel_system_dialect.plugin import SystemDialectPlugin

from tests.contrib.accounts.commanding import Commands
from tests.contrib.accounts.hosts import PASSWORD, Ring


@pytest.fixture
def run(tmp_path: Path) -> Commands:
    """Commands over a host whose data lies in a folder."""

    def make() -> ObjectKernel:
        environ = {"OBJECTKERNEL_DATA_DIR": str(tmp_path)}
        plugins = [SystemDialectPlugin, AccountsPlugin, DeviceAuthPlugin]
        return ObjectKernel(plugins=plugins, discover=False, environ=environ).provide(KEYRING, Ring())

    return Commands(make)


@pytest.fixture
def ada(run: Commands) -> Membership:
    made: Membership = run.run(lambda kernel: kernel.get(PEOPLE).create_admin("ada@example.org", PASSWORD))
    return made


def is_good(run: Commands, text: str) -> bool:
    async def job(kernel: ObjectKernel) -> bool:
        return await kernel.get(API_KEYS).verify(text) is not None

    good: bool = run.run(job)
    return good


def create(run: Commands, ada: Membership, *options: str) -> dict[str, Any]:
    return run.as_json(keys, "create", "robot", "--account", ada.account.id, "--scope", "keys:read", *options)


def test_a_key_alone_on_standard_output(run: Commands, ada: Membership) -> None:
    """So that it can be piped into whatever keeps it; what is told of it stands on standard error."""
    done = run(keys, "create", "robot", "--account", ada.account.id, "--scope", "keys:read")
    assert done.exit_code == 0
    assert done.stdout.startswith("ok_") and done.stdout.count("\n") == 1
    assert "shown this once" in done.stderr
    assert is_good(run, done.stdout.strip())


def test_what_a_key_is_made_for(run: Commands, ada: Membership) -> None:
    """A person, a time, several scopes; the account alone where nobody is named."""
    made = create(run, ada, "--scope", "members:read", "--user", ada.user.id, "--expires", "12h")
    assert made["user_id"] == ada.user.id
    assert made["scopes"] == ["keys:read", "members:read"]
    ends, made_at = (datetime.fromisoformat(made[name]) for name in ("expires_at", "created_at"))
    assert ends - made_at == timedelta(hours=12)
    other = create(run, ada, "--expires", "never")
    assert (other["user_id"], other["expires_at"]) == (None, None)


def test_a_list_of_keys(run: Commands, ada: Membership) -> None:
    """A table for people, and JSON without secrets for programs."""
    assert "there are no keys" in run(keys, "list").stderr
    assert run.as_json(keys, "list") == []
    first = create(run, ada)
    second = create(run, ada, "--user", ada.user.id, "--expires", "never")
    table = run(keys, "list").stdout
    assert table.splitlines()[0].split()[:3] == ["ID", "NAME", "ACCOUNT"]
    assert [line.split()[0] for line in table.splitlines()[1:]] == [second["id"], first["id"]]
    assert "never" in table.splitlines()[1]
    assert first["secret"] not in table
    listed = run.as_json(keys, "list", "--account", ada.account.id)
    assert listed == [{name: value for name, value in one.items() if name != "secret"} for one in (second, first)]
    assert [one["id"] for one in run.as_json(keys, "list", "--user", ada.user.id)] == [second["id"]]
    assert run.as_json(keys, "list", "--account", "nowhere") == []


def test_a_key_is_rotated(run: Commands, ada: Membership) -> None:
    """The new one is printed, the old one ends when that is said."""
    old = create(run, ada)
    new = run.as_json(keys, "rotate", old["id"], "--overlap", "0s")
    assert new["secret"] != old["secret"]
    assert (is_good(run, old["secret"]), is_good(run, new["secret"])) == (False, True)
    text = run(keys, "rotate", new["id"]).stdout
    assert (is_good(run, new["secret"]), is_good(run, text.strip())) == (True, True)
    assert "(rotated)" in run(keys, "list").stdout


def test_a_key_is_revoked(run: Commands, ada: Membership) -> None:
    """Nobody need say whose it is; what is not there is an error, with its code."""
    made = create(run, ada)
    assert "has ended" in run(keys, "revoke", made["id"]).stdout
    assert not is_good(run, made["secret"])
    for id in (made["id"], "AAAAAAAAAAAA"):
        with pytest.raises(KeyMissing) as caught:
            run(keys, "revoke", id)
        assert caught.value.key_id == id
    another = create(run, ada)
    assert run.as_json(keys, "revoke", another["id"]) == {"id": another["id"], "revoked": True}


def test_keys_that_are_refused(run: Commands, ada: Membership) -> None:
    """With every problem, and nothing made."""
    with pytest.raises(InvalidRequest, match="do you mean 'keys:read'"):
        create(run, ada, "--scope", "kys:read")
    with pytest.raises(InvalidRequest, match="no such account"):
        run(keys, "create", "robot", "--account", "nowhere", "--scope", "keys:read")
    for wrong in ("soon", "-1d", "1y", "9999999w"):
        done = run(keys, "create", "robot", "--account", ada.account.id, "--scope", "keys:read", "--expires", wrong)
        assert done.exit_code == 2
        assert "write 90d, 12h or 30m" in done.stderr
    assert run(keys, "create", "robot", "--scope", "keys:read").exit_code == 2
    assert run.as_json(keys, "list") == []


def test_what_others_named_does_not_steer_the_terminal(run: Commands, ada: Membership) -> None:
    """Names are refused or made plain."""
    with pytest.raises(InvalidRequest, match="all of them visible"):
        run(keys, "create", "\x1b[2J", "--account", ada.account.id, "--scope", "keys:read")


def test_the_clients_of_a_host(run: Commands) -> None:
    """Its own first; further ones as they are registered."""
    assert [one["id"] for one in run.as_json(clients, "list")] == ["objectkernel-cli"]
    assert "registered" in run(clients, "register", "atlas").stdout
    table = run(clients, "list").stdout.splitlines()
    assert [line.split()[0] for line in table] == ["ID", "atlas", "objectkernel-cli"]
    assert "the host's own" in table[2]


def test_a_client_is_registered(run: Commands) -> None:
    """With everything that it may be."""
    made = run.as_json(
        *(clients, "register", "atlas", "--name", "Atlas", "--scope", "keys:read", "--no-device-flow"),
        *("--code-lifetime", "5m", "--access-lifetime", "12h", "--refresh-lifetime", "30d", "--interval", "10s"),
    )
    assert made.pop("secret") is None
    assert [made] == run.as_json(clients, "list")[:1]
    assert made == {
        "id": "atlas",
        "name": "Atlas",
        "confidential": False,
        "first_party": False,
        "scopes": ["keys:read"],
        "device_flow": False,
        "code_lifetime": 300,
        "access_lifetime": 43_200,
        "refresh_lifetime": 2_592_000,
        "interval": 10,
    }
    with pytest.raises(InvalidRequest):
        run(clients, "register", "atlas", "--interval", "10m")


def test_the_secret_of_a_client(run: Commands) -> None:
    """It stands alone on standard output, and can be changed."""
    first = run(clients, "register", "robot", "--confidential").stdout
    second = run(clients, "rotate-secret", "robot", "--overlap", "0s").stdout
    third = run.as_json(clients, "rotate-secret", "robot")["secret"]
    assert len({first, second, third + "\n"}) == 3
    assert all(one.startswith("ok_client_") for one in (first, second, third))
    assert "secret" not in run.as_json(clients, "list")[1]
    with pytest.raises(ClientMissing):
        run(clients, "rotate-secret", "nobody")


def test_a_client_is_removed(run: Commands) -> None:
    """Somebody is asked before, unless they have said so."""
    run(clients, "register", "atlas")
    unasked = run(clients, "remove", "atlas")
    assert unasked.exit_code == 2 and "give --yes" in unasked.stderr
    assert run.as_json(clients, "remove", "atlas", "--yes") == {"id": "atlas", "removed": True}
    with pytest.raises(ClientMissing):
        run(clients, "remove", "atlas", "--yes")
    with pytest.raises(InvalidRequest):
        run(clients, "remove", "objectkernel-cli", "--yes")


def test_the_next_start_finds_them(run: Commands, ada: Membership) -> None:
    """Each command is a kernel of its own: what they have made lies in the database."""
    run(clients, "register", "atlas")

    async def job(kernel: ObjectKernel) -> Client | None:
        return await kernel.get(CLIENTS).get("atlas")

    found = run.run(job)
    assert found is not None and found.created_at < datetime.now(UTC)
