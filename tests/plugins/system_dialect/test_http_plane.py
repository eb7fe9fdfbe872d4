"""What somebody with a key of his own may try against the rows of others, and against the server."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from objectkernel_contracts import Principal
from objectkernel_system_dialect.contracts import EntitySchema, Field, Relation
from objectkernel_system_dialect.http import HELD
from objectkernel_system_dialect.http_route import HttpLimits
from objectkernel_system_dialect.rest_api import ROUTES
from objectkernel_system_dialect.sqlite_dialect import open_sqlite

from tests.plugins.system_dialect.served import HOST_KEY, Keys, application

pytestmark = pytest.mark.anyio

NODE = EntitySchema(
    name="Node",
    collection="nodes",
    fields={
        "owner": Field("integer", required=True),
        "size": Field("integer"),
        "text": Field("text"),
        "data": Field("json"),
        "labels": Field("array", default=list),
    },
    relations={
        "parent": Relation("Node"),
        "children": Relation("Node", kind="one-to-many", mapped_by="parent"),
        "friends": Relation("Node", kind="many-to-many"),
    },
    tenant="owner",
    soft_delete=True,
)
KNOWN = {
    "five": Principal(account_id="5", scopes={"data:read", "data:write"}),
    "six": Principal(account_id="6", scopes={"data:read", "data:write"}),
    "reader": Principal(account_id="5", scopes={"data:read:nodes"}),
    "writer": Principal(account_id="5", scopes={"data:write:nodes"}),
    "elsewhere": Principal(account_id="5", scopes={"data:read:others", "data:write:others"}),
}
BODIES: dict[str, Any] = {
    "query": {},
    "count": {},
    "exists": {},
    "distinct": {"field": "size"},
    "aggregate": {"pipeline": [{"$group": {"_id": None, "rows": {"$sum": 1}}}]},
    "search": {"text": "theirs"},
    "create": {"size": 1},
    "upsert": {"id": "new", "size": 1},
    "bulk": {"update": {"filter": {}, "changes": {"size": 7}, "all": True}},
    "patch": {"size": 7},
    "increment": {"field": "size"},
    "add_to_set": {"field": "labels", "value": "x"},
    "pull": {"field": "labels", "value": "theirs"},
    "undelete": {},
}


@asynccontextmanager
async def clients(**limits: int) -> AsyncIterator[dict[str, httpx.AsyncClient]]:
    """A client for each key, of one application over an empty database."""
    dialect = await open_sqlite(":memory:")
    await dialect.register(NODE)
    app = application(dialect, Keys(KNOWN), limits=HttpLimits(**limits))
    made = {
        key: httpx.AsyncClient(
            transport=httpx.ASGITransport(app),
            base_url="http://h/api/v1/data",
            headers={"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
        )
        for key in (HOST_KEY, "nothing", *KNOWN)
    }
    try:
        yield made
    finally:
        for one in made.values():
            await one.aclose()
        await dialect.aclose()


@pytest.fixture
async def http(anyio_backend: str) -> AsyncIterator[dict[str, httpx.AsyncClient]]:
    async with clients() as made:
        theirs = {"id": "theirs", "size": 1, "text": "theirs", "labels": ["theirs"]}
        assert (await made["six"].post("/nodes", json=theirs)).status_code == 201
        yield made


async def call(http: httpx.AsyncClient, operation: str, id: str = "theirs", **options: Any) -> httpx.Response:
    route = ROUTES[operation]
    content = json.dumps(BODIES[operation]).encode() if operation in BODIES else None
    return await http.request(route.method, f"/nodes{route.path.replace('{id}', id)}", content=content, **options)


@pytest.mark.parametrize("operation", ROUTES)
async def test_who_may_do_what(http: dict[str, httpx.AsyncClient], operation: str) -> None:
    """No credential, one of another entity, and one with the wrong scope get nothing of any route."""
    right, wrong = ("writer", "reader") if ROUTES[operation].writes else ("reader", "writer")
    found = [(await call(http[key], operation)).status_code for key in ("nothing", "elsewhere", wrong)]
    assert found == [401, 403, 403]
    assert (await call(http[right], operation)).status_code not in (401, 403)


@pytest.mark.parametrize(
    ("operation", "matching"),
    [
        *((name, None) for name, route in ROUTES.items() if "{id}" in route.path),
        *((name, matching) for name in sorted(HELD) for matching in ("*", '"1"')),
    ],
)
async def test_rows_of_others_are_missing(
    http: dict[str, httpx.AsyncClient], operation: str, matching: str | None
) -> None:
    """Whoever knows the key of another tenant's row gets the answer that he gets for one that nobody has."""
    before = (await http["six"].get("/nodes/theirs")).content
    headers = {} if matching is None else {"If-Match": matching}
    foreign = await call(http["five"], operation, headers=headers)
    missing = await call(http["five"], operation, "nobodys", headers=headers)
    assert foreign.status_code == 404
    assert foreign.content == missing.content
    assert (await http["six"].get("/nodes/theirs")).content == before


