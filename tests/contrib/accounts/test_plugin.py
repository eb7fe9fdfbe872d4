"""The plugin in a kernel: who is calling, what it keeps doing, and what may take its place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest
from objectkernel import ObjectKernel, Plugin, contributes, on
from objectkernel_accounts.audit import AUDIT_ENTRY
from objectkernel_accounts.audit_plugin import AuditPlugin
from objectkernel_accounts.contracts import ACCOUNTS, PEOPLE
from objectkernel_accounts.errors import DeletionUnfinished, LoginTaken
from objectkernel_accounts.identity import HOST_PREFIX, SESSION_COOKIE
from objectkernel_accounts.keyring_plugin import KeyringPlugin
from objectkernel_accounts.parts import PARTS
from objectkernel_accounts.plugin import AccountsPlugin
from objectkernel_accounts.storage import SESSION
from objectkernel_contracts import (
    CREDENTIAL_VERIFIERS,
    IDENTITY,
    KEYRING,
    OPERATE,
    SCOPES,
    AccountDeleting,
    Credentials,
    CredentialVerifier,
    GrantableScope,
    Principal,
)
from objectkernel_system_dialect.contracts import SYSTEM_DIALECT
from objectkernel_system_dialect.plugin import SystemDialectPlugin

from tests.contrib.accounts.hosts import HOME, OTHER, PASSWORD, Ring

pytestmark = pytest.mark.anyio

COOKIE = f"{HOST_PREFIX}{SESSION_COOKIE}"


class Notes(Plugin):
    """A plugin with scopes and keys of its own, which holds something of each account."""

    name = "notes"
    broken = False
    told: list[AccountDeleting]

    def __init__(self) -> None:
        self.told = []

    @contributes(SCOPES, uses=())
    def read(self) -> GrantableScope:
        return GrantableScope(name="notes:read", description="Read", role="viewer")

    @contributes(SCOPES, uses=())
    def write(self) -> GrantableScope:
        return GrantableScope(name="notes:write", description="Write", role="member")

    @contributes(SCOPES, uses=())
    def own(self) -> GrantableScope:
        return GrantableScope(name="notes:own", description="Own", role="owner")

    @contributes(SCOPES, uses=())
    def all(self) -> GrantableScope:
        return GrantableScope(name="notes:all", description="All", role="operator")

    @contributes(CREDENTIAL_VERIFIERS, uses=())
    def keys(self) -> CredentialVerifier:
        return Keys()

    @on(AccountDeleting)
    async def deleting(self, event: AccountDeleting) -> None:
        self.told.append(event)
        if self.broken:
            raise OSError("disk")


class Keys:
    async def principal(self, credentials: Credentials) -> Principal | None:
        return Principal(account_id="of a key", key_id="k") if credentials.bearer == "a key" else None


def kernel_of(*plugins: Any, **options: Any) -> ObjectKernel:
    chosen = [SystemDialectPlugin.in_memory(), AccountsPlugin, *plugins]
    return ObjectKernel(plugins=chosen, discover=False, environ={}, **options).provide(KEYRING, Ring())


async def shown(kernel: ObjectKernel, login: str, password: str = PASSWORD) -> Credentials:
    """What somebody's browser shows who has signed in."""
    signed_in = await kernel.get(PARTS).sign_in.sign_in(login, password, HOME)
    return Credentials(cookies={COOKIE: signed_in.session.token.reveal()})


async def principal(kernel: ObjectKernel, credentials: Credentials) -> Principal | None:
    return await kernel.get(IDENTITY).principal(credentials)


