"""Uploads as nobody wishes them: many that stand still, some that a stop meets in the middle, and too many."""

from __future__ import annotations

import hashlib
import random
import signal
import sys
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from tests.plugins.media_server import slow_senders
from tests.plugins.media_server.served_process import PATIENCE, Serving, collected, serving_process, until
from tests.plugins.media_server.slow_senders import Sender
from tests.plugins.media_server.tus_requests import Tus
from tests.plugins.media_server.upload_hosts import MiB, webm

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="it looks at a process in /proc"),
]

KiB = 2**10
SLOW = 500
SIZE = 4 * MiB
"""That each of the slow uploads says it has."""
WRITTEN = 5 * MiB // 2
"""More than is gathered before it is written: there is a part file then."""
TRICKLES = 300
"""How often some of them send a few bytes more."""
EACH = 256 * KiB
"""Bytes of memory that one of many slow uploads may take beside what it has sent."""


def stored(client: httpx.Client, content: bytes) -> str:
    """A recording that came whole; where its content is."""
    answer = client.post("/api/media/recordings", content=content)
    assert answer.status_code == 201, answer.text
    return f"/api/media/{answer.json()['row']['id']}/content"


# --- many that stand still --------------------------------------------------------------------------------


def slow_uploads(serving: Serving, client: httpx.Client) -> tuple[list[Sender], list[str]]:
    """Of each kind some, with the addresses of those that can be resumed."""
    chance, tus = random.Random(5), Tus(client)
    content = slow_senders.content(SIZE, 5)
    senders, resumable = [], []
    for number in range(SLOW):
        if number % 5 == 0:
            resumable.append(tus.create(SIZE))
            sender = slow_senders.patch(serving.port, resumable[-1], 0, content, PATIENCE)
        else:
            make = slow_senders.form if number % 5 == 1 else slow_senders.raw
            sender = make(serving.port, content, PATIENCE)
        sender.send(WRITTEN if number % 25 == 2 else chance.randrange(64 * KiB, 256 * KiB))
        senders.append(sender)
    return senders, resumable


def test_hundreds_that_stand_still(tmp_path: Path) -> None:
    """Others are answered meanwhile; memory holds what was sent and a small piece each; what hangs up leaves nothing
    but what can be resumed.
    """
    content = slow_senders.content(SIZE, 5)
    with serving_process(tmp_path) as serving, serving.client() as client:
        ready = [stored(client, webm(300 * KiB, 1))]
        memory, descriptors = serving.memory(), serving.descriptors()
        senders, resumable = slow_uploads(serving, client)
        until(lambda: serving.requests() == SLOW)
        for _ in range(TRICKLES):
            for sender in senders[::7]:
                sender.send(100)
            time.sleep(0.005)  # or they would come together
        for _ in range(3):
            assert serving.host.get("/livez", timeout=PATIENCE).status_code == 200
            ready.append(stored(client, webm(300 * KiB, 2)))
        assert serving.requests() == SLOW
        assert serving.memory() - memory < sum(sender.sent for sender in senders) + SLOW * EACH

        for number, sender in enumerate(senders):
            sender.leave(aborting=number % 2 == 0)
        until(lambda: serving.requests() == 0)
        until(lambda: serving.descriptors() <= descriptors + 5)
        until(lambda: len(serving.files()) == len(ready) + len(resumable))

        tus = Tus(client)
        offset = tus.offset(resumable[1])
        assert offset == senders[5].sent  # which was not reset
        assert tus.patch(resumable[1], offset, content[offset:]).status_code == 204
        serving.host.process.send_signal(signal.SIGTERM)
        assert serving.host.end()[:2] == (0, "stopped\n")
    left = collected(tmp_path)
    assert Counter(left.before.values())["ready"] == len(ready) + 1
    assert Counter(left.after.values()) == {"ready": len(ready) + 1, "failed": SLOW - 1}
    assert serving.stored() == left.files


