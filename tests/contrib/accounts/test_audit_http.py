"""``GET /api/v1/audit``: an administrator reads the account's trail, an operator everybody's."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from objectkernel_contracts import AUDIT, IDENTITY, OPERATE, SCOPES, Credentials, Principal
from objectkernel_http import asgi_app, kernel_lifespan
from objectkernel_http.testing import access_table, undescribed

from tests.contrib.accounts.trails import audited

pytestmark = pytest.mark.anyio

PATH = "/api/v1/audit"
KNOWN = {
    "ada": Principal(account_id="acme", user_id="ada", scopes={"audit:read"}, key_id="k1"),
    "eve": Principal(account_id="umbrella", scopes={"audit:read"}),
    "member": Principal(account_id="acme", scopes={"data:read", "data:write"}),
    "operator": Principal(account_id="host", scopes={OPERATE}),
}


class Keys:
    async def principal(self, credentials: Credentials) -> Principal | None:
        return KNOWN.get(credentials.bearer or "")

    def sign_in_url(self, return_to: str) -> str:
        return return_to


class Client(httpx.AsyncClient):
    """Asks for the trail in somebody's name."""

    async def trail(self, who: str, **parameters: Any) -> httpx.Response:
        return await self.get(PATH, params=parameters, headers={"Authorization": f"Bearer {who}"})

    async def subjects(self, who: str, **parameters: Any) -> str:
        answer = await self.trail(who, **parameters)
        assert answer.status_code == 200, answer.text
        return "".join(entry["subject"] for entry in answer.json()["entries"])


@pytest.fixture
async def http(anyio_backend: str, tmp_path: Path) -> AsyncIterator[Client]:
    kernel = audited({"OBJECTKERNEL_DATA_DIR": str(tmp_path)}).provide(IDENTITY, Keys())
    app = asgi_app(kernel)
    client = Client(transport=httpx.ASGITransport(app), base_url="http://h")
    async with kernel_lifespan(kernel)(app), client:
        for who, subject in (("ada", "a"), ("eve", "e"), ("ada", "b"), ("ada", "c")):
            await kernel.get(AUDIT).record("order.pay", subject, principal=KNOWN[who], details={"total": 3})
        await kernel.get(AUDIT).record("host.start", "h")
        yield client


async def test_own_account(http: Client) -> None:
    """An account's administrator reads what was done in it, the newest first, with who did it."""
    (first, *_), last = (await http.trail("ada")).json()["entries"], await http.subjects("ada")
    assert last == "cba"
    assert first.pop("at").endswith("Z")
    assert first == {
        "action": "order.pay",
        "subject": "c",
        "account_id": "acme",
        "user_id": "ada",
        "key_id": "k1",
        "request_id": None,
        "details": {"total": 3},
    }
    assert await http.subjects("eve") == "e"


async def test_others_are_as_if_they_were_not(http: Client) -> None:
    """Another account's trail, and one that nobody has, answer alike."""
    for account in ("umbrella", "nobody"):
        assert (await http.trail("ada", account=account)).json() == {"entries": [], "next": None}
    assert await http.subjects("ada", account="acme") == "cba"
    cursor = (await http.trail("operator", limit=1)).json()["next"]
    assert await http.subjects("ada", after=cursor) == "cba"


async def test_operator(http: Client) -> None:
    """Whoever runs the host reads the trail of all, or of one account."""
    assert await http.subjects("operator") == "hcbea"
    assert await http.subjects("operator", account="umbrella") == "e"
    assert await http.subjects("operator", action="host.start") == "h"


async def test_pages(http: Client) -> None:
    """A page leads to the next one; the last one to none."""
    answer = (await http.trail("ada", limit=2)).json()
    assert [entry["subject"] for entry in answer["entries"]] == ["c", "b"]
    rest = (await http.trail("ada", limit=2, after=answer["next"])).json()
    assert ([entry["subject"] for entry in rest["entries"]], rest["next"]) == (["a"], None)


REFUSED: list[dict[str, Any]] = [{"limit": 0}, {"limit": 201}, {"limit": "x"}, {"after": "x"}, {"after": ""}]
REFUSED += [{"since": "1h"}, {"account": "x" * 256}, {"account": "\0"}, {"action": "a\0"}]


@pytest.mark.parametrize("parameters", REFUSED, ids=[str(number) for number in range(len(REFUSED))])
async def test_refused(http: Client, parameters: dict[str, Any]) -> None:
    """What the route does not take is a problem of the request."""
    answer = await http.trail("operator", **parameters)
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")


async def test_who_may_read(http: Client) -> None:
    """Members and strangers may not; administrators are granted the scope."""
    assert [(await http.trail(who)).status_code for who in ("member", "stranger")] == [403, 401]
    assert {scope.name: scope.role for scope in audited({}).contributions(SCOPES)}["audit:read"] == "admin"


async def test_document(tmp_path: Path) -> None:
    """The document of the API tells all of the route, and exactly the right ones are let in."""
    environ = {"OBJECTKERNEL_DATA_DIR": str(tmp_path)}
    assert [line for line in await undescribed(audited(environ)) if "audit" in line] == []
    rows = [row for row in await access_table(audited(environ)) if row.path == PATH]
    assert rows
    assert all(row.right for row in rows)
