"""``objectkernel keys``."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

import click
from objectkernel_contracts import CommandContext, Services
from objectkernel_contracts.terminal import as_json, print_json, print_result, print_table

from objectkernel_device_auth.commands_output import iso, lifetime, lifetime_or_never, moment, print_secret
from objectkernel_device_auth.contracts import API_KEYS, ApiKey, IssuedKey
from objectkernel_device_auth.keys import missing
from objectkernel_device_auth.parts import PARTS

PAGE: Final = 200


@click.group()
def keys() -> None:
    """API keys: make, list, rotate and revoke them.

    Whoever runs this runs the host, and may do so for all.
    """


@keys.command()
@click.argument("name")
@click.option(
    "--account",
    "account_id",
    required=True,
    help="The id of the account that the key is for, as `accounts list` has it.",
)
@click.option("--scope", "scopes", multiple=True, required=True, help="What it may; once for each.")
@click.option(
    "--user",
    "user_id",
    help="The id of the person that it is for, as `accounts list --json` has it; by default it is the account's alone.",
)
@click.option(
    "--expires", callback=lifetime_or_never, metavar="TIME", help="90d, 12h or never; by default as a setting says."
)
@as_json
@click.pass_obj
def create(
    obj: CommandContext,
    name: str,
    account_id: str,
    scopes: tuple[str, ...],
    user_id: str | None,
    expires: timedelta | None,
) -> None:
    """Make a key and print it, once."""

    async def job(kernel: Services) -> IssuedKey:
        return await kernel.get(API_KEYS).issue(account_id, name, scopes, user_id=user_id, expires_in=expires)

    _tell(obj, obj.run(job))


@keys.command("list")
@click.option("--account", "account_id", help="Only keys of the account of this id.")
@click.option("--user", "user_id", help="Only keys of the person of this id.")
@as_json
@click.pass_obj
def list_(obj: CommandContext, account_id: str | None, user_id: str | None) -> None:
    """List the keys that are good, the newest first."""

    async def job(kernel: Services) -> list[ApiKey]:
        host_keys = kernel.get(PARTS).keys
        found, after = await host_keys.of_host(account_id, user_id, PAGE)
        while after is not None:
            more, after = await host_keys.of_host(account_id, user_id, PAGE, after)
            found += more
        return list(found)

    found = obj.run(job)
    if obj.json:
        print_json([_document(key) for key in found])
    elif found:
        head = ("ID", "NAME", "ACCOUNT", "USER", "SCOPES", "ENDS (UTC)", "LAST USED", "CLIENT")
        print_table(head, [_row(key) for key in found])
    else:
        click.echo("there are no keys", err=True)


@keys.command()
@click.argument("key_id", metavar="ID")
@click.option("--overlap", callback=lifetime, metavar="TIME", help="How long the old key goes on, such as 0s or 2h.")
@as_json
@click.pass_obj
def rotate(obj: CommandContext, key_id: str, overlap: timedelta | None) -> None:
    """Put a new key in the place of one and print it, once."""

    async def job(kernel: Services) -> IssuedKey:
        account = await _account_of(kernel, key_id)
        return await kernel.get(API_KEYS).rotate(account, key_id, overlap=overlap)

    _tell(obj, obj.run(job))


@keys.command()
@click.argument("key_id", metavar="ID")
@as_json
@click.pass_obj
def revoke(obj: CommandContext, key_id: str) -> None:
    """End a key at once, and all that hangs on it.

    That is: its refresh tokens, the keys that it has replaced, and the keys that were made with it.
    """

    async def job(kernel: Services) -> None:
        if not await kernel.get(API_KEYS).revoke(await _account_of(kernel, key_id), key_id):
            raise missing(key_id)

    obj.run(job)
    print_result(obj, {"id": key_id, "revoked": True}, f"the key {key_id} has ended")


async def _account_of(kernel: Services, key_id: str) -> str:
    """Whose a key is; the host's operator need not say it."""
    key = await kernel.get(PARTS).keys.find(key_id)
    if key is None:
        raise missing(key_id)
    return key.account_id


def _tell(obj: CommandContext, issued: IssuedKey) -> None:
    if obj.json:
        print_json({**_document(issued.key), "secret": issued.secret.reveal()})
        return
    ends = moment(issued.key.expires_at, "when it is revoked")
    print_secret(issued.secret.reveal(), f"the key {issued.key.id}, which ends {ends}")


def _document(key: ApiKey) -> dict[str, Any]:
    times = {name: iso(getattr(key, name)) for name in ("created_at", "expires_at", "last_used_at")}
    told = {name: getattr(key, name) for name in ("id", "name", "account_id", "user_id", "client_id", "rotated_to")}
    return {**told, "scopes": sorted(key.scopes), **times}


def _row(key: ApiKey) -> tuple[str, ...]:
    ends = moment(key.expires_at, "never") + " (rotated)" * (key.rotated_to is not None)
    used = moment(key.last_used_at, "never")
    scopes = " ".join(sorted(key.scopes))
    return key.id, key.name, key.account_id, key.user_id or "-", scopes, ends, used, key.client_id or "-"
