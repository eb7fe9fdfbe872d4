"""An account can reach nothing of another: with another account's things and without them, it is told the same.

Two hosts of every plugin: in one of them Ada has things, in the other there is no Ada. Bob has the same in both, and
sends both the same requests, over all routes that need a credential: about Ada's things, his own, and what nobody has.
If the answers ever differ, he has learnt something of Ada. And what Ada has stays as it was. He has every scope that
an account gives; what those alone may who run the host, he is told nothing by.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final, TypeAlias

import attrs
import httpx
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from objectkernel import ObjectKernel
from objectkernel_accounts.contracts import ACCOUNTS, PEOPLE
from objectkernel_device_auth.contracts import API_KEYS
from objectkernel_device_auth.key_format import make_token
from objectkernel_http import asgi_app, kernel_lifespan
from objectkernel_http.testing import Unexampled, body_of, operators_scopes, token
from objectkernel_media_server.contracts import MEDIA

from tests.journeys.hosts import full_kernel, operations_of, scopes_of

ROUNDS: Final = int(os.environ.get("OBJECTKERNEL_TEST_EXAMPLES", "5"))
"""How often each route is asked, every time in another order and about other things."""
SECRET: Final = "Ada's alone"
HOLDERS: Final = ("ada", "bob", "nobody")
KINDS: Final = (
    *("authors", "books", "shelves", "packages", "user_id", "key_id", "project_id"),
    *("media_id", "session_id", "upload_id"),
)
KINDS_BY_PLACE: Final = {"account": "user_id", "keys": "key_id"}
OF_ONE_ANSWER: Final = frozenset(
    {"content-length", "date", "last-modified", "ratelimit", "upload-expires", "x-request-id"}
)
COUNTED_FOR_ALL: Final = frozenset({"number", "sequence"})
"""Numbers that the database gives to all accounts in turn: they tell how many there are, and whose they are not."""
LAST: Final = "9" * 15
"""A cursor behind all those numbers."""
OPAQUE: Final = frozenset({"next", "nextCursor", "after", "instance", "hash", "previous_hash", "secret", "signedUrl"})
DIGESTS: Final = frozenset({"etag", "repr-digest"})
ROW: Final = "row-1"
"""The key of a row in each project."""
MANAGED: Final = re.compile(r"project_[0-9a-f]{32}")
UUID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
HASH: Final = re.compile(r"\b[0-9a-f]{32}\b")
TUS: Final = {"Tus-Resumable": "1.0.0"}
UPLOADS: Final = "/api/media/uploads/"
SESSIONS: Final = "/api/media/sessions/"
FILM: Final = bytes.fromhex("1a45dfa3874282847765626d")
"""The shortest head of a recording."""
TOKEN: Final = re.compile(r"[\w-]{43}")
TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)")


@attrs.frozen
class Request:
    """What Bob sends; a word such as ``@ada`` stands for what each host calls it."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Any