async def test_scopes_by_role() -> None:
    """Each role has its scopes and those below it; who runs the host has those of the host, in whichever account."""
    async with kernel_of(Notes) as kernel:
        ada = await kernel.get(PEOPLE).create_admin("ada", PASSWORD)
        for role in ("viewer", "member", "owner"):
            link = await kernel.get(PEOPLE).invite(role, ada.account.id, role)
            await kernel.get(PEOPLE).accept(link.token.reveal(), OTHER)
        found = {}
        for login, password in (("viewer", OTHER), ("member", OTHER), ("owner", OTHER), ("ada", PASSWORD)):
            one = await principal(kernel, await shown(kernel, login, password))
            assert one is not None and one.account_id == ada.account.id and one.key_id is None
            found[login] = {scope for scope in one.scopes if scope.startswith(("notes:", "host:"))}
        assert found == {
            "viewer": {"notes:read"},
            "member": {"notes:read", "notes:write"},
            "owner": {"notes:read", "notes:write", "notes:own"},
            "ada": {"notes:read", "notes:write", "notes:own", "notes:all", OPERATE},
        }


async def test_credentials() -> None:
    """A cookie is a person, a token whatever plugins know; where both are shown the token alone counts."""
    async with kernel_of(Notes) as kernel:
        ada = await kernel.get(PEOPLE).create_admin("ada", PASSWORD)
        cookie = await shown(kernel, "ada")
        person = await principal(kernel, cookie)
        assert person is not None and person.user_id == ada.user.id and person.session_id
        key = await principal(kernel, Credentials(bearer="a key", cookies=cookie.cookies))
        assert key is not None and key.key_id == "k"
        for nobody in (
            Credentials(),
            Credentials(bearer="another", cookies=cookie.cookies),
            Credentials(cookies={COOKIE: "x"}),
            Credentials(cookies={SESSION_COOKIE: cookie.cookies[COOKIE]}),
        ):
            assert await principal(kernel, nobody) is None


@pytest.mark.parametrize(
    "base_url, url",
    [
        ("", "/sign-in?return_to=%2Fdevice%3Fa%3D1"),
        ("https://a.test/shop/", "/shop/sign-in?return_to=%2Fdevice%3Fa%3D1"),
    ],
)
async def test_where_to_sign_in(base_url: str, url: str) -> None:
    """Other plugins' pages send a browser to the sign-in page, and have it back."""
    async with kernel_of(config={"plugins": {"accounts": {"base_url": base_url}}}) as kernel:
        assert kernel.get(IDENTITY).sign_in_url("/device?a=1") == url


async def test_deleted_at_once(caplog: pytest.LogCaptureFixture) -> None:
    """From the first moment of a deletion nobody of the account is known; plugins are told until they have let go."""
    notes = Notes()
    async with kernel_of(notes) as kernel:
        await kernel.get(PEOPLE).create_admin("ada", PASSWORD)
        account = await kernel.get(ACCOUNTS).create("Doomed")
        link = await kernel.get(PEOPLE).invite("bob", account.id, "owner")
        await kernel.get(PEOPLE).accept(link.token.reveal(), OTHER)
        bob = await shown(kernel, "bob", OTHER)
        assert await principal(kernel, bob)
        notes.broken = True
        with pytest.raises(DeletionUnfinished):
            await kernel.get(ACCOUNTS).delete(account.id)
        assert await principal(kernel, bob) is None
        notes.broken = False
        await kernel.get(ACCOUNTS).delete(account.id)
        assert notes.told == [AccountDeleting(account_id=account.id)] * 2


def in_file(folder: Path, *plugins: Any) -> ObjectKernel:
    environ = {"OBJECTKERNEL_DATA_DIR": str(folder)}
    chosen = [SystemDialectPlugin, AccountsPlugin, KeyringPlugin, AuditPlugin, *plugins]
    return ObjectKernel(plugins=chosen, discover=False, environ=environ)


async def test_a_start_goes_on(tmp_path: Path) -> None:
    """A deletion that was interrupted is gone on with at the next start, by itself."""
    notes = Notes()
    notes.broken = True
    async with in_file(tmp_path, notes) as kernel:
        await kernel.get(PEOPLE).create_admin("ada", PASSWORD)
        account = await kernel.get(ACCOUNTS).create("Doomed")
        with pytest.raises(DeletionUnfinished):
            await kernel.get(ACCOUNTS).delete(account.id)
    async with in_file(tmp_path, Notes()) as kernel:
        with anyio.fail_after(30):
            while await kernel.get(ACCOUNTS).get(account.id) is not None:
                await anyio.sleep(0.02)


