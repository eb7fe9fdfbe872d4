"""NET mode over a real socket: the same meaning as in a database, and errors that are the same."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import attrs
import pytest
from objectkernel_contracts import Principal
from objectkernel_system_dialect import rest_transport
from objectkernel_system_dialect.contracts import (
    AccessDenied,
    ConstraintViolated,
    DatabaseUnavailable,
    Dialect,
    DialectClosed,
    DialectUnsupported,
    DuplicateKey,
    EntitySchema,
    EntityUnknown,
    Field,
    FilterEmpty,
    FilterInvalid,
    OperationUnsupported,
    OptionInvalid,
    RequestTooLarge,
    SchemaInvalid,
    SchemaOutdated,
    TenantRequired,
    UnknownField,
    UnknownOperator,
    ValueInvalid,
    VersionConflict,
)
from objectkernel_system_dialect.http_route import HttpLimits
from objectkernel_system_dialect.net_dialect import NetDialect
from objectkernel_system_dialect.rest_api import described

from tests.plugins.system_dialect.net_entities import (
    BUSINESS,
    CREDENTIAL,
    FOLDER,
    NOTE,
    STOCK,
    TAG,
    THING,
    VISIT,
    opened,
)
from tests.plugins.system_dialect.scripted import Reply, scripted
from tests.plugins.system_dialect.served import HOST_KEY, serve

pytestmark = pytest.mark.anyio

KNOWN = {
    "ada": Principal(account_id="ada", scopes={"data:read", "data:write"}),
    "tags": Principal(account_id="ada", scopes={"data:read:tags"}),
}
ROW = {
    "name": "Stein ü 𝄞",
    "note": "line\nline\t\"'\\",
    "size": 2**63 - 1,
    "weight": 0.1,
    "price": Decimal("12.50"),
    "open": False,
    "moment": datetime(2024, 5, 17, 8, 30, 0, 123456, tzinfo=UTC),
    "data": {"a": [1, 2.5, None, {"b": 2**70}], "": "x"},
    "code": UUID(int=2**100),
    "blob": bytes(range(256)),
    "kind": "large",
    "labels": ["x", "ä"],
}


@asynccontextmanager
async def connected(key: str = HOST_KEY, **options: Any) -> AsyncIterator[NetDialect]:
    """A dialect of a server of its own, with the entities registered."""
    async with serve(opened, known=KNOWN, **options) as served, aclosing(await NetDialect.open(served.url, key)) as net:
        await net.register(*BUSINESS)
        yield net


@pytest.fixture(scope="module")
async def shared(anyio_backend: str) -> AsyncIterator[NetDialect]:
    """A dialect of one server for many tests."""
    async with connected(hidden=(CREDENTIAL,)) as net:
        yield net


@pytest.fixture
async def net(shared: NetDialect) -> NetDialect:
    """The dialect, without rows."""
    for schema in (NOTE, FOLDER, TAG, THING, STOCK, VISIT):
        await shared.delete_many(schema, {}, all=True, hard=True)
    return shared


# --- rows -------------------------------------------------------------------------------------------------------


async def test_values(net: NetDialect) -> None:
    """Every type of value is the same value of the same type after the way there and back."""
    made = await net.create(THING, ROW)
    assert {name: made[name] for name in ROW} == ROW
    assert tuple(made) == THING.names
    assert await net.find_by_id(THING, made["id"]) == made
    for name in ("price", "moment", "code", "blob", "size"):
        assert await net.find(THING, {name: ROW[name]}) == [made]
    for name in ("price", "moment", "code", "size"):
        assert await net.distinct(THING, name) == [ROW[name]]


@pytest.mark.parametrize("id", ["", ".", "..", "a/b", "a,b", "%2F", "?#", "ä ö", "x/increment", "count", "\n"])
async def test_any_text_is_a_key(net: NetDialect, id: str) -> None:
    """A key is found, changed and deleted whatever is in it."""
    await net.create(THING, {"id": id, "name": "x"})
    await net.create(STOCK, {"shop": id, "article": f"{id},"})
    for schema, key, field in ((THING, id, "size"), (STOCK, (id, f"{id},"), "pieces")):
        found = await net.increment(schema, key, field)
        assert found is not None
        assert found[field] == 1
        assert await net.find_by_id(schema, key) == found
        assert await net.delete(schema, key)
        assert not await net.delete(schema, key)
        assert await net.find_by_id(schema, key) is None


async def test_operations(net: NetDialect) -> None:
    """Every operation of the Protocol means over the wire what it means in a database."""
    rows = await net.create_many(TAG, [{"id": number, "word": f"w{number % 2}"} for number in range(6)])
    assert await net.create_many(TAG, []) == []
    assert await net.find(TAG, sort={"id": 1}) == rows
    assert await net.find(TAG, {"id": {"$in": (n for n in (1, 2))}}, sort={"id": -1}) == [rows[2], rows[1]]
    assert await net.find(TAG, sort={"word": -1, "id": 1}, skip=1, limit=2, select=["id"]) == [{"id": 3}, {"id": 5}]
    assert await net.find(TAG, {"id": 1}, exclude="word") == [{"id": 1}]
    assert await net.find(TAG, limit=0) == []
    page = await net.find_page(TAG, sort={"id": 1}, limit=4)
    assert (page.rows, page.next is None) == (tuple(rows[:4]), False)
    page = await net.find_page(TAG, sort={"id": 1}, limit=4, after=page.next)
    assert (page.rows, page.next) == (tuple(rows[4:]), None)
    assert await net.find_one(TAG, sort={"id": -1}) == rows[5]
    assert await net.find_one(TAG, {"id": 99}) is None
    assert await net.find_by_ids(TAG, [4, 99, 1]) == [rows[4], rows[1]]
    assert [row async for row in net.stream(TAG, {"id": {"$gt": 2}}, sort={"id": 1}, batch=2)] == rows[3:]
    assert (await net.count(TAG), await net.count(TAG, {"word": "w1"})) == (6, 3)
    assert (await net.exists(TAG, {"id": 5}), await net.exists(TAG, {"id": 6})) == (True, False)
    assert await net.search(TAG, "W1", sort={"id": 1}, limit=1) == [rows[1]]
    group = {"_id": "$word", "n": {"$sum": 1}, "most": {"$max": "$id"}}
    groups = await net.aggregate(TAG, [{"$group": group}, {"$sort": {"_id": 1}}])
    assert groups == [{"_id": "w0", "n": 3, "most": 4}, {"_id": "w1", "n": 3, "most": 5}]
    assert await net.update(TAG, 1, {"word": None}) == {"id": 1, "word": None}
    assert await net.update(TAG, 99, {"word": "x"}) is None
    assert await net.update_many(TAG, {"id": {"$gt": 3}}, {"word": "late"}) == 2
    assert await net.upsert(TAG, {"id": 9, "word": "new"}) == {"id": 9, "word": "new"}
    assert await net.delete_many(TAG, {"word": "late"}) == 2
    assert await net.delete_many(TAG, {}, all=True) == 5


async def test_arrays_and_soft_deletes(net: NetDialect) -> None:
    """A set is changed by value; what is softly deleted can be brought back until it is deleted for good."""
    await net.create(THING, {"id": "t", "name": "t"})
    assert (await net.add_to_set(THING, "t", "labels", "a") or {})["labels"] == ["a"]
    assert (await net.add_to_set(THING, "t", "labels", "a") or {})["labels"] == ["a"]
    assert (await net.pull(THING, "t", "labels", "a") or {})["labels"] == []
    assert await net.pull(THING, "none", "labels", "a") is None
    made = await net.create(STOCK, {"shop": "s", "article": "a"})
    assert await net.delete(STOCK, ("s", "a"))
    assert await net.undelete(STOCK, ("s", "a")) == made
    assert await net.delete(STOCK, ("s", "a"), hard=True)
    assert await net.undelete(STOCK, ("s", "a")) is None


async def test_relations(net: NetDialect) -> None:
    """Related rows come with a row, and can be filtered by."""
    ada = net.as_tenant("ada")
    await net.create_many(TAG, [{"id": 1, "word": "x"}, {"id": 2}])
    folder = await ada.create(FOLDER, {"title": "F"})
    note = await ada.create(NOTE, {"text": "n", "folder": folder["id"], "tags": [1, 2]})
    (found,) = await net.find(NOTE, {"folder.title": "F", "tags.word": "x"}, include=["folder", "tags"])
    assert (found["folder"], [tag["id"] for tag in found["tags"]]) == (folder, [1, 2])
    assert (await net.find_by_id(NOTE, note["id"], include="folder") or {})["folder"] == folder


async def test_more_than_a_page(anyio_backend: str) -> None:
    """A list that is longer than the server's page comes whole, in order, with or without a beginning to skip."""
    async with connected(limits=HttpLimits(page_default=2, page_max=3)) as net:
        rows = [{"id": number, "word": f"w{number // 4}"} for number in range(11)]
        await net.create_many(TAG, rows)
        assert sorted(row["id"] for row in await net.find(TAG)) == list(range(11))
        assert await net.find(TAG, sort={"id": 1}) == rows
        assert await net.find(TAG, sort={"id": 1}, limit=7) == rows[:7]
        assert await net.find(TAG, sort={"word": 1}, skip=2) == rows[2:]
        assert await net.find(TAG, sort={"id": -1}, skip=2, limit=7) == rows[8:1:-1]
        assert await net.find(TAG, sort={"id": 1}, skip=11) == []
        assert (await net.find_page(TAG, sort={"id": 1}, limit=8)).rows == tuple(rows[:8])
        assert [row async for row in net.stream(TAG, sort={"id": 1}, batch=1000)] == rows
        assert len(await net.find_by_ids(TAG, range(11))) == 11


