"""The authorization server's endpoints, as clients of any kind ask them."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote_plus

import httpx
import pytest
from objectkernel_accounts.audit import AUDIT_ENTRY
from objectkernel_device_auth.codes import digest
from objectkernel_device_auth.contracts import CLIENTS, Client, DeviceApproved
from objectkernel_device_auth.oauth_models import DEVICE_GRANT
from objectkernel_device_auth.storage_codes import BUDGET, DEVICE_CODE
from objectkernel_system_dialect.contracts import SYSTEM_DIALECT

from tests.plugins.device_auth.flows import CLI, READ, WRITE
from tests.plugins.device_auth.oauth_hosts import ADDRESS, BASE, Site, redeeming, site

pytestmark = pytest.mark.anyio

OWN = "/api/v1/auth/device"
METADATA = "/.well-known/oauth-authorization-server"


@pytest.fixture(scope="module")
async def shop(anyio_backend: str) -> AsyncIterator[Site]:
    """One host for all tests of this module; each has an address of its own where it matters."""
    async with site(live_codes_per_address=10_000, codes_per_address=10_000) as made:
        yield made


@pytest.fixture
async def program(shop: Site) -> AsyncIterator[httpx.AsyncClient]:
    async with shop.client() as client:
        yield client


def basic(id: str, secret: str) -> dict[str, str]:
    shown = base64.b64encode(f"{quote_plus(id)}:{quote_plus(secret)}".encode()).decode()
    return {"Authorization": f"Basic {shown}"}


async def confidential(shop: Site, id: str) -> str:
    _, secret = await shop.kernel.get(CLIENTS).register(Client(id=id, name=id, confidential=True))
    assert secret is not None
    return secret.reveal()


def not_kept(answer: httpx.Response) -> bool:
    return (answer.headers["cache-control"], answer.headers["pragma"]) == ("no-store", "no-cache")


def error(answer: httpx.Response, status: int = 400) -> str:
    """The code of an error that has the shape of the standard, and is kept by nobody."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert not_kept(answer)
    told = answer.json()
    assert told["error_description"].isascii()
    code: str = told["error"]
    return code


@pytest.mark.parametrize(
    ("authorize", "token"), [("/device_authorization", "/token"), (f"{OWN}/authorize", f"{OWN}/token")]
)
async def test_a_whole_flow(shop: Site, program: httpx.AsyncClient, authorize: str, token: str) -> None:
    """By the names of the standards, and by those of the client's description."""
    answer = await program.post(authorize, data={"client_id": CLI, "scope": READ})
    asked = answer.json()
    assert set(asked) == {
        "device_code",
        "user_code",
        "verification_uri",
        "verification_uri_complete",
        "expires_in",
        "interval",
    }
    assert (asked["verification_uri"], asked["interval"], asked["expires_in"]) == (f"{BASE}/device", 5, 600)
    assert error(await program.post(token, data=redeeming(asked))) == "authorization_pending"
    slow = await program.post(token, data=redeeming(asked))
    assert (error(slow), slow.json()["interval"]) == ("slow_down", 10)
    decided = await shop.approve(asked["user_code"])
    assert decided.json() == {
        "decision": "approved",
        "client_id": CLI,
        "client_name": "objectkernel command line",
    }
    got = await program.post(token, data=redeeming(asked))
    assert got.status_code == 200
    told = got.json()
    assert (told["token_type"], told["scope"], told["expires_in"]) == ("Bearer", READ, 86_400)
    me = await program.get("/api/v1/account", headers={"Authorization": f"Bearer {told['access_token']}"})
    assert (me.status_code, me.json()["scopes"]) == (200, [READ])
    renewing = {"grant_type": "refresh_token", "refresh_token": told["refresh_token"], "client_id": CLI}
    renewed = (await program.post(token, data=renewing)).json()
    assert renewed["refresh_token"] != told["refresh_token"]
    assert (await program.post("/revoke", data={"token": renewed["access_token"], "client_id": CLI})).text == ""
    assert error(await program.post(token, data={**renewing, "refresh_token": renewed["refresh_token"]})) == (
        "invalid_grant"
    )


