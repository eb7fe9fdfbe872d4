"""`DATA_PLUG` and `SCHEMAS`: the two databases of a kernel in the hands of a host or an administrator."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint
from objectkernel import KernelError, ObjectKernel, Plugin, needs, provides
from objectkernel.errors import ConfigError
from objectkernel.keys import Service
from objectkernel_system_dialect.contracts import (
    DATA_PLUG,
    DIALECT,
    SCHEMAS,
    SYSTEM_DIALECT,
    DatabaseUnavailable,
    DataPlug,
    DialectClosed,
    DialectUnsupported,
    EntitySchema,
    EntityUnknown,
    Field,
    OperationUnsupported,
    Relation,
    SystemDialectShared,
)
from objectkernel_system_dialect.plugin import SystemDialectPlugin
from objectkernel_system_dialect.sql_dialect import SqlDialect
from objectkernel_system_dialect.sqlite_dialect import open_sqlite

from tests.plugins.system_dialect.kernels import KEY_ROW, ORDER, in_files, shop

pytestmark = pytest.mark.anyio

ADMIN = Service[int]("test.admin")
NOTE = EntitySchema(name="Note", collection="notes", fields={"text": Field("text")})


@pytest.fixture
async def alone(anyio_backend: str, tmp_path: Path) -> AsyncIterator[ObjectKernel]:
    """A kernel whose system data lies with the business data."""
    async with shop(in_files(tmp_path, system=False)) as kernel:
        yield kernel


@pytest.fixture
async def both(anyio_backend: str, tmp_path: Path) -> AsyncIterator[ObjectKernel]:
    """A kernel with a database for the business data and one for the system's."""
    async with shop(in_files(tmp_path)) as kernel:
        yield kernel


# --- the assertions of the description ------------------------------------------------------------------


async def test_t1_fallback_alias_business(alone: ObjectKernel) -> None:
    """Without a database of its own the system dialect is the business one."""
    plug = alone.get(DATA_PLUG)
    assert await plug.get_system_dialect() is await plug.get_dialect()
    plug.reset_system_dialect()
    assert await plug.get_system_dialect() is await plug.get_dialect()


async def test_t2_get_system_dialect_returns_the_bootstrapped_one(both: ObjectKernel) -> None:
    """What the bootstrap opened is what everybody gets, and what `SYSTEM_DIALECT` is."""
    plug = both.get(DATA_PLUG)
    assert await plug.get_system_dialect() is both.get(SYSTEM_DIALECT)
    assert await plug.bootstrap_system_dialect() is both.get(SYSTEM_DIALECT)


async def test_t3_system_is_distinct_from_business(both: ObjectKernel, tmp_path: Path) -> None:
    """With both variables set there are two databases, each with its own schemas."""
    plug = both.get(DATA_PLUG)
    business, system = await plug.get_dialect(), await plug.get_system_dialect()
    assert system is not business
    assert (business.schemas(), system.schemas()) == ((ORDER,), (KEY_ROW,))
    await system.create(KEY_ROW, {"name": "a"})
    async with aclosing(await open_sqlite(str(tmp_path / "system.db"))) as file:
        await file.register(KEY_ROW)
        assert await file.count(KEY_ROW) == 1


async def test_t4_system_survives_business_disconnect(both: ObjectKernel) -> None:
    """While the business connection is gone the system's is not touched; the business one comes back by itself."""
    plug = both.get(DATA_PLUG)
    await both.get(SYSTEM_DIALECT).create(KEY_ROW, {"name": "a"})
    await plug.disconnect()
    assert await both.get(SYSTEM_DIALECT).count(KEY_ROW) == 1
    assert await both.get(DIALECT).count(ORDER) == 0


