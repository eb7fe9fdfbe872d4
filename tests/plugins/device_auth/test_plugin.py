"""The plugin in a kernel: what it gives, keeps doing, and leaves behind."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest
from objectkernel import ObjectKernel
from objectkernel.errors import BootError
from objectkernel_accounts.audit import AUDIT_ENTRY
from objectkernel_accounts.audit_plugin import AuditPlugin
from objectkernel_accounts.contracts import ACCOUNTS, PEOPLE, Membership
from objectkernel_accounts.keyring_plugin import KeyringPlugin
from objectkernel_accounts.plugin import AccountsPlugin
from objectkernel_contracts import (
    CREDENTIAL_VERIFIERS,
    IDENTITY,
    KEY_NAMES,
    KEYRING,
    METRICS,
    SCOPES,
    Credentials,
    Principal,
)
from objectkernel_device_auth import key_use, plugin
from objectkernel_device_auth.contracts import API_KEYS, CLIENTS, DEVICE_AUTH, Client
from objectkernel_device_auth.errors import InvalidRequest, OAuthError
from objectkernel_device_auth.plugin import DeviceAuthPlugin
from objectkernel_device_auth.storage_codes import DEVICE_CODE, FAMILY, REFRESH_TOKEN
from objectkernel_device_auth.storage_keys import KEY
from objectkernel_system_dialect.contracts import SYSTEM_DIALECT, DatabaseUnavailable
from objectkernel_system_dialect.plugin import SystemDialectPlugin

from tests.contrib.accounts.hosts import PASSWORD, Ring

pytestmark = pytest.mark.anyio

CLI = "objectkernel-cli"


def in_file(folder: Path, *plugins: Any, **settings: Any) -> ObjectKernel:
    """A kernel whose data lies in a folder."""
    return ObjectKernel(
        plugins=[SystemDialectPlugin, DeviceAuthPlugin, *plugins],
        discover=False,
        environ={"OBJECTKERNEL_DATA_DIR": str(folder)},
        config={"plugins": {"device-auth": settings}},
    )


def in_memory(*plugins: Any, **settings: Any) -> ObjectKernel:
    return ObjectKernel(
        plugins=[SystemDialectPlugin.in_memory(), DeviceAuthPlugin, *plugins],
        discover=False,
        environ={},
        config={"plugins": {"device-auth": settings}},
    ).provide(KEYRING, Ring())


async def until(condition: Callable[[], Any]) -> None:
    """Wait until something is so; the test's own time limit ends it."""
    while not await condition():
        await anyio.sleep(0.01)


async def shown_to(kernel: ObjectKernel, text: str) -> Principal | None:
    return await kernel.get(IDENTITY).principal(Credentials(bearer=text))


async def test_a_bearer_key_is_somebody() -> None:
    """`IDENTITY` of accounts asks the verifier; a host without accounts has the services all the same."""
    async with in_memory(AccountsPlugin) as kernel:
        ada = await kernel.get(PEOPLE).create_admin("ada@example.org", PASSWORD)
        made = await kernel.get(API_KEYS).issue(ada.account.id, "x", ["keys:read"], user_id=ada.user.id)
        assert await shown_to(kernel, made.secret.reveal()) == Principal(
            account_id=ada.account.id, user_id=ada.user.id, scopes={"keys:read"}, key_id=made.key.id
        )
        assert await shown_to(kernel, made.secret.reveal()[:-1]) is None


async def test_a_host_without_accounts() -> None:
    """There is nobody to tell what people may: keys may what was granted."""
    async with in_memory() as kernel:
        made = await kernel.get(API_KEYS).issue("acme", "x", ["keys:read"], user_id="ada")
        (verifier,) = kernel.contributions(CREDENTIAL_VERIFIERS)
        principal = await verifier.principal(Credentials(bearer=made.secret.reveal()))
        assert principal is not None and principal.scopes == {"keys:read"}
        assert [client.id for client in await kernel.get(CLIENTS).list()] == [CLI]
        assert (await kernel.get(DEVICE_AUTH).authorize(CLI, base_url="https://host.test")).interval == 5


async def test_what_it_contributes() -> None:
    """Its scopes, the names of its secrets, its figures."""
    async with in_memory() as kernel:
        assert {scope.name for scope in kernel.contributions(SCOPES)} >= {"keys:read", "keys:write", "keys:manage"}
        assert {"device-codes", "device-forms"} <= set(kernel.contributions(KEY_NAMES))
        names = {figure.name for source in kernel.contributions(METRICS) for figure in source()}
        assert {"api_keys_shown", "api_key_queries", "api_keys_remembered", "device_flow_steps"} <= names


