"""What a document does not say of its routes."""

from __future__ import annotations

from typing import Annotated

import pytest
from fastapi import APIRouter, Body, Form, Path, Query
from fastapi.responses import HTMLResponse
from objectkernel_contracts import public
from objectkernel_http.testing import undescribed
from pydantic import BaseModel, ConfigDict, Field

from tests.contrib.http.shops import routed

pytestmark = pytest.mark.anyio


class Told(BaseModel):
    """Has an example as a whole."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"amount": 3, "text": "x"}]})

    amount: int
    text: str


class Half(BaseModel):
    """Has one of its two fields only."""

    model_config = ConfigDict(extra="forbid")

    amount: int = Field(examples=[3])
    text: str


async def test_a_route_that_says_everything() -> None:
    """Nothing is missing; a page needs no example, and neither does what is not in the document."""

    def add(router: APIRouter) -> None:
        @router.post("/{book}", summary="Write")
        @public()
        async def write(book: Annotated[str, Path(examples=["red"])], line: Told) -> Told:
            return line

        @router.get("/page", summary="Look", response_class=HTMLResponse)
        @public()
        async def page() -> str:
            return ""

        router.get("/hidden/{x}", include_in_schema=False)(public()(lambda x: None))
        router.delete("/all", summary="Empty", status_code=204)(public()(lambda: None))

    assert await undescribed(routed(add)) == ()


async def test_everything_that_is_missing_is_named() -> None:
    """A line for each: summary, parameters, bodies, forms, answers."""

    def add(router: APIRouter) -> None:
        @router.post("/{book}")
        @public()
        async def write(book: str, after: Annotated[str, Query()], line: Annotated[Half, Body()]) -> Half:
            return line

        @router.put("/form", summary="Fill")
        @public()
        async def fill(name: Annotated[str, Form()]) -> bool:
            return bool(name)

    assert await undescribed(routed(add)) == (
        "POST /{book}: it has no summary",
        "POST /{book}: no example of the path parameter book",
        "POST /{book}: no example of the query parameter after",
        "POST /{book}: no example of the body (application/json)/text",
        "POST /{book}: no example of the answer 200 (application/json)/text",
        "PUT /form: no example of the body (application/x-www-form-urlencoded)/name",
    )
