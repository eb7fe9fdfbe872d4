"""Entities go out of use and others take their place while the dialect is in use, on every database."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from objectkernel import ObjectKernel
from objectkernel_system_dialect.contracts import (
    DATA_PLUG,
    DIALECT,
    SCHEMAS,
    Dialect,
    EntitySchema,
    EntityUnknown,
    Field,
    OperationUnsupported,
    Relation,
    SchemaInvalid,
    SchemaOutdated,
    Schemas,
    TableHeld,
)
from objectkernel_system_dialect.plugin import SystemDialectPlugin
from objectkernel_system_dialect.sql_dialect import SqlDialect
from objectkernel_system_dialect.switching import SwitchableDialect
from sqlalchemy import inspect

pytestmark = pytest.mark.anyio

GROUP = EntitySchema(name="Group", collection="groups", fields={"name": Field("string")})
MEMBER = EntitySchema(
    name="Member",
    collection="members",
    fields={"name": Field("string", length=20)},
    relations={
        "group": Relation("Group", on_delete="cascade"),
        "others": Relation("Group", kind="many-to-many"),
    },
)
LONGER = EntitySchema(
    name="Member",
    collection="members",
    fields={"name": Field("string", length=40), "age": Field("integer")},
    relations=MEMBER.relations,
)
KINDS = [
    "sqlite",
    pytest.param("postgres", marks=pytest.mark.postgres),
    pytest.param("mariadb", marks=pytest.mark.mariadb),
]


@pytest.fixture
def anyio_backend() -> str:
    """The servers' drivers know one event loop."""
    return "asyncio"


@pytest.fixture(params=KINDS)
async def kernel(request: pytest.FixtureRequest, anyio_backend: str) -> AsyncIterator[ObjectKernel]:
    """A kernel on an empty database of each kind."""
    uri = ":memory:" if request.param == "sqlite" else request.getfixturevalue(f"{request.param}_url")
    async with ObjectKernel(plugins=[SystemDialectPlugin], discover=False, environ={"SGBD_URI": uri}) as kernel:
        yield kernel


@pytest.fixture
def schemas(kernel: ObjectKernel) -> Schemas:
    return kernel.get(SCHEMAS)


@pytest.fixture
def dialect(kernel: ObjectKernel) -> Dialect:  # type: ignore[override]
    return kernel.get(DIALECT)


async def tables(dialect: Dialect) -> set[str]:
    """The names of the tables that are there, but for the dialect's own."""
    assert isinstance(dialect, SwitchableDialect)
    behind = dialect._generations.latest
    assert isinstance(behind, SqlDialect)
    found: set[str] = await behind.schema_work(lambda core, _: set(inspect(core).get_table_names()))
    return {name for name in found if not name.startswith("objectkernel_")}


async def test_what_is_taken_away_is_unknown_and_its_rows_stay(schemas: Schemas, dialect: Dialect) -> None:
    """An entity that is registered again finds its rows."""
    assert set(await schemas.exchange_schemas([], [GROUP, MEMBER])) == {"groups", "members", "members_others"}
    group = await dialect.create(GROUP, {"name": "a"})
    member = await dialect.create(MEMBER, {"name": "b", "group": group["id"], "others": [group["id"]]})
    assert await schemas.exchange_schemas([MEMBER]) == ()
    assert not schemas.has_schema("Member")
    with pytest.raises(EntityUnknown):
        await dialect.count(MEMBER)
    assert await dialect.count(GROUP) == 1
    assert await schemas.exchange_schemas([], [MEMBER]) == ()
    (found,) = await dialect.find(MEMBER, include=["others"])
    assert (found["id"], found["others"]) == (member["id"], [group])


async def test_a_schema_takes_the_place_of_an_older_one(schemas: Schemas, dialect: Dialect) -> None:
    """Its table is brought up, and the others' relations lead to it."""
    await schemas.register_schemas([GROUP, MEMBER])
    made = await dialect.create(MEMBER, {"name": "b"})
    await schemas.exchange_schemas([MEMBER], [LONGER])
    assert await dialect.update(LONGER, made["id"], {"name": "x" * 40, "age": 7}) is not None
    assert await dialect.count(LONGER, {"group.name": "nobody"}) == 0


