"""A dialect that stays while the database behind it changes, is let go of, lost, and found again."""

from __future__ import annotations

import inspect
import sqlite3
from collections.abc import AsyncIterator
from contextlib import aclosing, closing
from pathlib import Path
from typing import Any

import anyio
import pytest
from objectkernel.errors import ConfigError, ConfigInvalid
from objectkernel.secret import Secret
from objectkernel_system_dialect.contracts import (
    DatabaseBusy,
    DatabaseUnavailable,
    Dialect,
    DialectClosed,
    EntitySchema,
    EntityUnknown,
    Field,
    OperationUnsupported,
    SchemaInvalid,
    StatementFailed,
)
from objectkernel_system_dialect.databases import named
from objectkernel_system_dialect.generations import Opening
from objectkernel_system_dialect.opening import Lent, SqlOpening
from objectkernel_system_dialect.switching import SwitchableDialect, switchable

from tests.plugins.system_dialect.load import write_while_switching
from tests.plugins.system_dialect.servers import Connection, Server

pytestmark = pytest.mark.anyio

NOTE = EntitySchema(name="Note", collection="notes", fields={"text": Field("string")})
TASK = EntitySchema(name="Task", collection="tasks", fields={"text": Field("string")})


def sqlite(path: Path | str) -> SqlOpening:
    """A SQLite database as it is opened."""
    return SqlOpening(named("sqlite"), Secret(str(path)))


@pytest.fixture
def old() -> Server:
    """Where the dialect of a test is at first."""
    return Server("old")


@pytest.fixture
def new() -> Server:
    """Where it goes."""
    return Server("new")


@pytest.fixture
async def dialect(anyio_backend: str, old: Server) -> AsyncIterator[SwitchableDialect]:
    """A switchable dialect on the old server that knows notes."""
    async with switchable(old.opening(), [NOTE]) as dialect:
        yield dialect


# --- what is passed on ----------------------------------------------------------------------------------


async def test_it_passes_every_operation_on(dialect: SwitchableDialect, old: Server) -> None:
    """Each operation of a dialect reaches the database with its arguments, and its answer comes back."""
    own = {"aclose", "ping", "register", "create", "count", "stream", "transaction", "schemas", "table", "as_tenant"}
    operations = [name for name, op in vars(Dialect).items() if inspect.iscoroutinefunction(op) and name not in own]
    assert len(operations) > 15
    for name in operations:
        assert await getattr(dialect, name)(NOTE, "argument", option=1) == name
    assert old.opened[0].calls == [(name, (NOTE, "argument"), {"option": 1}) for name in operations]


async def test_it_has_every_operation_of_a_dialect() -> None:
    """Whatever the Protocol gains, the handle has it; health checks find `ping` a coroutine function."""
    assert [name for name in vars(Dialect) if not name.startswith("_") and not hasattr(SwitchableDialect, name)] == []
    assert inspect.iscoroutinefunction(SwitchableDialect.ping)


async def test_what_needs_no_connection_is_answered_by_the_present_database(
    dialect: SwitchableDialect, new: Server
) -> None:
    """Name, capabilities and tables are those of the database that it is at, also while disconnected."""
    assert (dialect.name, dialect.capabilities) == ("old", {"transaction"})
    await dialect.switch(new.opening())
    assert (dialect.name, str(dialect.table(NOTE))) == ("new", "notes of new")
    await dialect.disconnect()
    assert dialect.name == "new"


# --- switching --------------------------------------------------------------------------------------------


async def test_operations_in_flight_finish_where_they_began(
    dialect: SwitchableDialect, old: Server, new: Server
) -> None:
    """New operations go to the new database; the old one closes behind the last operation that it has."""
    old.hold = anyio.Event()
    counts: list[int] = []

    async def count() -> None:
        counts.append(await dialect.count(NOTE))

    old.tables["notes"].append({})
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(count)
        tasks.start_soon(count)
        await anyio.wait_all_tasks_blocked()
        await dialect.switch(new.opening())
        assert await dialect.count(NOTE) == 0
        assert old.closed == []
        old.hold.set()
    await anyio.wait_all_tasks_blocked()
    assert counts == [1, 1]
    assert (len(old.closed), len(new.closed)) == (1, 0)


async def test_a_cancelled_operation_is_the_last_one_too(dialect: SwitchableDialect, old: Server, new: Server) -> None:
    """The old database closes behind an operation that was cancelled as behind any other."""
    old.hold = anyio.Event()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(dialect.count, NOTE)
        await anyio.wait_all_tasks_blocked()
        await dialect.switch(new.opening())
        assert old.closed == []
        tasks.cancel_scope.cancel()
    await anyio.wait_all_tasks_blocked()
    assert len(old.closed) == 1