@pytest.mark.parametrize(
    ("operation", "body"),
    [
        ("create", {"id": "mine", "parent": "{}"}),
        ("create", {"id": "mine", "friends": ["{}"]}),
        ("upsert", {"id": "mine", "parent": "{}"}),
        ("bulk", {"create": [{"id": "mine", "parent": "{}"}]}),
        ("query", {"filter": {"parent.text": "{}"}}),
        ("query", {"filter": {"id": "{}"}, "include": ["friends", "children", "parent"]}),
        ("count", {"filter": {"$or": [{"id": "{}"}, {"$nor": [{"id": {"$ne": "{}"}}]}]}}),
        ("exists", {"filter": {"id": {"$in": ["{}"]}, "deleted_at": None}}),
        ("distinct", {"field": "id", "filter": {"id": "{}"}}),
        ("aggregate", {"pipeline": [{"$match": {"id": "{}"}}, {"$group": {"_id": "$id"}}]}),
        ("search", {"text": "{}"}),
        ("bulk", {"update": {"filter": {"id": "{}"}, "changes": {"size": 7}}}),
        ("bulk", {"delete": {"filter": {"id": "{}"}, "hard": True}}),
    ],
)
async def test_others_are_in_no_way_told_from_nothing(
    http: dict[str, httpx.AsyncClient], operation: str, body: Any
) -> None:
    """Filters, relations and links lead to the rows of others as little as to rows that there are not."""
    before = (await http["six"].get("/nodes/theirs")).content
    told = []
    for id in ("theirs", "nobodys"):
        sent = json.loads(json.dumps(body).replace("{}", id))
        answer = await http["five"].post(f"/nodes{ROUTES[operation].path}", json=sent)
        told.append((answer.status_code, answer.text.replace(id, "id")))
    assert told[0] == told[1]
    assert (await http["five"].get("/nodes")).json()["rows"] == []
    assert (await http["six"].get("/nodes/theirs")).content == before


@pytest.mark.parametrize("by", [5, 1, 0])
async def test_rows_stay_their_tenants(http: dict[str, httpx.AsyncClient], by: int) -> None:
    """A tenant's number is nothing to count with, however it is written."""
    await http["five"].post("/nodes", json={"id": "mine"})
    changes = [
        await http["five"].post("/nodes/mine/increment", json={"field": "owner", "by": by}),
        await http["five"].patch("/nodes/mine", json={"owner": 6}),
        await http["five"].post("/nodes/upsert", json={"id": "mine", "owner": 6}),
        await http["five"].post("/nodes/bulk", json={"update": {"filter": {}, "all": True, "changes": {"owner": 6}}}),
    ]
    assert [(one.status_code, one.json()["code"]) for one in changes] == [(403, "D210")] * 4
    assert (await http["five"].get("/nodes/mine")).json()["owner"] == 5
    assert (await http["five"].post("/nodes/upsert", json={"id": "theirs", "size": 7})).status_code == 409
    assert (await http["six"].get("/nodes/theirs")).json()["size"] == 1


async def test_cursors_of_others(http: dict[str, httpx.AsyncClient]) -> None:
    """A cursor leads nobody to rows that are not his."""
    await http["six"].post("/nodes", json={"id": "their other"})
    await http["five"].post("/nodes", json={"id": "z mine"})
    cursor = (await http["six"].get("/nodes", params={"limit": 1})).json()["next"]
    page = (await http["five"].get("/nodes", params={"after": cursor})).json()
    assert [row["id"] for row in page["rows"]] == ["z mine"]


