"""The table of who may use what."""

from __future__ import annotations

import uuid

import httpx
import pytest
from fastapi import APIRouter, HTTPException, Request
from objectkernel import ObjectKernel, Plugin, contributes
from objectkernel_contracts import Credentials, Scope, public, requires
from objectkernel_http import guard
from objectkernel_http.testing import STRANGER, Found, ScopeTokens, access_table, token
from objectkernel_system_dialect.contracts import BUSINESS_SCHEMAS, EntitySchema, Field
from objectkernel_system_dialect.plugin import SystemDialectPlugin

from tests.contrib.http.shops import Shop, routed

pytestmark = pytest.mark.anyio


async def test_every_route_is_asked_in_every_way() -> None:
    """Without a credential, without the scope, and with each of those that are enough."""
    kernel = ObjectKernel(plugins=[Shop()], discover=False)
    rows = await access_table(kernel)
    assert [(row.method, row.path, row.shown, row.expected, row.right) for row in rows] == [
        ("GET", "/ledger", None, None, True),
        ("POST", "/ledger/x", None, 401, True),
        ("POST", "/ledger/x", frozenset({STRANGER}), 403, True),
        ("POST", "/ledger/x", frozenset({"ledger:write"}), None, True),
        ("POST", "/ledger/x", frozenset({"ledger:write:x"}), None, True),
    ]
    assert kernel.state == "stopped"


async def test_all_other_scopes_together_are_not_enough() -> None:
    """Whoever has everything but what a route asks for is refused."""

    def add(router: APIRouter) -> None:
        for name in ("a", "b", "c"):
            router.get(f"/{name}")(requires(Scope(name))(lambda: None))

    rows = [row for row in await access_table(routed(add)) if row.expected == 403]
    assert [(row.path, row.shown) for row in rows] == [
        ("/a", frozenset({STRANGER, "b", "c"})),
        ("/b", frozenset({STRANGER, "a", "c"})),
        ("/c", frozenset({STRANGER, "a", "b"})),
    ]


async def test_what_a_route_itself_refuses_is_no_refusal_of_the_credential() -> None:
    """A route may answer 403 to whoever it was let in; and its path may ask for numbers."""

    def add(router: APIRouter) -> None:
        @router.get("/{number:int}/{part:float}/{id:uuid}/{rest:path}")
        @requires(Scope())
        async def refuse() -> None:
            raise HTTPException(403, "not today")

    rows = await access_table(routed(add))
    assert [(row.status, row.right) for row in rows] == [(401, True), (403, True)]


async def test_a_route_that_lets_everybody_in_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The table turns red when the guard does not do its work, and when it does too much."""

    def add(router: APIRouter) -> None:
        router.get("/closed")(requires(Scope("a"))(lambda: None))
        router.get("/open")(public()(lambda: None))

    async def nobody_is_asked(*_: object) -> None: ...

    with monkeypatch.context() as broken:
        broken.setattr(guard, "admit", nobody_is_asked)
        assert [row.right for row in await access_table(routed(add))] == [False, False, True, True]

    async def nobody_is_let_in(*_: object) -> None:
        raise HTTPException(401, headers={"WWW-Authenticate": "Bearer"})

    with monkeypatch.context() as broken:
        broken.setattr(guard, "admit", nobody_is_let_in)
        assert [row.right for row in await access_table(routed(add))] == [True, False, False, False]


class Books(Plugin):
    name = "books"

    @contributes(BUSINESS_SCHEMAS, uses=())
    def book(self) -> EntitySchema:
        return EntitySchema(name="Book", collection="books", fields={"title": Field("string")})


async def test_the_data_plane_lets_in_exactly_the_right_ones() -> None:
    """All routes of system-dialect, those of an entity and those of its administrators."""
    rows = await access_table(ObjectKernel(plugins=[SystemDialectPlugin.in_memory(), Books()], discover=False))
    assert len(rows) > 100
    assert [row for row in rows if not row.right] == []


def things(leaks: frozenset[str]) -> ObjectKernel:
    """A kernel of a shop where each account has things of its own, but for what leaks."""
    owners: dict[str, str] = {}

    def add(router: APIRouter) -> None:
        @router.put("/things/{name}")
        @requires(Scope("things:write"))
        async def put(name: str, request: Request) -> None:
            owners[name] = request.state.principal.account_id

        @router.get("/things/{name}")
        @requires(Scope("things:read", "things:read:{name}"))
        async def get(name: str, request: Request) -> str:
            if name not in owners:
                raise HTTPException(404)
            if owners[name] == request.state.principal.account_id or "content" in leaks:
                return owners[name]
            raise HTTPException(403 if "existence" in leaks else 404)

        @router.get("/fixed/{name}")
        @requires(Scope("things:read"))
        async def fixed(name: str) -> str:
            return "the same for all"

    return routed(add)


async def thing(client: httpx.AsyncClient, path: str) -> Found | None:
    if path != "/things/{name}":
        return None
    mine, missing = str(uuid.uuid4()), str(uuid.uuid4())
    assert (await client.put(f"/things/{mine}")).status_code == 200
    return Found(there={"name": mine}, missing={"name": missing})


async def of_gets(kernel: ObjectKernel) -> list[tuple[str, bool]]:
    rows = await access_table(kernel, thing)
    return [(row.account, row.right) for row in rows if row.method == "GET" and row.as_meant is not None]


async def test_what_is_of_another_account_looks_missing() -> None:
    """To its owner it does not; paths that lead to nobody's own are not asked for by others."""
    assert await of_gets(things(frozenset())) == [("somebody-else", True), ("tester", True)]


@pytest.mark.parametrize("leak", ["content", "existence"])
async def test_a_route_that_tells_of_others_is_found(leak: str) -> None:
    """Be it that a thing is there, or what is in it."""
    assert await of_gets(things(frozenset({leak}))) == [("somebody-else", False), ("tester", True)]


async def test_a_route_that_gives_owners_nothing_is_found() -> None:
    """A table whose things nobody has made would be green for the wrong reason."""

    async def nothing(client: httpx.AsyncClient, path: str) -> Found | None:
        names = [{"name": str(uuid.uuid4())} for _ in range(2)]
        return Found(there=names[0], missing=names[1]) if path == "/things/{name}" else None

    rows = await access_table(things(frozenset()), nothing)
    found = [(row.account, row.right) for row in rows if row.method == "GET" and row.as_meant is not None]
    assert found == [("somebody-else", True), ("tester", False)]


async def test_tokens_say_whose_they_are() -> None:
    """And what they have been granted; without the word they are the tester's."""
    tokens = ScopeTokens()
    ada = await tokens.principal(Credentials(bearer=token("b", "a", account="ada")))
    tester = await tokens.principal(Credentials(bearer="a"))
    assert ada is not None and tester is not None
    assert (ada.account_id, ada.scopes, tester.account_id) == ("ada", {"a", "b"}, "tester")
    assert await tokens.principal(Credentials()) is None
