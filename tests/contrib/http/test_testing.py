"""The table of who may use what."""

from __future__ import annotations

import pytest
from fastapi import APIRouter, HTTPException
from objectkernel import ObjectKernel, Plugin, contributes
from objectkernel_contracts import Scope, public, requires
from objectkernel_http import guard
from objectkernel_http.testing import STRANGER, access_table
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
