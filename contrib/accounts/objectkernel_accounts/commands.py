"""``objectkernel accounts``."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Awaitable, Callable
from typing import Any, Final

import click
from objectkernel_contracts import ROLES, CommandContext, Role, Services
from objectkernel_contracts.terminal import as_json, confirm, plain_lines, print_json, print_result

from objectkernel_accounts.contracts import ACCOUNTS, PEOPLE, Account, Accounts, Link, Membership, User
from objectkernel_accounts.errors import AccountMissing, UserMissing
from objectkernel_accounts.parts import PARTS

GENERATED: Final = 18
"""Random bytes of a password that is made here: 24 characters."""
PAGE: Final = 200


base_url = click.option(
    "--base-url", help="Where the host is reached, such as https://shop.example; by default the setting base_url."
)
of_account = click.option("--account", is_flag=True, help="WHO is the id of an account, and not somebody's login.")


@click.group()
def accounts() -> None:
    """Accounts, the people in them, and how they get in."""


@accounts.command("create-admin")
@click.argument("login")
@click.option("--name", default="", help="What they are called.")
@click.option("--account", default="", help="What their account is called; by default as the login.")
@click.option("--another", is_flag=True, help="Also where there is an administrator already.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input, its first line.")
@click.option("--generate", is_flag=True, help="Make a password and print it, once.")
@as_json
@click.pass_obj
def create_admin(
    obj: CommandContext, login: str, name: str, account: str, another: bool, password_stdin: bool, generate: bool
) -> None:
    """Make the first administrator, and a first account.

    They run the host, and own the account. The password is asked for, unless an option says otherwise.
    """
    password = _password(password_stdin, generate)
    made = obj.run(
        lambda kernel: kernel.get(PEOPLE).create_admin(login, password, name=name, account=account, another=another)
    )
    document = {"login": made.user.login, "user": made.user.id, "account": made.account.id}
    text = f"{made.user.login} runs this host, and owns the account {made.account.name} ({made.account.id})"
    if generate:
        document["password"] = password
        text += f"\nthe password, shown this once: {password}"
    print_result(obj, document, text)


@accounts.command()
@click.argument("login")
@click.option("--account", "account_id", help="The id of the account; by default the only one that there is.")
@click.option("--new-account", metavar="NAME", help="Make an account of this name for them.")
@click.option("--role", type=click.Choice(ROLES), help="By default member; owner of a new account.")
@click.option("--operator", is_flag=True, help="Let them run the host.")
@base_url
@as_json
@click.pass_obj
def invite(
    obj: CommandContext,
    login: str,
    account_id: str | None,
    new_account: str | None,
    role: Role | None,
    operator: bool,
    base_url: str | None,
) -> None:
    """Print a link to join an account; it works once."""
    if account_id and new_account:
        raise click.UsageError("give --account or --new-account, not both")

    async def job(kernel: Services) -> tuple[Link, str]:
        service = kernel.get(ACCOUNTS)
        if new_account:
            joined = await service.create(new_account)
        else:
            joined = await _account(service, account_id)
        least: Role = "owner" if new_account else "member"
        link = await kernel.get(PEOPLE).invite(login, joined.id, role or least, operator=operator)
        return link, base_url or kernel.get(PARTS).config.base_url

    _tell_link(obj, *obj.run(job))


@accounts.command("list")
@as_json
@click.pass_obj
def list_(obj: CommandContext) -> None:
    """List the accounts and who is in them."""
    found = obj.run(lambda kernel: _everybody(kernel.get(ACCOUNTS)))
    if obj.json:
        print_json([{**_document(account), "members": [_member(one) for one in who]} for account, who in found])
        return
    for account, who in found:
        click.echo(plain_lines(f"{account.id}  {account.state:<8}  {account.name}"))
        for one in who:
            notes = [one.user.state] * (one.user.state != "active") + ["runs the host"] * one.user.operator
            click.echo(plain_lines(f"    {one.role:<6}  {one.user.login}{''.join(f', {note}' for note in notes)}"))


@accounts.command()
@click.argument("who")
@of_account
@as_json
@click.pass_obj
def disable(obj: CommandContext, who: str, account: bool) -> None:
    """Let somebody, or everybody of an account, in no more."""
    _change(obj, who, account, "disable", "is let in no more")


@accounts.command()
@click.argument("who")
@of_account
@as_json
@click.pass_obj
def enable(obj: CommandContext, who: str, account: bool) -> None:
    """Let somebody, or everybody of an account, in again."""
    _change(obj, who, account, "enable", "is let in again")


@accounts.command("reset-password")
@click.argument("login")
@base_url
@as_json
@click.pass_obj
def reset_password(obj: CommandContext, login: str, base_url: str | None) -> None:
    """Print a link to choose a new password; it works once."""

    async def job(kernel: Services) -> tuple[Link, str]:
        user = await _user(kernel, login)
        return await kernel.get(PEOPLE).reset_link(user.id), base_url or kernel.get(PARTS).config.base_url

    _tell_link(obj, *obj.run(job))


@accounts.command()
@click.argument("account_id", metavar="ACCOUNT")
@click.option("--successor", metavar="ACCOUNT", help="The account that takes over what can be handed over.")
@click.option("--yes", is_flag=True, help="Do not ask whether that is meant.")
@as_json
@click.pass_obj
def delete(obj: CommandContext, account_id: str, successor: str | None, yes: bool) -> None:
    """Delete an account, and what hangs on it.

    That is: the people who are in no other one, and what plugins hold of it. What was interrupted is gone on with
    when it is asked for again.
    """
    if not yes:
        confirm(f"delete the account {account_id} for good?")
    deleted = obj.run(lambda kernel: kernel.get(ACCOUNTS).delete(account_id, successor_id=successor))
    print_result(obj, _document(deleted), f"the account {deleted.id} is deleted")


# --- passwords and links --------------------------------------------------------------------------


def _password(from_stdin: bool, generate: bool) -> str:
    """A password that stood on no command line."""
    if from_stdin and generate:
        raise click.UsageError("give --password-stdin or --generate, not both")
    if generate:
        return secrets.token_urlsafe(GENERATED)
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    asked: str = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    return asked


def _tell_link(obj: CommandContext, link: Link, base: str) -> None:
    url = base.rstrip("/") + link.path
    document = {"login": link.login, "url": url, "expires_at": link.expires_at.isoformat()}
    text = f"for {link.login}, once, until {link.expires_at:%Y-%m-%d %H:%M} UTC:\n{url}"
    print_result(obj, document, text)
    if not base:
        click.echo("below the address of the host; --base-url, or the setting base_url, puts it before", err=True)


# --- looking up -----------------------------------------------------------------------------------


def _change(obj: CommandContext, who: str, is_account: bool, verb: str, done: str) -> None:
    """Disable or enable somebody or an account."""

    async def job(kernel: Services) -> Account | User:
        service: Any = kernel.get(ACCOUNTS) if is_account else kernel.get(PEOPLE)
        id = who if is_account else (await _user(kernel, who)).id
        change: Callable[[str], Awaitable[Account | User]] = getattr(service, verb)
        return await change(id)

    changed = obj.run(job)
    print_result(obj, {"id": changed.id, "state": changed.state}, f"{who} {done}")


async def _user(kernel: Services, login: str) -> User:
    user = await kernel.get(PEOPLE).find(login)
    if user is None:
        raise UserMissing(f"nobody signs in as {login}", fix="`objectkernel accounts list` names everybody", user=login)
    return user


async def _account(service: Accounts, account_id: str | None) -> Account:
    """The account of this id, or the only one."""
    if account_id is not None:
        named = await service.get(account_id)
        found: tuple[Account, ...] = () if named is None else (named,)
    else:
        found, _ = await service.list(2)
    if len(found) != 1:
        raise AccountMissing(
            "it is not clear into which account",
            why="there are several" if found else "there is no such account",
            fix="give --account with the id that `objectkernel accounts list` shows, or --new-account",
            account_id="",
        )
    return found[0]


async def _everybody(service: Accounts) -> list[tuple[Account, tuple[Membership, ...]]]:
    found: list[tuple[Account, tuple[Membership, ...]]] = []
    after: str | None = None
    while True:
        page, after = await service.list(PAGE, after)
        found += [(account, await service.members(account.id)) for account in page]
        if after is None:
            return found


# --- output ---------------------------------------------------------------------------------------


def _document(account: Account) -> dict[str, Any]:
    return {"id": account.id, "name": account.name, "state": account.state, "successor": account.successor_id}


def _member(membership: Membership) -> dict[str, Any]:
    user = membership.user
    return {
        "id": user.id,
        "login": user.login,
        "name": user.name,
        "role": membership.role,
        "state": user.state,
        "operator": user.operator,
    }
