"""When keys were used last: exact to a minute, and seldom written."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from objectkernel_device_auth import key_use
from objectkernel_device_auth.key_format import make_token
from objectkernel_device_auth.storage_keys import KEY
from objectkernel_system_dialect.contracts import DatabaseUnavailable

from tests.plugins.device_auth.key_hosts import ACCOUNT, Desk, desk_of

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
async def desk(anyio_backend: str) -> AsyncIterator[Desk]:
    async with desk_of() as made:
        yield made


async def test_a_key_that_was_used(desk: Desk) -> None:
    """Its use is seen once it was written; a wrong key is no use of the right one."""
    with time_machine.travel(NOW, tick=False):
        used, idle = await desk.issue(), await desk.issue()
        await desk.parts.keys.verify(used.secret.reveal())
        await desk.parts.keys.verify(make_token("ok", idle.key.id).text)
        assert (await desk.row(used))["last_used_at"] is None
        assert await desk.parts.use.write() == 1
        told = {key.id: key.last_used_at for key in (await desk.parts.keys.list(ACCOUNT))[0]}
    assert told == {used.key.id: NOW, idle.key.id: None}


async def test_at_most_once_a_minute(desk: Desk) -> None:
    """Whichever process writes: the row says when it was written last."""
    with time_machine.travel(NOW, tick=False) as clock:
        made = await desk.issue()
        written = []
        for _ in range(9):
            await desk.parts.keys.verify(made.secret.reveal())
            written.append(await desk.parts.use.write())
            clock.shift(timedelta(seconds=20))
    assert written == [1, 0, 0, 1, 0, 0, 1, 0, 0]


async def test_one_statement_for_many(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand keys that were used a thousand times are a few statements, none of them over too many."""
    monkeypatch.setattr(key_use, "BATCH", 10)
    made = [await desk.issue() for _ in range(25)]
    for _ in range(10):
        for one in made:
            await desk.parts.keys.verify(one.secret.reveal())
    sizes = []
    update_many = desk.dialect.update_many

    async def counted(schema: Any, filter: Any, changes: Any) -> int:
        sizes.append(len(filter["id"]["$in"]))
        return await update_many(schema, filter, changes)

    monkeypatch.setattr(desk.dialect, "update_many", counted)
    assert await desk.parts.use.write() == 25
    assert sizes == [10, 10, 5]
    assert await desk.dialect.count(KEY, {"last_used_at": None}) == 0
    assert await desk.parts.use.write() == 0


async def test_what_could_not_be_written_is_written_later(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database that is away loses nothing."""
    made = await desk.issue()
    await desk.parts.keys.verify(made.secret.reveal())

    async def away(*_: Any, **__: Any) -> int:
        raise DatabaseUnavailable("the database is away")

    with monkeypatch.context() as patched:
        patched.setattr(desk.dialect, "update_many", away)
        with pytest.raises(DatabaseUnavailable):
            await desk.parts.use.write()
    assert await desk.parts.use.write() == 1


async def test_noting_is_bounded(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """While nothing can be written memory does not grow."""
    monkeypatch.setattr(key_use, "MOST", 3)
    for number in range(10):
        desk.parts.use.note(f"{number:012}")
    assert len(desk.parts.use._used) == 3
