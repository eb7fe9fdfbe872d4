"""``objectkernel login``, ``logout`` and ``whoami``: they use the settings, and start nothing of the host."""

from __future__ import annotations

from typing import Any, Final

import anyio
import attrs
import click
from objectkernel.secret import Secret
from objectkernel_contracts import CommandContext
from objectkernel_contracts.terminal import as_json, print_json

from objectkernel_device_auth.client_addresses import address
from objectkernel_device_auth.client_config import ApiKeySourceConfig
from objectkernel_device_auth.client_errors import no_server_to_log_in
from objectkernel_device_auth.client_session import ClientSession
from objectkernel_device_auth.contracts import AuthorizationFailed, StoredToken
from objectkernel_device_auth.key_source import KeySource, is_good

PLUGIN: Final = "api-key-source"
PATIENCE: Final = 10.0
"""Seconds for what is asked of a server about one key, and is not needed."""
VARIABLE: Final = "MOSTA_NET_API_KEY"


@click.command()
@click.option("--host-url", help="The authorization server; by default MOSTA_AUTH_FLOW_URL, else MOSTA_NET_URL.")
@click.option("--scope", help="What to ask for, blank-separated; by default what the server gives unasked.")
@click.option("--client-id", help="As whom to ask; by default MOSTA_CLIENT_ID.")
@click.option("--force", is_flag=True, help="Ask for a new key, also where a good one is kept.")
@click.option("--wait", is_flag=True, help="Also without a terminal: print URL and code, and wait.")
@as_json
@click.pass_obj
def login(
    obj: CommandContext, host_url: str | None, scope: str | None, client_id: str | None, force: bool, wait: bool
) -> None:
    """Get a key for this user: a code is shown, and somebody approves it in a browser."""
    config = _settings(obj)
    source = KeySource(config)

    async def job() -> tuple[StoredToken, bool]:
        wish = source.wish(client_id=client_id, scope=scope)
        if host_url is not None:
            wish = attrs.evolve(wish, address=address(host_url, "--host-url", insecure=config.insecure_http))
        if wish.address is None:
            raise no_server_to_log_in()
        wish = attrs.evolve(wish, forced=force, anew=force, opted_out=False, wait=wait or wish.wait, must_keep=True)
        before = await source.kept(wish)
        token = await source.token(wish)
        return token, before is None or before.access_token != token.access_token

    token, new = anyio.run(job)
    if config.net_api_key is not None and config.net_api_key.reveal():
        click.echo(f"{VARIABLE} is set: hosts use that key, and not this one", err=True)
    if obj.json:
        print_json({**_document(token), "file": str(source.store().path), "new": new})
        return
    click.echo(f"{token.issuer} {'lets' if new else 'already lets'} {token.client_id} in; {_end(token)}")
    click.echo(f"the key is in {source.store().path}")


@click.command()
@as_json
@click.pass_obj
def logout(obj: CommandContext) -> None:
    """Forget every key that is kept, and have the servers end them."""
    config = _settings(obj)
    store = KeySource(config).store()

    async def job() -> list[tuple[StoredToken, str]]:
        kept = await store.tokens()
        found = [(token, await _revoked(config, token)) for token in kept]
        await store.clear()
        return found

    found = anyio.run(job)
    for token, trouble in found:
        if trouble:
            click.echo(f"{token.issuer} may still take its key, for {trouble}: end it there", err=True)
    if obj.json:
        print_json([{**_document(token), "revoked": not trouble} for token, trouble in found])
        return
    for token, trouble in found:
        click.echo(f"the key of {token.issuer} is forgotten" + ("" if trouble else ", and ended there"))
    if not found:
        click.echo("no key was kept")


