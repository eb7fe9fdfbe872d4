"""The document that describes every route."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi import APIRouter, FastAPI
from objectkernel_contracts import Scope, requires
from objectkernel_http import include_kernel

from tests.contrib.http.shops import client_of, routed, serving, shop_kernel

pytestmark = pytest.mark.anyio

PROBLEM = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}


async def document_of(kernel: Any) -> dict[str, Any]:
    async with serving(kernel) as client:
        document: dict[str, Any] = (await client.get("/openapi.json")).json()
    return document


async def test_every_route_has_a_summary_its_errors_and_its_security() -> None:
    """Also those that declare none of it."""
    document = await document_of(shop_kernel())
    assert document["openapi"].startswith("3.1.")
    look, write = document["paths"]["/ledger"]["get"], document["paths"]["/ledger/{book}"]["post"]
    assert (look["summary"], look["description"], look["tags"]) == ("Look", "Look at it.", ["ledger"])
    assert look["security"] == []
    assert write["security"] == [{"bearer": ["ledger:write"]}, {"bearer": ["ledger:write:{book}"]}]
    assert document["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
    assert [status for status, told in write["responses"].items() if told.get("content") == PROBLEM] == [
        "401",
        "403",
        "default",
    ]
    assert look["responses"]["default"]["content"] == PROBLEM
    assert "Problem" in document["components"]["schemas"]


async def test_what_a_route_says_itself_stands() -> None:
    """Its own errors, and its own security, are not written over."""

    def add(router: APIRouter) -> None:
        @router.get(
            "/own",
            responses={403: {"description": "Not on Sundays"}, "default": {"description": "Oh"}},
            openapi_extra={"security": [{"sunday": []}], "x-mine": 1},
        )
        @requires(Scope())
        async def own() -> None: ...

    told = (await document_of(routed(add)))["paths"]["/own"]["get"]
    assert told["responses"]["403"] == {"description": "Not on Sundays"}
    assert told["responses"]["default"] == {"description": "Oh"}
    assert (told["security"], told["x-mine"]) == ([{"sunday": []}], 1)


async def test_a_scope_without_names_asks_for_a_credential() -> None:
    """With nothing that it must have been granted."""

    def add(router: APIRouter) -> None:
        @router.get("/me")
        @requires(Scope())
        async def me() -> None: ...

    assert (await document_of(routed(add)))["paths"]["/me"]["get"]["security"] == [{"bearer": []}]


async def test_problems_of_the_host_are_what_the_document_says() -> None:
    """Every member of a real answer is described, and what is required is there."""
    async with serving(shop_kernel()) as client:
        document = (await client.get("/openapi.json")).json()
        refused = (await client.post("/ledger/red", headers={"Authorization": "Bearer ledger:write"})).json()
    described = document["components"]["schemas"]["Problem"]
    assert set(refused) <= set(described["properties"])
    assert set(described["required"]) <= set(refused)


async def test_a_hosts_document_has_both() -> None:
    """Its own routes, and the kernel's with all that they refer to."""
    app = FastAPI(title="Host")
    app.get("/own")(lambda: None)
    include_kernel(app, shop_kernel(), prefix="/shop")
    async with app.router.lifespan_context(app), client_of(app) as client:
        document = (await client.get("/openapi.json")).json()
    assert set(document["paths"]) == {"/own", "/shop/ledger", "/shop/ledger/{book}"}
    assert {"Problem", "Entry"} <= set(document["components"]["schemas"])
    assert "security" not in document["paths"]["/own"]["get"]
