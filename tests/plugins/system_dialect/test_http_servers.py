"""What the data plane promises to writers that come together, on servers where they truly do."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import httpx
import pytest
from objectkernel_system_dialect.contracts import Dialect
from objectkernel_system_dialect.mariadb_engine import MariadbEngine
from objectkernel_system_dialect.postgres_engine import PostgresEngine
from objectkernel_system_dialect.sql_dialect import SqlDialect

from tests.plugins.system_dialect.net_entities import BUSINESS
from tests.plugins.system_dialect.served import HOST_KEY, serve

pytestmark = pytest.mark.anyio

WRITERS = 16


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """The client's event loop; the server has its own."""
    return "asyncio"


@pytest.fixture(
    params=[
        pytest.param("postgres", marks=pytest.mark.postgres),
        pytest.param("mariadb", marks=pytest.mark.mariadb),
    ]
)
def open_dialect(request: pytest.FixtureRequest) -> Callable[[], Awaitable[Dialect]]:
    """Opens a dialect on an empty database, with the entities."""
    url: str = request.getfixturevalue(f"{request.param}_url")

    async def opening() -> Dialect:
        postgres = request.param == "postgres"
        dialect = SqlDialect(await PostgresEngine.open(url) if postgres else await MariadbEngine.open(url))
        await dialect.register(*BUSINESS)
        return dialect

    return opening


@asynccontextmanager
async def client(open_dialect: Callable[[], Awaitable[Dialect]]) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a server of its own."""
    options: dict[str, Any] = {"headers": {"Authorization": f"Bearer {HOST_KEY}"}, "timeout": 60}
    async with (
        serve(open_dialect) as served,
        httpx.AsyncClient(base_url=f"{served.url}/api/v1/data", **options) as http,
    ):
        yield http


async def statuses(http: httpx.AsyncClient, write: Callable[[int], Awaitable[httpx.Response]]) -> list[int]:
    """The statuses of writes that are made together."""
    found: list[int] = []

    async def one(number: int) -> None:
        found.append((await write(number)).status_code)

    async with anyio.create_task_group() as tasks:
        for number in range(1, WRITERS + 1):
            tasks.start_soon(one, number)
    return sorted(found)


@pytest.mark.parametrize("entity", ["things", "notes"])
async def test_if_match(open_dialect: Callable[[], Awaitable[Dialect]], entity: str) -> None:
    """Of many changes and deletions for one row as it was, one is made; so with versions and without."""
    async with client(open_dialect) as http:
        body = {"name": "x"} if entity == "things" else {"owner": "a"}
        made = await http.post(f"/{entity}", json=body)
        path, matching = f"/{entity}/{made.json()['id']}", {"If-Match": made.headers["etag"]}
        field = "size" if entity == "things" else "stars"
        found = await statuses(http, lambda n: http.patch(path, json={field: n}, headers=matching))
        assert found == [200, *[412] * (WRITERS - 1)]
        again = {"If-Match": (await http.get(path)).headers["etag"]}
        found = await statuses(
            http,
            lambda n: http.delete(path, headers=again) if n % 2 else http.patch(path, json={field: n}, headers=again),
        )
        assert sorted(set(found) - {404, 412}) in ([200], [204])
        assert len([status for status in found if status in (200, 204)]) == 1


async def test_idempotency(open_dialect: Callable[[], Awaitable[Dialect]]) -> None:
    """Of many requests with one key one is executed, and all are answered; a busy database is asked again."""
    async with client(open_dialect) as http:
        await http.post("/things", json={"id": "x", "name": "x"})
        key, body = {"Idempotency-Key": "k"}, {"field": "size"}

        async def write(number: int) -> httpx.Response:
            while True:
                answer = await http.post("/things/x/increment", json=body, headers=key)
                if answer.status_code != 503:
                    return answer

        assert await statuses(http, write) == [200] * WRITERS
        assert (await http.get("/things/x")).json()["size"] == 1
        found = await statuses(
            http, lambda n: http.post("/things", json={"name": f"n{n}"}, headers={"Idempotency-Key": "l"})
        )
        assert (found.count(201), found.count(422)) == (1, WRITERS - 1)
        assert (await http.post("/things/count", json={})).json() == {"count": 2}


async def test_filters_of_the_hostile(open_dialect: Callable[[], Awaitable[Dialect]]) -> None:
    """Whatever a filter asks for, it is answered or refused, and never the server's own fault."""
    async with client(open_dialect) as http:
        for row in (
            {"data": {"x": "\0"}},
            {"data": {"x": [1]}},
            {"data": {"x": "a"}},
            {"data": 10**300},
            {"data": "x"},
        ):
            assert (await http.post("/things", json={"name": "x" * 200, "note": "a" * 1000, **row})).status_code == 201
        relation: dict[str, Any] = {"folder.title": {"$nin": ["x", "y"]}}
        for _ in range(12):
            relation = {"$nor": [relation, {"stars": 1}]}
        hostile: list[tuple[str, dict[str, Any]]] = [
            ("things", {"data.x": "a"}),
            ("things", {"data.x": {"$gt": 1}}),
            ("things", {"data" + ".a" * 30: {"$ne": 1}}),
            ("things", {"note": {"$regex": "(a+)+$" * 3 + "b"}}),
            ("things", {"note": {"$regex": r"(a*)*\1*\1b"}}),
            ("things", {"note": {"$regex": "("}}),
            ("things", {"note": {"$regex": "((((a{1,100}){1,100}){1,100}){1,100}){1,100}"}}),
            ("things", {"note": {"$regex": "(" * 4000 + ")" * 4000}}),
            ("things", {"note": {"$like": "%a_" * 3000 + "b"}}),
            ("things", {"note": {"$ilike": "%ß" * 5000}}),
            ("things", {"$or": [{"name": {"$contains": str(number)}} for number in range(490)]}),
            ("things", {"code": {"$in": [f"00000000-0000-0000-0000-{number:012}" for number in range(16_384)]}}),
            ("notes", {"$and": [{"folder.title": str(number)} for number in range(32)]}),
            ("notes", {"$or": [{"tags.word": str(number)} for number in range(32)]}),
            ("notes", relation),
        ]
        for entity, filter in hostile:
            answer = await http.post(f"/{entity}/query", json={"filter": filter})
            assert answer.status_code in (200, 422), (str(filter)[:80], answer.text)