async def test_an_idle_database_is_closed_when_the_switch_returns(
    dialect: SwitchableDialect, old: Server, new: Server
) -> None:
    """Whoever switches may then take the old database away."""
    await dialect.switch(new.opening())
    assert len(old.closed) == 1


async def test_a_database_that_cannot_be_opened_changes_nothing(
    dialect: SwitchableDialect, old: Server, new: Server
) -> None:
    """The new one is tried before the old one is left; the error says what was wrong with it."""
    new.up = False
    with pytest.raises(DatabaseUnavailable) as caught:
        await dialect.switch(new.opening())
    assert caught.value.facts["database"] == "new"
    await dialect.create(NOTE, {"text": "a"})
    assert (dialect.name, old.closed, len(old.tables["notes"])) == ("old", [], 1)


async def test_the_new_database_gets_every_schema(dialect: SwitchableDialect, new: Server) -> None:
    """Those of the start, and those that were registered later; both before the first operation comes."""
    await dialect.register(TASK)
    await dialect.switch(new.opening())
    assert new.opened[0].known == [NOTE, TASK]
    assert dialect.schemas() == (NOTE, TASK)


async def test_a_schema_is_registered_outside_of_transactions(dialect: SwitchableDialect, new: Server) -> None:
    """Within one a new schema is refused, for it would wait for the transaction's end; a known one does nothing."""
    async with dialect.transaction():
        await dialect.register(NOTE)
        with pytest.raises(OperationUnsupported, match="Task"):
            await dialect.register(NOTE, TASK)
    assert dialect.schemas() == (NOTE,)
    await dialect.register(TASK)
    async with dialect.as_tenant("a").transaction():
        await dialect.switch(new.opening())
        await dialect.register(TASK)


async def test_nobody_waits_for_a_registration_within_a_transaction(tmp_path: Path) -> None:
    """SQLite has one writer: while one task's transaction has it, another's new schema waits, and they end both."""
    begun = anyio.Event()
    async with switchable(sqlite(tmp_path / "a.db"), [NOTE]) as dialect:

        async def register() -> None:
            await begun.wait()
            await dialect.register(TASK)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(register)
            with anyio.fail_after(60):
                async with dialect.transaction():
                    await dialect.create(NOTE, {"text": "a"})
                    begun.set()
                    await anyio.wait_all_tasks_blocked()
                    await dialect.register(NOTE)
                    with pytest.raises(OperationUnsupported):
                        await dialect.register(EntitySchema(name="Third", collection="thirds", fields={}))
        assert await dialect.count(TASK) == 0


async def test_a_refused_schema_is_not_kept(tmp_path: Path) -> None:
    """What one database refuses is not offered to the next."""
    async with switchable(sqlite(":memory:"), [NOTE]) as dialect:
        with pytest.raises(SchemaInvalid):
            await dialect.register(EntitySchema(name="Bad", collection="Bad", fields={}))
        await dialect.switch(sqlite(tmp_path / "a.db"))
        assert dialect.schemas() == (NOTE,)


async def test_forgotten_schemas_do_not_follow(dialect: SwitchableDialect, new: Server) -> None:
    """What was forgotten is not brought up in the next database; what is kept is."""
    await dialect.register(TASK)
    dialect.forget_schemas(keep=[TASK])
    await dialect.switch(new.opening())
    assert new.opened[0].known == [TASK]


async def test_a_lent_dialect_is_not_closed(dialect: SwitchableDialect, old: Server, new: Server) -> None:
    """It belongs to whoever made it; its own schemas show while it is there."""
    lent = await new.opening().open([TASK])
    await dialect.switch(Lent(lent))
    assert dialect.schemas() == (NOTE, TASK)
    await dialect.switch(old.opening())
    assert new.closed == []
    assert dialect.schemas() == (NOTE,)


# --- transactions and streams -------------------------------------------------------------------------------


async def test_a_transaction_stays_where_it_began(dialect: SwitchableDialect, old: Server, new: Server) -> None:
    """All of its block goes to the old database, also in tasks that it starts; then the next goes to the new one."""
    async with dialect.transaction():
        await dialect.switch(new.opening())
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(dialect.create, NOTE, {"text": "by a task"})
        async with dialect.transaction():
            await dialect.create(NOTE, {"text": "in a savepoint"})
        assert old.closed == []
    await dialect.create(NOTE, {"text": "after"})
    assert [row["text"] for row in old.tables["notes"]] == ["by a task", "in a savepoint"]
    assert [row["text"] for row in new.tables["notes"]] == ["after"]
    await anyio.wait_all_tasks_blocked()
    assert len(old.closed) == 1


