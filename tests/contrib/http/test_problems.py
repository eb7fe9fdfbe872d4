"""One shape for everything that goes wrong."""

from __future__ import annotations

import json
import logging
import uuid
from typing import Any, ClassVar

import pytest
from fastapi import APIRouter, HTTPException, Query
from objectkernel.errors import KernelError, ServiceUnavailable
from objectkernel_contracts import public
from objectkernel_http.problems import MEDIA_TYPE, SHOWN, problem
from pydantic import BaseModel, ConfigDict

from tests.contrib.http.shops import Entry, granted, routed, serving, shop_kernel

pytestmark = pytest.mark.anyio

SECRET = "postgresql://admin:hunter2@db"


class BookClosed(KernelError):
    """The book is closed."""

    code = "S001"
    http_status: ClassVar[int] = 409


class Deep(BaseModel):
    model_config = ConfigDict(extra="forbid")
    entries: list[Entry]


class Many(BaseModel):
    model_config = ConfigDict(extra="forbid")
    items: list[int]


def raising(error: Exception) -> Any:
    """A kernel whose route ``GET /`` raises."""

    def add(router: APIRouter) -> None:
        @router.get("/")
        @public()
        async def fail() -> None:
            raise error

    return routed(add)


async def test_an_unforeseen_error_tells_an_id_and_nothing_else(caplog: pytest.LogCaptureFixture) -> None:
    """The log has the rest under this id, which is the answer's own too."""
    async with serving(raising(RuntimeError(SECRET))) as client:
        answer = await client.get("/")
    told = answer.json()
    id = told.pop("instance").removeprefix("urn:uuid:")
    assert uuid.UUID(id).version == 4
    assert answer.headers["x-request-id"] == id
    assert (answer.status_code, answer.headers["content-type"]) == (500, MEDIA_TYPE)
    assert told == {
        "type": "urn:objectkernel:error:H500",
        "title": "Internal Server Error",
        "status": 500,
        "detail": "the host failed; its log tells more under this id",
        "code": "H500",
    }
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert id in record.getMessage()
    assert record.exc_info is not None and SECRET in str(record.exc_info[1])


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (HTTPException(502, SECRET), 502, "H502"),
        (KernelError(SECRET, where=SECRET, why=SECRET, fix=SECRET), 500, "K000"),
        (ServiceUnavailable(SECRET), 503, "K209"),
        (ExceptionGroup(SECRET, [OSError(SECRET)]), 500, "H500"),
    ],
)
async def test_no_fault_of_the_host_tells_its_reason(error: Exception, status: int, code: str) -> None:
    """A driver's text, a place, a connection string: for the log only."""
    async with serving(raising(error)) as client:
        answer = await client.get("/")
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert "instance" in answer.json()
    assert SECRET not in answer.text and SECRET not in str(answer.headers)


async def test_what_is_away_for_the_moment_may_be_asked_for_again() -> None:
    """503 says when."""
    async with serving(raising(ServiceUnavailable("it starts"))) as client:
        assert (await client.get("/")).headers["retry-after"] == "1"


async def test_an_error_class_with_a_status_tells_what_it_says() -> None:
    """Its code, what, why and fix; where it was declared is nobody's business."""
    error = BookClosed("the book is closed", where="/srv/shop.py:3", why="the year is over", fix="open a new one")
    async with serving(raising(error)) as client:
        answer = await client.get("/")
    assert answer.status_code == 409
    assert answer.json() == {
        "type": "urn:objectkernel:error:S001",
        "title": "Conflict",
        "status": 409,
        "detail": "the book is closed",
        "code": "S001",
        "why": ["the year is over"],
        "fix": "open a new one",
    }


async def test_what_a_route_raises_for_its_caller() -> None:
    """An HTTPException below 500 keeps its sentence and its headers, and a detail of another kind is `info`."""
    async with serving(raising(HTTPException(429, "slower", headers={"Retry-After": "7"}))) as client:
        answer = await client.get("/")
        assert (answer.json()["detail"], answer.headers["retry-after"]) == ("slower", "7")
    async with serving(raising(HTTPException(404, {"book": "red"}))) as client:
        told = (await client.get("/")).json()
        assert (told["detail"], told["info"]) == ("Not Found", {"book": "red"})
    async with serving(raising(HTTPException(304, headers={"ETag": '"1"'}))) as client:
        answer = await client.get("/")
        assert (answer.status_code, answer.headers["etag"], answer.content) == (304, '"1"', b"")


async def test_every_problem_of_a_request_is_listed() -> None:
    """Where each one is, as a JSON Pointer, and never what was sent."""

    def add(router: APIRouter) -> None:
        @router.post("/{number}")
        @public()
        async def take(number: int, body: Deep, limit: int = Query(le=10)) -> None: ...

    sent = {"entries": [{"amount": SECRET}, {"text": SECRET}], "a/b~c": SECRET}
    async with serving(routed(add)) as client:
        answer = await client.post("/one?limit=11", json=sent)
    assert answer.status_code == 422
    assert [(one["in"], one["at"]) for one in answer.json()["errors"]] == [
        ("path", "/number"),
        ("query", "/limit"),
        ("body", "/entries/0/amount"),
        ("body", "/entries/1/amount"),
        ("body", "/a~1b~0c"),
    ]
    assert SECRET not in answer.text


async def test_a_list_of_problems_has_an_end() -> None:
    """A body of many wrong items does not become an answer of as many; how many more there are is told."""

    def add(router: APIRouter) -> None:
        @router.post("/")
        @public()
        async def take(body: Many) -> None: ...

    async with serving(routed(add)) as client:
        told = (await client.post("/", json={"items": ["x"] * (SHOWN + 5)})).json()
    assert (len(told["errors"]), told["more"]) == (SHOWN, 5)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"[", 422),
        (b"\xff{}", 400),
        (b"[" * 10_000 + b"]" * 10_000, 400),
        (b'{"amount": 1, "\\ud800": 2}', 422),
        (b'{"amount": "\\ud800"}', 422),
        (b"", 422),
        (b"null", 422),
    ],
)
async def test_a_body_that_is_none_is_refused(body: bytes, status: int) -> None:
    """Broken JSON, no UTF-8, endless nesting, half a character: each one is the sender's mistake."""
    headers = {**granted("ledger:write"), "Content-Type": "application/json"}
    async with serving(shop_kernel()) as client:
        answer = await client.post("/ledger/red", content=body, headers=headers)
    assert (answer.status_code, answer.headers["content-type"]) == (status, MEDIA_TYPE)


async def test_what_is_not_there_has_the_same_shape() -> None:
    """Paths that no route has are answered by the application itself."""
    async with serving(shop_kernel()) as client:
        answer = await client.get("/nowhere")
    assert (answer.status_code, answer.headers["content-type"]) == (404, MEDIA_TYPE)
    assert answer.json()["code"] == "H404"


def test_a_status_that_nobody_knows() -> None:
    """Is passed on."""
    assert json.loads(bytes(problem(499, "gone").body))["title"] == "Error"