async def test_signed_in_after_a_start(tmp_path: Path) -> None:
    """Who is signed in stays so when the host starts anew."""
    async with in_file(tmp_path) as kernel:
        await kernel.get(PEOPLE).create_admin("ada", PASSWORD)
        credentials = await shown(kernel, "ada")
    async with in_file(tmp_path) as kernel:
        assert await principal(kernel, credentials)


async def test_every_change_is_in_the_trail_or_was_not_made(tmp_path: Path) -> None:
    """A change and its entry are made together: what fails leaves neither."""
    async with in_file(tmp_path) as kernel:
        people, dialect = kernel.get(PEOPLE), kernel.get(SYSTEM_DIALECT)
        ada = await people.create_admin("ada", PASSWORD)
        before = await dialect.count(AUDIT_ENTRY)
        link = await people.invite("ADA", ada.account.id)
        with pytest.raises(LoginTaken):
            await people.accept(link.token.reveal(), OTHER)
        rows = await dialect.find(AUDIT_ENTRY, sort={"sequence": 1})
        assert [row["action"] for row in rows[before:]] == ["user.invite"]
        assert rows[-1]["account_id"] == ada.account.id
        await people.invitation(link.token.reveal())  # it can still be used


async def test_expired_sessions_go_by_themselves(tmp_path: Path) -> None:
    """A host removes what has expired while it runs."""
    config = {"plugins": {"accounts": {"sweep_every": 1.0}}}
    async with kernel_of(config=config) as kernel:
        await kernel.get(PEOPLE).create_admin("ada", PASSWORD)
        await shown(kernel, "ada")
        dialect = kernel.get(SYSTEM_DIALECT)
        (row,) = await dialect.find(SESSION)
        await dialect.update(SESSION, row["id"], {"expires_at": row["started_at"]})
        with anyio.fail_after(30):
            while await dialect.count(SESSION):
                await anyio.sleep(0.05)


@pytest.mark.slow
async def test_a_plugin_that_hangs_keeps_nothing_else_waiting() -> None:
    """While a deletion waits for a plugin for ever, what has expired is removed all the same."""

    class Hanging(Plugin):
        name = "hanging"

        @on(AccountDeleting)
        async def deleting(self, event: AccountDeleting) -> None:
            await anyio.sleep_forever()

    config = {"plugins": {"accounts": {"sweep_every": 1.0}}}
    async with kernel_of(Hanging, config=config) as kernel, anyio.create_task_group() as tasks:
        await kernel.get(PEOPLE).create_admin("ada", PASSWORD)
        await shown(kernel, "ada")
        account = await kernel.get(ACCOUNTS).create("Doomed")
        tasks.start_soon(kernel.get(ACCOUNTS).delete, account.id)
        dialect = kernel.get(SYSTEM_DIALECT)
        (row,) = await dialect.find(SESSION)
        with anyio.fail_after(30):
            while not (found := await kernel.get(ACCOUNTS).get(account.id)) or found.state != "deleting":
                await anyio.sleep(0.01)
            await anyio.sleep(1.1)  # the deletion is gone on with in the background, and waits
            await dialect.update(SESSION, row["id"], {"expires_at": row["started_at"]})
            while await dialect.count(SESSION):
                await anyio.sleep(0.05)
        tasks.cancel_scope.cancel()


async def test_a_host_with_a_sign_in_of_its_own() -> None:
    """A host that provides `identity` itself needs nothing of this plugin but the other two of the distribution."""

    class Own:
        async def principal(self, credentials: Credentials) -> Principal | None:
            return Principal(account_id="own")

        def sign_in_url(self, return_to: str) -> str:
            return "/own"

    plugins = [SystemDialectPlugin.in_memory(), AuditPlugin]
    async with ObjectKernel(plugins=plugins, discover=False, environ={}).provide(IDENTITY, Own()) as kernel:
        assert kernel.get(IDENTITY).sign_in_url("/") == "/own"
