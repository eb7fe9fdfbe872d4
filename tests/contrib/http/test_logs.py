"""What a line of the log looks like."""

from __future__ import annotations

import io
import json
import logging
import sys
from collections.abc import Iterator
from typing import Any

import anyio
import pytest
from fastapi import APIRouter
from objectkernel_contracts import public
from objectkernel_http.logs import ConsoleLines, JsonLines, configure_logs
from objectkernel_http.watch import ACCESS

from tests.contrib.http.shops import granted, routed, serving

LOG = logging.getLogger("shop")


@pytest.fixture
def stream(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """Where a program's log goes, whose levels and handlers are put back."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [handler])
    level, own = root.level, ACCESS.level
    root.setLevel(logging.INFO)
    yield written
    root.setLevel(level)
    ACCESS.setLevel(own)


def lines(stream: io.StringIO) -> list[str]:
    """What was written, but for the client and the kernel, which write of themselves."""
    strangers = ("httpx", "kernel is running", "kernel stops", "kernel has stopped")
    return [line for line in stream.getvalue().splitlines() if not any(one in line for one in strangers)]


def add(router: APIRouter) -> None:
    """Routes that write."""

    async def helper() -> None:
        LOG.info("from a task")

    @router.get("/writes/{secret}")
    @public()
    async def writes(secret: str) -> None:
        LOG.info("from the route")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(helper)

    @router.get("/fails")
    @public()
    async def fails() -> None:
        raise OSError("the disk is gone")


@pytest.mark.anyio
async def test_json_has_the_request_in_every_line(stream: io.StringIO) -> None:
    """Its id, which its sender has too, and its account; also of what a task of it writes."""
    configure_logs("json", access_log=True)
    async with serving(routed(add)) as client:
        answer = await client.get("/writes/hunter2?key=hunter3", headers=granted("hunter4"))
    LOG.info("outside")
    *inside, outside = [json.loads(line) for line in lines(stream)]
    assert [line["message"] for line in inside[:2]] == ["from the route", "from a task"]
    assert {line["request_id"] for line in inside} == {answer.headers["x-request-id"]}
    assert {line["account_id"] for line in inside} == {"ada"}
    access = inside[2]
    assert (access["logger"], access["method"], access["route"]) == (ACCESS.name, "GET", "/writes/{secret}")
    assert (access["status"], access["bytes"]) == (200, 4)
    assert "request_id" not in outside
    assert "hunter" not in "".join(lines(stream))


@pytest.mark.anyio
async def test_an_unforeseen_error_has_its_traceback(stream: io.StringIO) -> None:
    """Under the id that its sender was told, on one line."""
    configure_logs("json", access_log=False)
    async with serving(routed(add)) as client:
        answer = await client.get("/fails")
    (line,) = [json.loads(line) for line in lines(stream)]
    assert (line["level"], line["request_id"]) == ("error", answer.headers["x-request-id"])
    assert answer.json()["instance"].endswith(line["request_id"])
    assert "OSError: the disk is gone" in line["exception"]


@pytest.mark.anyio
async def test_the_console_has_them_at_the_end_of_the_line(stream: io.StringIO) -> None:
    """What belongs to no request looks as the program has it."""
    configure_logs("console", access_log=True)
    async with serving(routed(add)) as client:
        answer = await client.get("/writes/x")
    LOG.info("outside")
    first, *_, outside = lines(stream)
    assert first.endswith(f"INFO shop: from the route [request_id={answer.headers['x-request-id']}]")
    assert outside == "INFO shop: outside"


@pytest.mark.parametrize(("terminal", "kind"), [(True, ConsoleLines), (False, JsonLines)])
def test_a_terminal_has_text(
    stream: io.StringIO, monkeypatch: pytest.MonkeyPatch, terminal: bool, kind: type[logging.Formatter]
) -> None:
    """`auto`, the default."""

    class Err(io.StringIO):
        def isatty(self) -> bool:
            return terminal

    monkeypatch.setattr(sys, "stderr", Err())
    configure_logs("auto", access_log=False)
    assert type(logging.getLogger().handlers[0].formatter) is kind


def test_a_program_that_logs_nowhere_logs_to_standard_error(stream: io.StringIO) -> None:
    """Whoever asks for a shape wants to see it; a second call adds no second line."""
    handlers = logging.getLogger().handlers
    handlers.clear()
    for _ in range(2):
        configure_logs("json", access_log=False)
    (handler,) = handlers
    assert isinstance(handler, logging.StreamHandler) and handler.stream is sys.stderr


@pytest.mark.parametrize(("wanted", "level"), [(True, logging.INFO), (False, logging.WARNING)])
def test_the_access_log_may_be_off(stream: io.StringIO, wanted: bool, level: int) -> None:
    """By its logger, so that nothing is made that nobody reads."""
    configure_logs("json", access_log=wanted)
    assert ACCESS.level == level


def test_a_line_is_one_line_whatever_is_in_it() -> None:
    """Neither line ends nor what JSON cannot hold breaks it."""
    told: dict[str, Any] = {"facts": {"object": object()}}
    record = logging.makeLogRecord({"msg": "a\nb", "name": "shop", "levelname": "INFO", **told})
    line = JsonLines().format(record)
    assert "\n" not in line
    assert json.loads(line)["message"] == "a\nb"
