"""Several dialects on one database, as several processes have them."""

from __future__ import annotations

from functools import partial

import pytest

from objectkernel_system_dialect.dialect import Dialect
from objectkernel_system_dialect.errors import DialectClosed, DuplicateKey
from objectkernel_system_dialect.repository import Repository
from objectkernel_system_dialect.testing.dialects import Dialects
from objectkernel_system_dialect.testing.schemas import FLAG, MEMBER, SCHEMAS
from objectkernel_system_dialect.testing.tools import Suite, emptied, refused, together


@pytest.mark.anyio
class Sharing(Suite):
    """Who else is there."""

    async def test_what_one_writes_the_other_reads(self, dialect: Dialect, dialects: Dialects) -> None:
        """As soon as the write was acknowledged."""
        (flags,) = await emptied(dialect, FLAG)
        other = Repository(await dialects.another(), FLAG)
        made = await flags.create({"note": "a"})
        assert await other.find_by_id(made["id"]) == made
        changed = await other.update(made["id"], {"note": "b"})
        assert await flags.find_by_id(made["id"]) == changed
        await refused(DuplicateKey, other.create({"id": made["id"]}))
        assert await flags.delete(made["id"]) is True
        assert await other.count() == 0

    async def test_many_who_begin_at_once_find_their_tables(self, dialects: Dialects) -> None:
        """Each registers the same schemas, and each can work."""
        opened = await together(*(dialects.another for _ in range(4)))
        for dialect in opened:
            assert set(SCHEMAS) <= set(dialect.schemas())
            await dialect.count(FLAG)

    async def test_they_lose_none_of_each_others_writes(self, dialect: Dialect, dialects: Dialects) -> None:
        """Increments, sets and upserts of one row from several sides at the same time."""
        (members,) = await emptied(dialect, MEMBER)
        await members.create({"id": "a", "name": "Ada"})
        sides = [members, Repository(await dialects.another(), MEMBER), Repository(await dialects.another(), MEMBER)]
        await together(
            *(partial(side.increment, "a", "visits", 1) for side in sides for _ in range(8)),
            *(
                partial(side.add_to_set, "a", "tags", f"{number}-{value}")
                for number, side in enumerate(sides)
                for value in range(4)
            ),
            *(partial(side.upsert, {"id": "a", "name": "Ada"}) for side in sides for _ in range(4)),
        )
        row = await members.find_by_id("a")
        assert row is not None
        assert (row["visits"], len(row["tags"]), row["version"]) == (24, 12, 49)

    async def test_the_end_of_one_is_not_the_others(self, dialect: Dialect, dialects: Dialects) -> None:
        """A closed dialect says so, as often as it is asked; closing it again does nothing."""
        (flags,) = await emptied(dialect, FLAG)
        other = await dialects.another()
        await other.create(FLAG, {"note": "kept"})
        await other.aclose()
        await other.aclose()
        await refused(DialectClosed, other.find(FLAG), other.create(FLAG, {}), other.count(FLAG), other.ping())
        assert [row["note"] for row in await flags.find_all()] == ["kept"]