@click.command()
@click.option("--offline", is_flag=True, help="Ask no server.")
@as_json
@click.pass_context
def whoami(context: click.Context, offline: bool) -> None:
    """Show the keys of this user, and whether the servers still take them.

    The exit code is 1 where there is none.
    """
    obj: CommandContext = context.obj
    config = _settings(obj)
    source = KeySource(config)

    async def job() -> list[dict[str, Any]]:
        kept = await source.store().tokens()
        rows = [{**_document(token), "from": "file", "good": is_good(token)} for token in kept]
        keys = [token.access_token for token in kept]
        where = source.address()
        if config.net_api_key is not None and config.net_api_key.reveal():
            issuer = None if where is None else where.issuer
            rows.insert(0, {"issuer": issuer, "from": VARIABLE, "good": True})
            keys.insert(0, config.net_api_key)
        if not offline:
            for row, key in zip(rows, keys, strict=True):
                row |= await _said(config, row["issuer"], key) if row["good"] and row["issuer"] else {}
        return rows

    rows = anyio.run(job)
    if obj.json:
        print_json(rows)
    for row in [] if obj.json else rows:
        click.echo(_line(row))
    if not rows:
        click.echo("there is no key: run `objectkernel login`", err=True)
        context.exit(1)


# --- asking servers -----------------------------------------------------------------------------------


async def _revoked(config: ApiKeySourceConfig, token: StoredToken) -> str:
    """End a key and what renews it at the server; why that failed, "" where it did not."""
    secrets = [secret for secret in (token.refresh_token, token.access_token) if secret is not None]
    try:
        with anyio.fail_after(PATIENCE):
            async with _session(config, token.issuer, token.client_id) as session:
                client = await session.client()
                done = [await client.revoke(secret) for secret in secrets]
    except AuthorizationFailed as error:
        return f"{error.what}: {error.why[0]}"
    except TimeoutError:
        return "it did not answer in time"
    return "" if all(done) else "it does not end keys on demand"


async def _said(config: ApiKeySourceConfig, issuer: str, key: Secret[str]) -> dict[str, Any]:
    """What the server says of a key, for its row."""
    try:
        with anyio.fail_after(PATIENCE):
            async with _session(config, issuer, config.client_id) as session:
                found = await (await session.client()).known(key)
    except (AuthorizationFailed, TimeoutError) as error:
        return {"trouble": error.what if isinstance(error, AuthorizationFailed) else "it did not answer in time"}
    if found is None:
        return {}
    known = {name: found[name] for name in ("username", "sub", "account_id", "client_id", "scope") if found.get(name)}
    return {**known, "good": found.get("active") is True}


def _session(config: ApiKeySourceConfig, issuer: str, client_id: str) -> ClientSession:
    place = address(issuer, "auth.json", insecure=config.insecure_http)
    return ClientSession(place, client_id, config.timeout)


# --- settings and output ------------------------------------------------------------------------------


def _settings(context: CommandContext) -> ApiKeySourceConfig:
    """The plugin's settings; those of others may be wrong, and nothing is started.

    Raises:
        KernelError: they are refused.
    """
    configuration = context.kernel().compose().configuration
    assert configuration is not None  # this plugin has settings
    for problem in configuration.problems:
        if getattr(problem, "plugin", PLUGIN) == PLUGIN:
            raise problem
    config: ApiKeySourceConfig = configuration.instances[PLUGIN]
    return config


def _document(token: StoredToken) -> dict[str, Any]:
    return {
        "issuer": token.issuer,
        "client_id": token.client_id,
        "scope": token.scope if token.granted_scope is None else token.granted_scope,
        "expires_at": None if token.expires_at is None else token.expires_at.isoformat(timespec="seconds"),
        "renewable": token.refresh_token is not None,
    }


def _end(token: StoredToken) -> str:
    if token.expires_at is None:
        return "the key does not end by itself"
    renewed = ", and is renewed then" if token.refresh_token is not None else ""
    return f"the key ends {token.expires_at.isoformat(' ', 'minutes')}{renewed}"


def _line(row: dict[str, Any]) -> str:
    who = row.get("username") or row.get("sub")
    parts = [str(row["issuer"] or "no server is set")]
    parts += [f"as {who}"] if who else []
    parts += [f"account {row['account_id']}"] if row.get("account_id") else []
    parts += [f"client {row['client_id']}"] if row.get("client_id") else []
    parts += [f"scopes {row['scope']}"] if row.get("scope") else []
    parts += [f"ends {row['expires_at']}"] if row.get("expires_at") else []
    parts += [f"from {row['from']}"] if row["from"] != "file" else []
    parts += [] if row["good"] else ["is renewed when it is needed" if row.get("renewable") else "no longer good"]
    parts += [row["trouble"]] if row.get("trouble") else []
    return ", ".join("".join(c if c.isprintable() else "?" for c in part) for part in parts)
