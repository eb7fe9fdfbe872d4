"""Transactions on PostgreSQL: what they keep, what they undo, who may share them, and that nothing breaks their end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing

import anyio
import asyncpg
import pytest
from objectkernel_system_dialect.errors import DialectClosed, TransactionFailed
from objectkernel_system_dialect.executor import Insertion, Session
from objectkernel_system_dialect.postgres_executor import PostgresExecutor, PostgresOptions
from objectkernel_system_dialect.rows import PLAIN

from tests.plugins.system_dialect.databases import run_on_postgres

pytestmark = [pytest.mark.anyio, pytest.mark.postgres]

SLOW_COMMIT = """
CREATE FUNCTION take_time() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.2); RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON notes INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION take_time();
"""


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """The only event loop that the driver knows."""
    return "asyncio"


@pytest.fixture
async def executor(anyio_backend: str, postgres_url: str) -> AsyncIterator[PostgresExecutor]:
    """An executor on a database with one table."""
    run_on_postgres(postgres_url, "CREATE TABLE notes (text TEXT PRIMARY KEY)")
    async with aclosing(await PostgresExecutor.open(postgres_url, "the database", PostgresOptions())) as executor:
        yield executor


async def note(session: Session, text: str) -> None:
    """Write a row."""
    await session.insert(Insertion("INSERT INTO notes (text) VALUES ($1)", "notes", ("text",), None), [(text,)])


async def notes(session: Session) -> list[str]:
    """What is written."""
    return [text for (text,) in await session.fetch("SELECT text FROM notes ORDER BY text", (), PLAIN)]


async def test_block_is_kept_as_a_whole(executor: PostgresExecutor) -> None:
    """What a block writes is seen within it at once, and by others when it has ended."""
    async with executor.transaction() as transaction:
        await note(transaction, "a")
        await note(transaction, "b")
        assert await notes(transaction) == ["a", "b"]
        assert await notes(executor) == []
    assert await notes(executor) == ["a", "b"]


async def test_exception_undoes_the_block(executor: PostgresExecutor) -> None:
    """A block that ends with an exception leaves nothing, and the exception is the caller's own."""
    with pytest.raises(KeyError, match="mine"):
        async with executor.transaction() as transaction:
            await note(transaction, "a")
            raise KeyError("mine")
    assert await notes(executor) == []


async def test_savepoint_is_undone_alone(executor: PostgresExecutor) -> None:
    """An exception undoes the savepoint that it leaves, also that of a statement which the database refused."""
    async with executor.transaction() as transaction:
        await note(transaction, "a")
        async with transaction.savepoint():
            await note(transaction, "b")
            with pytest.raises(asyncpg.UniqueViolationError):
                async with transaction.savepoint():
                    await note(transaction, "c")
                    await note(transaction, "a")
        assert await notes(transaction) == ["a", "b"]
    assert await notes(executor) == ["a", "b"]


async def test_failed_call_lets_nothing_be_kept(executor: PostgresExecutor) -> None:
    """PostgreSQL answers the COMMIT of a transaction in which a statement failed by undoing it: that is an error."""
    with pytest.raises(TransactionFailed):
        async with executor.transaction() as transaction:
            await note(transaction, "a")
            with pytest.raises(asyncpg.UniqueViolationError):
                await note(transaction, "a")
    assert await notes(executor) == []


async def test_tasks_share_a_transaction(executor: PostgresExecutor) -> None:
    """Tasks may use one transaction at the same time; their calls come one after another."""
    async with executor.transaction() as transaction:
        async with anyio.create_task_group() as tasks:
            for number in range(20):
                tasks.start_soon(note, transaction, f"{number:02}")
        assert len(await notes(transaction)) == 20


async def test_ended_transaction_takes_no_call(executor: PostgresExecutor) -> None:
    """A task that goes on after the block has ended is refused; it does not write into somebody else's transaction."""
    async with executor.transaction() as transaction:
        pass
    with pytest.raises(DialectClosed, match="the transaction has ended"):
        await note(transaction, "late")
    assert await notes(executor) == []


async def test_cancelled_block_is_undone(executor: PostgresExecutor, caplog: pytest.LogCaptureFixture) -> None:
    """A block whose task is cancelled in the middle of a statement is undone before its connection is used again."""
    with anyio.move_on_after(0.05):
        async with executor.transaction() as transaction:
            await note(transaction, "a")
            await transaction.change("SELECT pg_sleep(60)", ())
    assert await notes(executor) == []
    assert not caplog.records  # the pool, where it has to tidy up, complains to the event loop


async def test_end_is_not_interrupted(executor: PostgresExecutor, postgres_url: str) -> None:
    """A cancellation that comes when the block has ended does not keep it from being made, however long that takes."""
    run_on_postgres(postgres_url, SLOW_COMMIT)
    with anyio.CancelScope() as scope:
        async with executor.transaction() as transaction:
            await note(transaction, "a")
            scope.cancel()
    assert await notes(executor) == ["a"]


async def test_cancelled_savepoint_is_undone_alone(executor: PostgresExecutor) -> None:
    """A statement that is given up within a savepoint undoes that, and the transaction goes on."""
    async with executor.transaction() as transaction:
        await note(transaction, "a")
        with anyio.move_on_after(0.05):
            async with transaction.savepoint():
                await note(transaction, "b")
                await transaction.change("SELECT pg_sleep(60)", ())
        await note(transaction, "c")
    assert await notes(executor) == ["a", "c"]
