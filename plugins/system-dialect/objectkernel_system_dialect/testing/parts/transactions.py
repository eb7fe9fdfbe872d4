"""Transactions: together or not at all, within one another, shared by tasks, and never half."""

from __future__ import annotations

from functools import partial

import anyio
import pytest

from objectkernel_system_dialect.dialect import Dialect
from objectkernel_system_dialect.errors import DuplicateKey, OperationUnsupported, TransactionFailed, ValueInvalid
from objectkernel_system_dialect.repository import Repository
from objectkernel_system_dialect.testing.schemas import ENTRY, FLAG, MEMBER
from objectkernel_system_dialect.testing.tools import Suite, emptied, needs, refused, together


class Undo(Exception):
    """Ends a block so that it is undone."""


@pytest.mark.anyio
class Transactions(Suite):
    """Several writes as one."""

    async def test_without_the_capability_a_transaction_is_refused(self, dialect: Dialect) -> None:
        """And the error says which capability it wants."""
        if "transaction" in dialect.capabilities:
            async with dialect.transaction():
                pass
            return
        with pytest.raises(OperationUnsupported) as caught:
            async with dialect.transaction():
                pass
        assert caught.value.facts == {"dialect": dialect.name, "capability": "transaction"}

    @pytest.fixture
    async def flags(self, dialect: Dialect) -> Repository:
        """Flags, of which there are none."""
        needs(dialect, "transaction")
        (flags,) = await emptied(dialect, FLAG)
        return flags

    async def notes(self, flags: Repository) -> str:
        """The notes of all flags."""
        return "".join(sorted([row["note"] for row in await flags.find_all()]))

    async def test_a_block_is_committed_at_its_end(self, flags: Repository) -> None:
        """Its operations see what it wrote, and others do not until it ends."""
        seen: list[str] = []
        begun, done = anyio.Event(), anyio.Event()

        async def look() -> None:
            await begun.wait()
            seen.append(await self.notes(flags))
            done.set()

        async with anyio.create_task_group() as outside:
            outside.start_soon(look)
            async with flags.transaction():
                made = await flags.create({"note": "a"})
                await flags.create_many([{"note": "b"}, {"note": "c"}])
                assert await flags.find_by_id(made["id"]) == made
                assert await flags.count() == 3
                begun.set()
                with anyio.move_on_after(0.2):  # a database may let readers wait until the end
                    await done.wait()
                assert await self.notes(flags) == "abc"
                assert await flags.update(made["id"], {"note": "A"}) is not None
        assert seen in ([""], ["Abc"])
        assert await self.notes(flags) == "Abc"

    async def test_a_block_is_undone_by_an_exception(self, flags: Repository, dialect: Dialect) -> None:
        """Everything of it, of every entity; the exception goes on."""
        (members,) = await emptied(dialect, MEMBER)
        kept = await members.create({"id": "a", "name": "Ada", "tags": ["x"]})
        with pytest.raises(Undo):
            async with dialect.transaction():
                await flags.create({"note": "a"})
                await members.update("a", {"name": "Bob"})
                await members.increment("a", "visits", 5)
                await members.add_to_set("a", "tags", "y")
                await members.upsert({"id": "b", "name": "Eve"})
                await members.update_many({"name": {"$ne": None}}, {"score": 1})
                assert await members.delete("a") is True
                assert await members.count() == 1
                raise Undo
        assert await members.find_all() == [kept]
        assert await flags.count() == 0
        await flags.create({"note": "later"})

    async def test_a_block_within_a_block_is_undone_alone(self, flags: Repository) -> None:
        """To any depth; what is around it stays."""
        async with flags.transaction():
            await flags.create({"note": "a"})
            with pytest.raises(Undo):
                async with flags.transaction():
                    await flags.create({"note": "b"})
                    async with flags.transaction():
                        await flags.create({"note": "c"})
                    assert await self.notes(flags) == "abc"
                    raise Undo
            assert await self.notes(flags) == "a"
            async with flags.transaction():
                await flags.create({"note": "d"})
                with pytest.raises(Undo):
                    async with flags.transaction():
                        await flags.create({"note": "e"})
                        raise Undo
            assert await self.notes(flags) == "ad"
        assert await self.notes(flags) == "ad"

    async def test_an_outer_block_undoes_the_inner_ones(self, flags: Repository) -> None:
        """Also those that ended well."""
        with pytest.raises(Undo):
            async with flags.transaction():
                async with flags.transaction():
                    await flags.create({"note": "a"})
                raise Undo
        assert await flags.count() == 0

    async def test_an_operation_that_failed_fails_the_block(self, flags: Repository) -> None:
        """Whoever swallows the error hears of it again, and nothing is kept."""
        with pytest.raises(TransactionFailed):
            async with flags.transaction():
                await flags.create({"id": "a", "note": "a"})
                await refused(DuplicateKey, flags.create({"id": "a", "note": "b"}))
                await refused(TransactionFailed, flags.create({"id": "c"}), flags.count(), flags.find_by_id("a"))
        assert await flags.count() == 0
        with pytest.raises(TransactionFailed):
            async with flags.transaction():
                await refused(DuplicateKey, flags.create_many([{"id": "a"}, {"id": "a"}]))
        assert await flags.count() == 0

    async def test_what_may_fail_goes_into_a_block_of_its_own(self, flags: Repository) -> None:
        """Within another one: that goes on. What is refused before it reaches the database fails nothing."""
        async with flags.transaction():
            await flags.create({"id": "a", "note": "a"})
            with pytest.raises(DuplicateKey):
                async with flags.transaction():
                    await flags.create({"id": "b", "note": "b"})
                    await flags.create({"id": "a", "note": "c"})
            with pytest.raises(TransactionFailed):
                async with flags.transaction():
                    await refused(DuplicateKey, flags.create({"id": "a", "note": "d"}))
            await refused(ValueInvalid, flags.create({"note": 5}))
            await flags.create({"id": "e", "note": "e"})
        assert await self.notes(flags) == "ae"

    async def test_tasks_that_a_block_starts_take_part(self, flags: Repository) -> None:
        """All that they write is in, or none of it."""
        async with flags.transaction():
            await together(*(partial(flags.create, {"note": note}) for note in "abcdefgh"))
            assert await flags.count() == 8
        assert await self.notes(flags) == "abcdefgh"
        with pytest.raises(Undo):
            async with flags.transaction():
                await together(*(partial(flags.create, {"note": note}) for note in "ijkl"))
                raise Undo
        assert await self.notes(flags) == "abcdefgh"

    async def test_tasks_of_one_block_do_not_undo_each_other(self, flags: Repository, dialect: Dialect) -> None:
        """Blocks and changes that they make within it at the same time are kept or undone each by itself."""
        (members,) = await emptied(dialect, MEMBER)
        await members.create({"id": "a", "name": "Ada"})

        async def keep(note: str) -> None:
            async with flags.transaction():
                await flags.create({"note": note})
                await anyio.lowlevel.checkpoint()
                await members.increment("a", "visits")

        async def undo(note: str) -> None:
            with pytest.raises(Undo):
                async with flags.transaction():
                    await flags.create({"note": note})
                    await members.increment("a", "visits")
                    raise Undo

        async def plain(note: str) -> None:
            await flags.create({"note": note})
            await members.add_to_set("a", "tags", note)

        async with flags.transaction():
            await together(*(partial(task, note) for note in "abc" for task in (keep, undo, plain)))
        assert await self.notes(flags) == "aabbcc"
        row = await members.find_by_id("a")
        assert row is not None
        assert (row["visits"], sorted(row["tags"])) == (3, ["a", "b", "c"])

    async def test_a_task_that_outlives_its_block_works_without_it(self, flags: Repository) -> None:
        """What it writes afterwards stands for itself."""
        async with anyio.create_task_group() as tasks:
            ended = anyio.Event()

            async def late() -> None:
                await ended.wait()
                await flags.create({"note": "late"})

            with pytest.raises(Undo):
                async with flags.transaction():
                    tasks.start_soon(late)
                    await flags.create({"note": "undone"})
                    raise Undo
            ended.set()
        assert await self.notes(flags) == "late"

    async def test_a_task_that_outlives_an_inner_block_is_in_the_outer(self, flags: Repository) -> None:
        """It writes where the block that it was started in stood."""
        with pytest.raises(Undo):
            async with flags.transaction():
                async with anyio.create_task_group() as tasks:
                    ended = anyio.Event()

                    async def late() -> None:
                        await ended.wait()
                        await flags.create({"note": "late"})

                    async with flags.transaction():
                        tasks.start_soon(late)
                    ended.set()
                assert await self.notes(flags) == "late"
                raise Undo
        assert await flags.count() == 0

    async def test_a_block_that_is_cancelled_is_undone(self, flags: Repository) -> None:
        """In the middle of an operation or between two; the dialect is as good as before."""
        for seconds in (0, 0.001, 0.003):
            with anyio.move_on_after(seconds):
                async with flags.transaction():
                    for _ in range(500):
                        await flags.create({"note": "x"})
                    await anyio.sleep_forever()
            assert await flags.count() == 0
        async with flags.transaction():
            await flags.create({"note": "a"})
        assert await self.notes(flags) == "a"

    async def test_a_cancelled_operation_fails_its_block(self, flags: Repository) -> None:
        """Nobody knows what it left behind, so nothing of the block is kept."""
        left = False
        try:
            async with flags.transaction():
                await flags.create_many([{"note": "a"} for _ in range(3000)])
                with anyio.move_on_after(0.001) as scope:
                    await flags.find_all(sort={"note": 1, "id": -1})
                left = scope.cancelled_caught  # a driver may not be able to leave
        except TransactionFailed:
            assert left
        else:
            assert not left
        assert await flags.count() == (0 if left else 3000)

    async def test_blocks_at_the_same_time_lose_nothing(self, flags: Repository, dialect: Dialect) -> None:
        """Each is whole; those who add to the same row wait for each other."""
        (members,) = await emptied(dialect, MEMBER)
        await members.create({"id": "a", "name": "Ada"})

        async def add(number: int) -> None:
            async with dialect.transaction():
                await members.increment("a", "visits", number)
                await flags.create({"note": "x"})

        await together(
            *(partial(add, number) for number in range(1, 9)), *(partial(flags.create, {"note": "y"}) for _ in range(8))
        )
        row = await members.find_by_id("a")
        assert row is not None
        assert row["visits"] == 36
        assert await self.notes(flags) == "x" * 8 + "y" * 8

    async def test_reading_within_a_block(self, flags: Repository, dialect: Dialect) -> None:
        """Every way of reading takes part in it."""
        (entries,) = await emptied(dialect, ENTRY)
        async with dialect.transaction():
            made = await entries.create_many([{"topic": "t", "rank": rank, "body": "b"} for rank in range(5)])
            assert [row async for row in entries.stream(batch=2)] == made
            assert list((await entries.find_page(limit=9)).rows) == made
            assert await entries.distinct("rank") == list(range(5))
            assert await entries.exists({"rank": 4}) is True
            assert await entries.aggregate([{"$group": {"_id": None, "n": {"$sum": 1}}}]) == [{"_id": None, "n": 5}]
            assert await entries.search("b", sort={"rank": 1}) == made
            assert await entries.find_one({"rank": 2}) == made[2]
        assert await entries.count() == 5
