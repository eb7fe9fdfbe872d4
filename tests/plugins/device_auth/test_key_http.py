"""``/api/v1/keys`` on a host with accounts: a bearer key becomes somebody, who has keys."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import attrs
import httpx
import pytest
from objectkernel import Plugin, contributes
from objectkernel_accounts.audit_plugin import AuditPlugin
from objectkernel_accounts.contracts import Membership
from objectkernel_contracts import SCOPES, GrantableScope
from objectkernel_device_auth.contracts import API_KEYS, ApiKeys, IssuedKey
from objectkernel_device_auth.key_format import make_token
from objectkernel_device_auth.plugin import DeviceAuthPlugin

from tests.contrib.accounts.browsers import ADA, Shop, shop
from tests.contrib.accounts.hosts import PASSWORD

pytestmark = pytest.mark.anyio

PATH = "/api/v1/keys"
MEMBERS = "/api/v1/account/members"


class Notes(Plugin):
    """A plugin with scopes for every role."""

    name = "notes"

    @contributes(SCOPES, uses=())
    def read(self) -> GrantableScope:
        return GrantableScope(name="notes:read", description="Read notes", role="viewer")

    @contributes(SCOPES, uses=())
    def write(self) -> GrantableScope:
        return GrantableScope(name="notes:write", description="Write notes", role="member")


@attrs.frozen
class Office:
    """A served host; Ada owns the account, Bob is a member."""

    shop: Shop
    ada: Membership
    bob: Membership

    @property
    def keys(self) -> ApiKeys:
        return self.shop.kernel.get(API_KEYS)

    async def key(self, *scopes: str, of: Membership | None = None, **options: Any) -> IssuedKey:
        """A key of Ada, or somebody else."""
        whose = of or self.ada
        return await self.keys.issue(whose.account.id, "script", scopes, user_id=whose.user.id, **options)

    def client(self, key: IssuedKey | str | None = None) -> httpx.AsyncClient:
        text = key.secret.reveal() if isinstance(key, IssuedKey) else key
        headers = {} if text is None else {"Authorization": f"Bearer {text}"}
        return httpx.AsyncClient(
            transport=httpx.ASGITransport(self.shop.app), base_url="https://shop.test", headers=headers
        )


@pytest.fixture
async def office(anyio_backend: str) -> AsyncIterator[Office]:
    async with shop(DeviceAuthPlugin, AuditPlugin, Notes) as made:
        user = await made.people.find(ADA)
        assert user is not None
        (ada,) = await made.accounts.memberships(user.id)
        link = await made.people.invite("bob@example.org", ada.account.id, "member")
        yield Office(made, ada, await made.people.accept(link.token.reveal(), PASSWORD))


async def test_a_key_from_its_making_to_its_end(office: Office) -> None:
    """Somebody who has signed in makes a key, uses it, rotates it and ends it."""
    browser = office.shop.browser()
    await browser.sign_in()
    body = {"name": "build server", "scopes": ["members:read", "keys:read"], "expires_in": 3600}
    origin = {"Origin": "https://shop.test"}
    made = await browser.http.post(PATH, json=body, headers=origin)
    assert made.status_code == 201, made.text
    assert made.headers["cache-control"] == "no-store"
    key, text = made.json()["key"], made.json()["secret"]
    assert (key["name"], key["scopes"], key["user_id"]) == (
        "build server",
        ["keys:read", "members:read"],
        office.ada.user.id,
    )
    async with office.client(text) as client:
        assert (await client.get(MEMBERS)).status_code == 200
        assert (await client.get(PATH)).json() == {"items": [key], "next": None}
    rotated = await browser.http.post(f"{PATH}/{key['id']}/rotate", json={"overlap": 0}, headers=origin)
    assert rotated.status_code == 201
    async with office.client(text) as client:
        assert (await client.get(MEMBERS)).status_code == 401
    new = rotated.json()
    async with office.client(new["secret"]) as client:
        assert (await client.get(MEMBERS)).status_code == 200
        ended = await browser.http.delete(f"{PATH}/{new['key']['id']}", headers=origin)
        assert (ended.status_code, ended.content) == (204, b"")
        assert (await client.get(MEMBERS)).status_code == 401
    told = (await browser.http.get(f"{PATH}/{new['key']['id']}")).json()
    assert told["revoked_at"] is not None
    assert (await browser.http.delete(f"{PATH}/{new['key']['id']}", headers=origin)).status_code == 404


async def test_item_32_clients_are_told_when_to_renew(office: Office) -> None:
    """RFC 6750: nothing shown, a key that is no longer good, a scope that is missing are three different answers."""
    expired = await office.key("members:read")
    await office.keys.revoke(office.ada.account.id, expired.key.id)
    weak = await office.key("notes:read")
    answers = {
        None: (401, "Bearer"),
        expired.secret.reveal(): (401, 'Bearer error="invalid_token"'),
        make_token("ok").text: (401, 'Bearer error="invalid_token"'),
        "nonsense": (401, 'Bearer error="invalid_token"'),
        weak.secret.reveal(): (403, 'Bearer error="insufficient_scope"'),
    }
    for shown, expected in answers.items():
        async with office.client(shown) as client:
            answer = await client.get(MEMBERS)
        assert (answer.status_code, answer.headers["www-authenticate"]) == expected
        assert shown is None or shown not in answer.text


async def test_a_key_does_no_more_than_its_person(office: Office) -> None:
    """Bob's key writes while Bob does; it is of no use while he is disabled, and when he has left."""
    key = await office.key("notes:write", "notes:read", of=office.bob)
    account, bob = office.bob.account.id, office.bob.user.id
    async with office.client(key) as client:

        async def scopes() -> list[str] | None:
            await office.keys.revoke(account, "AAAAAAAAAAAA")  # so that nothing is remembered
            answer = await client.get(f"{PATH}/self")
            return answer.json()["scopes"] if answer.status_code == 200 else None

        assert await scopes() == ["notes:read", "notes:write"]
        await office.shop.accounts.set_role(account, bob, "viewer")
        assert await scopes() == ["notes:read"]
        await office.shop.people.disable(bob)
        assert await scopes() is None
        await office.shop.people.enable(bob)
        assert await scopes() == ["notes:read"]
        await office.shop.accounts.remove_member(account, bob)
        assert await scopes() is None