async def test_a_setting_that_would_grant_too_much_or_nothing() -> None:
    """A scope that nobody knows keeps the host from starting."""
    with pytest.raises(BootError) as caught:
        async with in_memory(device_scopes=["dta:read"]):
            pass
    (problem,) = caught.value.exceptions
    assert isinstance(problem, InvalidRequest)
    assert problem.what.startswith("the setting device_scopes names dta:read")


async def test_the_account_is_deleted() -> None:
    """Its keys, codes and tokens are gone, those of others stay."""
    async with in_memory(AccountsPlugin) as kernel:
        accounts, dialect = kernel.get(ACCOUNTS), kernel.get(SYSTEM_DIALECT)
        await kernel.get(PEOPLE).create_admin("ada@example.org", PASSWORD)
        for name in ("Second", "Third"):
            account = await accounts.create(name)
            await kernel.get(API_KEYS).issue(account.id, name, ["keys:read"])
            link = await kernel.get(PEOPLE).invite(f"{name}@example.org", account.id, "member")
            member = await kernel.get(PEOPLE).accept(link.token.reveal(), PASSWORD)
            await _device(kernel, member)
        (second, *_) = [one for one in (await accounts.list())[0] if one.name == "Second"]
        await accounts.delete(second.id)
        for schema, left in ((KEY, 2), (DEVICE_CODE, 1), (FAMILY, 1)):
            rows = await dialect.find(schema)
            assert len(rows) == left
            assert second.id not in {row["account_id"] for row in rows}
        assert await dialect.count(REFRESH_TOKEN) == 1


async def _device(kernel: ObjectKernel, member: Membership, client: str = CLI) -> list[str]:
    """A device that was let in: every secret that it has seen."""
    flow = kernel.get(DEVICE_AUTH)
    asked = await flow.authorize(client, base_url="https://host.test")
    by = Principal(
        account_id=member.account.id,
        user_id=member.user.id,
        scopes={"data:read", "members:read"},
        session_id=f"session-of-{member.user.id}",
    )
    claimed = await flow.claim(asked.user_code, by)
    assert claimed is not None
    assert await flow.decide(claimed.id, "approved", by)
    answer = await flow.redeem(asked.device_code.reveal(), client)
    assert answer.refresh_token is not None
    return [
        asked.device_code.reveal(),
        asked.user_code,
        answer.access_token.reveal(),
        answer.refresh_token.reveal(),
    ]


async def test_a_removed_client_takes_its_devices_along() -> None:
    """Keys, codes and refresh tokens of it are of no use, also when it comes back; those of others are."""
    async with in_memory(AccountsPlugin) as kernel:
        ada = await kernel.get(PEOPLE).create_admin("ada@example.org", PASSWORD)
        keys, clients, flow = kernel.get(API_KEYS), kernel.get(CLIENTS), kernel.get(DEVICE_AUTH)
        await clients.register(Client(id="atlas", name="Atlas"))
        await flow.authorize("atlas", base_url="https://host.test")
        *_, access, refresh = await _device(kernel, ada, "atlas")
        *_, other, renewing = await _device(kernel, ada)
        assert await clients.remove("atlas")
        assert await keys.verify(access) is None
        for schema in (DEVICE_CODE, FAMILY):
            assert await kernel.get(SYSTEM_DIALECT).count(schema, {"client_id": "atlas"}) == 0
        await clients.register(Client(id="atlas", name="Atlas"))
        with pytest.raises(OAuthError, match="invalid_grant"):
            await flow.refresh(refresh, "atlas")
        assert await keys.verify(other) is not None
        await flow.refresh(renewing, CLI)


async def test_revoking_a_devices_key_ends_its_refresh_token() -> None:
    """By the service as by the page: the device cannot come back without being asked about again."""
    async with in_memory(AccountsPlugin) as kernel:
        ada = await kernel.get(PEOPLE).create_admin("ada@example.org", PASSWORD)
        *_, access, refresh = await _device(kernel, ada)
        key = await kernel.get(API_KEYS).verify(access)
        assert key is not None
        assert await kernel.get(API_KEYS).revoke(ada.account.id, key.id)
        with pytest.raises(OAuthError, match="invalid_grant"):
            await kernel.get(DEVICE_AUTH).refresh(refresh, CLI)


# --- housekeeping -------------------------------------------------------------------------------------------