async def test_t5_reset_then_bootstrap_falls_back_again(anyio_backend: str, tmp_path: Path) -> None:
    """After a reset the bootstrap reads the settings as they are then: without the variables it is the alias."""
    environ = in_files(tmp_path)
    async with shop(environ) as kernel:
        plug = kernel.get(DATA_PLUG)
        plug.reset_system_dialect()
        del environ["MOSTA_SYSTEM_DIALECT"], environ["MOSTA_SYSTEM_URI"]
        assert await plug.bootstrap_system_dialect() is kernel.get(DIALECT)
        assert await kernel.get(DIALECT).count(KEY_ROW) == 0
        assert await kernel.get(SYSTEM_DIALECT).count(KEY_ROW) == 0  # whoever holds the old one may go on


async def test_t6_bootstrap_is_idempotent(both: ObjectKernel) -> None:
    """However often and however many at once: one database is opened, and everybody gets it."""
    plug = both.get(DATA_PLUG)
    plug.reset_system_dialect()
    found: list[object] = []

    async def bootstrap() -> None:
        found.append(await plug.bootstrap_system_dialect())

    async with anyio.create_task_group() as tasks:
        for _ in range(10):
            tasks.start_soon(bootstrap)
    assert len({id(dialect) for dialect in found}) == 1
    assert found[0] is not both.get(DIALECT)
    assert await plug.bootstrap_system_dialect() is found[0]


async def test_a_bootstrap_after_a_reset_opens_no_second_connection(both: ObjectKernel) -> None:
    """The reset has left it open, so it is taken again; once it is closed there is another."""
    plug = both.get(DATA_PLUG)
    plug.reset_system_dialect()
    found = await plug.bootstrap_system_dialect()
    assert found is both.get(SYSTEM_DIALECT)
    await found.aclose()
    plug.reset_system_dialect()
    another = await plug.bootstrap_system_dialect()
    assert another is not found
    assert await another.count(KEY_ROW) == 0
    plug.reset_system_dialect()
    assert await plug.bootstrap_system_dialect() is another


# --- the system's data --------------------------------------------------------------------------------------


async def test_a_system_dialect_may_be_given(alone: ObjectKernel) -> None:
    """It gets the system schemas; it is not closed by the kernel; a reset takes it back."""
    plug = alone.get(DATA_PLUG)
    async with aclosing(await open_sqlite(":memory:")) as own:
        await plug.set_system_dialect(own)
        assert await plug.get_system_dialect() is own
        assert own.schemas() == (KEY_ROW,)
        plug.reset_system_dialect()
        assert await plug.get_system_dialect() is alone.get(DIALECT)
        assert await own.count(KEY_ROW) == 0