# --- tenants ---------------------------------------------------------------------------------------------------------


async def test_tenants(net: NetDialect) -> None:
    """A host's key acts for any tenant; each sees its own rows, and a foreign one is a missing one."""
    ada, bob = net.as_tenant("ada"), net.as_tenant("bob")
    folder = await ada.create(FOLDER, {"title": "A"})
    assert (await ada.find_by_id(FOLDER, folder["id"]), await bob.find_by_id(FOLDER, folder["id"])) == (folder, None)
    assert (await bob.update(FOLDER, folder["id"], {"title": "B"}), await bob.delete(FOLDER, folder["id"])) == (
        None,
        False,
    )
    assert (await net.count(FOLDER), await bob.count(FOLDER)) == (1, 0)
    with pytest.raises(TenantRequired):
        await bob.create(FOLDER, {"owner": "ada"})
    with pytest.raises(ConstraintViolated):
        await bob.create(NOTE, {"folder": folder["id"]})
    with pytest.raises(TenantRequired):
        ada.as_tenant("bob")
    with pytest.raises(TenantRequired):
        net.as_tenant(None)
    assert ada.as_tenant("ada").schemas() == net.schemas()


async def test_key_of_one_tenant(anyio_backend: str) -> None:
    """A key of one account is that tenant, whether it says so or not, and no other."""
    async with connected("ada") as net:
        assert (await net.create(FOLDER, {}))["owner"] == "ada"
        assert await net.as_tenant("ada").count(FOLDER) == 1
        with pytest.raises(AccessDenied):
            await net.as_tenant("bob").count(FOLDER)


