"""``objectkernel accounts``, run as click runs it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import attrs
import pytest
from click.testing import CliRunner, Result
from objectkernel import ObjectKernel
from objectkernel.errors import KernelError
from objectkernel_accounts.commands import accounts
from objectkernel_accounts.errors import (
    AccountMissing,
    AdministratorExists,
    PasswordRefused,
    RoleRefused,
    UserMissing,
)
from objectkernel_accounts.plugin import AccountsPlugin
from objectkernel_contracts import KEYRING
from objectkernel_system_dialect.plugin import SystemDialectPlugin

from tests.contrib.accounts.hosts import OTHER, PASSWORD, Ring

Run = Callable[..., Result]


@attrs.define
class Context:
    """What the `objectkernel` program gives to commands, without the program."""

    folder: Path
    json: bool = False

    def run(self, job: Callable[[Any], Any]) -> Any:
        async def with_kernel() -> Any:
            environ = {"OBJECTKERNEL_DATA_DIR": str(self.folder)}
            plugins = [SystemDialectPlugin, AccountsPlugin]
            kernel = ObjectKernel(plugins=plugins, discover=False, environ=environ)
            async with kernel.provide(KEYRING, Ring()):
                return await job(kernel)

        return anyio.run(with_kernel)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    def call(*arguments: str, input: str | None = None, fails: type[KernelError] | None = None) -> Result:
        done = CliRunner().invoke(accounts, list(arguments), obj=Context(tmp_path), input=input)
        if fails is not None:
            assert isinstance(done.exception, fails)
        elif done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done

    return call


def make_admin(run: Run) -> dict[str, str]:
    done = run("create-admin", "ada", "--password-stdin", "--json", input=f"{PASSWORD}\n")
    assert done.exit_code == 0
    made: dict[str, str] = json.loads(done.stdout)
    return made


def test_a_password_is_asked_for(run: Run) -> None:
    """Without an option the password is asked for twice, unseen, and it is no option itself."""
    done = run("create-admin", "ada", "--account", "Engines", input=f"{PASSWORD}\n{PASSWORD}\n")
    assert done.exit_code == 0
    assert PASSWORD not in done.output
    assert "ada runs this host, and owns the account Engines" in done.stdout
    assert "--password " not in run("create-admin", "--help").output


def test_a_password_that_is_made(run: Run) -> None:
    """A password that is made here is shown once, and lets in."""
    done = run("create-admin", "ada", "--generate")
    found = re.search(r"shown this once: (\S{24})$", done.stdout.strip())
    assert found
    shown = json.loads(run("create-admin", "grace", "--generate", "--another", "--json").stdout)
    assert len(shown["password"]) == 24 and shown["password"] != found[1]


def test_there_is_one_first_administrator(run: Run) -> None:
    """A second one is refused, as is a password that is none, or given in two ways."""
    make_admin(run)
    run("create-admin", "eve", "--generate", fails=AdministratorExists)
    run("create-admin", "eve", "--another", "--password-stdin", input="short\n", fails=PasswordRefused)
    assert run("create-admin", "eve", "--generate", "--password-stdin").exit_code == 2


def test_listing(run: Run) -> None:
    """Accounts are listed with their people, for people and as JSON."""
    admin = make_admin(run)
    run("invite", "bob", "--new-account", "Second")
    text = run("list").stdout
    assert f"{admin['account']}  active    ada" in text and "owner   ada, runs the host" in text and "Second" in text
    first, second = json.loads(run("list", "--json").stdout)
    assert first["members"] == [
        {"id": admin["user"], "login": "ada", "name": "", "role": "owner", "state": "active", "operator": True}
    ]
    assert (second["name"], second["state"], second["members"]) == ("Second", "active", [])


def test_inviting(run: Run) -> None:
    """A link is printed, whole where the address of the host is known; the only account need not be named."""
    admin = make_admin(run)
    done = run("invite", "bob")
    assert re.search(r"^/invitation/\S{43}$", done.stdout, re.MULTILINE) and "--base-url" in done.stderr
    shown = json.loads(
        run("invite", "bob", "--base-url", "https://a.test/", "--account", admin["account"], "--json").stdout
    )
    assert shown["url"].startswith("https://a.test/invitation/") and shown["login"] == "bob"
    run("invite", "bob", "--new-account", "Second", "--role", "admin", "--operator")
    run("invite", "bob", fails=AccountMissing)
    run("invite", "bob", "--account", "missing", fails=AccountMissing)
    assert run("invite", "bob", "--account", "x", "--new-account", "y").exit_code == 2


def test_disabling(run: Run) -> None:
    """People and accounts are disabled and enabled again; whoever is not there is named."""
    admin = make_admin(run)
    run("create-admin", "grace", "--another", "--generate")
    assert "is let in no more" in run("disable", "ADA").stdout
    assert json.loads(run("disable", "ada", "--json").stdout)["state"] == "disabled"
    assert "ada, disabled, runs the host" in run("list").stdout
    run("disable", "grace", fails=RoleRefused)
    assert "is let in again" in run("enable", "ada").stdout
    assert json.loads(run("disable", admin["account"], "--account", "--json").stdout)["state"] == "disabled"
    assert json.loads(run("enable", admin["account"], "--account", "--json").stdout)["state"] == "active"
    run("disable", "nobody", fails=UserMissing)


def test_a_new_password(run: Run) -> None:
    """A link is printed with which somebody chooses a password; no password is printed or asked for."""
    make_admin(run)
    assert re.search(r"^/reset/\S{43}$", run("reset-password", "ADA").stdout, re.MULTILINE)
    run("reset-password", "nobody", fails=UserMissing)


def test_deleting(run: Run) -> None:
    """An account is deleted once it is confirmed, into a successor's hands; again it is nothing."""
    make_admin(run)
    run("invite", "bob", "--new-account", "Second")
    first, second = json.loads(run("list", "--json").stdout)
    assert run("delete", second["id"], input="n\n").exit_code == 1
    unasked = run("delete", second["id"])
    assert unasked.exit_code == 2 and "give --yes" in unasked.stderr
    done = run("delete", second["id"], "--successor", first["id"], "--yes", "--json")
    assert json.loads(done.stdout)["successor"] == first["id"]
    assert "is deleted" in run("delete", second["id"], "--yes").stdout
    assert len(json.loads(run("list", "--json").stdout)) == 1
    run("delete", "missing", "--yes", fails=AccountMissing)


def test_nothing_secret_is_kept(run: Run, tmp_path: Path) -> None:
    """No file of the host has a password or a link."""
    make_admin(run)
    link = run("invite", "bob").stdout.strip().rpartition("/")[2]
    run("create-admin", "grace", "--another", "--password-stdin", input=OTHER)
    kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"grace" in kept
    for secret in (PASSWORD, OTHER, link):
        assert secret.encode() not in kept