async def test_what_has_ended_is_removed_meanwhile() -> None:
    """While the host runs, without anybody asking for it."""
    async with in_memory(sweep_every=1.0, remembered=0.0) as kernel:
        made = await kernel.get(API_KEYS).issue("acme", "x", ["keys:read"], expires_in=timedelta(milliseconds=1))

        async def gone() -> bool:
            return await kernel.get(API_KEYS).get("acme", made.key.id) is None

        await until(gone)


async def test_the_last_use_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every now and then, and when the host stops."""
    monkeypatch.setattr(plugin, "WRITTEN_EVERY", 0.01)
    async with in_file(tmp_path, KeyringPlugin) as kernel:
        keys = kernel.get(API_KEYS)
        made = await keys.issue("acme", "x", ["keys:read"])
        await keys.verify(made.secret.reveal())

        async def used() -> bool:
            key = await keys.get("acme", made.key.id)
            return key is not None and key.last_used_at is not None

        await until(used)
    monkeypatch.setattr(plugin, "WRITTEN_EVERY", 1000.0)
    async with in_file(tmp_path, KeyringPlugin) as kernel:
        keys = kernel.get(API_KEYS)
        made = await keys.issue("acme", "y", ["keys:read"])
        await keys.verify(made.secret.reveal())
    async with in_file(tmp_path, KeyringPlugin) as kernel:
        key = await kernel.get(API_KEYS).get("acme", made.key.id)
        assert key is not None and key.last_used_at is not None
        assert datetime.now(UTC) - key.last_used_at < timedelta(minutes=1)


async def test_a_database_that_is_away_for_a_while(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Housekeeping waits, and goes on; so does the host."""
    monkeypatch.setattr(plugin, "WRITTEN_EVERY", 0.01)
    tries = 0
    write = key_use.KeyUse.write

    async def away(self: Any) -> int:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise DatabaseUnavailable("the database is away")
        return await write(self)

    monkeypatch.setattr(key_use.KeyUse, "write", away)
    async with in_memory() as kernel:
        keys = kernel.get(API_KEYS)
        made = await keys.issue("acme", "x", ["keys:read"])
        await keys.verify(made.secret.reveal())

        async def used() -> bool:
            key = await keys.get("acme", made.key.id)
            return key is not None and key.last_used_at is not None

        await until(used)
    assert "housekeeping has to wait" in caplog.text


# --- at rest ------------------------------------------------------------------------------------------------


async def test_item_26_no_secret_at_rest(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A copy of the database, and of a log that tells everything, let nobody in."""
    caplog.set_level(logging.DEBUG)
    async with in_file(tmp_path, AccountsPlugin, AuditPlugin, KeyringPlugin) as kernel:
        ada = await kernel.get(PEOPLE).create_admin("ada@example.org", PASSWORD)
        secrets = await _device(kernel, ada)
        refreshed = await kernel.get(DEVICE_AUTH).refresh(secrets[-1], CLI)
        assert refreshed.refresh_token is not None
        secrets += [refreshed.access_token.reveal(), refreshed.refresh_token.reveal()]
        waiting = await kernel.get(DEVICE_AUTH).authorize(CLI, base_url="https://host.test")
        secrets += [waiting.device_code.reveal(), waiting.user_code]
        keys, clients = kernel.get(API_KEYS), kernel.get(CLIENTS)
        made = await keys.issue(ada.account.id, "x", ["keys:read"], user_id=ada.user.id)
        rotated = await keys.rotate(ada.account.id, made.key.id)
        _, client = await clients.register(Client(id="robot", name="Robot", confidential=True))
        assert client is not None
        secrets += [made.secret.reveal(), rotated.secret.reveal(), client.reveal()]
        for text in (*secrets, "nonsense"):
            await shown_to(kernel, text)
        assert await kernel.get(SYSTEM_DIALECT).count(AUDIT_ENTRY) > 5
        files = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and "keys" not in path.name}
    assert any(made.key.id.encode() in content for content in files.values()), "the database is not among the files"
    logged = caplog.text.encode()
    for text in secrets:
        for part in _parts(text):
            found = [path.name for path, content in files.items() if part.encode() in content]
            assert not found, f"a secret lies in {found}"
            assert part.encode() not in logged, "a secret is in the log"


def _parts(text: str) -> set[str]:
    """What of a secret could be used: all of it, a key without its prefix, a user code without its hyphen."""
    return {text, text.replace("-", ""), *(part for part in text.split("_") if len(part) > 20)}