async def test_dropped_tables_are_gone_with_their_links(schemas: Schemas, dialect: Dialect) -> None:
    """Only those that are named are dropped, and can be made anew."""
    await schemas.register_schemas([GROUP, MEMBER])
    await dialect.create(MEMBER, {"name": "b"})
    await schemas.exchange_schemas([MEMBER], drop=["members"])
    assert await tables(dialect) == {"groups"}
    await schemas.exchange_schemas([], [MEMBER])
    assert await dialect.count(MEMBER) == 0
    await schemas.exchange_schemas([GROUP, MEMBER], drop=["members", "groups"])
    assert await tables(dialect) == set()


async def test_a_table_that_others_lead_to_is_not_dropped(schemas: Schemas, dialect: Dialect) -> None:
    """What a forgotten entity still has in the database counts; nothing is changed."""
    await schemas.register_schemas([GROUP, MEMBER])
    await schemas.exchange_schemas([MEMBER])
    with pytest.raises(TableHeld) as caught:
        await schemas.exchange_schemas([GROUP], drop=["groups"])
    assert caught.value.facts["tables"] == ("members", "members_others")
    assert await dialect.count(GROUP) == 0


async def test_what_is_left_must_make_sense(schemas: Schemas, dialect: Dialect) -> None:
    """An entity that another leads to cannot be taken away; a refused exchange changes nothing."""
    await schemas.register_schemas([GROUP, MEMBER])
    with pytest.raises(SchemaInvalid):
        await schemas.exchange_schemas([GROUP])
    other = EntitySchema(name="Member", collection="members", fields={"name": Field("integer")})
    await dialect.create(MEMBER, {"name": "b"})
    with pytest.raises(SchemaOutdated):
        await schemas.exchange_schemas([MEMBER], [other])
    assert await dialect.count(MEMBER) == 1


async def test_nothing_is_exchanged_within_a_transaction(schemas: Schemas, dialect: Dialect) -> None:
    """The change would wait for the end of the block that it is in."""
    async with dialect.transaction():
        with pytest.raises(OperationUnsupported):
            await schemas.exchange_schemas([], [GROUP])
    assert not schemas.has_schema("Group")


async def test_a_later_connection_knows_what_was_exchanged(anyio_backend: str, tmp_path: object) -> None:
    """After a switch the other database has the tables of what is there, and of nothing that was taken away."""
    environ = {"SGBD_URI": f"{tmp_path}/a.db"}
    async with ObjectKernel(plugins=[SystemDialectPlugin], discover=False, environ=environ) as kernel:
        plug, dialect = kernel.get(DATA_PLUG), kernel.get(DIALECT)
        await plug.register_schemas([GROUP, MEMBER])
        await plug.exchange_schemas([MEMBER])
        await plug.change_dialect("sqlite", f"{tmp_path}/b.db")
        assert await tables(dialect) == {"groups"}


@pytest.mark.parametrize("strategy", ["none", "validate"])
async def test_strategies_that_change_no_tables_drop_none(anyio_backend: str, tmp_path: object, strategy: str) -> None:
    """Where tables are somebody else's affair, dropping them is refused."""
    environ = {"SGBD_URI": f"{tmp_path}/a.db"}
    async with ObjectKernel(plugins=[SystemDialectPlugin], discover=False, environ=environ) as kernel:
        await kernel.get(SCHEMAS).register_schema(GROUP)
    environ["DB_SCHEMA_STRATEGY"] = strategy
    async with ObjectKernel(plugins=[SystemDialectPlugin], discover=False, environ=environ) as kernel:
        schemas = kernel.get(SCHEMAS)
        await schemas.register_schema(GROUP)
        with pytest.raises(OperationUnsupported):
            await schemas.exchange_schemas([GROUP], drop=["groups"])
        assert schemas.has_schema("Group")


def test_a_schema_is_read_from_json(kernel: ObjectKernel) -> None:
    """As from a file; what is wrong is told with its JSON path."""
    schemas = kernel.get(SCHEMAS)
    assert (
        schemas.read_schema({"name": "Group", "collection": "groups", "fields": {"name": {"type": "string"}}}) == GROUP
    )
    with pytest.raises(SchemaInvalid) as caught:
        schemas.read_schema({"name": "Group", "fields": {"name": {"type": "string", "lenght": 3}}})
    assert any("@ $.fields" in problem for problem in caught.value.facts["problems"])