async def test_a_task_that_outlives_its_transaction_is_free_of_it(
    dialect: SwitchableDialect, old: Server, new: Server
) -> None:
    """It began within the block and goes on behind it: then it finds the present database."""
    ended = anyio.Event()

    async def later() -> None:
        await ended.wait()
        await dialect.create(NOTE, {"text": "late"})

    async with anyio.create_task_group() as tasks:
        async with dialect.transaction():
            tasks.start_soon(later)
            await dialect.switch(new.opening())
        ended.set()
    assert (len(old.tables["notes"]), len(new.tables["notes"])) == (0, 1)


async def test_another_dialects_transaction_is_its_own_affair(dialect: SwitchableDialect, new: Server) -> None:
    """A block pins the dialect that it was begun on, and no other."""
    third = Server("third")
    async with switchable(new.opening(), [NOTE]) as other, other.transaction():
        await dialect.switch(third.opening())
        await dialect.create(NOTE, {})
        await other.switch(third.opening())
        await other.create(NOTE, {})
        assert (len(new.tables["notes"]), len(third.tables["notes"])) == (1, 1)


async def test_a_stream_stays_where_it_began(dialect: SwitchableDialect, old: Server, new: Server) -> None:
    """Its rows come from one database to the end, or until its reader leaves it; then that one closes."""
    old.tables["notes"] += [{"text": "a"}, {"text": "b"}, {"text": "c"}]
    async with aclosing(dialect.stream(NOTE)) as rows:  # type: ignore[type-var]
        seen = [(await anext(rows))["text"]]
        await dialect.switch(new.opening())
        seen.append((await anext(rows))["text"])
        assert old.closed == []
    await anyio.wait_all_tasks_blocked()
    assert seen == ["a", "b"]
    assert len(old.closed) == 1


# --- tenants --------------------------------------------------------------------------------------------------


async def test_a_tenants_view_follows(dialect: SwitchableDialect, old: Server, new: Server) -> None:
    """What a tenant was given before a switch writes as that tenant behind it."""
    view = dialect.as_tenant("acme")
    await view.create(NOTE, {"text": "a"})
    await dialect.switch(new.opening())
    await view.create(NOTE, {"text": "b"})
    await dialect.create(NOTE, {"text": "c"})
    assert old.tables["notes"] == [{"text": "a", "tenant": "acme"}]
    assert new.tables["notes"] == [{"text": "b", "tenant": "acme"}, {"text": "c"}]


async def test_a_tenants_view_gives_no_other(dialect: SwitchableDialect) -> None:
    """`as_tenant` of a view is refused as the database refuses it, used before or not."""
    view = dialect.as_tenant("acme")
    for _ in range(2):
        with pytest.raises(AssertionError, match="no other"):
            view.as_tenant("other")
        await view.create(NOTE, {})


async def test_a_tenants_transaction_holds_for_all(dialect: SwitchableDialect, old: Server, new: Server) -> None:
    """A block that was begun through a view keeps the whole dialect where it is."""
    async with dialect.as_tenant("acme").transaction():
        await dialect.switch(new.opening())
        await dialect.create(NOTE, {})
    assert len(old.tables["notes"]) == 1


# --- letting go, and connecting again ---------------------------------------------------------------------------


async def test_after_a_disconnect_one_caller_connects_for_all(dialect: SwitchableDialect, old: Server) -> None:
    """However many operations ask, one connection is opened; none of them fails."""
    await dialect.disconnect()
    assert len(old.closed) == 1
    async with anyio.create_task_group() as tasks:
        for _ in range(50):
            tasks.start_soon(dialect.count, NOTE)
    assert (len(old.opened), len(old.closed)) == (2, 1)


async def test_a_failed_attempt_is_everybodys(dialect: SwitchableDialect, old: Server) -> None:
    """All who waited for it get its error, each one of its own; the next operation tries again."""
    await dialect.disconnect()
    old.up = False
    opening = old.opening()
    await dialect.disconnect(lambda: opening)
    errors: list[DatabaseUnavailable] = []

    async def count() -> None:
        with pytest.raises(DatabaseUnavailable) as caught:
            await dialect.count(NOTE)
        errors.append(caught.value)

    async with anyio.create_task_group() as tasks:
        for _ in range(20):
            tasks.start_soon(count)
    assert len({id(error) for error in errors}) == 20
    assert {error.facts["database"] for error in errors} == {"old"}
    assert opening.attempts == 1
    old.up = True
    assert await dialect.count(NOTE) == 0
    assert opening.attempts == 2


