"""``objectkernel clients``: the programs that may ask for keys."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import attrs
import click
from objectkernel.secret import Secret
from objectkernel_contracts import CommandContext, Services
from objectkernel_contracts.terminal import as_json, confirm, print_json, print_result, print_table

from objectkernel_device_auth.clients import client_missing
from objectkernel_device_auth.commands_output import lifetime, print_secret
from objectkernel_device_auth.contracts import CLIENTS, Client
from objectkernel_device_auth.parts import PARTS
from objectkernel_device_auth.storage_keys import LIFETIMES


@click.group()
def clients() -> None:
    """Programs that may ask for keys by the device flow."""


@clients.command("list")
@as_json
@click.pass_obj
def list_(obj: CommandContext) -> None:
    """List the clients."""
    found = obj.run(lambda kernel: kernel.get(CLIENTS).list())
    if obj.json:
        print_json([_document(client) for client in found])
    else:
        print_table(("ID", "NAME", "KIND", "DEVICE FLOW", "SCOPES"), [_row(client) for client in found])


@clients.command()
@click.argument("client_id", metavar="ID")
@click.option("--name", help="What it is called before the person who approves; by default its id.")
@click.option("--confidential", is_flag=True, help="Give it a secret, which it must show.")
@click.option("--scope", "scopes", multiple=True, help="What it may ask for, once for each; by default all.")
@click.option("--no-device-flow", is_flag=True, help="It may not use the device flow.")
@click.option("--code-lifetime", callback=lifetime, metavar="TIME", help="How long its codes wait, such as 10m.")
@click.option("--access-lifetime", callback=lifetime, metavar="TIME", help="How long its keys go on, such as 12h.")
@click.option("--refresh-lifetime", callback=lifetime, metavar="TIME", help="How long it may stay away, such as 90d.")
@click.option("--interval", callback=lifetime, metavar="TIME", help="How long it waits between polls, such as 5s.")
@as_json
@click.pass_obj
def register(
    obj: CommandContext,
    client_id: str,
    name: str | None,
    confidential: bool,
    scopes: tuple[str, ...],
    no_device_flow: bool,
    code_lifetime: timedelta | None,
    access_lifetime: timedelta | None,
    refresh_lifetime: timedelta | None,
    interval: timedelta | None,
) -> None:
    """Add a client, or change one.

    What no option says is as for a new one. A secret is printed, once.
    """
    client = Client(
        id=client_id,
        name=name or client_id,
        confidential=confidential,
        scopes=frozenset(scopes) or None,
        device_flow=not no_device_flow,
        code_lifetime=code_lifetime,
        access_lifetime=access_lifetime,
        refresh_lifetime=refresh_lifetime,
        interval=interval,
    )
    made, secret = obj.run(lambda kernel: kernel.get(CLIENTS).register(client))
    if obj.json:
        print_json(_document(made) | {"secret": None if secret is None else secret.reveal()})
    elif secret is not None:
        print_secret(secret.reveal(), f"the secret of the client {made.id}")
    else:
        click.echo(f"the client {made.id} is registered")


@clients.command("rotate-secret")
@click.argument("client_id", metavar="ID")
@click.option("--overlap", callback=lifetime, metavar="TIME", help="How long the old one goes on, such as 0s or 2h.")
@as_json
@click.pass_obj
def rotate_secret(obj: CommandContext, client_id: str, overlap: timedelta | None) -> None:
    """Give a client another secret and print it, once."""

    async def job(kernel: Services) -> Secret[str]:
        return await kernel.get(PARTS).clients.rotate_secret(client_id, overlap=overlap)

    secret = obj.run(job)
    if obj.json:
        print_json({"id": client_id, "secret": secret.reveal()})
    else:
        print_secret(secret.reveal(), f"the new secret of the client {client_id}")


@clients.command()
@click.argument("client_id", metavar="ID")
@click.option("--yes", is_flag=True, help="Do not ask whether that is meant.")
@as_json
@click.pass_obj
def remove(obj: CommandContext, client_id: str, yes: bool) -> None:
    """Take a client away, and end every key that was given to it."""
    if not yes:
        confirm(f"remove the client {client_id}, and end all of its keys?")

    async def job(kernel: Services) -> None:
        if not await kernel.get(CLIENTS).remove(client_id):
            raise client_missing(client_id)

    obj.run(job)
    print_result(obj, {"id": client_id, "removed": True}, f"the client {client_id} is removed")


def _document(client: Client) -> dict[str, Any]:
    told = attrs.asdict(client, filter=lambda attribute, _: attribute.name not in (*LIFETIMES, "scopes", "created_at"))
    for name in LIFETIMES:
        value: timedelta | None = getattr(client, name)
        told[name] = None if value is None else int(value.total_seconds())
    return told | {"scopes": None if client.scopes is None else sorted(client.scopes)}


def _row(client: Client) -> tuple[str, ...]:
    kind = "confidential" if client.confidential else "public"
    scopes = "all" if client.scopes is None else " ".join(sorted(client.scopes))
    return client.id, client.name, kind + ", the host's own" * client.first_party, _yes(client.device_flow), scopes


def _yes(flag: bool) -> str:
    return "yes" if flag else "no"