class World:
    """One of the hosts.

    Attributes:
        names: what the words of requests stand for.
    """

    def __init__(self, kernel: ObjectKernel, client: httpx.AsyncClient, document: Mapping[str, Any], ada: bool) -> None:
        self.kernel = kernel
        self.document = document
        self.has_ada = ada
        self.names: dict[str, str] = {}
        self._client = client

    async def meet(self, member: str) -> None:
        """Let somebody join an account whose members stay the same."""
        account = await self.kernel.get(ACCOUNTS).create(SECRET)
        link = await self.kernel.get(PEOPLE).invite(f"{member}@example.org", account.id)
        membership = await self.kernel.get(PEOPLE).accept(link.token.reveal(), "a long enough passphrase", name=SECRET)
        self.names[f"@{member}-user"] = membership.user.id

    async def furnish(self, number: int) -> None:
        """New accounts: Bob has something, and so has Ada, if there is one."""
        for name in ("ada", "bob"):
            if name == "bob" or self.has_ada:
                self.names[f"@{name}"] = (await self.kernel.get(ACCOUNTS).create(name)).id
                await self._give(name, number)
            else:
                self.names |= {f"@{name}": str(uuid.uuid4()), f"@{name}-key": make_token("ok").id}
                self.lack(name)

    def lack(self, holder: str) -> None:
        """Ids of what somebody has not."""
        for thing in ("project", "film"):
            self.names[f"@{holder}-{thing}"] = str(uuid.uuid4())
        self.names[f"@{holder}-upload"] = uuid.uuid4().hex

    async def _give(self, holder: str, number: int) -> None:
        text = SECRET if holder == "ada" else "Bob's"
        author, data = ids(number, holder)["authors"], "/api/v1/data"
        book = {"id": ids(number, holder)["books"], "author": author, "editors": [author], "words": [text], "pages": 3}
        room, place = ids(number, holder)["shelves"].split(",")
        manifest = {"id": ids(number, holder)["packages"], "version": "1.2.0", "name": text}
        once = {"Idempotency-Key": f"key-{number}"} if holder == "ada" else {}
        sent: list[tuple[str, Any, dict[str, str]]] = [
            (f"{data}/authors", {"id": author, "name": text}, {}),
            (f"{data}/books", {**book, "title": text, "blurb": text, "extra": {"x": text}}, once),
            (f"{data}/shelves", {"room": room, "place": int(place), "note": text}, {}),
            ("/api/v1/packages?visibility=private&tag=beta", {"manifest": manifest, "metadata": {}}, {}),
        ]
        for path, body, headers in sent:
            answer = await self.ask(holder, Request("POST", path, {}, headers, body))
            assert answer.status_code == 201, answer.text
        key = await self.kernel.get(API_KEYS).issue(self.names[f"@{holder}"], text, ["keys:read"])
        self.names[f"@{holder}-key"] = key.key.id
        entity = {"name": "Note", "collection": "notes", "fields": {"text": {"type": "string"}}}
        project = {"name": text, "slug": f"{holder}-{number}", "schemas": [entity]}
        made = await self.ask(holder, Request("POST", "/api/projects", {}, {}, project))
        assert made.status_code == 201, made.text
        self.names[f"@{holder}-project"] = made.json()["id"]
        rows = f"/api/v1/projects/@{holder}-project/data/notes"
        answer = await self.ask(holder, Request("POST", rows, {}, {}, {"id": ROW, "text": text}))
        assert answer.status_code == 201, answer.text
        film, session = FILM + text.encode(), ids(number, holder)["session_id"]
        stored = await self.kernel.get(MEDIA).create_recording(self.names[f"@{holder}"], film, session_id=session)
        self.names[f"@{holder}-film"] = stored.row.id
        answer = await self.ask(holder, Request("POST", UPLOADS, {}, {**TUS, "Upload-Length": "9"}, None))
        assert answer.status_code == 201, answer.text
        self.names[f"@{holder}-upload"] = answer.headers["location"].rpartition("/")[2]

    async def ask(self, holder: str, request: Request) -> httpx.Response:
        """Send a request as an account."""
        scopes = scopes_of(self.document) - operators_scopes(self.kernel)
        bearer = token(*scopes, account=self.names[f"@{holder}"])
        headers = {name: self._named(value) for name, value in request.headers.items()}
        return await self._client.request(
            request.method,
            self._named(request.path),
            params={name: self._named(value) for name, value in request.query.items()} or None,
            headers={"Authorization": f"Bearer {bearer}", "Content-Type": "application/json", **headers},
            content=None if request.body is None else self._named(json.dumps(request.body)),
        )

    async def told(self, request: Request) -> tuple[int, dict[str, str], Any]:
        """What Bob is told, without what no two answers have in common."""
        answer = await self.ask("bob", request)
        assert SECRET not in answer.text, f"{request} tells {answer.text}"
        headers = {name: value for name, value in answer.headers.items() if name not in OF_ONE_ANSWER}
        headers |= dict.fromkeys(DIGESTS & headers.keys(), "…")
        try:
            body = plain(answer.json())
        except ValueError:
            body = answer.text
        return answer.status_code, {name: leveled(value) for name, value in headers.items()}, body

    async def belongings(self, number: int) -> list[Any]:
        """All that Ada has, as she sees it."""
        own = ids(number, "ada")
        paths = [f"/api/v1/data/{name}/{own[name]}" for name in ("authors", "books", "shelves")]
        paths += [f"/api/v1/packages/{own['packages']}", "/api/v1/keys/@ada-key"]
        paths += ["/api/projects/@ada-project", f"/api/v1/projects/@ada-project/data/notes/{ROW}"]
        paths += ["/api/media/@ada-film/content", "/api/media/recordings"]
        answers = [await self.ask("ada", Request("GET", path, {}, {}, None)) for path in paths]
        answers.append(await self.ask("ada", Request("HEAD", f"{UPLOADS}@ada-upload", {}, TUS, None)))
        return [(answer.status_code, answer.text) for answer in answers]

    def _named(self, text: str) -> str:
        for word in sorted(self.names, key=len, reverse=True):
            text = text.replace(word, self.names[word])
        return text