async def test_an_error_of_another_kind_is_everybodys_too(dialect: SwitchableDialect) -> None:
    """Settings that are refused while connecting are told to all, and nobody waits for ever."""
    refused: list[Exception] = []

    def then() -> Opening:
        raise ConfigError([ConfigInvalid("no", plugin="x", option="y")])

    await dialect.disconnect(then)

    async def count() -> None:
        with pytest.raises(ConfigError) as caught:
            await dialect.count(NOTE)
        refused.append(caught.value)

    async with anyio.create_task_group() as tasks:
        for _ in range(5):
            tasks.start_soon(count)
    assert len(refused) == 5


async def test_who_waits_takes_over_from_one_who_is_cancelled(dialect: SwitchableDialect, old: Server) -> None:
    """The caller that connects may be cancelled; another then connects, and nobody is left waiting."""
    await dialect.disconnect()
    old.hold = anyio.Event()
    counts: list[int] = []

    async def count() -> None:
        counts.append(await dialect.count(NOTE))

    async with anyio.create_task_group() as tasks:
        first = anyio.CancelScope()

        async def cancelled() -> None:
            with first:
                await dialect.count(NOTE)

        tasks.start_soon(cancelled)
        await anyio.wait_all_tasks_blocked()
        tasks.start_soon(count)
        tasks.start_soon(count)
        await anyio.wait_all_tasks_blocked()
        first.cancel()
        await anyio.wait_all_tasks_blocked()
        old.hold.set()
    assert counts == [0, 0]
    assert len(old.opened) == 2


async def test_a_disconnect_may_lead_elsewhere(dialect: SwitchableDialect, new: Server) -> None:
    """What is opened next is asked for when it is opened."""
    asked: list[str] = []

    def then() -> Opening:
        asked.append("now")
        return new.opening()

    await dialect.disconnect(then)
    assert asked == []
    await dialect.connect()
    assert (asked, dialect.name) == (["now"], "new")


async def test_a_disconnect_behind_a_switch_stays_there(dialect: SwitchableDialect, old: Server, new: Server) -> None:
    """Whoever lets go while another switches comes back to where the switch led, not to where it began."""
    new.hold = anyio.Event()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(dialect.switch, new.opening())
        await anyio.wait_all_tasks_blocked()
        tasks.start_soon(dialect.disconnect)
        await anyio.wait_all_tasks_blocked()
        new.hold.set()
    await dialect.connect()
    assert (dialect.name, len(old.opened)) == ("new", 1)


async def test_a_disconnect_leaves_what_is_under_way(dialect: SwitchableDialect, old: Server) -> None:
    """A transaction goes on over the connection that it has; the next operation opens another."""
    async with dialect.transaction():
        await dialect.disconnect()
        await dialect.create(NOTE, {})
        assert (len(old.opened), old.closed) == (1, [])
    await anyio.wait_all_tasks_blocked()
    assert len(old.closed) == 1
    assert await dialect.count(NOTE) == 1


# --- a database that goes away ------------------------------------------------------------------------------------


async def test_it_recovers_when_the_database_returns(dialect: SwitchableDialect, old: Server) -> None:
    """While it is away every operation says so; when it is back the next one succeeds, on the same connection."""
    old.up = False
    for _ in range(3):
        with pytest.raises(DatabaseUnavailable):
            await dialect.count(NOTE)
    old.up = True
    assert await dialect.count(NOTE) == 0
    assert (len(old.opened), old.closed) == (1, [])