# --- errors -----------------------------------------------------------------------------------------------------------

Attempt = Callable[[Dialect], Awaitable[Any]]
ATTEMPTS: dict[str, tuple[type[Exception], Attempt]] = {
    "duplicate": (DuplicateKey, lambda d: d.create_many(TAG, [{"id": 1}, {"id": 1}])),
    "foreign key": (ConstraintViolated, lambda d: d.create(NOTE, {"owner": "a", "folder": "none"})),
    "unknown field": (UnknownField, lambda d: d.create(TAG, {"wrod": "x"})),
    "unknown in filter": (UnknownField, lambda d: d.find(TAG, {"wrod": "x"})),
    "unknown in sort": (UnknownField, lambda d: d.find(TAG, sort={"wrod": 1})),
    "unknown in select": (UnknownField, lambda d: d.find(TAG, select=["wrod"])),
    "unknown in include": (UnknownField, lambda d: d.find(NOTE, include=["foldre"])),
    "unknown in distinct": (UnknownField, lambda d: d.distinct(TAG, "wrod")),
    "unknown in increment": (UnknownField, lambda d: d.increment(THING, "x", "sizes")),
    "unknown in set": (UnknownField, lambda d: d.add_to_set(THING, "x", "label", "y")),
    "unknown in update": (UnknownField, lambda d: d.update(TAG, 1, {"wrod": "x"})),
    "operator": (UnknownOperator, lambda d: d.count(TAG, {"word": {"$neq": "x"}})),
    "stage": (UnknownOperator, lambda d: d.aggregate(TAG, [{"$grup": {}}])),
    "pipeline": (FilterInvalid, lambda d: d.aggregate(TAG, [])),
    "empty or": (FilterInvalid, lambda d: d.find(TAG, {"$or": []})),
    "value": (ValueInvalid, lambda d: d.create(TAG, {"id": "one"})),
    "bounds": (ValueInvalid, lambda d: d.create(THING, {"name": "x" * 256})),
    "required": (ValueInvalid, lambda d: d.create(THING, {})),
    "kept": (ValueInvalid, lambda d: d.create(NOTE, {"owner": "a", "version": 5})),
    "no mapping": (ValueInvalid, lambda d: d.create(TAG, [("id", 1)])),  # type: ignore[arg-type]
    "no list": (ValueInvalid, lambda d: d.create_many(TAG, {"id": 1})),  # type: ignore[arg-type]
    "key": (ValueInvalid, lambda d: d.find_by_id(TAG, "one")),
    "key of two": (ValueInvalid, lambda d: d.find_by_id(STOCK, "one")),
    "no key": (ValueInvalid, lambda d: d.delete(TAG, None)),
    "empty filter": (FilterEmpty, lambda d: d.delete_many(TAG, {})),
    "limit": (OptionInvalid, lambda d: d.find(TAG, limit=-1)),
    "skip": (OptionInvalid, lambda d: d.find(TAG, skip=True)),
    "direction": (OptionInvalid, lambda d: d.find(TAG, sort={"id": "up"})),  # type: ignore[dict-item]
    "sort": (OptionInvalid, lambda d: d.find(TAG, sort=["id"])),  # type: ignore[arg-type]
    "nothing selected": (OptionInvalid, lambda d: d.find(TAG, select=[])),
    "no set": (OptionInvalid, lambda d: d.pull(TAG, 1, "word", "x")),
    "no number": (OptionInvalid, lambda d: d.increment(TAG, 1, "word", "x")),
    "no versions": (OptionInvalid, lambda d: d.update(TAG, 1, {}, version=1)),
    "regex": (OperationUnsupported, lambda d: d.find(TAG, {"word": {"$regex": "x"}})),
    "execute": (OperationUnsupported, lambda d: d.execute(None)),  # type: ignore[arg-type]
    "not registered": (EntityUnknown, lambda d: d.count(EntitySchema(name="X", collection="x", fields={}))),
    "no schema": (EntityUnknown, lambda d: d.count("Tag")),  # type: ignore[arg-type]
    "no page": (OptionInvalid, lambda d: d.find_page(TAG, limit=0)),
}


