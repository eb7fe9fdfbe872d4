"""Hashes that are made beside the writing."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event, Thread
from time import sleep

import pytest
from objectkernel_media_server.running_hashes import RunningHash

BATCH = [random.Random(1).randbytes(2**20), b"", b"tail"]
SMALL = [b"a", b"b"]


class Slow(list[bytes]):
    """A batch that takes longer to hash than to add."""

    def __iter__(self) -> Iterator[bytes]:
        sleep(0.02)
        return super().__iter__()


@pytest.fixture(params=[1, 4])
def pool(request: pytest.FixtureRequest) -> Iterator[ThreadPoolExecutor]:
    """Also with one thread nothing may wait for itself."""
    with ThreadPoolExecutor(request.param) as threads:
        yield threads


def digest(*batches: list[bytes]) -> str:
    return hashlib.sha256(b"".join(b"".join(batch) for batch in batches)).hexdigest()


def test_batches_in_their_order(pool: ThreadPoolExecutor) -> None:
    """Large and small ones, which different threads may hash."""
    hashed, batches = RunningHash(pool), [BATCH, SMALL, BATCH, BATCH, SMALL, SMALL, BATCH]
    for batch in batches:
        hashed.update(batch)
    assert hashed.hexdigest() == digest(*batches)
    assert RunningHash(pool).hexdigest() == hashlib.sha256().hexdigest()


def test_whoever_goes_on_from_one_leaves_it_as_it_is(pool: ThreadPoolExecutor) -> None:
    """Several may go on from the same, also while it is still being made."""
    first = RunningHash(pool)
    first.update(BATCH)
    ways = [RunningHash(pool, first) for _ in range(3)]
    for number, way in enumerate(ways):
        way.update([b"%d" % number])
        way.update(BATCH)
    untouched = RunningHash(pool, first)
    assert [way.hexdigest() for way in ways] == [digest(BATCH, [b"%d" % number], BATCH) for number in range(3)]
    assert untouched.hexdigest() == first.hexdigest() == digest(BATCH)


def test_a_long_chain(pool: ThreadPoolExecutor) -> None:
    """As an upload of many requests makes one."""
    hashed = RunningHash(pool)
    for _ in range(50):
        hashed = RunningHash(pool, hashed)
        hashed.update(BATCH)
    assert hashed.hexdigest() == digest(*[BATCH] * 50)


@pytest.mark.parametrize("requests", [1, 4])
def test_whoever_is_quicker_than_the_hash_waits(requests: int) -> None:
    """No more than two batches wait beside the one that is hashed, also where each came by a request of its own."""
    with ThreadPoolExecutor(1) as pool, ThreadPoolExecutor(1) as other:
        free, fourth = Event(), Event()
        pool.submit(free.wait)
        hashed = RunningHash(pool)

        def add() -> None:
            nonlocal hashed
            hashed = hashed if requests == 1 else RunningHash(pool, hashed)
            hashed.update(BATCH)

        try:
            for _ in range(3):
                add()
            keeping_up = other.submit(hashed.keep_up)
            adding = other.submit(lambda: (add(), fourth.set()))
            assert not fourth.wait(0.1)
            assert not keeping_up.done()
        finally:
            free.set()
        keeping_up.result()
        adding.result()
        assert hashed.hexdigest() == digest(*[BATCH] * 4)


def test_each_has_its_turn() -> None:
    """One that gets more and more keeps no thread from another, however few there are."""
    with ThreadPoolExecutor(1) as pool, ThreadPoolExecutor(1) as other:
        endless, short, over = RunningHash(pool), RunningHash(pool), Event()

        def add() -> int:
            count = 1
            while not over.is_set():
                endless.update(Slow(BATCH))
                count += 1
            return count

        endless.update(Slow(BATCH))
        adding = other.submit(add)
        try:
            for _ in range(3):
                short.update(BATCH)
            assert short.hexdigest() == digest(*[BATCH] * 3)
        finally:
            over.set()
        assert endless.hexdigest() == digest(*[BATCH] * adding.result())


def test_threads_that_end() -> None:
    """What was added before is hashed all the same, and what comes then by whoever brings it."""
    pool = ThreadPoolExecutor(1)
    free, hashed = Event(), RunningHash(pool)
    pool.submit(free.wait)
    for _ in range(3):
        hashed.update(BATCH)
    pool.shutdown(wait=False)
    free.set()
    assert hashed.hexdigest() == digest(*[BATCH] * 3)
    further = RunningHash(pool, hashed)
    for _ in range(4):
        further.update(BATCH)
    assert further.hexdigest() == digest(*[BATCH] * 7)


def test_threads_that_end_within_a_turn() -> None:
    """A hash that is to go on in a thread's next turn, which never comes, goes on where it is."""
    pool = ThreadPoolExecutor(1)
    hashed = RunningHash(pool)
    hashed.update(Slow(BATCH))
    pool.shutdown(wait=False)
    for _ in range(8):
        hashed.update(Slow(BATCH))
    assert hashed.hexdigest() == digest(*[BATCH] * 9)


@pytest.mark.parametrize("times", [1, 3])
def test_no_thread_is_to_be_had(monkeypatch: pytest.MonkeyPatch, times: int) -> None:
    """The pool raises then, and keeps the call for later all the same: nothing is hashed twice, or not at all."""
    failing, start = iter([True] * times), Thread.start

    def refuse(thread: Thread) -> None:
        if next(failing, False):
            raise RuntimeError("can't start new thread")
        start(thread)

    with ThreadPoolExecutor(4) as pool:
        monkeypatch.setattr(Thread, "start", refuse)
        hashed = [RunningHash(pool) for _ in range(8)]
        for _ in range(6):
            for one in hashed:
                one.update(BATCH)
        assert {one.hexdigest() for one in hashed} == {digest(*[BATCH] * 6)}


def test_what_goes_wrong_is_told(pool: ThreadPoolExecutor) -> None:
    """There is no hash of a part, and nobody waits for ever."""
    hashed = RunningHash(pool)
    hashed.update([*BATCH, "no bytes"])  # type: ignore[list-item]
    with pytest.raises(TypeError):
        hashed.hexdigest()
    further = RunningHash(pool, hashed)
    further.update(SMALL)  # the bytes are written all the same
    further.update(BATCH)
    with pytest.raises(TypeError):
        further.hexdigest()
