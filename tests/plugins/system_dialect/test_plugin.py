"""The plugin in a kernel: two dialects, whose tables are there before anyone can use them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
from objectkernel import BootError, ObjectKernel, Plugin, contributes, needs, provides
from objectkernel.keys import Service
from objectkernel_contracts import COMMANDS, ROUTERS
from objectkernel_system_dialect.config import SystemDialectConfig
from objectkernel_system_dialect.contracts import (
    BUSINESS_SCHEMAS,
    DIALECT,
    SCHEMAS,
    SYSTEM_DIALECT,
    SYSTEM_SCHEMAS,
    DialectClosed,
    EntitySchema,
    Field,
    SchemaInvalid,
    SchemaOutdated,
)
from objectkernel_system_dialect.migrations import MIGRATIONS, Migration
from objectkernel_system_dialect.plugin import SystemDialectPlugin

pytestmark = pytest.mark.anyio

KEY_ROW = EntitySchema(name="KeyRow", collection="sys_keys", fields={"name": Field("string")})
ORDER = EntitySchema(name="Order", collection="orders", fields={"total": Field("integer")})
STARTED = Service[int]("test.started")


class Shop(Plugin):
    """Stores orders with the business data and keys with the system's."""

    name = "shop"
    system = needs(SYSTEM_DIALECT)
    business = needs(DIALECT)

    @contributes(SYSTEM_SCHEMAS, uses=())
    def key_row(self) -> EntitySchema:
        return KEY_ROW

    @contributes(BUSINESS_SCHEMAS, uses=())
    def order(self) -> EntitySchema:
        return ORDER

    @provides(STARTED)
    async def started(self) -> int:
        await self.system.create(KEY_ROW, {"name": "first"})
        return await self.system.count(KEY_ROW)


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """The machine's own settings do not reach the tests, nor tests its folders."""
    for field in attrs.fields(SystemDialectConfig):
        if name := field.metadata.get("env"):
            monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("MOSTA_ENV", raising=False)
    monkeypatch.chdir(tmp_path)
    yield


def kernel(plugin: SystemDialectPlugin | None = None, **settings: Any) -> ObjectKernel:
    """A kernel with the shop and the plugin under test."""
    config = {"plugins": {"system-dialect": settings}} if settings else None
    return ObjectKernel(plugins=[Shop(), plugin or SystemDialectPlugin()], discover=False, config=config)


async def test_with_nothing_set_both_are_one_file_in_the_data_folder(tmp_path: Path) -> None:
    """The system dialect is the business one; tables exist before the first provider that needs them runs."""
    for count in (1, 2):
        async with kernel() as running:
            assert running.get(STARTED) == count
            assert running.get(SYSTEM_DIALECT) is running.get(DIALECT)
            assert await running.get(DIALECT).count(ORDER) == 0
    assert [path.name for path in (tmp_path / ".objectkernel").iterdir()] == ["objectkernel.db"]


async def test_in_memory_nothing_is_written(tmp_path: Path) -> None:
    """`SystemDialectPlugin.in_memory()` serves both in memory, whatever the settings say."""
    async with kernel(SystemDialectPlugin.in_memory(), sgbd_uri="somewhere.db") as running:
        assert running.get(STARTED) == 1
    assert list(tmp_path.iterdir()) == []


async def test_the_system_may_have_a_database_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With both system variables set, system schemas live in the one and business schemas in the other."""
    monkeypatch.setenv("SGBD_URI", "sqlite:///business.db")
    monkeypatch.setenv("MOSTA_SYSTEM_DIALECT", "sqlite")
    monkeypatch.setenv("MOSTA_SYSTEM_URI", str(tmp_path / "system.db"))
    async with kernel() as running:
        system, business = running.get(SYSTEM_DIALECT), running.get(DIALECT)
        assert system.schemas() == (KEY_ROW,)
        assert business.schemas() == (ORDER,)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["business.db", "system.db"]
    for dialect in (system, business):
        with pytest.raises(DialectClosed):
            await dialect.ping()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"db_dialect": "mongodb"}, "'mongodb' is no database"),
        ({"system_dialect": "sqlite"}, "the URI is missing"),
        ({"db_dialect": "sqlite", "sgbd_uri": "postgresql://ada:hunter2@host/db"}, "the URI is one of postgres"),
        ({"sgbd_uri": "mongodb://ada:hunter2@host/db"}, "the scheme of no database"),
        ({"data": "net", "net_url": "http://ada:hunter2@127.0.0.1:1/", "net_transport": "grpc"}, "grpc"),
    ],
    ids=str,
)
async def test_wrong_settings_stop_the_boot(settings: dict[str, Any], words: str) -> None:
    """The report says what is wrong and what would do; a connection string is not in it."""
    with pytest.raises(BootError) as caught:
        async with kernel(**settings):
            pass
    assert words in str(caught.value)
    assert "hunter2" not in str(caught.value)


async def test_wrong_schemas_stop_the_boot() -> None:
    """A schema that makes no sense fails the boot with every problem, and nothing stays open."""

    class Wrong(Plugin):
        name = "wrong"

        @contributes(BUSINESS_SCHEMAS, uses=())
        def thing(self) -> EntitySchema:
            return EntitySchema(name="Thing", collection="Things", fields={"a": Field("enum")})

    broken = ObjectKernel(plugins=[Wrong(), SystemDialectPlugin.in_memory()], discover=False)
    with pytest.raises(BootError) as caught:
        await broken.bootstrap()
    (problem,) = caught.value.exceptions
    assert isinstance(problem, SchemaInvalid)
    assert len(problem.facts["problems"]) == 2


async def test_health_asks_the_database() -> None:
    """Both services answer a ping, so the kernel's health covers them."""
    async with kernel(SystemDialectPlugin.in_memory()) as running:
        report = await running.health()
        assert "dialect" in str(report)


