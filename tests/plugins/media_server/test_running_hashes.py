"""Hashes that are made beside the writing."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest
from objectkernel_media_server.running_hashes import RunningHash

BATCH = [random.Random(1).randbytes(2**20), b"", b"tail"]
SMALL = [b"a", b"b"]


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


def test_whoever_is_quicker_than_the_hash_waits() -> None:
    """No more than one batch waits beside the one that is hashed."""
    with ThreadPoolExecutor(1) as pool:
        free, third = Event(), Event()
        pool.submit(free.wait)
        hashed = RunningHash(pool)
        hashed.update(BATCH)
        with ThreadPoolExecutor(1) as other:
            adding = other.submit(lambda: (hashed.update(BATCH), third.set()))
            assert not third.wait(0.1)
            free.set()
            adding.result()
        assert hashed.hexdigest() == digest(BATCH, BATCH)


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