async def test_item_04_nothing_is_kept(shop: Site, program: httpx.AsyncClient) -> None:
    """Neither codes nor tokens nor errors."""
    asked = await program.post("/device_authorization", data={"client_id": CLI})
    assert not_kept(asked)
    assert not_kept(await shop.approve(asked.json()["user_code"]))
    assert not_kept(await program.post("/token", data=redeeming(asked.json())))
    assert not_kept(await program.post("/revoke", data={"token": "x", "client_id": CLI}))
    assert not_kept(await program.post("/revoke", data={"client_id": CLI}))


@pytest.mark.parametrize("path", ["/device_authorization", "/token", "/revoke", "/introspect", f"{OWN}/token"])
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_item_01_post_only(program: httpx.AsyncClient, path: str, method: str) -> None:
    """Another method is refused in the shape of the standard."""
    answer = await program.request(method, path)
    assert answer.status_code == 405
    assert answer.json()["error"] == "invalid_request"


@pytest.mark.parametrize("path", ["/device_authorization", "/token", "/revoke", "/introspect"])
@pytest.mark.parametrize(
    "kind", ["application/json", "multipart/form-data; boundary=x", "text/plain", "", "application/x-www-form"]
)
async def test_item_01_forms_only(program: httpx.AsyncClient, path: str, kind: str) -> None:
    """A body of another kind, or of none, is refused."""
    answer = await program.post(path, content=b"client_id=x", headers={"Content-Type": kind})
    assert error(answer) == "invalid_request"
    assert "x-www-form-urlencoded" in answer.json()["error_description"]


async def test_item_01_a_form_with_a_charset(program: httpx.AsyncClient) -> None:
    """Is one."""
    headers = {"Content-Type": "Application/X-WWW-Form-Urlencoded; charset=UTF-8"}
    answer = await program.post("/device_authorization", content=f"client_id={CLI}".encode(), headers=headers)
    assert answer.status_code == 200


async def test_item_01_a_client_is_named(program: httpx.AsyncClient) -> None:
    """Without a client there is no code, and no token."""
    assert error(await program.post("/device_authorization", data={"scope": READ})) == "invalid_request"
    form = {"grant_type": DEVICE_GRANT, "device_code": "x"}
    assert error(await program.post("/token", data=form)) == "invalid_request"
    answer = await program.post("/token", data={**form, "client_id": "nobody"})
    assert error(answer, 401) == "invalid_client"
    assert answer.headers["www-authenticate"].startswith("Basic ")


@pytest.mark.parametrize("path", ["/device_authorization", "/token"])
async def test_item_01_confidential_clients(shop: Site, program: httpx.AsyncClient, path: str) -> None:
    """By the header or by the form, the same at both endpoints; never by both."""
    id = f"a-b.c_{path[1:4]}"
    secret = await confidential(shop, id)
    form = {"grant_type": DEVICE_GRANT, "device_code": "x", "scope": READ}
    expected = 200 if path == "/device_authorization" else 400

    async def status(headers: dict[str, str], **more: str) -> tuple[int, Any]:
        answer = await program.post(path, data=form | more, headers=headers)
        return answer.status_code, answer.json().get("error")

    good = (expected, None if expected == 200 else "invalid_grant")
    assert await status(basic(id, secret)) == good
    assert await status(basic(id, secret), client_id=id) == good
    escaped = ("".join(f"%{byte:02x}" for byte in text.encode()) for text in (id, secret))
    assert await status({"Authorization": f"Basic {base64.b64encode(':'.join(escaped).encode()).decode()}"}) == good
    assert await status({}, client_id=id, client_secret=secret) == good
    assert await status(basic(id, "wrong")) == (401, "invalid_client")
    assert await status({}, client_id=id) == (401, "invalid_client")
    assert await status({}, client_id=id, client_secret="") == (401, "invalid_client")
    assert await status(basic(id, secret), client_secret=secret) == (400, "invalid_request")
    assert await status(basic(id, secret), client_id=CLI) == (400, "invalid_request")