def ids(number: int, holder: str) -> dict[str, str]:
    """By kind the key of what an account has."""
    made = {kind: str(uuid.uuid5(uuid.NAMESPACE_OID, f"{kind} {holder} {number}")) for kind in ("authors", "books")}
    package = f"acme.p{uuid.uuid5(uuid.NAMESPACE_OID, f'{holder} {number}').hex}"
    words = {"user_id": f"@{holder}-user", "key_id": f"@{holder}-key", "project_id": f"@{holder}-project"}
    words |= {"media_id": f"@{holder}-film", "upload_id": f"@{holder}-upload", "session_id": f"s-{holder}-{number}"}
    return {**made, "shelves": f"room-{holder}-{number},1", "packages": package, **words}


def plain(value: Any) -> Any:
    """A JSON value whose ids and times are all alike."""
    if isinstance(value, dict):
        kept = {name: one for name, one in value.items() if name not in COUNTED_FOR_ALL}
        if "rotated_to" in kept:  # an API key, whose id is random
            kept |= {name: kept[name] is not None for name in ("id", "rotated_to")}
        if str(kept.get("action")).startswith("key."):  # the same, in the audit trail
            kept |= {"subject": "…", "details": sorted(kept["details"] or ())}
        return {name: one is not None if name in OPAQUE else plain(one) for name, one in kept.items()}
    if isinstance(value, list):
        return [plain(one) for one in value]
    return leveled(value) if isinstance(value, str) else value


def leveled(text: str) -> str:
    text = HASH.sub("<hash>", MANAGED.sub("<project>", text))
    return TOKEN.sub("<token>", TIME.sub("<time>", UUID.sub("<id>", text)))


@pytest.fixture(scope="module")
def portal() -> Iterator[BlockingPortal]:
    with start_blocking_portal("asyncio") as portal:
        yield portal


@asynccontextmanager
async def world(folder: Path, ada: bool) -> AsyncIterator[World]:
    """A host in this event loop, without a socket."""
    kernel = full_kernel(folder)
    app = asgi_app(kernel)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with (
        kernel_lifespan(kernel)(app),
        httpx.AsyncClient(transport=transport, base_url="http://host.test") as client,
    ):
        made = World(kernel, client, app.openapi(), ada)
        for member in ("ada", "bob") if ada else ("bob",):
            await made.meet(member)
        made.names.setdefault("@ada-user", str(uuid.uuid4()))
        made.names["@nobody-user"] = str(uuid.uuid4())
        made.names |= {"@nobody": str(uuid.uuid4()), "@nobody-key": make_token("ok").id}
        made.lack("nobody")
        yield made


@pytest.fixture(scope="module")
def worlds(portal: BlockingPortal, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, World]]:
    """The host with Ada, and the one without."""
    with ExitStack() as stack:
        made = [
            stack.enter_context(portal.wrap_async_context_manager(world(tmp_path_factory.mktemp("data"), ada)))
            for ada in (True, False)
        ]
        yield made[0], made[1]