async def test_the_keys_of_a_deleted_account_are_gone(office: Office) -> None:
    """Nothing of them is left in the tables."""
    second = await office.shop.accounts.create("Second")
    made = await office.keys.issue(second.id, "robot", ["notes:read"])
    async with office.client(made) as client:
        assert (await client.get(f"{PATH}/self")).status_code == 200
        await office.shop.accounts.delete(second.id)
        assert (await client.get(f"{PATH}/self")).status_code == 401
    assert await office.keys.get(second.id, made.key.id) is None


async def test_the_key_that_is_shown(office: Office) -> None:
    """A program asks what it has got; who has signed in shows no key."""
    made = await office.key("notes:read")
    async with office.client(made) as client:
        told = (await client.get(f"{PATH}/self")).json()
    assert told["account_id"] == office.ada.account.id
    assert told["scopes"] == ["notes:read"]
    assert told["key"]["id"] == made.key.id
    browser = office.shop.browser()
    await browser.sign_in()
    assert (await browser.http.get(f"{PATH}/self")).status_code == 404


async def test_whose_keys_are_there(office: Office) -> None:
    """One's own; everybody's for those who manage keys; another account's for nobody."""
    adas = await office.key("keys:read", "keys:write", "keys:manage")
    bobs = await office.key("keys:read", "keys:write", of=office.bob)
    robot = await office.keys.issue(office.ada.account.id, "robot", ["keys:read", "keys:write"])
    second = await office.shop.accounts.create("Second")
    foreign = await office.keys.issue(second.id, "foreign", ["keys:read", "keys:write", "keys:manage"])

    async def ids(shown: IssuedKey, **asked: Any) -> set[str]:
        async with office.client(shown) as client:
            answer = await client.get(PATH, params=asked)
            assert answer.status_code == 200, answer.text
            return {one["id"] for one in answer.json()["items"]}

    everybodys = {adas.key.id, bobs.key.id, robot.key.id}
    assert await ids(adas) == {adas.key.id}
    assert await ids(adas, everybody=True) == everybodys
    assert await ids(bobs) == {bobs.key.id}
    assert await ids(robot) == {robot.key.id}
    assert await ids(foreign, everybody=True) == {foreign.key.id}
    async with office.client(bobs) as client:
        refused = await client.get(PATH, params={"everybody": True})
        assert (refused.status_code, refused.json()["code"]) == (422, "O101")
        for one in (adas, robot, foreign):
            for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/rotate")):
                answer = await client.request(method, f"{PATH}/{one.key.id}{path}")
                assert (answer.status_code, answer.json()["code"]) == (404, "O102"), (method, path)
    async with office.client(adas) as client:
        assert (await client.get(f"{PATH}/{bobs.key.id}")).status_code == 200
        assert (await client.delete(f"{PATH}/{bobs.key.id}")).status_code == 204


