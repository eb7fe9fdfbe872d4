"""``/api/v1/account``: who is calling, and who else is in their account."""

from __future__ import annotations

import httpx
import pytest
from objectkernel import Plugin, contributes
from objectkernel_accounts.contracts import Membership
from objectkernel_contracts import CREDENTIAL_VERIFIERS, Credentials, CredentialVerifier, Principal

from tests.contrib.accounts.browsers import ADA, Shop, shop
from tests.contrib.accounts.hosts import OTHER

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """One event loop is enough for pages: what is behind them is tested on both."""
    return "asyncio"


class Keys:
    """Knows the keys of accounts: ``key:ACCOUNT``."""

    async def principal(self, credentials: Credentials) -> Principal | None:
        kind, _, account = (credentials.bearer or "").partition(":")
        if kind != "key":
            return None
        return Principal(account_id=account, key_id="k", scopes={"members:read", "members:write"})


class KeyPlugin(Plugin):
    name = "keys"

    @contributes(CREDENTIAL_VERIFIERS, uses=())
    def keys(self) -> CredentialVerifier:
        return Keys()


@pytest.fixture
async def served(anyio_backend: str):  # type: ignore[no-untyped-def]
    async with shop(KeyPlugin) as made:
        yield made


async def joined(served: Shop, login: str, role: str) -> Membership:
    ((account, *_), _) = await served.accounts.list()
    link = await served.people.invite(login, account.id, role)  # type: ignore[arg-type]
    return await served.people.accept(link.token.reveal(), OTHER)


async def signed_in(served: Shop, login: str) -> httpx.AsyncClient:
    browser = served.browser()
    assert (await browser.sign_in(login, OTHER)).status_code == 303
    browser.http.headers["Accept"] = "application/json"
    return browser.http


async def test_who_is_calling(served: Shop) -> None:
    """A person is told their account, login, role and scopes; a key its account and scopes; nobody nothing."""
    bob = await joined(served, "bob", "viewer")
    http = await signed_in(served, "bob")
    answer = await http.get("/api/v1/account")
    assert answer.headers["cache-control"] == "no-store"
    me = answer.json()
    assert me == {
        "account": {"id": bob.account.id, "name": "Engines"},
        "user": {"id": bob.user.id, "login": "bob", "name": "", "operator": False},
        "role": "viewer",
        "scopes": ["data:read", "members:read"],
    }
    key = served.browser().http
    key.headers["Authorization"] = f"Bearer key:{bob.account.id}"
    answer = (await key.get("/api/v1/account")).json()
    assert (answer["user"], answer["role"], answer["account"]["id"]) == (None, None, bob.account.id)
    key.headers["Authorization"] = "Bearer key:missing"
    assert (await key.get("/api/v1/account")).json()["code"] == "A104"
    stranger = served.browser().http
    assert (await stranger.get("/api/v1/account", headers={"Accept": "application/json"})).status_code == 401
    answer = await stranger.get("/api/v1/account")  # somebody types the address
    assert answer.headers["location"] == "/sign-in?return_to=%2Fapi%2Fv1%2Faccount"


async def test_managing_people(served: Shop) -> None:
    """An admin lists, invites, promotes and removes; a member is refused."""
    await joined(served, "admin", "admin")
    bob = await joined(served, "bob", "member")
    admin, member = await signed_in(served, "admin"), await signed_in(served, "bob")
    items = (await member.get("/api/v1/account/members")).json()["items"]
    assert [(one["user"]["login"], one["role"]) for one in items] == [
        (ADA, "owner"),
        ("admin", "admin"),
        ("bob", "member"),
    ]
    path = f"/api/v1/account/members/{bob.user.id}"
    assert (await member.patch(path, json={"role": "admin"})).status_code == 403
    assert (await admin.patch(path, json={"role": "viewer"})).json()["role"] == "viewer"
    answer = await admin.patch(path, json={"role": "owner"})
    assert (answer.status_code, answer.json()["code"]) == (403, "A106")
    answer = await admin.post("/api/v1/account/invitations", json={"login": "eve"})
    assert answer.headers["cache-control"] == "no-store"
    invitation = answer.json()
    assert (await served.browser().go(invitation["path"])).status_code == 200
    assert (await admin.delete(path)).status_code == 204
    assert (await admin.delete(path)).json()["code"] == "A105"


async def test_other_accounts(served: Shop) -> None:
    """Somebody of another account is as somebody who is not there."""
    bob = await joined(served, "bob", "member")
    other = await served.accounts.create("Other")
    key = served.browser().http
    key.headers.update({"Authorization": f"Bearer key:{other.id}", "Accept": "application/json"})
    missing = "00000000-0000-0000-0000-000000000000"
    for method, body in (("PATCH", {"role": "viewer"}), ("DELETE", None)):
        answers = []
        for id in (bob.user.id, missing):
            answer = await key.request(method, f"/api/v1/account/members/{id}", json=body)
            answers.append((answer.status_code, {k: v for k, v in answer.json().items() if k != "instance"}))
        assert answers[0] == answers[1] and answers[0][0] == 404


@pytest.mark.parametrize(
    "body", [{"role": "king"}, {"role": "admin", "x": 1}, {}, []], ids=["role", "field", "nothing", "list"]
)
async def test_bodies_that_are_refused(served: Shop, body: object) -> None:
    """A body is what the route takes, and nothing else."""
    await joined(served, "admin", "admin")
    admin = await signed_in(served, "admin")
    answer = await admin.patch("/api/v1/account/members/00000000-0000-0000-0000-000000000000", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "H422")