RELATIONS: Final = {"authors": ["books"], "books": ["author", "editors", "author,editors"], "shelves": [""]}


def filters(kind: str, keys: Mapping[str, str]) -> tuple[Mapping[str, Any], ...]:
    """What rows of a kind can be asked for by, other kinds included."""
    own: tuple[Mapping[str, Any], ...] = {
        "authors": ({"id": keys["authors"]}, {"books.title": {"$contains": "Ada"}}),
        "books": (
            {"id": keys["books"]},
            {"author": keys["authors"]},
            {"author.name": {"$contains": "Ada"}},
            {"editors.name": {"$ne": "x"}},
        ),
        "shelves": ({"room": keys["shelves"].partition(",")[0]}, {"note": {"$contains": "Ada"}}),
    }.get(kind, ())
    return ({}, {"library": "@ada"}, *own)


Operation: TypeAlias = tuple[str, str, Mapping[str, Any]]
"""A method, a path, and what the document says of them."""


def closed(document: Mapping[str, Any]) -> list[Operation]:
    """What needs a credential."""
    return [one for one in operations_of(document) if one[2].get("security")]


@st.composite
def requests(draw: st.DrawFn, document: Mapping[str, Any], asked: Operation, number: int) -> Request:
    """A request about something of somebody."""
    method, path, operation = asked
    whose = {kind: draw(st.sampled_from(HOLDERS)) for kind in KINDS}
    keys = {kind: ids(number, holder)[kind] for kind, holder in whose.items()}
    random = draw(st.one_of(st.none(), st.uuids().map(str)))
    kind = kind_of(path)
    headers = draw(heads(operation, number)) | (TUS if path.startswith(UPLOADS) else {})
    id = random if random is not None and kind in ("authors", "books") else keys.get(kind, "")
    if "{project_id}" in path:  # a row of a project
        path = path.replace("{project_id}", id).replace("{entity}", "notes").replace("{id}", ROW)
    filled = re.sub(r"\{(id|user_id|key_id)\}", id, path).replace("{version}", "1.2.0").replace("{tag}", "beta")
    query = draw(queries(operation, kind, keys))
    return Request(method, filled, query, headers, draw(bodies(method, path, operation, document, kind, keys, number)))


def kind_of(path: str) -> str:
    """What a path is about."""
    if path.startswith(("/api/projects", "/api/v1/projects")):
        return "project_id"
    if path.startswith("/api/media/"):
        return {UPLOADS: "upload_id", SESSIONS: "session_id"}.get(path[: path.find("/", 11) + 1], "media_id")
    if "/data/" in path:
        return path.split("/")[4]
    return KINDS_BY_PLACE.get("".join(path.split("/")[3:4]), "packages")


def taken(operation: Mapping[str, Any], place: str) -> frozenset[str]:
    """The parameters that a route has in a place; others it refuses, whatever they are."""
    return frozenset(one["name"] for one in operation.get("parameters", ()) if one["in"] == place)


@st.composite
def heads(draw: st.DrawFn, operation: Mapping[str, Any], number: int) -> dict[str, str]:
    asked = {
        "Idempotency-Key": [f"key-{number}"],
        "Data-Tenant": ["@ada", "@bob", "@bob"],
        "If-Match": ["*", '"1"', '"AAAA"'],
    }
    some = {name: draw(st.sampled_from([None, *asked[name]])) for name in sorted(taken(operation, "header"))}
    return {name: value for name, value in some.items() if value is not None}