@pytest.mark.parametrize("name", ATTEMPTS)
async def test_errors_are_the_same(net: NetDialect, name: str) -> None:
    """What a database refuses is refused over the wire with the same class and the same facts."""
    kind, attempt = ATTEMPTS[name]
    async with aclosing(await opened()) as local:
        if name == "execute":
            local.table = None  # type: ignore[method-assign,assignment]
        facts = {}
        for dialect in (local, net):
            if name == "execute" and dialect is local:
                continue
            with pytest.raises(kind) as caught:
                await attempt(dialect)
            assert type(caught.value) is kind
            told = caught.value.facts  # type: ignore[attr-defined]
            facts[dialect.name] = {one: told[one] for one in ("entity", "field", "fields", "name") if one in told}
    assert name == "execute" or facts["net"] == facts["sqlite"]


async def test_version_conflict(net: NetDialect) -> None:
    """A change for a version that is past is refused with the key as it was given."""
    note = await net.create(NOTE, {"owner": "ada"})
    changed = await net.update(NOTE, note["id"], {"stars": 1}, version=1)
    assert changed == note | {"stars": 1, "version": 2}
    with pytest.raises(VersionConflict) as caught:
        await net.update(NOTE, note["id"], {"stars": 2}, version=1)
    assert caught.value.facts == {"entity": "Note", "key": note["id"], "wanted": 1}
    assert await net.update(NOTE, "none", {"stars": 2}, version=1) is None


