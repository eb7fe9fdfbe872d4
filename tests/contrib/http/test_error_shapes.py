"""Errors in the shape of another standard."""

from __future__ import annotations

from typing import get_args

import pytest
from fastapi import APIRouter
from objectkernel.errors import KernelError
from objectkernel_contracts import ErrorShape, Scope, errors_as, public, requires
from objectkernel_http import HttpLimits
from objectkernel_http.error_shapes import SHAPES
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException

from tests.contrib.http.shops import granted, routed, serving

pytestmark = pytest.mark.anyio


class Grant(BaseModel):
    model_config = ConfigDict(extra="forbid")

    code: str


class GrantExpired(KernelError):
    """A code came too late."""

    code = "T401"
    http_status = 400


def add(router: APIRouter) -> None:
    @router.post("/token")
    @requires(Scope("token"))
    @errors_as("oauth")
    async def token(grant: Grant) -> None:
        if grant.code == "late":
            raise GrantExpired('the code "late" has expired')
        if grant.code == "broken":
            raise OSError("postgresql://admin:hunter2@db")
        if grant.code == "moved":
            raise HTTPException(304)

    @router.patch("/upload")
    @public()
    @errors_as("tus")
    async def upload() -> None:
        raise HTTPException(409, "the offset is another one", {"Tus-Resumable": "1.0.0"})

    @router.post("/plain")
    @public()
    async def plain(grant: Grant) -> None: ...


@pytest.mark.parametrize(
    ("scopes", "code", "status", "error"),
    [
        (None, "good", 401, "invalid_client"),
        ("other", "good", 403, "access_denied"),
        ("token", 7, 422, "invalid_request"),
        ("token", "late", 400, "invalid_request"),
        ("token", "broken", 500, "server_error"),
    ],
)
async def test_oauth(scopes: str | None, code: object, status: int, error: str) -> None:
    """`error` and `error_description`, whoever finds the error; headers stay; nothing of a fault is told."""
    async with serving(routed(add)) as client:
        headers = {} if scopes is None else granted(scopes)
        answer = await client.post("/token", json={"code": code}, headers=headers)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/json")
    assert answer.json().keys() == {"error", "error_description"}
    assert answer.json()["error"] == error
    assert not set('"\\') & set(answer.json()["error_description"])
    assert "hunter2" not in answer.text
    assert ("www-authenticate" in answer.headers) == (status in (401, 403))


async def test_tus() -> None:
    """A line of text, with the headers that its route has given."""
    async with serving(routed(add)) as client:
        answer = await client.patch("/upload")
    assert (answer.status_code, answer.text) == (409, "H409: the offset is another one\n")
    assert answer.headers["tus-resumable"] == "1.0.0"
    assert int(answer.headers["content-length"]) == len(answer.content)


async def test_too_many_requests_in_a_shape() -> None:
    """What the host refuses before the route has it too, with ``Retry-After``."""
    limits = HttpLimits(address_rate=0.1, rate_exempt=())
    async with serving(routed(add), limits=limits) as client:
        await client.post("/token")
        answer = await client.post("/token")
    assert (answer.status_code, answer.json()["error"]) == (429, "temporarily_unavailable")
    assert answer.headers["retry-after"] == "10"


async def test_an_answer_without_a_body_stays_one() -> None:
    """304 has none in any shape."""
    async with serving(routed(add)) as client:
        answer = await client.post("/token", json={"code": "moved"}, headers=granted("token"))
    assert (answer.status_code, answer.content) == (304, b"")


async def test_others_have_problem_details() -> None:
    """Only what is declared is an exception."""
    async with serving(routed(add)) as client:
        assert (await client.post("/plain", json={})).headers["content-type"] == "application/problem+json"


def test_the_table_has_every_shape() -> None:
    """A shape that may be declared is one that the host knows."""
    assert set(SHAPES) == set(get_args(ErrorShape))