@pytest.mark.parametrize(
    ("operation", "body"),
    [
        ("query", {"filter": {"parent." * 5 + "size": 1}}),
        ("query", {"filter": {"parent." * 50_000 + "size": 1}}),
        ("query", {"filter": {"$or": [{"parent.size": number} for number in range(33)]}}),
        ("query", {"filter": {"data" + ".a" * 50_000: 1}}),
        ("query", {"filter": {"text": {"$like": "%a" * 20_000}}}),
        ("query", {"filter": {"text": {"$ilike": "%a" * 20_000}}}),
        ("search", {"text": "a " * 50_000}),
        ("search", {"text": "a" * 50_000}),
        ("bulk", {"create": [{}] * 6}),
        ("aggregate", {"pipeline": [{"$group": {"_id": None, "\ud800": {"$count": {}}}}]}),
        ("query", {"filter": {"data.\ud800": 1}}),
        ("create", {"text": "\0"}),
        ("create", {"data": 10**400}),
    ],
)
async def test_more_than_anybody_needs(anyio_backend: str, operation: str, body: Any) -> None:
    """What would cost the server dearly is refused before it costs anything, and is never the server's own fault."""
    async with clients(rows_max=5) as http:
        answer = await http["five"].post(f"/nodes{ROUTES[operation].path}", content=json.dumps(body).encode())
        assert answer.status_code in (413, 422)


async def test_long_answers(anyio_backend: str) -> None:
    """There are not more values or groups in an answer than it may have; a part of them can be asked for."""
    async with clients(rows_max=3) as made:
        http = made["five"]
        for number in (3, 1, 2):
            await http.post("/nodes", json={"id": f"{number}", "size": number})
        await http.post("/nodes", json={"id": "none"})
        group = {"$group": {"_id": "$id"}}
        assert (await http.post("/nodes/distinct", json={"field": "size"})).json() == {"values": [1, 2, 3]}
        assert (await http.post("/nodes/distinct", json={"field": "id"})).json()["code"] == "D207"
        for limit in ([], [{"$limit": 4}]):
            answer = await http.post("/nodes/aggregate", json={"pipeline": [group, *limit]})
            assert (answer.status_code, answer.json()["code"]) == (422, "D207")
        some = [group, {"$sort": {"_id": -1}}, {"$limit": 3}]
        rows = (await http.post("/nodes/aggregate", json={"pipeline": some})).json()["rows"]
        assert [row["_id"] for row in rows] == ["none", "3", "2"]


@pytest.mark.parametrize(
    ("operation", "name"),
    [
        ("create", "If-Match"),
        ("upsert", "If-Match"),
        ("bulk", "If-Match"),
        ("undelete", "If-Match"),
        ("patch", "If-None-Match"),
        ("upsert", "If-None-Match"),
        ("delete", "If-Unmodified-Since"),
    ],
)
async def test_preconditions_are_never_passed_over(
    http: dict[str, httpx.AsyncClient], operation: str, name: str
) -> None:
    """Who asks for a precondition that a route does not keep to is told, and nothing is written."""
    answer = await call(http["six"], operation, headers={name: "*"})
    assert (answer.status_code, answer.json()["code"]) == (422, "D602")
    rows = (await http["six"].get("/nodes")).json()["rows"]
    assert [(row["id"], row["size"]) for row in rows] == [("theirs", 1)]


async def test_nothing_is_dropped(http: dict[str, httpx.AsyncClient]) -> None:
    """A name that stands twice, in an object or a URL, and a parameter that no one reads, are refused."""
    twice = b'{"delete": {"filter": {"id": "x", "id": "theirs"}}}'
    answers = [
        await http["six"].post("/nodes/bulk", content=twice),
        await http["six"].get('/nodes?filter={"id":"x"}&filter={}'),
        await http["six"].get('/nodes?filter={"id":"x","id":"y"}'),
        await http["six"].post("/nodes/count?filter={}", json={}),
    ]
    assert [(one.status_code, one.json()["code"]) for one in answers] == [(422, "D602")] * 4
    assert (await http["six"].post("/nodes/count", json={})).json() == {"count": 1}


async def test_relations_are_bounded(anyio_backend: str) -> None:
    """With a page come not more rows of another kind than an answer may have; the tenant's own are counted."""
    async with clients(rows_max=3) as http:
        for key in ("five", "six"):
            await http[key].post("/nodes", json={"id": f"root of {key}"})
            for number in range(3):
                await http[key].post("/nodes", json={"id": f"{key}{number}", "parent": f"root of {key}"})
        ways = (
            "/nodes/root of five?include=children",
            "/nodes?include=children",
            "/nodes?include=children&skip=1&sort=id",
        )
        answers = [await http["five"].get(path) for path in ways]
        assert [one.status_code for one in answers] == [200] * 3
        assert [row["id"] for row in answers[0].json()["children"]] == ["five0", "five1", "five2"]
        await http["five"].post("/nodes", json={"id": "a", "parent": "root of five"})
        answers = [await http["five"].get(path) for path in ways]
        assert [(one.status_code, one.json()["code"]) for one in answers] == [(422, "D207")] * 3