async def test_a_sign_of_life_is_not_waited_for(
    dialect: SwitchableDialect, old: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Operations that get no answer from a database that is well cost the others a ping, and no pause."""
    monkeypatch.setattr("objectkernel_system_dialect.generations.FIRST_PAUSE", 3600.0)
    monkeypatch.setattr("objectkernel_system_dialect.generations.LONGEST_PAUSE", 3600.0)

    async def slow(*args: Any) -> None:
        raise DatabaseUnavailable("no answer in time", database="old", reason="TimeoutError")

    old.opened[0].find = slow  # type: ignore[attr-defined]
    with anyio.fail_after(60):
        for _ in range(3):
            with pytest.raises(DatabaseUnavailable):
                await dialect.find(NOTE)
            assert await dialect.count(NOTE) == 0
    assert (len(old.opened), old.pings) == (1, 3)


async def test_a_file_that_was_removed_is_noticed(tmp_path: Path) -> None:
    """The sign of life says so; the operation behind it finds a new file with every table, and keeps it."""
    async with switchable(sqlite(tmp_path / "a.db"), [NOTE]) as dialect:
        await dialect.ping()
        for file in tmp_path.glob("a.db*"):
            file.unlink()
        with pytest.raises(DatabaseUnavailable, match="was removed"):
            await dialect.ping()
        row = await dialect.create(NOTE, {"text": "a"})
        await dialect.ping()
    async with switchable(sqlite(tmp_path / "a.db"), [NOTE]) as dialect:
        assert await dialect.find(NOTE) == [row]


async def test_a_dead_connection_is_replaced(dialect: SwitchableDialect, old: Server) -> None:
    """Where the connection stays dead though the server is back, another is opened and the dead one closed."""
    dead = old.opened[0]
    old.up = False
    with pytest.raises(DatabaseUnavailable):
        await dialect.count(NOTE)
    old.up = True
    dead.server = Server("gone")
    dead.server.up = False
    assert await dialect.count(NOTE) == 0
    await anyio.wait_all_tasks_blocked()
    assert (len(old.opened), dead.server.closed) == (2, [dead])


async def test_there_is_no_storm_of_attempts(dialect: SwitchableDialect, old: Server) -> None:
    """A hundred operations that find the database gone make one attempt together, and the next waits a moment."""
    opening = old.opening()
    await dialect.switch(opening)
    attempts = opening.attempts
    old.up = False
    with pytest.raises(DatabaseUnavailable):
        await dialect.count(NOTE)

    async def fails() -> None:
        with pytest.raises(DatabaseUnavailable):
            await dialect.count(NOTE)

    async with anyio.create_task_group() as tasks:
        for _ in range(100):
            tasks.start_soon(fails)
    assert opening.attempts == attempts + 1


async def test_a_database_that_was_made_anew_gets_its_tables(dialect: SwitchableDialect, old: Server) -> None:
    """It was dropped and made again, empty: the operation that notices brings up the tables and is done then."""
    for times in (1, 2):
        old.tables.clear()
        assert await dialect.count(NOTE) == 0
        assert len(old.opened) == 1 + times


async def test_a_transaction_that_finds_no_table_fails_and_is_the_last(dialect: SwitchableDialect, old: Server) -> None:
    """Within a transaction nothing is repeated; the operation behind it finds the tables again."""
    old.tables.clear()
    with pytest.raises(StatementFailed):
        async with dialect.transaction():
            await dialect.count(NOTE)
    assert await dialect.count(NOTE) == 0


async def test_what_can_be_read_once_is_not_given_twice(tmp_path: Path) -> None:
    """An operation that has used up its argument fails rather than being done with nothing; the next one succeeds."""
    path = tmp_path / "a.db"
    async with switchable(sqlite(path), [NOTE]) as dialect:
        with closing(sqlite3.connect(path)) as other, other:
            other.execute("DROP TABLE notes")
        with pytest.raises(StatementFailed):
            await dialect.create_many(NOTE, ({"text": text} for text in "abc"))  # type: ignore[arg-type]
        made = await dialect.create_many(NOTE, [{"text": text} for text in "abc"])
        assert await dialect.find_by_ids(NOTE, (row["id"] for row in made)) == made


@pytest.mark.parametrize("options", [{"owned": False}, {}], ids=["lent", "own"])
async def test_what_is_not_opened_anew_is_not_asked_twice(old: Server, new: Server, options: dict[str, bool]) -> None:
    """An operation on a server or somebody else's dialect that failed behind a switch is not made at the new place."""
    new.tables["tasks"] = []
    async with switchable(old.opening(renewable=False, **options)) as dialect:
        old.hold = anyio.Event()

        async def fails() -> None:
            with pytest.raises(StatementFailed):
                await dialect.count(TASK)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(fails)
            await anyio.wait_all_tasks_blocked()
            await dialect.switch(new.opening())
            old.hold.set()


async def test_a_statement_that_fails_for_good_opens_no_connection_each_time(
    dialect: SwitchableDialect, old: Server
) -> None:
    """A table that stays wrong is an error of its operations; the tables were looked after once."""
    for _ in range(10):
        with pytest.raises(StatementFailed):
            await dialect.count(TASK)
    assert len(old.opened) == 2
    for _ in range(10):
        with pytest.raises(StatementFailed):
            async with dialect.transaction():
                await dialect.count(TASK)
    assert len(old.opened) == 2


async def test_a_callers_own_statement_is_not_suspicious(tmp_path: Path) -> None:
    """What `execute` is given may be wrong by itself: it fails as it is, and the connection stays."""
    from sqlalchemy import column, select, table

    async with switchable(sqlite(tmp_path / "a.db"), [NOTE]) as dialect:
        with pytest.raises(StatementFailed):
            await dialect.execute(select(column("x")).select_from(table("nowhere")))
        assert await dialect.count(NOTE) == 0


@pytest.mark.parametrize("error", [DatabaseBusy("held", database="x", reason="test"), OperationUnsupported("no")])
async def test_other_errors_do_not_cost_the_connection(
    dialect: SwitchableDialect, old: Server, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A busy database answers, and so does one that refuses: nothing is tried anew."""

    async def refused(*args: Any) -> int:
        raise error

    monkeypatch.setattr(Connection, "count", refused)
    pings = old.pings
    with pytest.raises(type(error)):
        await dialect.count(NOTE)
    await dialect.create(NOTE, {})
    assert (old.pings, len(old.opened)) == (pings, 1)


async def test_what_would_be_lost_is_not_opened_anew(old: Server) -> None:
    """A database in memory is gone with its connection, so no error makes the dialect leave it."""
    assert not sqlite(":memory:").renewable
    assert not sqlite("sqlite://").renewable
    assert sqlite("a.db").renewable
    async with switchable(old.opening(renewable=False), [NOTE]) as dialect:
        old.up = False
        with pytest.raises(DatabaseUnavailable):
            await dialect.count(NOTE)
        old.up = True
        old.tables.clear()
        with pytest.raises(StatementFailed):
            await dialect.count(NOTE)
    assert (len(old.opened), old.pings) == (1, 0)


# --- the end ----------------------------------------------------------------------------------------------------


async def test_the_end_closes_everything(old: Server, new: Server) -> None:
    """Also a database that was left and still has a stream; afterwards every operation says what is the case."""
    old.tables["notes"] = [{}, {}]
    async with switchable(old.opening(), [NOTE]) as dialect:
        rows = dialect.stream(NOTE)
        await anext(rows)
        await dialect.switch(new.opening())
    assert (len(old.closed), len(new.closed)) == (1, 1)
    for operation in (dialect.ping, dialect.connect, lambda: dialect.switch(new.opening())):
        with pytest.raises(DialectClosed):
            await operation()
    await rows.aclose()  # type: ignore[attr-defined]


async def test_a_connection_that_comes_too_late_is_closed(old: Server) -> None:
    """The end does not wait for an attempt to connect; what it brings is closed at once."""
    async with switchable(old.opening(), [NOTE]) as dialect:
        await dialect.disconnect()
        old.hold = anyio.Event()

        async def late() -> None:
            with pytest.raises(DialectClosed):
                await dialect.count(NOTE)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(late)
            await anyio.wait_all_tasks_blocked()
            await dialect.aclose()
            old.hold.set()
    assert len(old.opened) == len(old.closed) == 2


async def test_a_connection_that_does_not_close_properly_is_told(
    dialect: SwitchableDialect, old: Server, new: Server, caplog: pytest.LogCaptureFixture
) -> None:
    """An error while the old database closes is logged by its kind alone, and nobody else's."""

    async def fails() -> None:
        raise OSError("hunter2")

    old.opened[0].aclose = fails  # type: ignore[method-assign]
    await dialect.switch(new.opening())
    assert "OSError" in caplog.text
    assert "hunter2" not in caplog.text


async def test_unregistered_entities_stay_unknown(tmp_path: Path) -> None:
    """A switch makes no entity known that nobody registered."""
    async with switchable(sqlite(":memory:"), [NOTE]) as dialect:
        await dialect.switch(sqlite(tmp_path / "a.db"))
        with pytest.raises(EntityUnknown):
            await dialect.count(TASK)


# --- under load ---------------------------------------------------------------------------------------------------


@pytest.mark.slow
async def test_writers_lose_nothing_while_the_database_switches(tmp_path: Path) -> None:
    """SQLite to SQLite and back, 50 times under 32 writers: no write fails, none is lost, none is doubled."""
    await write_while_switching(sqlite(tmp_path / "a.db"), sqlite(tmp_path / "b.db"))
