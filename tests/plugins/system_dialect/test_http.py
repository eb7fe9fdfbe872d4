"""The routes of the data plane over a real socket: what they answer, and what they refuse."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

import anyio
import httpx
import pytest
from objectkernel_contracts import Principal, access_of
from objectkernel_system_dialect.contracts import DatabaseUnavailable
from objectkernel_system_dialect.http_plane import DataPlane
from objectkernel_system_dialect.http_route import HttpLimits

from tests.plugins.system_dialect.net_entities import BUSINESS, CREDENTIAL, THING, opened
from tests.plugins.system_dialect.served import HOST_KEY, Keys, application, serve

pytestmark = pytest.mark.anyio

KNOWN = {
    "ada": Principal(account_id="ada", scopes={"data:read", "data:write"}),
    "bob": Principal(account_id="bob", scopes={"data:read", "data:write"}),
    "reader": Principal(account_id="ada", scopes={"data:read"}),
    "tagger": Principal(account_id="ada", scopes={"data:read:tags", "data:write:tags", "data:read:notes"}),
    "nobody": Principal(account_id="ada"),
}
Clients = Callable[[str], httpx.AsyncClient]


@asynccontextmanager
async def clients(**options: Any) -> AsyncIterator[Clients]:
    """Clients by key of one server; without a key for the empty one."""
    made: dict[str, httpx.AsyncClient] = {}
    async with serve(opened, known=KNOWN, **options) as served:

        def client(key: str = HOST_KEY) -> httpx.AsyncClient:
            if key not in made:
                headers = {"Authorization": f"Bearer {key}"} if key else {}
                made[key] = httpx.AsyncClient(base_url=f"{served.url}/api/v1/data", headers=headers)
            return made[key]

        try:
            yield client
        finally:
            for one in made.values():
                await one.aclose()


@pytest.fixture(scope="module")
async def shared(anyio_backend: str) -> AsyncIterator[Clients]:
    """Clients of one server for many tests; the credentials are hidden."""
    async with clients(hidden=(CREDENTIAL,)) as client:
        yield client


@pytest.fixture
async def client(shared: Clients) -> Clients:
    """The clients, and no rows."""
    for name in ("notes", "folders", "tags", "things", "stock", "visits"):
        await shared(HOST_KEY).post(f"/{name}/bulk", json={"delete": {"all": True, "hard": True}})
    return shared


def code(response: httpx.Response) -> tuple[int, str]:
    assert response.headers["content-type"] == "application/problem+json"
    return response.status_code, response.json()["code"]


# --- rows ------------------------------------------------------------------------------------------------


async def test_life_of_a_row(client: Clients) -> None:
    """A row is created, read, changed and deleted under its own address."""
    http = client(HOST_KEY)
    made = await http.post("/things", json={"name": "Stone", "price": "2.50", "moment": "2024-05-17T10:30:00+02:00"})
    assert made.status_code == 201
    row = made.json()
    assert (row["price"], row["moment"], row["kind"], row["labels"]) == ("2.50", "2024-05-17T08:30:00Z", "small", [])
    assert made.headers["location"] == f"/api/v1/data/things/{row['id']}"
    read = await http.get(f"/things/{row['id']}")
    assert (read.json(), read.headers["etag"]) == (row, made.headers["etag"])
    changed = await http.patch(f"/things/{row['id']}", json={"size": 9007199254740993})
    assert changed.json() == row | {"size": 9007199254740993}
    assert changed.headers["etag"] != read.headers["etag"]
    gone = await http.delete(f"/things/{row['id']}")
    assert (gone.status_code, gone.content) == (204, b"")
    for answer in (
        await http.get(f"/things/{row['id']}"),
        await http.patch(f"/things/{row['id']}", json={"size": 1}),
        await http.delete(f"/things/{row['id']}"),
    ):
        assert code(answer) == (404, "D601")


@pytest.mark.parametrize(
    "id", ["a/b", "a,b", ".", "..", "a?b#c", "%2F", "ä ö", "-", "query", "x/increment", "a//b", "\n", "a\nb\n"]
)
async def test_escaped_ids(client: Clients, id: str) -> None:
    """Any text may be a key: percent-encoded it is one segment of a path."""
    http = client(HOST_KEY)
    assert (await http.post("/things", json={"id": id, "name": "x"})).headers["location"]
    segment = quote(id, safe="").replace(".", "%2E")
    assert (await http.get(f"/things/{segment}")).json()["id"] == id
    assert (await http.post(f"/things/{segment}/increment", json={"field": "size"})).json()["size"] == 1
    assert (await http.delete(f"/things/{segment}")).status_code == 204


async def test_methods_of_a_path(client: Clients) -> None:
    """A method that a path has not is told those that it has, all of them."""
    http = client(HOST_KEY)
    found = [await http.put("/things"), await http.put("/things/x"), await http.put("/things/x/increment")]
    assert [one.status_code for one in found] == [405] * 3
    assert [one.headers["allow"] for one in found] == ["GET, POST", "DELETE, GET, PATCH", "POST"]


async def test_unescaped_slash(client: Clients) -> None:
    """A path with more segments is not the row that its last one names."""
    http = client(HOST_KEY)
    await http.post("/things", json={"id": "b", "name": "x"})
    assert code(await http.get("/things/a/b")) == (404, "D601")
    assert code(await http.delete("/things/a/b")) == (404, "D601")
    assert code(await http.get("/things/%FF")) == (404, "D601")


async def test_composite_keys(client: Clients) -> None:
    """The parts of a key stand with commas between, each percent-encoded."""
    http = client(HOST_KEY)
    made = await http.post("/stock", json={"shop": "a,b", "article": "c/d"})
    assert made.headers["location"] == "/api/v1/data/stock/a%2Cb,c%2Fd"
    assert (await http.get("/stock/a%2Cb,c%2Fd")).json()["pieces"] == 0
    refused = await http.get("/stock/a,b,c%2Fd")
    assert code(refused) == (404, "D601")
    assert "the key has 2 parts" in refused.text
    assert code(await http.get("/tags/abc")) == (404, "D601")


async def test_list(client: Clients) -> None:
    """A list takes filter, sort, skip, limit, cursor, select, exclude and include in its query."""
    http = client(HOST_KEY)
    for number in range(5):
        await http.post("/tags", json={"id": number, "word": f"w{number % 2}"})
    first = (await http.get("/tags", params={"sort": "-word,id", "limit": 2})).json()
    assert [row["id"] for row in first["rows"]] == [1, 3]
    rest = (await http.get("/tags", params={"sort": "-word,id", "limit": 9, "after": first["next"]})).json()
    assert ([row["id"] for row in rest["rows"]], rest["next"]) == ([0, 2, 4], None)
    some = (
        await http.get("/tags", params={"filter": '{"id":{"$gt":1}}', "sort": "id", "skip": 1, "select": "id"})
    ).json()
    assert some["rows"] == [{"id": 3}, {"id": 4}]
    assert (await http.get("/tags", params={"exclude": "word", "limit": 1})).json()["rows"] == [{"id": 0}]
    folder = (await http.post("/folders", json={"owner": "ada", "title": "T"})).json()
    await http.post("/notes", json={"owner": "ada", "folder": folder["id"], "tags": [1, 3]})
    (note,) = (await http.get("/notes", params={"include": "folder,tags"})).json()["rows"]
    assert (note["folder"], [tag["id"] for tag in note["tags"]]) == (folder, [1, 3])
    assert (await http.get(f"/notes/{note['id']}", params={"include": "folder"})).json()["folder"] == folder


async def test_queries_with_a_body(client: Clients) -> None:
    """What a URL cannot hold is asked for with a body: rows, numbers, values, groups, words."""
    http = client(HOST_KEY)
    rows = [{"name": f"n{number}", "size": number, "price": f"{number}.10", "note": "Über"} for number in range(4)]
    assert len((await http.post("/things/bulk", json={"create": rows})).json()["rows"]) == 4
    wanted = {"filter": {"price": {"$gte": "1.10"}}, "sort": {"size": -1}, "select": ["size"], "limit": 2}
    page = (await http.post("/things/query", json=wanted)).json()
    assert page["rows"] == [{"size": 3}, {"size": 2}]
    assert (await http.post("/things/query", json=wanted | {"after": page["next"]})).json()["rows"] == [{"size": 1}]
    matching = {"filter": {"size": {"$lt": 2}}}
    assert (await http.post("/things/count", json=matching)).json() == {"count": 2}
    assert (await http.post("/things/exists", json={"filter": {"size": 9}})).json() == {"exists": False}
    values = await http.post("/things/distinct", json={"field": "price", **matching})
    assert values.json() == {"values": ["0.10", "1.10"]}
    group = {"_id": None, "sum": {"$sum": "$price"}, "n": {"$sum": 1}}
    groups = await http.post(
        "/things/aggregate", json={"pipeline": [{"$match": matching["filter"]}, {"$group": group}]}
    )
    assert groups.json() == {"rows": [{"_id": None, "sum": "1.20", "n": 2}]}
    found = await http.post("/things/search", json={"text": "üb N2"})
    assert [row["name"] for row in found.json()["rows"]] == ["n2"]


async def test_writes_of_many_kinds(client: Clients) -> None:
    """Upsert, bulk changes and deletions, numbers, arrays and soft deletes have routes of their own."""
    http = client(HOST_KEY)
    first = (await http.post("/things/upsert", json={"id": "x", "name": "a", "size": 1})).json()
    again = await http.post("/things/upsert", json={"id": "x", "name": "b"})
    assert (again.status_code, again.json()) == (200, first | {"name": "b"})
    assert (await http.post("/things/x/increment", json={"field": "price", "by": "0.05"})).json()["price"] == "0.05"
    change = {"field": "labels", "value": "red"}
    assert (await http.post("/things/x/add-to-set", json=change)).json()["labels"] == ["red"]
    assert (await http.post("/things/x/pull", json=change)).json()["labels"] == []
    many = {"update": {"filter": {"name": "b"}, "changes": {"open": True}}}
    assert (await http.post("/things/bulk", json=many)).json() == {"count": 1}
    assert code(await http.post("/things/bulk", json={"delete": {}})) == (422, "D206")
    assert (await http.post("/things/bulk", json={"delete": {"all": True}})).json() == {"count": 1}
    await http.post("/stock", json={"shop": "a", "article": "b"})
    assert (await http.delete("/stock/a,b")).status_code == 204
    assert (await http.get("/stock/a,b")).status_code == 404
    assert (await http.post("/stock/a,b/undelete", json={})).json()["pieces"] == 0
    assert (await http.delete("/stock/a,b", params={"hard": True})).status_code == 204
    assert (await http.post("/stock/a,b/undelete", json={})).status_code == 404


# --- what is refused ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "body", "problems"),
    [
        ("/things/query", {"fliter": {}, "limit": 0}, 2),
        ("/things/query", {"limit": "5"}, 1),
        ("/things/count", [], 1),
        ("/things/bulk", {}, 1),
        ("/things/bulk", {"create": [], "delete": {}}, 1),
        ("/things/bulk", {"update": {"filter": {}}}, 1),
        ("/things/x/increment", {}, 1),
        ("/things/x/undelete", {"id": 1}, 1),
    ],
)
async def test_strange_bodies(client: Clients, path: str, body: Any, problems: int) -> None:
    """A body with unknown, missing or wrong members is refused, with all that is wrong with it."""
    answer = await client(HOST_KEY).post(path, json=body)
    assert code(answer) == (422, "D602")
    assert len(answer.json()["facts"]["problems"]) == problems


async def test_strange_parameters(client: Clients) -> None:
    """An unknown parameter is refused, and so is a filter that is no JSON."""
    http = client(HOST_KEY)
    assert code(await http.get("/things", params={"fliter": "{}"})) == (422, "D602")
    assert code(await http.get("/things", params={"filter": "{"})) == (422, "D602")
    assert code(await http.delete("/things/x", params={"all": "1"})) == (422, "D602")
    assert code(await http.get("/things", params={"filter": "[]"})) == (422, "D203")
    assert code(await http.get("/things", params={"skip": 1, "after": "x"})) == (422, "D207")


async def test_errors_of_the_dialect(client: Clients) -> None:
    """An error of data access comes with its code, its facts, what to do about it, and a status that fits."""
    http = client(HOST_KEY)
    row = {"name": "x", "code": "00000000-0000-0000-0000-000000000001"}
    await http.post("/things", json=row)
    answer = await http.post("/things", json=row)
    assert code(answer) == (409, "D301")
    assert answer.json()["facts"] == {"entity": "Thing", "fields": ["code"]}
    answer = await http.post("/things/query", json={"filter": {"nmae": "x"}})
    assert code(answer) == (422, "D201")
    assert answer.json()["facts"]["near"] == ["name"]
    assert code(await http.post("/things", json={"nmae": "x"})) == (422, "D201")
    assert code(await http.post("/things", json={"name": "x", "moment": "now"})) == (422, "D204")
    assert code(await http.post("/notes", json={"owner": "a", "folder": "x"})) == (409, "D302")
    assert code(await http.get("/nothings")) == (404, "D102")


async def test_page_is_bounded(anyio_backend: str) -> None:
    """A list has a page of rows unless more are asked for, and never more than the longest page."""
    async with clients(limits=HttpLimits(page_default=2, page_max=3)) as client:
        http = client(HOST_KEY)
        await http.post("/tags/bulk", json={"create": [{"id": number} for number in range(5)]})
        assert len((await http.get("/tags")).json()["rows"]) == 2
        assert len((await http.post("/tags/query", json={})).json()["rows"]) == 2
        assert len((await http.get("/tags", params={"limit": 3})).json()["rows"]) == 3
        for answer in (
            await http.get("/tags", params={"limit": 4}),
            await http.post("/tags/search", json={"text": "x", "limit": 4}),
        ):
            assert code(answer) == (422, "D207")


async def test_bodies_are_bounded(anyio_backend: str) -> None:
    """A body that is too large or nested too deeply is refused, whether or not it says how large it is."""

    async def long(parts: int) -> AsyncIterator[bytes]:
        for _ in range(parts):
            yield b" " * 1000

    async with clients(limits=HttpLimits(body_bytes=10_000, depth=10)) as client:
        http = client(HOST_KEY)
        json_type = {"Content-Type": "application/json"}
        assert code(await http.post("/things", json={"name": "x" * 10_000})) == (413, "D603")
        assert code(await http.post("/things", content=long(50), headers=json_type)) == (413, "D603")
        for body in (
            b"[" * 5000,
            b'{"name":"x","data":' + b"[" * 10 + b"]" * 10 + b"}",
            b"{",
            b"\xff",
            b'{"size":NaN}',
        ):
            assert code(await http.post("/things", content=body, headers=json_type)) == (422, "D602")
        fits = b'{"name":"x","data":' + b"[" * 9 + b"]" * 9 + b"}"
        assert (await http.post("/things", content=fits, headers=json_type)).status_code == 201
        assert code(await http.post("/things", content=b"name=x")) == (422, "D602")
        for content_type in ({}, {"Content-Type": "text/plain"}):
            answer = await http.post("/things", content=b'{"name":"x"}', headers=content_type)
            assert code(answer) == (422, "D602")
            assert "application/json" in answer.json()["why"][0]
        answer = await http.post("/things", content=b"[]", headers=json_type)
        assert "content-type" not in answer.text


async def test_endless_bodies(anyio_backend: str) -> None:
    """Whoever sends on and on is cut off."""
    head = b"POST /api/v1/data/things HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer %s\r\n" % HOST_KEY.encode()
    head += b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    limits = HttpLimits(body_bytes=1000)
    async with serve(opened, limits=limits) as served, await anyio.connect_tcp("127.0.0.1", served.port) as stream:
        await stream.send(head)
        with pytest.raises(anyio.BrokenResourceError), anyio.fail_after(60):
            while True:
                await stream.send(b"3e8\r\n" + b" " * 1000 + b"\r\n")


async def test_server_errors_tell_nothing(anyio_backend: str, caplog: pytest.LogCaptureFixture) -> None:
    """A failing database is told by its kind alone, under an id that the log has too."""

    async def failing() -> Any:
        dialect = await opened()

        async def count(*arguments: Any) -> int:
            cause = OSError("postgresql://user:hunter2@db.internal/x")
            place = "db.internal/x"
            raise DatabaseUnavailable(
                f"{place} is away", why="server closed", database=place, reason="08006"
            ) from cause

        dialect.count = count  # type: ignore[method-assign]
        return dialect

    async with serve(failing) as served, httpx.AsyncClient() as http:
        answer = await http.post(
            f"{served.url}/api/v1/data/things/count", json={}, headers={"Authorization": f"Bearer {HOST_KEY}"}
        )
    assert code(answer) == (503, "D401")
    assert answer.headers["retry-after"] == "1"
    assert answer.json()["facts"] == {"reason": "08006"}
    assert "db.internal" not in answer.text
    assert "server closed" not in answer.text
    assert "hunter2" not in caplog.text
    assert answer.json()["instance"] in caplog.text


# --- who may -----------------------------------------------------------------------------------------------


async def test_scopes(client: Clients) -> None:
    """Reading and writing need their scope, for all entities or for the one."""
    body = {"json": {"id": 1}}
    assert (await client("").get("/tags")).status_code == 401
    assert (await client("unknown").get("/tags")).status_code == 401
    assert (await client("nobody").get("/tags")).status_code == 403
    assert (await client("reader").get("/tags")).status_code == 200
    assert (await client("reader").post("/tags", **body)).status_code == 403
    assert (await client("reader").post("/tags/count", json={})).status_code == 200
    assert (await client("tagger").post("/tags", **body)).status_code == 201
    for path in ("/things", "/nothings"):
        assert (await client("tagger").get(path)).status_code == 403


async def test_grants_hold_through_relations(client: Clients) -> None:
    """Rows that a caller may not read cannot be included, filtered by or grouped by either."""
    http = client("tagger")
    through = {"$and": [{"folder.title": "x"}]}
    for answer in (
        await http.get("/notes", params={"include": "folder"}),
        await http.post("/notes/query", json={"filter": through}),
        await http.post("/notes/count", json={"filter": through}),
        await http.post("/notes/aggregate", json={"pipeline": [{"$match": through}, {"$group": {"_id": None}}]}),
        await http.get("/notes/x", params={"include": "folder"}),
    ):
        assert code(answer) == (403, "D604")
    assert (await http.get("/notes", params={"include": "tags", "filter": '{"tags.id":1}'})).status_code == 200


async def test_system_entities_are_not_served(client: Clients) -> None:
    """What is hidden is as unknown as what does not exist, and records of requests are hidden always."""
    http = client(HOST_KEY)
    await http.post("/tags", json={"id": 1}, headers={"Idempotency-Key": "k"})
    for path in ("/sys_credentials", "/sys_idempotency", "/nothings"):
        assert code(await http.get(path)) == (404, "D102")
    described = (await http.get(str(http.base_url).rstrip("/"))).json()
    assert set(described["entities"]) == {"things", "stock", "folders", "notes", "tags", "visits"}
    assert set((await client("tagger").get(str(http.base_url).rstrip("/"))).json()["entities"]) == {"tags", "notes"}


async def test_tenants(client: Clients) -> None:
    """The account decides whose rows there are: a foreign row answers exactly as a missing one does."""
    ada, bob = client("ada"), client("bob")
    folder = (await ada.post("/folders", json={"title": "Ada's"})).json()
    assert folder["owner"] == "ada"
    assert (await bob.get("/folders")).json()["rows"] == []
    assert (await bob.post("/folders/count", json={})).json() == {"count": 0}
    for method, body in (("GET", None), ("PATCH", {"title": "x"}), ("DELETE", None)):
        foreign = await bob.request(method, f"/folders/{folder['id']}", json=body)
        missing = await bob.request(method, "/folders/missing", json=body)
        assert (foreign.status_code, foreign.json()) == (missing.status_code, missing.json())
        assert foreign.status_code == 404
    answers = [await bob.post("/notes", json={"folder": id}) for id in (folder["id"], "missing")]
    assert answers[0].json() == answers[1].json()
    assert code(answers[0]) == (409, "D302")
    assert code(await bob.post("/folders", json={"owner": "ada"})) == (403, "D210")
    assert (await ada.get(f"/folders/{folder['id']}")).json() == folder


async def test_acting_for_a_tenant(client: Clients) -> None:
    """Who has the scope for it names the tenant, or sees the rows of all; nobody else may name another."""
    http = client(HOST_KEY)
    for owner in ("ada", "bob"):
        made = await http.post("/folders", json={}, headers={"Data-Tenant": owner})
        assert made.json()["owner"] == owner
    assert len((await http.get("/folders", headers={"Data-Tenant": "ada"})).json()["rows"]) == 1
    assert len((await http.get("/folders")).json()["rows"]) == 2
    assert (await client("ada").get("/folders", headers={"Data-Tenant": "ada"})).status_code == 200
    assert code(await client("ada").get("/folders", headers={"Data-Tenant": "bob"})) == (403, "D604")


# --- ETag and If-Match ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("entity", ["things", "notes"])
async def test_if_match(client: Clients, entity: str) -> None:
    """A change for a row that is another by now is refused; with the right validator it is made."""
    http = client("ada")
    body = {"name": "x"} if entity == "things" else {"text": "x"}
    made = await http.post(f"/{entity}", json=body)
    path = f"/{entity}/{made.json()['id']}"
    old = {"If-Match": made.headers["etag"]}
    changed = await http.patch(path, json=body, headers=old)
    if entity == "things":
        changed = await http.patch(path, json={"size": 5}, headers=old)
    assert changed.status_code == 200
    assert (await http.patch(path, json=body, headers=old)).status_code == 412
    assert (await http.post(f"{path}/increment", json={"field": "stars"}, headers=old)).status_code == 412
    assert (await http.delete(path, headers=old)).status_code == 412
    assert (await http.delete(path, headers={"If-Match": f'"other", {changed.headers["etag"]}'})).status_code == 204
    assert (await http.delete(path, headers={"If-Match": "*"})).status_code == 404


async def test_if_match_of_many(client: Clients) -> None:
    """Of many changes for the same row as it was, one is made."""
    http = client("ada")
    made = await http.post("/things", json={"name": "x", "size": 0})
    path, headers = f"/things/{made.json()['id']}", {"If-Match": made.headers["etag"]}
    statuses: list[int] = []

    async def change(number: int) -> None:
        statuses.append((await http.patch(path, json={"size": number}, headers=headers)).status_code)

    async with anyio.create_task_group() as tasks:
        for number in range(1, 9):
            tasks.start_soon(change, number)
    assert sorted(statuses) == [200, *[412] * 7]


# --- the document ---------------------------------------------------------------------------------------------


async def document() -> dict[str, Any]:
    dialect = await opened()
    try:
        made: dict[str, Any] = application(dialect, Keys(), hidden=(CREDENTIAL,)).openapi()
        return made
    finally:
        await dialect.aclose()


async def test_document_describes_the_entities(anyio_backend: str) -> None:
    """The document has every route of every entity, with the entity's fields, and nothing of what is hidden."""
    made = await document()
    schemas = made["components"]["schemas"]
    assert {schema.name for schema in BUSINESS} <= set(schemas)
    new = schemas["ThingNew"]
    assert new["required"] == ["name"]
    assert new["additionalProperties"] is False
    name = {"type": "string", "maxLength": 255, "pattern": "^[^\\u0000]*$", "examples": ["text"]}
    assert new["properties"]["name"] == name
    assert new["properties"]["kind"]["anyOf"][0] == {"type": "string", "enum": ["small", "large"]}
    assert new["properties"]["price"]["anyOf"][0]["pattern"] == r"^-?[0-9]{1,10}(\.[0-9]{1,2})?$"
    assert "owner" not in schemas["NoteNew"].get("required", ())
    assert "version" not in schemas["NoteNew"]["properties"]
    assert schemas["NoteNew"]["properties"]["tags"]["items"]["type"] == "integer"
    assert "version" in schemas["Note"]["properties"]
    assert "id" not in schemas["ThingChanges"]["properties"]
    paths = made["paths"]
    assert set(paths["/api/v1/data/things/{id}"]) == {"get", "patch", "delete"}
    body = paths["/api/v1/data/things"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert body == {"$ref": "#/components/schemas/ThingNew"}
    assert "sys_credentials" not in json.dumps(made)
    assert "{entity}" not in json.dumps(made)


async def test_document_names_each_operation_once(anyio_backend: str) -> None:
    """Each operation has an id of its own, and a summary."""
    operations = [one for path in (await document())["paths"].values() for one in path.values()]
    ids = [one["operationId"] for one in operations]
    assert len(ids) == len(set(ids)) > 6 * 12
    assert all(one["summary"] for one in operations)


async def test_document_has_only_what_can_be_done(anyio_backend: str) -> None:
    """Nothing is added where there is no number, put into no array, and brought back from no soft deletion."""
    paths = (await document())["paths"]
    ways = {name: {path.rpartition("/")[2] for path in paths if f"/{name}/" in path} for name in ("things", "folders")}
    assert ways["things"] >= {"increment", "add-to-set", "pull", "search"}
    assert "undelete" not in ways["things"]
    assert not ways["folders"] & {"increment", "add-to-set", "pull", "undelete"}
    assert "/api/v1/data/stock/{id}/undelete" in paths


async def test_every_route_declares_its_access(anyio_backend: str) -> None:
    """There is no route that a host would have to serve to anybody."""
    from objectkernel_system_dialect.http import data_router

    dialect = await opened()
    routes = data_router(DataPlane(dialect)).routes
    await dialect.aclose()
    assert len(routes) > 17
    for route in routes:
        assert access_of(route.endpoint) is not None  # type: ignore[attr-defined]


async def test_entity_that_is_registered_later(anyio_backend: str) -> None:
    """An entity is served from its registration on, without a new router."""
    from objectkernel_system_dialect.contracts import EntitySchema, Field

    dialect = await opened()
    later = EntitySchema(name="Later", collection="laters", fields={"id": Field("integer")})
    transport = httpx.ASGITransport(application(dialect, Keys()))
    headers = {"Authorization": f"Bearer {HOST_KEY}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://h/api/v1/data", headers=headers) as http:
        assert (await http.post("/laters", json={"id": 1})).status_code == 404
        await dialect.register(later)
        assert (await http.post("/laters", json={"id": 1})).status_code == 201
    await dialect.aclose()


async def test_below_a_prefix(anyio_backend: str) -> None:
    """Behind a proxy that adds a path, addresses of rows have it."""
    dialect = await opened()
    transport = httpx.ASGITransport(application(dialect, Keys()), root_path="/below")
    headers = {"Authorization": f"Bearer {HOST_KEY}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://h/below/api/v1/data", headers=headers) as http:
        made = await http.post("/things", json={"id": "a b", "name": "x"})
        assert made.headers["location"] == "/below/api/v1/data/things/a%20b"
        assert (await http.get("/things/a%20b")).json() == made.json()
    await dialect.aclose()
    assert THING.name == "Thing"