@pytest.mark.parametrize("shown", ["", "!!!", "YQ==", "/w==", "OnNlY3JldA==", base64.b64encode(b"%ff:x").decode()])
async def test_a_header_that_cannot_be_read(program: httpx.AsyncClient, shown: str) -> None:
    """Is no client; whatever else there is, is not looked at."""
    answer = await program.post("/token", data={"grant_type": "x"}, headers={"Authorization": f"Basic {shown}"})
    assert error(answer, 401) == "invalid_client"


async def test_a_public_client_may_send_an_empty_secret(program: httpx.AsyncClient) -> None:
    """As libraries do that know no public clients."""
    for headers, form in ((basic(CLI, ""), {}), ({}, {"client_id": CLI, "client_secret": ""})):
        answer = await program.post("/device_authorization", data={"scope": READ, **form}, headers=headers)
        assert answer.status_code == 200


@pytest.mark.parametrize("path", ["/device_authorization", "/token", "/revoke", "/introspect"])
async def test_item_02_nothing_twice(program: httpx.AsyncClient, path: str) -> None:
    """Not even with the same value, or none."""
    for again in (CLI, "other", ""):
        body = f"client_id={CLI}&client_id={again}"
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        answer = await program.post(path, content=body.encode(), headers=headers)
        assert error(answer) == "invalid_request"
        assert "twice" in answer.json()["error_description"]


async def test_item_02_empty_is_absent_and_unknown_is_passed_over(program: httpx.AsyncClient) -> None:
    """Also twice, of what nobody reads."""
    body = f"client_id={CLI}&scope=&code_challenge=&resource=a&resource=b&x="
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = await program.post("/device_authorization", content=body.encode(), headers=headers)
    assert answer.status_code == 200
    assert error(await program.post("/token", data={"grant_type": "", "client_id": CLI})) == "invalid_request"


@pytest.mark.parametrize("body", [b"client_id=%ff", b"client_id=\xff", b"a=1&" * 60, b"client_id=" + b"x" * 20_000])
async def test_what_is_no_form(program: httpx.AsyncClient, body: bytes) -> None:
    """Bytes that are no text, too many fields, too long."""
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = await program.post("/token", content=body, headers=headers)
    assert answer.status_code in (400, 413)
    assert answer.json()["error"] == "invalid_request"


@pytest.mark.parametrize("path", ["/device_authorization", "/token", "/revoke", f"{OWN}/authorize"])
async def test_parameters_in_the_query(program: httpx.AsyncClient, path: str) -> None:
    """They would be in every log on the way: it is told where they belong."""
    answer = await program.post(f"{path}?client_id={CLI}&scope={READ}")
    assert error(answer) == "invalid_request"
    assert "in the form" in answer.json()["error_description"]


async def test_item_10_grants_that_there_are_not(program: httpx.AsyncClient) -> None:
    """Each has the standard's code."""
    for kind in ("authorization_code", "password", "client_credentials", "device_code"):
        answer = await program.post("/token", data={"grant_type": kind, "client_id": CLI})
        assert error(answer) == "unsupported_grant_type"
    answer = await program.post("/token", data={"grant_type": DEVICE_GRANT, "client_id": CLI})
    assert error(answer) == "invalid_request"
    answer = await program.post("/token", data={"grant_type": "refresh_token", "client_id": CLI})
    assert error(answer) == "invalid_request"
    answer = await program.post("/device_authorization", data={"client_id": CLI, "scope": "unknown"})
    assert error(answer) == "invalid_scope"


