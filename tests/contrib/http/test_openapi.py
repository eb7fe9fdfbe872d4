"""The document that describes every route."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi import APIRouter, FastAPI
from objectkernel.errors import KernelError
from objectkernel_contracts import Scope, errors_as, public, raises, requires
from objectkernel_http import include_kernel

from tests.contrib.http.shops import client_of, routed, serving, shop_kernel

pytestmark = pytest.mark.anyio

PROBLEM = "application/problem+json"
SCHEMA = {"$ref": "#/components/schemas/Problem"}


class Sold(KernelError):
    """It is sold to somebody else. Attributes: buyer.

    Long ago.
    """

    code = "S1"
    http_status = 409


class TooMany(KernelError):
    """They are more than anybody wants."""

    code = "S2"
    http_status = 422


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
    problems = {status: told for status, told in write["responses"].items() if PROBLEM in told.get("content", {})}
    assert list(problems) == ["401", "403", "408", "413", "422", "default"]
    assert all(told["content"][PROBLEM]["schema"] == SCHEMA for told in problems.values())
    assert list(look["responses"]) == ["200", "default"]
    any_request = look["responses"]["default"]["content"][PROBLEM]["examples"]
    assert list(any_request) == ["H400", "H415", "H429", "H431", "H500", "H503"]
    assert "Problem" in document["components"]["schemas"]


async def test_errors_that_a_route_declares_are_described() -> None:
    """By status, with an example of each code: what its class says in its first sentence, and what the host adds."""

    def add(router: APIRouter) -> None:
        @router.get("/houses/{number}")
        @public()
        @raises(Sold, TooMany)
        async def buy(number: int) -> None: ...

    told = (await document_of(routed(add)))["paths"]["/houses/{number}"]["get"]["responses"]
    assert list(told) == ["200", "409", "422", "default"]
    assert told["409"]["description"] == "It is sold to somebody else."
    assert told["409"]["content"][PROBLEM]["examples"]["S1"]["value"] == {
        "type": "urn:objectkernel:error:S1",
        "title": "Conflict",
        "status": 409,
        "detail": "It is sold to somebody else.",
        "code": "S1",
    }
    assert told["422"]["description"] == "Unprocessable Entity"
    assert list(told["422"]["content"][PROBLEM]["examples"]) == ["H422", "S2"]


async def test_a_route_that_refuses_requests_itself() -> None:
    """What the host says of a request that a route does not take is not promised where the route says it."""

    def add(router: APIRouter) -> None:
        @router.get("/houses/{number}")
        @public()
        @raises(Sold, invalid=TooMany)
        async def buy(number: int) -> None: ...

    told = (await document_of(routed(add)))["paths"]["/houses/{number}"]["get"]["responses"]
    assert list(told["422"]["content"][PROBLEM]["examples"]) == ["S2"]


async def test_errors_of_another_standard_are_described_in_its_shape() -> None:
    """A route whose errors are OAuth's, or a text, does not promise problem details."""

    def add(router: APIRouter) -> None:
        router.post("/token")(public()(errors_as("oauth")(lambda code: None)))
        router.get("/figures")(requires(Scope("a"))(errors_as("metrics")(lambda: None)))

    paths = (await document_of(routed(add)))["paths"]
    oauth = paths["/token"]["post"]["responses"]["422"]["content"]
    assert oauth["application/json"]["examples"]["H422"]["value"]["error"] == "invalid_request"
    text = paths["/figures"]["get"]["responses"]["401"]["content"]
    assert text["text/plain"]["examples"]["H401"]["value"].startswith("H401: ")
    assert PROBLEM not in str(paths)


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