@st.composite
def queries(draw: st.DrawFn, operation: Mapping[str, Any], kind: str, keys: Mapping[str, str]) -> dict[str, str]:
    names = taken(operation, "query")
    asked = {
        "filter": json.dumps(draw(st.sampled_from(filters(kind, keys)))),
        "limit": "1",
        "after": draw(st.sampled_from(["@cursor" if kind in RELATIONS else LAST, ""])),
        "include": draw(st.sampled_from(RELATIONS.get(kind, [""]))),
        "search": draw(st.sampled_from(["acme", keys["packages"]])),
        "account": "@ada",
        "everybody": "true",
        "force": "true",
        "version": draw(st.sampled_from(["latest", "^1.0.0", "beta"])),
    }
    some = draw(st.sets(st.sampled_from(sorted(names & set(asked)) or ["limit"])))
    must = (
        {"all_versions": "true"} if "all_versions" in names and operation.get("summary", "").startswith("Del") else {}
    )
    return must | {name: asked[name] for name in some if name in names}


@st.composite
def bodies(
    draw: st.DrawFn,
    method: str,
    path: str,
    operation: Mapping[str, Any],
    document: Mapping[str, Any],
    kind: str,
    keys: Mapping[str, str],
    number: int,
) -> Any:
    try:
        example = body_of(operation, document)
    except Unexampled:
        return None
    if not isinstance(example, dict):
        return example
    if "login" in example:
        return {**example, "login": draw(st.sampled_from(["ada@example.org", "grace@example.org"]))}
    own = ids(number, "bob")
    if path == "/api/v1/packages":  # an id is taken by whoever comes first, and then says so
        return {**example, "manifest": {**example["manifest"], "id": own["packages"], "dependencies": {}}}
    filter = draw(st.sampled_from(filters(kind, keys)))
    author: dict[str, Any] = {"author": keys["authors"]} if kind == "books" else {}
    related = {**author, "editors": [keys["authors"]]} if author else {}
    changed = related if draw(st.booleans()) else {}
    fresh = str(draw(st.uuids()))
    new = {"room": fresh, "place": 1} if kind == "shelves" else {"id": draw(st.sampled_from([own.get(kind), fresh]))}
    match path.rpartition("/")[2]:
        case "query" | "count" | "exists" | "distinct":
            return {**example, "filter": filter}
        case "search":
            return {**example, "text": draw(st.sampled_from(["Ada", "Bob", "alone"])), "filter": filter}
        case "aggregate":
            return {"pipeline": [{"$match": filter}, *example["pipeline"]]}
        case "bulk":
            changes = {"update": {"filter": filter, "changes": author or {"library": "@ada"}, "all": True}}
            return draw(st.sampled_from([changes, {"delete": {"filter": filter, "all": True, "hard": True}}]))
        case "books" | "authors" | "shelves" | "upsert":
            whose = draw(st.sampled_from([{}, {"library": "@ada"}]))
            return {**example, **new, **changed, **whose}
    return {**example, **(changed if method == "PATCH" else {})}


numbers = itertools.count(1)


@pytest.mark.slow
@pytest.mark.timeout(600)
@settings(max_examples=ROUNDS, phases=[Phase.generate], suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_foreign_and_missing_are_told_alike(
    portal: BlockingPortal, worlds: tuple[World, World], data: st.DataObject
) -> None:
    """Whatever Bob asks of every route, in whatever order: he is told the same whether Ada has something or not."""
    number = next(numbers)
    with_ada, _ = worlds
    for one in worlds:
        portal.call(one.furnish, number)
    before = portal.call(with_ada.belongings, number)
    assert [status for status, _ in before] == [200] * 10
    page = portal.call(with_ada.ask, "ada", Request("GET", "/api/v1/data/books", {"limit": "1"}, {}, None)).json()
    for one in worlds:
        one.names["@cursor"] = page["next"] or "x"
    routes = closed(with_ada.document)
    for place in data.draw(st.permutations(range(len(routes)))):
        request = data.draw(requests(with_ada.document, routes[place], number))
        told = [portal.call(one.told, request) for one in worlds]
        assert told[0] == told[1], f"{request}: {told[0]} while Ada has something, and {told[1]} without her"
        assert told[0][0] < 500, f"{request}: {told[0]}"
    assert portal.call(with_ada.belongings, number) == before