async def test_item_10_who_may_not_and_what_is_over(shop: Site, program: httpx.AsyncClient) -> None:
    """A client without the device flow, at both endpoints; a code whose time has passed, also an approved one."""
    clients, dialect = shop.kernel.get(CLIENTS), shop.kernel.get(SYSTEM_DIALECT)
    await clients.register(Client(id="stopped", name="Stopped"))
    asked = await shop.device(program, client_id="stopped")
    await clients.register(Client(id="stopped", name="Stopped", device_flow=False))
    answer = await program.post("/device_authorization", data={"client_id": "stopped"})
    assert error(answer) == "unauthorized_client"
    answer = await program.post("/token", data=redeeming(asked, client_id="stopped"))
    assert error(answer) == "unauthorized_client"
    for decided in (False, True):
        asked = await shop.device(program)
        if decided:
            await shop.approve(asked["user_code"])
        over = datetime.now(UTC) - timedelta(seconds=1)
        await dialect.update_many(DEVICE_CODE, {"digest": digest(asked["device_code"])}, {"expires_at": over})
        assert error(await program.post("/token", data=redeeming(asked))) == "expired_token"


async def test_item_09_a_scope_at_the_token_endpoint(shop: Site, program: httpx.AsyncClient) -> None:
    """Some clients send it again: what was approved counts."""
    asked = await shop.device(program)
    await shop.approve(asked["user_code"])
    answer = await program.post("/token", data=redeeming(asked, scope=f"{READ} {WRITE}"))
    assert answer.json()["scope"] == READ


async def test_item_16_denied_stays_denied(shop: Site, program: httpx.AsyncClient) -> None:
    """The second poll is answered as the first."""
    asked = await shop.device(program)
    assert (await shop.approve(asked["user_code"], "denied")).json()["decision"] == "denied"
    for _ in range(2):
        assert error(await program.post("/token", data=redeeming(asked))) == "access_denied"


async def test_item_18_who_decides(shop: Site, program: httpx.AsyncClient) -> None:
    """Nobody without a session: not a stranger, not a key, not the page of another site; and no GET."""
    asked = await shop.device(program)
    body = {"user_code": asked["user_code"], "decision": "approved"}
    assert (await program.post(f"{OWN}/approve", json=body)).status_code == 401
    key = (await shop.tokens(program))["access_token"]
    shown = {"Authorization": f"Bearer {key}"}
    assert (await program.post(f"{OWN}/approve", json=body, headers=shown)).status_code == 422
    async with shop.signed_in() as browser:
        foreign = {"Origin": "https://evil.example"}
        assert (await browser.post(f"{OWN}/approve", json=body, headers=foreign)).status_code == 403
        assert (await browser.get(f"{OWN}/approve", params=body)).status_code == 405
        assert error(await program.post("/token", data=redeeming(asked))) == "authorization_pending"
        assert (await browser.post(f"{OWN}/approve", json={"user_code": asked["user_code"]})).status_code == 422
        assert (await browser.post(f"{OWN}/approve", json=body)).status_code == 200


async def test_item_22_codes_that_are_no_good(shop: Site, program: httpx.AsyncClient) -> None:
    """One answer for all of them; after some it is told when to go on."""
    used = await shop.device(program)
    await shop.approve(used["user_code"])
    found = [await shop.approve(code) for code in (used["user_code"], "BBBB-BBBB", "x")]
    assert [(one.status_code, one.json()["code"]) for one in found] == [(404, "O133")] * 3
    assert len({one.json()["detail"] for one in found}) == 1
    await shop.approve("BBBB-BBBB")
    late = await shop.approve("BBBB-BBBB")
    assert (late.status_code, late.json()["code"], late.headers["retry-after"]) == (429, "O104", "4")
    await shop.kernel.get(SYSTEM_DIALECT).delete_many(BUDGET, {"count": {"$gt": 0}})


