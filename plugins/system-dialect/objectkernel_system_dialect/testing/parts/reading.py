"""Rows in order, in parts, in pages, one after another; different values; searches."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from itertools import permutations, product
from typing import Any, Final, Literal

import pytest

from objectkernel_system_dialect.dialect import Dialect, Sort
from objectkernel_system_dialect.errors import OptionInvalid
from objectkernel_system_dialect.repository import Repository
from objectkernel_system_dialect.testing.schemas import ENTRY, ITEM
from objectkernel_system_dialect.testing.tools import Suite, emptied

NAMES: Final = (
    "",
    " ",
    "!",
    "A",
    "B",
    "Z",
    "a",
    "a ",
    "aa",
    "a\u0308",
    "b",
    "z",
    "ß",
    "ä",
    "é",
    "Ω",
    "中",
    "\uffff",
    "😀",
)
"""In the order of code points."""
UP_AND_DOWN: Final[tuple[Literal[1, -1], ...]] = (1, -1)


@pytest.mark.anyio
class Reading(Suite):
    """Which rows come, and in which order."""

    async def test_text_sorts_by_code_points(self, items: Repository) -> None:
        """Case, accents and blanks count; a missing text comes first going up and last going down."""
        await items.create_many([{"number": n, "name": name} for n, name in enumerate(reversed(NAMES))])
        await items.create({"number": 100})
        up = [row["name"] for row in await items.find_all(sort={"name": 1})]
        assert up == [None, *sorted(NAMES)]
        down = [row["name"] for row in await items.find_all(sort={"name": -1})]
        assert down == up[::-1]

    async def test_every_type_sorts_as_its_values_do(self, items: Repository) -> None:
        """Numbers by size, false before true, times by time, missing ones first."""
        moments = [datetime(2026, 1, 1, 0, 0, 0, n, tzinfo=UTC) for n in (0, 1, 999999)]
        columns: dict[str, list[Any]] = {
            "size": [-(2**63), -1, 0, 2**53, 2**53 + 1, 2**63 - 1],
            "weight": [-1e300, -0.5, 0.0, 5e-324, 0.1, 1e300],
            "price": [Decimal(text) for text in ("-10.00", "-9.99", "0.00", "0.01", "9.99", "10.00")],
            "open": [False, True],
            "moment": [datetime(1969, 1, 1, tzinfo=UTC), *moments, datetime(2027, 1, 1, tzinfo=UTC)],
            "note": ["", "A", "a", "a ", "ä"],
            "kind": ["large", "small", "ÜBERGROSS"],
        }
        for name, values in columns.items():
            await emptied(items.dialect, ITEM)
            shuffled = [None, *values[1::2], *values[::2]]
            await items.create_many([{"number": n, name: value} for n, value in enumerate(shuffled)])
            assert [row[name] for row in await items.find_all(sort={name: 1})] == [None, *values], name
            assert [row[name] for row in await items.find_all(sort={name: -1})] == [*values[::-1], None], name
            assert await items.distinct(name) == values, name

    async def test_sort_skip_limit_and_select(self, items: Repository) -> None:
        """Options order, cut and narrow, each and together."""
        rows = (("A", 3), ("B", None), ("C", 1), ("D", 3))
        await items.create_many([{"number": n, "name": name, "size": size} for n, (name, size) in enumerate(rows)])

        async def names(**options: Any) -> str:
            return "".join(row["name"] for row in await items.find_all(**options))

        assert await names(sort={"size": 1, "name": -1}) == "BCDA"
        assert await names(sort={"size": -1, "name": 1}) == "ADCB"
        assert await names(sort={"name": 1}, skip=1, limit=2) == "BC"
        assert await names(sort={"name": 1}, skip=3) == "D"
        assert await names(sort={"name": 1}, skip=4) == ""
        assert await names(sort={"name": 1}, limit=0) == ""
        assert await names(sort={"name": 1}, limit=2**40) == "ABCD"
        assert await names(filter={"size": 3}, sort={"name": -1}, limit=1) == "D"
        assert await names(filter={"size": {"$in": [1, 3]}}, sort={"name": 1}, skip=1) == "CD"
        narrow = await items.find_all({"name": "A"}, select=["size", "name", "name"])
        assert narrow == [{"name": "A", "size": 3}]
        assert list(narrow[0]) == ["name", "size"]
        assert await items.find_all({"name": "A"}, select="size") == [{"size": 3}]
        whole = await items.find_one({"name": "A"})
        assert whole is not None
        without = await items.find_one({"name": "A"}, exclude=["name", "data"])
        assert without == {name: value for name, value in whole.items() if name not in ("name", "data")}
        both = await items.find_one({"name": "A"}, select=("name", "size"), exclude="size")
        assert both == {"name": "A"}
        assert await items.find_one(sort={"name": -1}, select=["name"]) == {"name": "D"}
        assert await items.find_one({"name": "nobody"}) is None

    async def test_rows_by_their_keys(self, items: Repository, dialect: Dialect) -> None:
        """`find_by_id` gets one row or None; `find_by_ids` those there are, in the order of the keys, each once."""
        made = await items.create_many([{"number": number, "name": f"n{number}"} for number in range(5)])
        assert await items.find_by_id(3) == made[3]
        assert await items.find_by_id(99) is None
        assert await items.find_by_ids([4, 99, 0, 4, 2]) == [made[4], made[0], made[2]]
        assert await items.find_by_ids([]) == []
        assert await items.find_by_ids(iter([1])) == [made[1]]
        assert await items.find_by_ids(range(-500, 3)) == made[:3]
        (entries,) = await emptied(dialect, ENTRY)
        entry = await entries.create({"topic": "a/b?c d%é", "rank": -1, "body": "x"})
        assert await entries.find_by_id(("a/b?c d%é", -1)) == entry
        assert await entries.find_by_id(("a/b?c d%é", 1)) is None
        assert await entries.find_by_id(("A/B?C D%É", -1)) is None

    async def test_keys_are_any_text(self, dialect: Dialect) -> None:
        """A key with signs that mean something elsewhere is a key like another."""
        (entries,) = await emptied(dialect, ENTRY)
        topics = (
            "",
            " ",
            "/",
            "..",
            "a/../b",
            "?x=1",
            "#",
            "%2F",
            "a b",
            "'",
            '"',
            "\\",
            "ключ",
            "😀",
            "*",
            "null",
            "1",
            "a,b",
            "a:b",
        )
        made = await entries.create_many([{"topic": topic, "rank": 0, "body": ""} for topic in topics])
        for topic, row in zip(topics, made, strict=True):
            assert await entries.find_by_id((topic, 0)) == row, topic
            changed = await entries.update((topic, 0), {"body": topic})
            assert changed is not None, topic
            assert changed["body"] == topic
        assert [await entries.delete((topic, 0)) for topic in topics] == [True] * len(topics)

    @pytest.mark.parametrize("directions", list(product(UP_AND_DOWN, repeat=2)), ids=str)
    async def test_pages_together_are_the_list(
        self, items: Repository, directions: tuple[Literal[1, -1], Literal[1, -1]]
    ) -> None:
        """Following the cursors gives every row once in the order asked for, over ties and missing values alike."""
        names = (None, "a", "a", "A", None, "b", "a ", "é", None, "b", "a")
        await items.create_many([{"number": n, "name": name, "size": n % 3 or None} for n, name in enumerate(names)])
        orders: Sequence[Sort] = (
            {"name": directions[0], "size": directions[1]},
            {"size": directions[0], "number": directions[1]},
            {"number": directions[0]},
            {"name": directions[0]},
        )
        for sort in orders:
            last = list(sort.values())[-1]
            whole = await items.find_all(sort={**sort, "number": sort.get("number", last)}, select=["number"])
            for limit in (1, 3, 11, 50):
                seen: list[Any] = []
                after = None
                for _ in range(len(names) + 1):
                    page = await items.find_page(sort=sort, limit=limit, after=after, select=["number"])
                    assert len(page.rows) <= limit
                    seen += page.rows
                    if (after := page.next) is None:
                        break
                assert seen == whole, (sort, limit)

    @pytest.mark.parametrize("field", ["weight", "price", "open", "moment", "code", "kind", "note", "size"])
    async def test_cursors_of_every_type(self, items: Repository, field: str) -> None:
        """A page can be continued in the order of any field that sorts."""
        from objectkernel_system_dialect.testing.parts.values import EXACT

        values = [None, *EXACT[field][:6]]
        await items.create_many([{"number": number, field: value} for number, value in enumerate(values)])
        for direction in UP_AND_DOWN:
            seen: list[Any] = []
            after = None
            for _ in range(len(values) + 1):
                page = await items.find_page(sort={field: direction}, limit=2, after=after)
                seen += page.rows
                if (after := page.next) is None:
                    break
            assert seen == await items.find_all(sort={field: direction, "number": direction})
            assert len(seen) == len(values)

    async def test_pages_stand_still_while_rows_come_and_go(self, items: Repository) -> None:
        """Rows inserted or deleted before the cursor neither repeat nor hide others; filters and selections hold."""
        await items.create_many([{"number": number, "size": number % 2} for number in range(10)])
        first = await items.find_page({"size": 0}, sort={"size": 1}, limit=2, exclude=["size", "number"])
        assert len(first.rows) == 2
        assert "number" not in first.rows[0]
        await items.create({"number": -2, "size": 0})
        await items.delete(0)
        await items.create({"number": 5000, "size": 0})
        rest = await items.find_page({"size": 0}, sort={"size": 1}, after=first.next, select=["number"])
        assert [row["number"] for row in rest.rows] == [4, 6, 8, 5000]
        assert rest.next is None

    async def test_a_page_that_reaches_the_end_says_so(self, items: Repository) -> None:
        """Also when it is just full, and when it is empty."""
        await items.create_many([{"number": number} for number in range(3)])
        assert (await items.find_page(limit=3)).next is None
        assert (await items.find_page(limit=2)).next is not None
        nothing = await items.find_page({"number": -1})
        assert (nothing.rows, nothing.next) == ((), None)

    async def test_pages_by_a_key_of_two_fields(self, dialect: Dialect) -> None:
        """Without an order the key orders, all of its fields."""
        (entries,) = await emptied(dialect, ENTRY)
        keys = [(topic, rank) for topic in "ab" for rank in (-1, 0, 5)]
        await entries.create_many([{"topic": topic, "rank": rank, "body": ""} for topic, rank in reversed(keys)])
        seen: list[Any] = []
        after = None
        for _ in range(4):
            page = await entries.find_page(limit=2, after=after)
            seen += [(row["topic"], row["rank"]) for row in page.rows]
            if (after := page.next) is None:
                break
        assert seen == keys

    async def test_a_stream_gives_every_row_once(self, items: Repository) -> None:
        """Rows come batch after batch, in order, narrowed and filtered, also while others are written."""
        await items.create_many([{"number": number, "size": number % 5} for number in range(103)])
        whole = await items.find_all(sort={"size": -1, "number": -1})
        assert [row async for row in items.stream(sort={"size": -1}, batch=10)] == whole
        seen = []
        async for row in items.stream({"size": {"$ne": 2}}, select=["number"], batch=7):
            seen.append(row)
            await items.update(row["number"], {"name": "seen"})
            await items.delete(row["number"])
        assert seen == [{"number": number} for number in range(103) if number % 5 != 2]
        assert await items.count() == 21
        assert [row async for row in items.stream({"number": -1})] == []
        async for row in items.stream(exclude=["number"], batch=1):
            assert "number" not in row
        with pytest.raises(OptionInvalid):
            [row async for row in items.stream(batch=0)]

    async def test_distinct_values_are_sorted_and_there(self, items: Repository) -> None:
        """Each different value once, in order, without the missing one; falsy values are values."""
        texts = ("b", "", "a", "A", None, "a", "a ", "ä")
        await items.create_many(
            [{"number": n, "name": text, "size": n % 2, "open": bool(n % 2)} for n, text in enumerate(texts)]
        )
        assert await items.distinct("name") == ["", "A", "a", "a ", "b", "ä"]
        assert await items.distinct("size") == [0, 1]
        assert await items.distinct("open") == [False, True]
        assert await items.distinct("name", {"size": 1}) == ["", "A", "a", "ä"]
        assert await items.distinct("moment") == []

    async def test_a_search_finds_every_word_somewhere(self, items: Repository) -> None:
        """All words, each part of one of the fields, whatever the case; signs of patterns are signs."""
        rows = (
            ("Ada Lovelace", "wrote PROGRAMS"), ("Grace", "compilers, 100% COBOL"), ("ÉMILE", "a_b\\c"),
            (None, "grace note"),
        )  # fmt: skip
        await items.create_many([{"number": n, "name": name, "note": note} for n, (name, note) in enumerate(rows)])

        async def found(text: str, **options: Any) -> list[int]:
            return [row["number"] for row in await items.search(text, sort={"number": 1}, **options)]

        assert await found("ada") == [0]
        assert await found("LOVE program") == [0]
        assert await found("love cobol") == []
        assert await found("émile") == [2]
        assert await found("grace") == [1, 3]
        assert await found("grace", fields=["name"]) == [1]
        assert await found("grace", fields="note") == [3]
        assert await found("grace", filter={"name": None}) == [3]
        assert await found("100%") == [1]
        assert await found("0_0") == []
        assert await found("%") == [1]
        assert await found("_") == [2]
        assert await found("b\\c") == [2]
        assert await found("") == [0, 1, 2, 3]
        assert await found("  \t ", skip=1, limit=2) == [1, 2]
        assert await found("grace", limit=1) == [1]
        assert await found("'; DROP TABLE suite_items; --") == []

    async def test_queries_of_many_shapes(self, items: Repository) -> None:
        """A hundred different orders are answered, and then the first again."""
        made = await items.create({"number": 1, "name": "a"})
        orders = list(permutations(("name", "note", "size", "weight", "price", "open"), 4))
        for names in [*orders[:100], orders[0]]:
            assert await items.find_one(sort=dict.fromkeys(names, 1), select=names[:3]) == {
                name: made[name] for name in ITEM.names if name in names[:3]
            }