async def test_typed_keys(net: NetDialect) -> None:
    """A key of several fields of any type finds its row, and an error names it as it was given."""
    key = (UUID(int=5), datetime(2024, 5, 17, 8, 30, 0, 5, tzinfo=UTC))
    made = await net.create(VISIT, {"guest": key[0], "at": key[1]})
    assert await net.find_by_id(VISIT, key) == made
    with pytest.raises(VersionConflict) as caught:
        await net.update(VISIT, key, {"remark": "x"}, version=7)
    assert caught.value.facts == {"entity": "Visit", "key": key, "wanted": 7}
    assert caught.value.key == key  # type: ignore[attr-defined]


async def test_what_is_not_offered(net: NetDialect) -> None:
    """Transactions and SQL are the server's own affair, and said to be."""
    assert net.capabilities & {"transaction", "execute"} == set()
    for attempt in (net.transaction, lambda: net.table(TAG)):
        with pytest.raises(OperationUnsupported):
            attempt()


async def test_too_much_at_once(anyio_backend: str) -> None:
    """Rows that are made together are not taken apart: when they are too many for a body, that is said."""
    async with connected(limits=HttpLimits(body_bytes=2000)) as net:
        with pytest.raises(RequestTooLarge):
            await net.create_many(TAG, [{"id": number, "word": "w" * 50} for number in range(100)])
        assert await net.count(TAG) == 0


# --- connecting ------------------------------------------------------------------------------------------


async def test_registration(anyio_backend: str) -> None:
    """Registration fails for what the server does not offer, or offers in another form; nothing is half known."""
    async with serve(opened, known=KNOWN, hidden=(CREDENTIAL,)) as served:
        async with aclosing(await NetDialect.open(served.url, HOST_KEY)) as net:
            with pytest.raises(EntityUnknown):
                await net.register(*BUSINESS, CREDENTIAL)
            other = attrs.evolve(TAG, fields={**TAG.fields, "word": Field("text"), "more": Field("integer")})
            with pytest.raises(SchemaOutdated) as caught:
                await net.register(other)
            assert caught.value.facts == {"entity": "Tag", "collection": "tags", "missing": ("word", "more")}
            with pytest.raises(SchemaInvalid):
                await net.register(NOTE)
            assert net.schemas() == ()
            await net.register(TAG)
            await net.register(TAG)
            assert net.schemas() == (TAG,)
        async with aclosing(await NetDialect.open(served.url, "tags")) as net:
            await net.register(TAG)
            with pytest.raises(EntityUnknown):
                await net.register(THING)
            with pytest.raises(AccessDenied):
                await net.create(TAG, {"id": 1})


async def test_registered_later_on_the_server(anyio_backend: str) -> None:
    """What the server learns after the connection was made can be registered then."""
    dialects: list[Any] = []

    async def opening() -> Dialect:
        dialects.append(await opened())
        return dialects[0]

    later = EntitySchema(name="Later", collection="laters", fields={"id": Field("integer")})
    async with serve(opening) as served, aclosing(await NetDialect.open(served.url, HOST_KEY)) as net:
        with pytest.raises(EntityUnknown):
            await net.register(later)
        await served.run(lambda: dialects[0].register(later))
        await net.register(later)
        assert await net.create(later, {"id": 1}) == {"id": 1}


