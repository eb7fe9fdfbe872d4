"""The behaviour suite of `MediaRepository`; see the package."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import uuid4

import anyio
import attrs
import pytest

from objectkernel_media_server.contracts import (
    InvalidMedia,
    MediaDeleted,
    MediaFilter,
    MediaReady,
    MediaRepository,
    MediaRow,
    MediaStatus,
    MediaUploaded,
)

BORN: Final = datetime(2026, 5, 19, 8, 0, tzinfo=UTC)
FOREIGN: Final = "suite-nobody"
ANY: Final[tuple[MediaStatus, ...]] = ("uploading", "processing", "ready", "failed", "deleted")


class RepositorySuite:
    """What every repository has to do. Each test has accounts of its own, so a database may be shared."""

    pytestmark = pytest.mark.anyio

    @pytest.fixture
    def account(self) -> str:
        """An account without recordings."""
        return f"suite-{uuid4()}"

    async def test_kept(self, repository: MediaRepository, account: str) -> None:
        """A row comes back as it was, whatever it has or lacks."""
        full = attrs.evolve(
            row(account),
            owner_email="ada@example.org",
            size_bytes=2**40,
            duration_ms=5000,
            session_id="été 🎥",
            take_index=0,
            checksum="a" * 64,
            metadata={"a": [1, 2.5, None, True, {"b": "ü"}], "": ""},
            updated_at=BORN,
        )
        for given in (full, row(account)):
            assert await repository.insert(account, given) == given
            assert await repository.find_by_id(account, given.id) == given

    async def test_missing(self, repository: MediaRepository, account: str) -> None:
        """What another account has is as what nobody has: it is neither found, changed, removed nor listed."""
        mine = await repository.insert(account, row(account))
        await repository.insert(account, taken := row(account, session_id="s", take_index=1))
        for id in (mine.id, taken.id, str(uuid4()), "", "' OR 1=1 --", "x" * 64):
            assert await repository.find_by_id(FOREIGN, id) is None
            assert await repository.update(FOREIGN, id, {"status": "deleted"}) is None
            assert await repository.delete(FOREIGN, id) is False
        for filter in (None, MediaFilter(session_id="s"), MediaFilter(status=ANY)):
            assert (await repository.list(FOREIGN, filter)).items == ()
        assert await repository.find_by_id(account, mine.id) == mine

    async def test_taken_id(self, repository: MediaRepository, account: str) -> None:
        """An id is one row's alone; the first one stays as it was."""
        first = await repository.insert(account, row(account))
        for other in (account, f"{account}-other"):
            with pytest.raises(InvalidMedia):
                await repository.insert(other, attrs.evolve(row(other), id=first.id))
        assert await repository.find_by_id(account, first.id) == first

    async def test_foreign_row(self, repository: MediaRepository, account: str) -> None:
        """A row of another account than the caller's is not kept."""
        given = row(account)
        with pytest.raises(InvalidMedia):
            await repository.insert(FOREIGN, given)
        assert await repository.find_by_id(account, given.id) is None

    async def test_update(self, repository: MediaRepository, account: str) -> None:
        """Fields that are named change, others stay; whoever changes it without a time has `updated_at` set."""
        before = await repository.insert(account, row(account, take_index=3, session_id="s"))
        checksum, metadata = "b" * 64, {"a": 1}
        changes: dict[str, Any] = {"status": "ready", "checksum": checksum, "take_index": None, "metadata": metadata}
        after = await repository.update(account, before.id, changes)
        assert after is not None and after.updated_at is not None
        assert after == attrs.evolve(before, updated_at=after.updated_at, **changes)
        assert await repository.find_by_id(account, before.id) == after
        later = BORN + timedelta(days=1)
        last = await repository.update(account, before.id, {"updated_at": later})
        assert last == attrs.evolve(after, updated_at=later)

    @pytest.mark.parametrize("name", ["id", "account_id", "bucket", "key", "created_at", "color"])
    async def test_fixed_fields(self, repository: MediaRepository, account: str, name: str) -> None:
        """What a recording keeps for its life, or has not, cannot be changed."""
        before = await repository.insert(account, row(account))
        with pytest.raises(InvalidMedia):
            await repository.update(account, before.id, {name: "x"})
        assert await repository.find_by_id(account, before.id) == before

    async def test_expected(self, repository: MediaRepository, account: str) -> None:
        """A change for a row of another status is not made."""
        before = await repository.insert(account, row(account))
        assert await repository.update(account, before.id, {"status": "deleted"}, expect=["ready", "failed"]) is None
        assert await repository.find_by_id(account, before.id) == before
        assert await repository.update(account, before.id, {"status": "ready"}, expect=["processing", "uploading"])

    async def test_one_wins(self, repository: MediaRepository, account: str) -> None:
        """Of changes at once that expect the same status, one is made."""
        before = await repository.insert(account, row(account))
        made: list[MediaRow | None] = []

        async def change(number: int) -> None:
            changes = {"status": "ready", "size_bytes": number}
            made.append(await repository.update(account, before.id, changes, expect=["uploading"]))

        async with anyio.create_task_group() as tasks:
            for number in range(10):
                tasks.start_soon(change, number)
        (winner,) = filter(None, made)
        assert await repository.find_by_id(account, before.id) == winner

    async def test_delete(self, repository: MediaRepository, account: str) -> None:
        """A row that is removed is gone, and its id free."""
        before = await repository.insert(account, row(account))
        assert await repository.delete(account, before.id) is True
        assert await repository.delete(account, before.id) is False
        assert await repository.find_by_id(account, before.id) is None
        await repository.insert(account, before)

    async def test_events(self, repository: MediaRepository, account: str) -> None:
        """Events are taken with each change, whether they are delivered or not."""
        before = row(account)
        uploaded = MediaUploaded(id=str(uuid4()), row=before, at=BORN)
        assert await repository.insert(account, before, event=uploaded) == before
        ready = MediaReady(id=str(uuid4()), row=before, at=BORN)
        deleted = MediaDeleted(id=str(uuid4()), row=before, at=BORN)
        assert await repository.update(account, before.id, {"status": "deleted"}, events=[ready, deleted])

    # --- lists ----------------------------------------------------------------------------------------

    async def test_newest_first(self, repository: MediaRepository, account: str) -> None:
        """What is ready comes newest first, and by its id where the time is one; 50 at a time."""
        rows = await filled(repository, account, [timedelta(seconds=number // 3) for number in range(60)])
        expected = sorted(rows, key=lambda one: (one.created_at, one.id), reverse=True)
        page = await repository.list(account)
        assert list(page.items) == expected[:50]
        rest = await repository.list(account, MediaFilter(after=page.next_cursor))
        assert (list(rest.items), rest.next_cursor) == (expected[50:], None)

    @pytest.mark.parametrize("limit", [1, 7, 12, 13, 200])
    async def test_pages(self, repository: MediaRepository, account: str, limit: int) -> None:
        """Pages of any size, of several statuses, give every row once."""
        rows = await filled(repository, account, [timedelta(seconds=n % 5) for n in range(13)], every=ANY)
        expected = sorted(rows, key=lambda one: (one.created_at, one.id), reverse=True)
        pages = await all_pages(repository, account, MediaFilter(status=ANY, limit=limit))
        assert [one for page in pages for one in page] == expected
        assert all(len(page) == limit for page in pages[:-1]) and pages[-1]

    @pytest.mark.parametrize("status", ANY)
    async def test_one_status(self, repository: MediaRepository, account: str, status: Any) -> None:
        """A list is of the statuses that were asked for; by default of what is ready."""
        rows = await filled(repository, account, [timedelta(seconds=n) for n in range(10)], every=ANY)
        page = await repository.list(account, MediaFilter(status=status))
        assert {one.id for one in page.items} == {one.id for one in rows if one.status == status}
        ready = await repository.list(account)
        assert {one.status for one in ready.items} == {"ready"}

    async def test_takes(self, repository: MediaRepository, account: str) -> None:
        """A session's recordings come in the order of their takes, those without a number last."""
        takes = [3, None, 0, 11, 2, 2, None]
        rows = [
            await repository.insert(account, row(account, status="ready", session_id="s", take_index=take))
            for take in takes
        ]
        await repository.insert(account, row(account, status="ready", session_id="other", take_index=1))
        await repository.insert(account, row(account, status="ready"))
        expected = sorted(rows, key=lambda one: (one.take_index is None, one.take_index or 0, one.id))
        assert list((await repository.list(account, MediaFilter(session_id="s"))).items) == expected
        pages = await all_pages(repository, account, MediaFilter(session_id="s", limit=2))
        assert [one for page in pages for one in page] == expected

    async def test_inserted_meanwhile(self, repository: MediaRepository, account: str) -> None:
        """Rows that come while somebody turns pages move none of the others."""
        rows = await filled(repository, account, [timedelta(seconds=number) for number in range(6)])
        first = await repository.list(account, MediaFilter(limit=3))
        await filled(repository, account, [timedelta(seconds=100), timedelta(seconds=101)])
        second = await repository.list(account, MediaFilter(limit=3, after=first.next_cursor))
        assert [one.id for one in (*first.items, *second.items)] == [one.id for one in reversed(rows)]

    async def test_bad_filters(self, repository: MediaRepository, account: str) -> None:
        """A list that cannot be meant, or whose cursor is damaged or of another list, is refused."""
        await filled(repository, account, [timedelta(), timedelta(seconds=1)])
        cursor = (await repository.list(account, MediaFilter(limit=1))).next_cursor
        assert cursor is not None
        wrong: Any = [
            {"limit": 0},
            {"limit": 201},
            {"limit": True},
            {"status": "gone"},
            {"status": ()},
            {"status": ("ready", "")},
            {"session_id": ""},
            {"session_id": "a\0"},
            {"after": ""},
            {"after": cursor[:-2]},
            {"after": "W10"},
            {"after": "A" * 2000},
            {"after": cursor, "session_id": "s"},
        ]
        for fields in wrong:
            with pytest.raises(InvalidMedia):
                await repository.list(account, MediaFilter(**fields))


def row(account: str, **fields: Any) -> MediaRow:
    """A new row."""
    id = str(uuid4())
    given = {"status": "uploading", "kind": "video", "mime_type": "video/webm", "created_at": BORN, **fields}
    return MediaRow(id=id, account_id=account, bucket="suite-one", key=f"suite/{id}.webm", **given)


async def filled(
    repository: MediaRepository, account: str, ages: Sequence[timedelta], every: Sequence[Any] = ("ready",)
) -> list[MediaRow]:
    """Rows of these ages, with these statuses in turn."""
    return [
        await repository.insert(
            account, row(account, status=every[number % len(every)], created_at=BORN + age, size_bytes=number)
        )
        for number, age in enumerate(ages)
    ]


async def all_pages(repository: MediaRepository, account: str, filter: MediaFilter) -> list[tuple[MediaRow, ...]]:
    """Every page of a list."""
    pages, after = [], None
    while True:
        page = await repository.list(account, attrs.evolve(filter, after=after))
        pages.append(page.items)
        after = page.next_cursor
        if after is None:
            return pages