async def test_commands_are_there_before_any_service() -> None:
    """The program has them without starting anything; click is imported when they are made."""
    made = [make().name for make in kernel().contributions(COMMANDS)]
    assert made == ["schema", "backup", "restore"]


async def test_routes_serve_the_business_data_and_its_administration() -> None:
    """Entities have their paths, system entities have none, and the administrator's routes are beside them."""
    async with kernel(SystemDialectPlugin.in_memory()) as running:
        paths = {route.path for make in running.contributions(ROUTERS) for route in make().routes}
    assert {"/api/v1/data/orders", "/api/change-dialect", "/api/reload-config", "/api/reconnect"} <= paths
    assert not any("keys" in path for path in paths)


async def test_schemas_come_from_files_too(tmp_path: Path) -> None:
    """A JSON file, or a folder of such, makes entities of the business data; a problem of one stops the boot."""
    (tmp_path / "schemas").mkdir()
    file = tmp_path / "schemas" / "book.json"
    file.write_text('{"name": "Book", "collection": "books", "fields": {"title": {"type": "string"}}}')
    async with kernel(schemas=["schemas"]) as running:
        book = running.get(SCHEMAS).get_schema("Book")
        assert (await running.get(DIALECT).create(book, {"title": "Emma"}))["title"] == "Emma"
    file.write_text('{"name": "Book", "colection": "books", "fields": {}}')
    with pytest.raises(BootError) as caught:
        await kernel(schemas=["schemas"]).bootstrap()
    assert "colection" in str(caught.value)


async def test_strategies_are_those_of_the_settings(tmp_path: Path) -> None:
    """``validate`` makes nothing: a missing table stops the boot, for each database by its own setting."""
    for setting in ("db_schema_strategy", "system_schema_strategy"):
        settings = {"system_dialect": "sqlite", "system_uri": "system.db", setting: "validate"}
        with pytest.raises(BootError) as caught:
            await kernel(**settings).bootstrap()
        (problem,) = caught.value.exceptions
        assert isinstance(problem, SchemaOutdated)
    async with kernel(system_dialect="sqlite", system_uri="system.db"):
        pass
    async with kernel(
        system_dialect="sqlite",
        system_uri="system.db",
        db_schema_strategy="validate",
        system_schema_strategy="validate",
    ) as running:
        assert running.get(STARTED) == 2


async def test_migrations_reach_the_database_that_has_their_tables(tmp_path: Path) -> None:
    """What a plugin contributes runs where its collections are, once."""
    ran: list[str] = []

    def migration(name: str, collection: str) -> Migration:
        return Migration(name, 1, "a change", lambda step: ran.append(name), collections=collection)

    class Changes(Plugin):
        name = "changes"

        @contributes(MIGRATIONS, uses=())
        def business(self) -> Migration:
            return migration("business", "orders")

        @contributes(MIGRATIONS, uses=())
        def system(self) -> Migration:
            return migration("system", "sys_keys")

    settings = {"plugins": {"system-dialect": {"system_dialect": "sqlite", "system_uri": "system.db"}}}
    async with ObjectKernel(plugins=[Shop, SystemDialectPlugin], discover=False, config=settings):
        pass
    for _ in range(2):
        async with ObjectKernel(plugins=[Shop, SystemDialectPlugin, Changes], discover=False, config=settings):
            assert sorted(ran) == ["business", "system"]