async def test_item_28_revocation(shop: Site, program: httpx.AsyncClient) -> None:
    """An unknown token is no error, a missing one is; a hint is passed over, right or wrong or unknown."""
    for form in ({"token": "unknown"}, {"token": "unknown", "token_type_hint": "nonsense"}):
        answer = await program.post("/revoke", data={"client_id": CLI, **form})
        assert (answer.status_code, answer.content) == (200, b"")
    assert error(await program.post("/revoke", data={"client_id": CLI})) == "invalid_request"
    assert error(await program.post("/revoke", data={"client_id": "nobody", "token": "x"}), 401) == "invalid_client"
    for hint in ("access_token", "refresh_token"):
        told = await shop.tokens(program)
        form = {"token": told["refresh_token"], "token_type_hint": hint, "client_id": CLI}
        assert (await program.post("/revoke", data=form)).status_code == 200
        renewing = {"grant_type": "refresh_token", "refresh_token": told["refresh_token"], "client_id": CLI}
        assert error(await program.post("/token", data=renewing)) == "invalid_grant"


async def test_item_29_introspection(shop: Site, program: httpx.AsyncClient) -> None:
    """A confidential client, or whoever shows a key, is told of what is theirs, and nothing of the rest."""
    secret = await confidential(shop, "asker")
    told = await shop.tokens(program)
    token, shown = told["access_token"], {"Authorization": f"Bearer {told['access_token']}"}
    answer = await program.post("/introspect", data={"token": token}, headers=shown)
    assert not_kept(answer)
    found = answer.json()
    assert found | {"active": True, "scope": READ, "client_id": CLI, "token_type": "Bearer", "iss": BASE} == found
    assert found["exp"] - found["iat"] == 86_400
    for other in ("unknown", told["refresh_token"]):
        assert (await program.post("/introspect", data={"token": other}, headers=shown)).json() == {"active": False}
    foreign = await program.post("/introspect", data={"token": token}, headers=basic("asker", secret))
    assert foreign.json() == {"active": False}
    assert error(await program.post("/introspect", data={"token": token, "client_id": CLI}), 401) == "invalid_client"
    assert error(await program.post("/introspect", data={"token": token})) == "invalid_request"
    assert error(await program.post("/introspect", data={}, headers=shown)) == "invalid_request"
    ended = {"Authorization": "Bearer ended"}
    assert error(await program.post("/introspect", data={"token": token}, headers=ended), 401) == "invalid_client"


async def test_item_30_metadata(program: httpx.AsyncClient) -> None:
    """The issuer is where it was asked for, and every endpoint is below it."""
    answer = await program.get(METADATA)
    told = answer.json()
    assert told["issuer"] == BASE
    assert told["device_authorization_endpoint"] == f"{BASE}/device_authorization"
    assert told["token_endpoint"] == f"{BASE}/token"
    assert told["revocation_endpoint"] == f"{BASE}/revoke"
    assert told["introspection_endpoint"] == f"{BASE}/introspect"
    assert told["grant_types_supported"] == [DEVICE_GRANT, "refresh_token"]
    methods = ["none", "client_secret_basic", "client_secret_post"]
    assert told["token_endpoint_auth_methods_supported"] == methods
    assert {READ, WRITE} <= set(told["scopes_supported"])
    assert not {one for one in told["scopes_supported"] if one.startswith("keys:")}
    assert told["code_challenge_methods_supported"] == ["S256"]
    assert (await program.get(f"{METADATA}/elsewhere")).status_code == 404


@pytest.mark.parametrize("settings", [{}, {"base_url": f"{BASE}/eu"}])
async def test_item_30_below_a_path(settings: dict[str, str]) -> None:
    """Both places of the document tell the same: below the path, and the path behind it (RFC 8414 section 3.1)."""
    async with site("/eu", **settings) as shop, shop.client() as program:
        for path in (METADATA, f"{METADATA}/eu"):
            told = (await program.get(path)).json()
            assert told["issuer"] == f"{BASE}/eu"
        assert (await program.get(f"{METADATA}/us")).status_code == 404
        asked = await shop.device(program)
        assert asked["verification_uri"] == f"{BASE}/eu/device"
        assert (await shop.approve(asked["user_code"])).status_code == 200
        assert (await program.post(told["token_endpoint"], data=redeeming(asked))).status_code == 200