# --- a stop in the middle ---------------------------------------------------------------------------------


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_a_stop_in_the_middle(tmp_path: Path, loop: str) -> None:
    """What does not end in time is cut off: what was acknowledged is kept and goes on, the rest leaves no file."""
    content = [slow_senders.content(2 * SIZE, number) for number in range(4)]
    settings = {"http": {"stop_seconds": 2}, "uvloop": loop == "uvloop"}
    with serving_process(tmp_path, **settings) as serving, serving.client() as client:
        tus = Tus(client)
        paths = [tus.create(len(content[0])), tus.create(len(content[3]))]
        resumed = slow_senders.patch(serving.port, paths[0], 0, content[0], PATIENCE)
        resumed.send(WRITTEN)
        until(lambda: tus.offset(paths[0]) == WRITTEN)
        others = [
            slow_senders.raw(serving.port, content[1], PATIENCE),
            slow_senders.form(serving.port, content[2], PATIENCE),
            slow_senders.patch(serving.port, paths[1], 0, content[3], PATIENCE),
        ]
        for sender in others:
            sender.send(WRITTEN)
        resumed.send(EACH)
        until(lambda: serving.requests() == 4 and len(serving.files()) == 4)
        serving.host.process.send_signal(signal.SIGTERM)
        serving.host.until_refused()
        resumed.send(EACH)
        answers = [sender.answer() for sender in (resumed, *others)]
        assert serving.host.end()[:2] == (0, "stopped\n")
        assert [told for told in answers if told and not told.startswith(b"HTTP/1.1 50")] == []
        assert len(serving.files()) == len(paths)  # of those that cannot be resumed nothing is left already

    with serving_process(tmp_path, **settings) as serving, serving.client() as client:
        tus = Tus(client)
        offset = tus.offset(paths[0])
        assert WRITTEN <= offset <= resumed.sent
        whole = tus.patch(paths[0], offset, content[0][offset:])
        assert whole.status_code == 204
        read = client.get(f"/api/media/{whole.headers['recording-id']}/content")
        assert hashlib.sha256(read.content).digest() == hashlib.sha256(content[0]).digest()
        serving.host.process.send_signal(signal.SIGTERM)
        assert serving.host.end()[:2] == (0, "stopped\n")
    left = collected(tmp_path)
    assert Counter(left.before.values())["ready"] == 1
    assert Counter(left.after.values()) == {"ready": 1, "failed": 3}
    assert serving.stored() == left.files


# --- no descriptor is left --------------------------------------------------------------------------------

DESCRIPTORS = 96
LAST = DESCRIPTORS // 4
"""That connections do not get."""


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_no_descriptor_is_left(tmp_path: Path, loop: str) -> None:
    """Who comes too late is told so, who is in goes on as far as there are files; afterwards all is as before."""
    content, film = slow_senders.content(SIZE, 5), webm(300 * KiB, 1)
    with serving_process(tmp_path, descriptors=DESCRIPTORS, uvloop=loop == "uvloop") as serving:
        with serving.client() as client, serving.client() as other:
            tus, place = Tus(client), stored(client, film)
            path = tus.create(SIZE)
            assert tus.patch(path, 0, content[:WRITTEN]).status_code == 204
            assert other.get("/livez").status_code == 200
            senders = [slow_senders.raw(serving.port, content, PATIENCE) for _ in range(DESCRIPTORS)]
            for sender in senders:
                sender.try_to_send(WRITTEN)
            until(lambda: serving.descriptors() >= DESCRIPTORS - 1 and sum(map(Sender.is_answered, senders)) >= LAST)

            for answer in [sender.answer() for sender in senders if sender.is_answered()]:
                assert not answer or answer.startswith(b"HTTP/1.1 503 ")
            late = slow_senders.raw(serving.port, content, PATIENCE)
            assert late.answer()[:13] in (b"HTTP/1.1 503 ", b"")
            for reader in (client, other):
                assert reader.get("/livez").status_code == 200
                with suppress(httpx.RemoteProtocolError):
                    read = reader.get(place, headers={"Range": "bytes=10-200000"})
                    assert (read.status_code, read.content) == (206, film[10:200_001]) or read.status_code == 503
            assert tus.offset(path) == WRITTEN
            senders[0].try_to_send(SIZE)
            told = [client.post("/api/media/recordings", content=film).status_code, int(senders[0].answer()[9:12])]
            assert set(told) <= {201, 503}

        for sender in senders:
            sender.leave(aborting=False)
        until(lambda: serving.descriptors() < DESCRIPTORS - LAST - 8)
        with serving.client() as client:
            assert client.get(place).content == film
            assert client.get(stored(client, film)).content == film
            whole = Tus(client).patch(path, WRITTEN, content[WRITTEN:])
            assert whole.status_code == 204
            assert client.get(f"/api/media/{whole.headers['recording-id']}/content").content == content
        serving.host.process.send_signal(signal.SIGTERM)
        assert serving.host.end()[:2] == (0, "stopped\n")
        log = serving.log
    assert "no more connections are taken for the moment" in log
    assert "Too many open files" in log and "let this process have more (ulimit -n)" in log
    left = collected(tmp_path)
    assert set(left.after.values()) == {"ready", "failed"}
    assert len(left.files) == 3 + told.count(201)
    assert serving.stored() == left.files