async def test_a_key_makes_no_stronger_key(office: Office) -> None:
    """Over HTTP neither."""
    weak = await office.key("keys:write", "notes:read", expires_in=timedelta(hours=1))
    async with office.client(weak) as client:
        refused = await client.post(PATH, json={"name": "more", "scopes": ["notes:read", "notes:write"]})
        assert (refused.status_code, refused.json()["code"]) == (422, "O101")
        assert "notes:write" in str(refused.json()["why"])
        of_account = await client.post(PATH, json={"name": "x", "scopes": ["notes:read"], "of_account": True})
        assert (of_account.status_code, "keys:manage" in of_account.text) == (422, True)
        made = await client.post(PATH, json={"name": "less", "scopes": ["notes:read"], "expires_in": 0})
        assert made.status_code == 201
        assert datetime.fromisoformat(made.json()["key"]["expires_at"]) == weak.key.expires_at


async def test_an_admin_makes_a_key_of_the_account(office: Office) -> None:
    """It belongs to nobody in it."""
    admin = await office.key("keys:write", "keys:manage", "notes:read")
    async with office.client(admin) as client:
        made = await client.post(PATH, json={"name": "robot", "scopes": ["notes:read"], "of_account": True})
    assert made.status_code == 201
    assert made.json()["key"]["user_id"] is None


WRONG: tuple[dict[str, Any], ...] = (
    {},
    {"name": "x", "scopes": "notes:read"},
    {"name": "x", "scopes": ["notes:read"], "expires_in": -1},
    {"name": "x", "scopes": ["notes:read"], "expires_in": 10**12},
    {"name": "x", "scopes": ["notes:read"], "account_id": "another"},
    {"name": "x", "scopes": []},
    {"name": "x", "scopes": ["n" * 201]},
    {"name": "x" * 200, "scopes": ["notes:read"]},
)


async def test_bodies_that_are_refused(office: Office) -> None:
    """All of them with 422; nobody chooses an account in a body."""
    admin = await office.key("keys:write", "notes:read")
    async with office.client(admin) as client:
        statuses = [(await client.post(PATH, json=body)).status_code for body in WRONG]
    assert statuses == [422] * len(WRONG)
    assert len((await office.keys.list(office.ada.account.id))[0]) == 1


async def test_pages_of_a_list(office: Office) -> None:
    """One after another; a cursor that was made up is refused."""
    shown = await office.key("keys:read")
    for _ in range(4):
        await office.key("notes:read")
    async with office.client(shown) as client:
        first = (await client.get(PATH, params={"limit": 3})).json()
        rest = (await client.get(PATH, params={"limit": 3, "after": first["next"]})).json()
        assert len({one["id"] for one in (*first["items"], *rest["items"])}) == 5
        assert rest["next"] is None
        wrong = await client.get(PATH, params={"after": "made-up"})
        assert (wrong.status_code, wrong.json()["code"]) == (422, "O101")


async def test_a_page_of_another_site_makes_no_key(office: Office) -> None:
    """A browser that is signed in does not act for whoever shows it a page."""
    browser = office.shop.browser()
    await browser.sign_in()
    body = {"name": "x", "scopes": ["notes:read"]}
    answer = await browser.http.post(PATH, json=body, headers={"Origin": "https://evil.test"})
    assert answer.status_code == 403