async def test_item_30_behind_a_proxy_that_takes_the_path_away() -> None:
    """It passes on the document's place at the root of its host; the setting says what the issuer is."""
    async with site(base_url=f"{BASE}/eu") as shop, shop.client() as program:
        assert (await program.get(f"{METADATA}/eu")).json()["issuer"] == f"{BASE}/eu"
        assert (await program.get(f"{METADATA}/u")).status_code == 404


async def test_item_25_only_over_a_connection_that_nobody_reads(shop: Site) -> None:
    """Over http:// a token is given to this machine alone, unless the setting says otherwise."""
    for base, status in (("http://shop.test", 400), ("http://localhost:8000", 200), ("http://127.0.0.1", 200)):
        async with shop.client(base) as program:
            answer = await program.post("/device_authorization", data={"client_id": CLI})
            assert answer.status_code == status
    async with site(plain_http=True) as other, other.client("http://shop.test") as program:
        assert (await shop.device(program))["verification_uri"] == "http://shop.test/device"


async def test_item_24_too_many_codes() -> None:
    """It is told when to come again, as the host itself would."""
    async with site(live_codes_per_address=1) as shop, shop.client() as program:
        await shop.device(program)
        answer = await program.post("/device_authorization", data={"client_id": CLI})
        assert error(answer, 503) == "temporarily_unavailable"
        assert int(answer.headers["retry-after"]) > 0
        async with shop.client(address="203.0.113.8") as other:
            await shop.device(other)


async def test_item_20_where_it_was_asked_from(shop: Site, program: httpx.AsyncClient) -> None:
    """The address and the user agent of the device are kept for the page."""
    asked = await shop.device(program)
    await shop.approve(asked["user_code"])
    rows = await shop.kernel.get(SYSTEM_DIALECT).find(DEVICE_CODE, sort={"requested_at": -1}, limit=1)
    assert (rows[0]["address"], rows[0]["agent"]) == (ADDRESS, "atlas")


async def test_item_24_plugins_are_told(shop: Site, program: httpx.AsyncClient) -> None:
    """Of a device that was let in; one that fails over it keeps the device from nothing."""
    told: list[DeviceApproved] = []

    async def handler(event: DeviceApproved) -> None:
        told.append(event)
        raise RuntimeError("the mail server is away")

    subscription = shop.kernel.on(DeviceApproved, handler)
    await shop.tokens(program)
    subscription.end()
    assert [(one.client_id, one.scopes, one.asker.address) for one in told] == [(CLI, {READ}, ADDRESS)]


async def test_item_33_no_secret_is_in_the_trail(shop: Site, program: httpx.AsyncClient) -> None:
    """Each step is, and no code and no token."""
    asked = await shop.device(program)
    await shop.approve(asked["user_code"])
    told = (await program.post("/token", data=redeeming(asked))).json()
    rows = await shop.kernel.get(SYSTEM_DIALECT).find(AUDIT_ENTRY)
    actions = {row["action"] for row in rows}
    assert {"device.ask", "device.claim", "device.approve", "device.redeem"} <= actions
    secrets = [asked["device_code"], asked["user_code"], told["access_token"], told["refresh_token"]]
    assert not [one for one in secrets if one in str(rows)]


@pytest.mark.parametrize("prefix", ["/tokens", "/token", "/revoked/api/v1/auth/device"])
async def test_item_30_below_a_prefix_that_begins_like_an_endpoint(prefix: str) -> None:
    """The issuer, and what is below it, is where the host is reached all the same."""
    issuer = BASE + prefix
    async with site(prefix=prefix) as below, below.client() as program:
        told = (await program.get(".well-known/oauth-authorization-server")).json()
        assert (told["issuer"], told["token_endpoint"]) == (issuer, f"{issuer}/token")
        for path in ("device_authorization", "api/v1/auth/device/authorize"):
            asked = (await program.post(path, data={"client_id": CLI, "scope": READ})).json()
            assert asked["verification_uri"] == f"{issuer}/device"