async def test_a_fallback_is_said_aloud(anyio_backend: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The alias is a warning with its code at the boot and wherever it is fallen back to, and a finding of doctor's."""
    with caplog.at_level(logging.WARNING):
        async with shop(in_files(tmp_path, system=False)) as kernel:
            assert [record.levelname for record in caplog.records if "D409" in record.getMessage()] == ["WARNING"]
            (finding,) = kernel.findings()
            assert isinstance(finding, SystemDialectShared)
            assert "MOSTA_SYSTEM_DIALECT" in finding.fix
            plug = kernel.get(DATA_PLUG)
            plug.reset_system_dialect()
            await plug.get_system_dialect()
            await plug.bootstrap_system_dialect()
    assert sum("D409" in record.getMessage() for record in caplog.records) == 3


async def test_two_databases_are_nothing_to_tell(both: ObjectKernel, caplog: pytest.LogCaptureFixture) -> None:
    """With a system database of its own nothing is warned of and nothing found."""
    assert both.findings() == ()
    assert "D409" not in caplog.text


async def test_a_required_system_database_is_no_fallback(anyio_backend: str, tmp_path: Path) -> None:
    """With MOSTA_SYSTEM_REQUIRED the alias is refused, also after a reset; without the variables nothing boots."""
    environ = in_files(tmp_path) | {"MOSTA_SYSTEM_REQUIRED": "true"}
    async with shop(environ) as kernel:
        plug = kernel.get(DATA_PLUG)
        plug.reset_system_dialect()
        with pytest.raises(SystemDialectShared):
            await plug.get_system_dialect()
        assert await plug.bootstrap_system_dialect() is not kernel.get(DIALECT)
    del environ["MOSTA_SYSTEM_DIALECT"], environ["MOSTA_SYSTEM_URI"]
    assert "MOSTA_SYSTEM_URI" in str(shop(environ).check()[0])


# --- the business data ----------------------------------------------------------------------------------------


async def test_modes(alone: ObjectKernel) -> None:
    """A database is the mode ``orm``."""
    plug = alone.get(DATA_PLUG)
    assert (plug.get_data_mode(), plug.is_orm_mode(), plug.is_net_mode()) == ("orm", True, False)


async def test_the_dialect_is_changed_behind_the_service(both: ObjectKernel, tmp_path: Path) -> None:
    """`DIALECT` is the same object before and after; its tables are made in the new database."""
    plug, business = both.get(DATA_PLUG), both.get(DIALECT)
    await business.create(ORDER, {"total": 1})
    await plug.change_dialect("sqlite", str(tmp_path / "other.db"))
    assert await plug.get_dialect() is business
    assert await business.count(ORDER) == 0
    await business.create(ORDER, {"total": 2})
    await plug.change_dialect("sqlite", f"sqlite:///{tmp_path / 'business.db'}")
    assert [row["total"] for row in await business.find(ORDER)] == [1]


async def test_a_change_lasts_until_the_settings_are_asked(both: ObjectKernel, tmp_path: Path) -> None:
    """`reconnect` and `disconnect` stay with the changed database; `reset_dialect` and `reload_config` go back."""
    plug, business = both.get(DATA_PLUG), both.get(DIALECT)
    for back in (plug.reset_dialect, plug.reload_config):
        await plug.change_dialect("sqlite", str(tmp_path / "other.db"))
        row = await business.create(ORDER, {"total": 1})
        await plug.reconnect()
        await plug.disconnect()
        assert await business.find_by_id(ORDER, row["id"]) is not None
        await back()
        assert await business.find_by_id(ORDER, row["id"]) is None
    assert await plug.reload_config() is False


async def test_a_change_that_is_cancelled_behind_the_switch_holds(
    both: ObjectKernel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its caller goes while the old connection closes: `disconnect` and `reconnect` stay with the new database."""
    plug, business = both.get(DATA_PLUG), both.get(DIALECT)
    with anyio.CancelScope() as scope:
        monkeypatch.setattr(SqlDialect, "aclose", _cancelling(scope, SqlDialect.aclose))
        await plug.change_dialect("sqlite", str(tmp_path / "other.db"))
    monkeypatch.undo()
    assert scope.cancelled_caught
    row = await business.create(ORDER, {"total": 1})
    for again in (plug.disconnect, plug.reconnect):
        await again()
        assert await business.find_by_id(ORDER, row["id"]) == row


def _cancelling(scope: anyio.CancelScope, close: Callable[[SqlDialect], Awaitable[None]]) -> Any:
    async def closing(self: SqlDialect) -> None:
        scope.cancel()
        await close(self)

    return closing


@pytest.mark.parametrize("first", ["change", "reconnect", "disconnect", "reset"])
async def test_the_last_one_who_asks_decides(both: ObjectKernel, tmp_path: Path, first: str) -> None:
    """However the calls overlap, it is as if one came after the other; what follows stays with the last change."""
    plug, business = both.get(DATA_PLUG), both.get(DIALECT)
    one, other = str(tmp_path / "one.db"), str(tmp_path / "other.db")
    begun = {
        "change": lambda: plug.change_dialect("sqlite", one),
        "reconnect": plug.reconnect,
        "disconnect": plug.disconnect,
        "reset": plug.reset_dialect,
    }
    async with anyio.create_task_group() as tasks:
        for begin in (begun[first], lambda: plug.change_dialect("sqlite", other), plug.reconnect):
            tasks.start_soon(begin)
            await checkpoint()  # which lets it begin before the next one
    row = await business.create(ORDER, {"total": 1})
    await plug.disconnect()
    assert await business.find_by_id(ORDER, row["id"]) == row
    async with aclosing(await open_sqlite(other)) as there:
        await there.register(ORDER)
        assert await there.find(ORDER) == [row]


async def test_the_settings_catch_up_with_a_change(anyio_backend: str, tmp_path: Path) -> None:
    """Where they name the changed database at last, nothing is switched, and the settings decide again."""
    environ = in_files(tmp_path)
    async with shop(environ) as kernel:
        plug, business = kernel.get(DATA_PLUG), kernel.get(DIALECT)
        await plug.change_dialect("sqlite", str(tmp_path / "other.db"))
        environ["SGBD_URI"] = str(tmp_path / "other.db")
        assert await plug.reload_config() is False
        await business.create(ORDER, {"total": 1})
        environ["SGBD_URI"] = str(tmp_path / "third.db")
        await plug.disconnect()
        assert await business.count(ORDER) == 0


@pytest.mark.parametrize(
    ("dialect", "uri", "error"),
    [
        ("postgras", "x", DialectUnsupported),
        ("postgres://ada:hunter2@host/db", "x", DialectUnsupported),
        ("postgres", "/srv/hunter2.db", DialectUnsupported),
        ("sqlite", "/nowhere/hunter2/x.db", DatabaseUnavailable),
    ],
)
async def test_a_change_that_fails_changes_nothing(
    both: ObjectKernel, dialect: str, uri: str, error: type[KernelError]
) -> None:
    """The present database stays, and the error shows no URI."""
    row = await both.get(DIALECT).create(ORDER, {"total": 1})
    with pytest.raises(error) as caught:
        await both.get(DATA_PLUG).change_dialect(dialect, uri)
    assert "hunter2" not in f"{caught.value}{caught.value!r}{caught.value.facts}{caught.value.__cause__}"
    assert await both.get(DIALECT).find_by_id(ORDER, row["id"]) == row


async def test_the_settings_are_read_again(anyio_backend: str, tmp_path: Path) -> None:
    """`reload_config` switches where they name another database; refused ones change nothing."""
    environ = in_files(tmp_path)
    async with shop(environ) as kernel:
        plug, business = kernel.get(DATA_PLUG), kernel.get(DIALECT)
        await business.create(ORDER, {"total": 1})
        assert await plug.reload_config() is False
        environ["SGBD_URI"] = str(tmp_path / "other.db")
        assert await plug.reload_config() is True
        assert await business.count(ORDER) == 0
        environ["DB_DIALECT"] = "postgres"
        with pytest.raises(ConfigError) as caught:
            await plug.reload_config()
        assert "is one of sqlite" in str(caught.value)
        assert await business.count(ORDER) == 0


async def test_a_disconnect_leads_to_what_the_settings_say_then(anyio_backend: str, tmp_path: Path) -> None:
    """The next operation reads them; where they are refused it says so, each time, until they are mended."""
    environ = in_files(tmp_path)
    async with shop(environ) as kernel:
        plug, business = kernel.get(DATA_PLUG), kernel.get(DIALECT)
        await business.create(ORDER, {"total": 1})
        await plug.disconnect()
        environ["DB_SCHEMA_STRATEGY"] = "never"
        for _ in range(2):
            with pytest.raises(ConfigError):
                await business.count(ORDER)
        environ["DB_SCHEMA_STRATEGY"] = "update"
        environ["SGBD_URI"] = str(tmp_path / "other.db")
        assert await business.count(ORDER) == 0


async def test_a_reconnect_looks_after_the_tables(both: ObjectKernel, tmp_path: Path) -> None:
    """The file was taken away: after `reconnect` there is a new one with every table."""
    await both.get(DIALECT).create(ORDER, {"total": 1})
    for file in tmp_path.glob("business.db*"):
        file.unlink()
    await both.get(DATA_PLUG).reconnect()
    assert await both.get(DIALECT).count(ORDER) == 0


async def test_a_dialect_may_be_given(both: ObjectKernel) -> None:
    """`set_dialect` puts one behind the service; `reset_dialect` goes back to the settings and leaves it open."""
    plug, business = both.get(DATA_PLUG), both.get(DIALECT)
    async with aclosing(await open_sqlite(":memory:")) as own:
        await plug.set_dialect(own)
        await business.create(ORDER, {"total": 1})
        assert await own.count(ORDER) == 1
        await plug.reset_dialect()
        assert await business.count(ORDER) == 0
        assert await own.count(ORDER) == 1


async def test_a_dialect_is_not_put_behind_itself(both: ObjectKernel) -> None:
    """What `DIALECT` gave, or a tenant's view of it, is refused; everything goes on as it was."""
    plug, business = both.get(DATA_PLUG), both.get(DIALECT)
    for same in (business, business.as_tenant("a")):
        with pytest.raises(OperationUnsupported, match="behind itself"):
            await plug.set_dialect(same)
    await business.create(ORDER, {"total": 1})
    await plug.set_dialect(both.get(SYSTEM_DIALECT))
    assert await business.count(ORDER) == 0


async def test_the_hosts_own_dialect_is_not_switched(anyio_backend: str, tmp_path: Path) -> None:
    """Where the host gave an object of its own as `DIALECT`, the plug says that it cannot change it."""
    async with aclosing(await open_sqlite(":memory:")) as own:
        async with shop(in_files(tmp_path)).provide(DIALECT, own) as kernel:
            plug = kernel.get(DATA_PLUG)
            assert await plug.get_dialect() is own
            for change in (plug.reconnect, plug.disconnect, plug.reload_config):
                with pytest.raises(OperationUnsupported):
                    await change()
        await own.ping()


async def test_an_isolated_dialect_is_its_callers(both: ObjectKernel, tmp_path: Path) -> None:
    """It shares nothing with the others; by default no table is made; the caller closes it."""
    plug = both.get(DATA_PLUG)
    async with aclosing(await plug.open_isolated_dialect("sqlite", str(tmp_path / "own.db"), "create")) as own:
        assert own.schemas() == ()
        await own.register(NOTE)
        await own.create(NOTE, {"text": "a"})
    with pytest.raises(DialectClosed):
        await own.ping()
    async with aclosing(await plug.open_isolated_dialect("sqlite", str(tmp_path / "own.db"))) as own:
        await own.register(NOTE, ORDER)
        assert await own.count(NOTE) == 1
        with pytest.raises(KernelError):
            await own.count(ORDER)


async def test_each_kernel_has_databases_of_its_own(anyio_backend: str, tmp_path: Path) -> None:
    """Nothing is shared within a process: what one kernel changes another does not see."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    async with shop(in_files(tmp_path / "a")) as one, shop(in_files(tmp_path / "b")) as other:
        await one.get(SCHEMAS).register_schema(NOTE)
        await one.get(DATA_PLUG).change_dialect("sqlite", ":memory:")
        assert not other.get(SCHEMAS).has_schema("Note")
        assert await other.get(DIALECT).count(ORDER) == 0


async def test_in_memory_the_plug_works_too(anyio_backend: str, tmp_path: Path) -> None:
    """Tests may switch away and come back: to an empty memory."""
    async with ObjectKernel(plugins=[SystemDialectPlugin.in_memory()], discover=False) as kernel:
        plug, dialect = kernel.get(DATA_PLUG), kernel.get(DIALECT)
        await plug.register_schema(NOTE)
        await dialect.create(NOTE, {"text": "a"})
        assert await plug.reload_config() is False
        assert await dialect.count(NOTE) == 1
        await plug.change_dialect("sqlite", str(tmp_path / "a.db"))
        assert await plug.reload_config() is True
        assert await dialect.count(NOTE) == 0
        assert kernel.findings() == ()


# --- the registry ---------------------------------------------------------------------------------------------


async def test_schemas_are_found(both: ObjectKernel) -> None:
    """By name, by collection and all together: the business data's first, then the system's."""
    schemas = both.get(SCHEMAS)
    assert schemas.get_all_schemas() == (ORDER, KEY_ROW)
    assert schemas.get_entity_names() == ("Order", "KeyRow")
    assert schemas.get_schema("Order") is ORDER
    assert schemas.get_schema_by_collection("sys_keys") is KEY_ROW
    assert schemas.get_schema_by_collection("nowhere") is None
    assert (schemas.has_schema("Order"), schemas.has_schema("Ordre")) == (True, False)
    with pytest.raises(EntityUnknown, match="did you mean 'Order'") as caught:
        schemas.get_schema("Ordre")
    assert caught.value.facts == {"entity": "Ordre", "known": ("Order",)}


async def test_an_alias_counts_its_schemas_once(alone: ObjectKernel) -> None:
    """Where both kinds of data lie together, each schema is there once."""
    assert alone.get(SCHEMAS).get_all_schemas() == (ORDER, KEY_ROW)


async def test_a_schema_registered_later_has_its_table_at_once(both: ObjectKernel) -> None:
    """Several may relate to each other; a second time nothing happens."""
    plug = both.get(DATA_PLUG)
    reply = EntitySchema(
        name="Reply", collection="replies", fields={}, relations={"note": Relation("Note", required=True)}
    )
    await plug.register_schemas([reply, NOTE])
    await plug.register_schema(NOTE)
    note = await both.get(DIALECT).create(NOTE, {"text": "a"})
    assert await both.get(DIALECT).create(reply, {"note": note["id"]})
    assert plug.get_entity_names() == ("Order", "Reply", "Note", "KeyRow")


async def test_every_problem_is_told(both: ObjectKernel) -> None:
    """What is registered has none; what would be registered is looked at together with it."""
    schemas = both.get(SCHEMAS)
    assert schemas.validate_schemas() == ()
    assert schemas.validate_schemas(NOTE) == ()
    problems = schemas.validate_schemas(
        EntitySchema(name="Order", collection="others", fields={}),
        EntitySchema(name="Bad", collection="Bad", fields={"a": Field("enum")}),
    )
    assert len(problems) == 3


@pytest.mark.parametrize("system", [True, False])
async def test_a_cleared_registry_keeps_the_systems_schemas(anyio_backend: str, tmp_path: Path, system: bool) -> None:
    """Business schemas are forgotten, so that no later connection has them; tables and rows stay."""
    async with shop(in_files(tmp_path, system=system)) as kernel:
        plug, business = kernel.get(DATA_PLUG), kernel.get(DIALECT)
        await business.create(ORDER, {"total": 1})
        plug.clear_registry()
        assert plug.get_all_schemas() == (KEY_ROW,)
        await plug.reconnect()
        with pytest.raises(EntityUnknown):
            await business.count(ORDER)
        assert await kernel.get(SYSTEM_DIALECT).count(KEY_ROW) == 0
        await plug.register_schema(ORDER)
        assert await business.count(ORDER) == 1


async def test_plugins_may_use_the_plug(anyio_backend: str, tmp_path: Path) -> None:
    """It is a service like any other, stopped behind those who use it."""

    class Admin(Plugin):
        name = "admin"
        plug = needs(DATA_PLUG)

        @provides(ADMIN)
        async def admin(self) -> AsyncIterator[int]:
            plug: DataPlug = self.plug
            yield len(plug.get_all_schemas())
            await plug.reconnect()

    async with shop(in_files(tmp_path), Admin) as kernel:
        assert kernel.get(ADMIN) == 2