async def test_opening(anyio_backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unreachable server, a refused key and an unknown transport are errors at once, and leave nothing open."""
    monkeypatch.setattr(rest_transport, "FIRST_PAUSE", 0.001)
    async with serve(opened) as served:
        for key in (None, "wrong"):
            with pytest.raises(AccessDenied):
                await NetDialect.open(served.url, key)
        with pytest.raises(DialectUnsupported):
            await NetDialect.open(served.url, HOST_KEY, "graphql")
        net = await NetDialect.open(f"{served.url}/", HOST_KEY)
        await net.ping()
    with pytest.raises(DatabaseUnavailable):
        await net.ping()
    await net.aclose()
    with pytest.raises(DialectClosed):
        await net.ping()
    with pytest.raises(DatabaseUnavailable):
        await NetDialect.open(served.url, HOST_KEY)


DESCRIPTION = {"page_max": 10, "capabilities": ["regex", "execute"], "entities": {"tags": {"names": {}}}}


@pytest.mark.parametrize(
    "strange",
    [
        {},
        DESCRIPTION | {"page_max": 0},
        DESCRIPTION | {"entities": {"tags": 5}},
        DESCRIPTION | {"capabilities": 5},
    ],
)
async def test_no_server_of_data(anyio_backend: str, strange: Any) -> None:
    """A server that is none of ours is told by its description."""
    async with scripted(Reply(200, strange)) as script:
        with pytest.raises(DatabaseUnavailable):
            await NetDialect.open(script.url)


@pytest.mark.parametrize(
    ("attempt", "answer"),
    [
        (lambda net: net.count(TAG), {"count": "5"}),
        (lambda net: net.count(TAG), {}),
        (lambda net: net.exists(TAG), {"exists": None}),
        (lambda net: net.find(TAG), {"rows": None}),
        (lambda net: net.find(TAG), {"rows": [5], "next": None}),
        (lambda net: net.distinct(TAG, "id"), {}),
        (lambda net: net.aggregate(TAG, [{"$group": {"_id": None}}]), {"rows": [5]}),
        (lambda net: net.find_by_id(THING, "x"), {"moment": "yesterday"}),
    ],
)
async def test_answers_that_are_none(anyio_backend: str, attempt: Attempt, answer: Any) -> None:
    """An answer that is none is an error, and never reads as nothing."""
    by_name = {schema.name: schema for schema in BUSINESS}
    entities = {one.collection: {"names": described(one, by_name)} for one in (TAG, THING)}
    replies = Reply(200, DESCRIPTION | {"entities": entities}), Reply(200, answer)
    async with scripted(*replies) as script, aclosing(await NetDialect.open(script.url)) as net:
        assert net.capabilities == {"regex"}
        await net.register(TAG, THING)
        with pytest.raises(DatabaseUnavailable):
            await attempt(net)


@pytest.mark.parametrize(
    "answer",
    [
        {"rows": [], "next": "again"},
        {"rows": [{"id": 1, "word": None}], "next": "again"},
        {"rows": [{"id": 1, "word": None}] * 11, "next": None},
    ],
)
@pytest.mark.parametrize("attempt", [lambda net: net.find_page(TAG, limit=500), lambda net: net.find(TAG)])
async def test_pages_without_end(anyio_backend: str, attempt: Attempt, answer: Any) -> None:
    """A server that gives the same page again and again, or more than was asked for, is not listened to for ever."""
    entities = {"tags": {"names": described(TAG, {"Tag": TAG})}}
    replies = Reply(200, DESCRIPTION | {"entities": entities}), Reply(200, answer)
    async with scripted(*replies) as script, aclosing(await NetDialect.open(script.url)) as net:
        await net.register(TAG)
        with pytest.raises(DatabaseUnavailable):
            await attempt(net)
        assert len(script.sent) <= 3


async def test_keys_that_are_none(anyio_backend: str) -> None:
    """An error about a key that this entity cannot have is an answer that cannot be read."""
    entities = {"tags": {"names": described(TAG, {"Tag": TAG})}}
    problem = {"code": "D304", "detail": "x", "facts": {"entity": "Tag", "key": ["no number"]}}
    replies = Reply(200, DESCRIPTION | {"entities": entities}), Reply(412, problem)
    async with scripted(*replies) as script, aclosing(await NetDialect.open(script.url)) as net:
        await net.register(TAG)
        with pytest.raises(DatabaseUnavailable):
            await net.update(TAG, 1, {"word": "x"})
