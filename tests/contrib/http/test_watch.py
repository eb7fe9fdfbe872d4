"""What is said of each request."""

from __future__ import annotations

import logging
from typing import Any

import anyio
import pytest
from fastapi import APIRouter, Request
from objectkernel_contracts import REQUEST_ID, Scope, public, requires
from objectkernel_http.watch import ACCESS

from tests.contrib.http.shops import granted, routed, serving, shop_kernel

pytestmark = pytest.mark.anyio


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Any:
    """The lines of the access log."""
    caplog.set_level(logging.INFO, ACCESS.name)
    return lambda: [record for record in caplog.records if record.name == ACCESS.name]


async def test_one_line_for_each_request(lines: Any) -> None:
    """Its method, template, status, time and bytes; never its path, which may be a secret."""
    async with serving(shop_kernel()) as client:
        await client.post("/ledger/hunter2?token=hunter3", json={"amount": 1}, headers=granted("ledger:write"))
        await client.get("/hunter4")
    first, second = (line.facts for line in lines())
    assert first.pop("ms") >= 0
    assert first == {"method": "POST", "route": "/ledger/{book}", "status": 201, "bytes": 11}
    assert (second["route"], second["status"]) == ("other", 404)
    assert not any("hunter" in line.getMessage() for line in lines())


async def test_every_answer_has_an_id() -> None:
    """Also one of no route; it is the one that the log and the audit trail have."""
    seen: list[str | None] = []

    def add(router: APIRouter) -> None:
        @router.get("/id")
        @public()
        async def own(request: Request) -> str:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(note)
            seen.append(request.state.request_id)
            return "id"

    async def note() -> None:
        seen.append(REQUEST_ID.get())

    async with serving(routed(add)) as client:
        answer = await client.get("/id")
        assert seen == [answer.headers["x-request-id"]] * 2
        assert (await client.get("/nowhere")).headers["x-request-id"] not in seen
        assert len(answer.headers.get_list("x-request-id")) == 1
    assert REQUEST_ID.get() is None


async def test_a_request_that_is_cut_off_is_told_too(lines: Any) -> None:
    """Without a status: nobody was there to be answered."""
    began = anyio.Event()

    def add(router: APIRouter) -> None:
        @router.get("/forever")
        @public()
        async def forever() -> None:
            began.set()
            await anyio.sleep_forever()

    async with serving(routed(add)) as client, anyio.create_task_group() as tasks:
        tasks.start_soon(client.get, "/forever")
        await began.wait()
        tasks.cancel_scope.cancel()
    assert [line.facts["status"] for line in lines()] == [None]


async def test_its_account_is_in_the_line(lines: Any) -> None:
    """Of whoever was let in, or was not."""
    from objectkernel_http.exchange import CURRENT

    accounts: list[str | None] = []

    class Noting(logging.Filter):
        def filter(self, record: logging.LogRecord) -> bool:
            exchange = CURRENT.get()
            assert exchange is not None
            accounts.append(None if exchange.principal is None else exchange.principal.account_id)
            return True

    def add(router: APIRouter) -> None:
        @router.get("/mine")
        @requires(Scope("mine"))
        async def mine() -> None: ...

    noting = Noting()
    ACCESS.addFilter(noting)
    try:
        async with serving(routed(add)) as client:
            for headers in ({}, granted("mine"), granted("yours")):
                await client.get("/mine", headers=headers)
    finally:
        ACCESS.removeFilter(noting)
    assert accounts == [None, "ada", "ada"]
