"""Senders that want more room than their account has, or the host's patience."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator, Sequence

import httpx
import pytest
from objectkernel_media_server.upload_entities import Upload

from tests.plugins.media_server.tus_requests import Tus, metadata
from tests.plugins.media_server.upload_hosts import MiB, Served, served, webm

ROOM = 6 * MiB
"""Of each account."""
WRONG = {"upload_checksum": f"sha256 {base64.b64encode(bytes(32)).decode()}"}
GARBAGE = bytes(MiB)


@pytest.fixture(name="host", scope="module")
def _host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(
        tmp_path_factory.mktemp("blobs"), account_bytes=ROOM, acknowledge_bytes=MiB, uploads_per_account=8
    ) as host:
        yield host


@pytest.fixture(name="account")
def _account(request: pytest.FixtureRequest) -> str:
    """Of one test alone."""
    return str(abs(hash(request.node.name)))


@pytest.fixture(name="client")
def _client(host: Served, account: str) -> Iterator[httpx.Client]:
    with host.client(account) as client:
        yield client


@pytest.fixture(name="tus")
def _tus(client: httpx.Client) -> Tus:
    return Tus(client)


@pytest.fixture(name="before")
def _before(host: Served) -> int:
    """Bytes in the store that are none of this test."""
    return on_disk(host)


def on_disk(host: Served) -> int:
    return sum(path.stat().st_size for path in host.files())


def part_of(tus: Tus, content: bytes) -> str:
    """A partial upload that is done."""
    url = tus.create(len(content), upload_concat="partial")
    assert tus.patch(url, 0, content).status_code == 204
    return url


# --- parts ----------------------------------------------------------------------------------------


def test_parts_of_what_is_refused_count(tus: Tus, host: Served, account: str, before: int) -> None:
    """A final upload that is refused leaves its parts: they count as before, and can be used again."""
    part = part_of(tus, GARBAGE)
    for _ in range(2):
        refused = tus.send("POST", upload_concat=f"final;{part}")
        assert (refused.status_code, refused.text.split(":")[0]) == (415, "M105")
        assert host.reserved(account) == (0, MiB)
    assert on_disk(host) - before == MiB
    tus.send("DELETE", part)
    assert host.reserved(account) == (0, 0)


def test_parts_of_what_is_ended_count(tus: Tus, host: Served, account: str, before: int) -> None:
    """So it is with one that its sender ends before its parts are done."""
    done, missing = part_of(tus, GARBAGE), tus.create(1, upload_concat="partial")
    final = tus.create(upload_concat=f"final;{done} {missing}")
    assert host.reserved(account) == (0, MiB + 1)
    assert tus.send("DELETE", final).status_code == 204
    assert host.reserved(account) == (0, MiB + 1)
    assert on_disk(host) - before == MiB


def test_parts_that_others_wait_for_count(tus: Tus, host: Served, account: str) -> None:
    """What two final uploads have in common stays until both are done, and counts: once for the recording that is
    ready, and once for itself where the other one has not reserved anything, since it does not know its length.
    """
    common, unknown = part_of(tus, webm(MiB)), tus.create(upload_concat="partial", upload_defer_length="1")
    waiting = tus.create(upload_concat=f"final;{common} {unknown}")
    ready = tus.send("POST", upload_concat=f"final;{common}")
    assert host.reserved(account) == (MiB, MiB)
    assert tus.send("DELETE", ready.headers["location"]).status_code == 204
    assert host.reserved(account) == (0, MiB)
    assert tus.patch(unknown, 0, b"", upload_length="0").status_code == 204
    assert tus.offset(waiting) == MiB
    assert host.reserved(account) == (MiB, 0)


def test_parts_without_room_go(tus: Tus, host: Served, account: str, before: int) -> None:
    """A part that may stay, but has no room of its own any more, is ended."""
    part = part_of(tus, webm(MiB))
    tus.create(upload_concat=f"final;{part} {tus.create(upload_concat='partial', upload_defer_length='1')}")
    tus.create(ROOM - MiB)
    assert tus.send("POST", upload_concat=f"final;{part}").status_code == 201
    assert host.reserved(account) == (MiB, ROOM - MiB)
    assert tus.send("HEAD", part).status_code == 404
    assert on_disk(host) - before == MiB


def test_parts_are_uploads(tus: Tus) -> None:
    """Parts that wait for their final upload count, however small they are; that one can still be created."""
    parts = [tus.create(0, upload_concat="partial"), *(part_of(tus, webm(100)) for _ in range(7))]
    refused = tus.send("POST", upload_length="0", upload_concat="partial")
    assert (refused.status_code, refused.text.split(":")[0]) == (507, "M104")
    tus.create(upload_concat=f"final;{' '.join(parts)}")
    tus.create(0, upload_concat="partial")


def test_many_that_wait_for_one_part(tus: Tus, host: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """A part that is done is no reason to look at the parts of every final upload that waits for others too."""
    assert host.parts.uploads is not None
    rows, looks = host.parts.uploads.rows, list[str]()
    some = rows.some

    async def counted(account_id: str, ids: Sequence[str]) -> list[Upload]:
        looks.append(account_id)
        return await some(account_id, ids)

    monkeypatch.setattr(rows, "some", counted)
    first, second, other = (tus.create(1, upload_concat="partial") for _ in range(3))
    counts = []
    for part, finals in ((first, 1), (second, 4)):
        for _ in range(finals):
            tus.create(upload_concat=f"final;{first} {second} {other}")
        looks.clear()
        assert tus.patch(part, 0, b"x").status_code == 204
        counts.append(len(looks))
    assert counts[1] == counts[0]


@pytest.mark.parametrize("kind", ["video/webm\0", "a\nb", "vidéo/webm", "x" * 300])
def test_type_of_a_part(tus: Tus, kind: str) -> None:
    """What is said of a part is checked as what is said of a recording: it goes to the store."""
    refused = tus.send("POST", upload_length="1", upload_concat="partial", upload_metadata=metadata(filetype=kind))
    assert (refused.status_code, refused.text.split(":")[0]) == (400, "M101")


@pytest.mark.parametrize("kind", [f"video/{'x' * 150}", "video/webm;codecs=vp9", "text/html"])
def test_type_behind_the_blob(client: httpx.Client, kind: str) -> None:
    """A field that comes behind the blob cannot say more than one before it: the first bytes decide."""
    answer = client.post("/api/media/recordings", files={"blob": webm(100), "mimeType": (None, kind)})
    assert (answer.status_code, answer.json()["row"]["mimeType"]) == (201, "video/webm")


@pytest.mark.parametrize("at", ["9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59"])
def test_cursor_beyond_the_calendar(client: httpx.Client, at: str) -> None:
    """A cursor is made by whoever asks; a time that there is not in UTC is a damaged one."""
    cursor = base64.urlsafe_b64encode(json.dumps(["newest", at, "x"]).encode()).decode().rstrip("=")
    assert client.get("/api/media/recordings", params={"after": cursor}).status_code == 422


# --- recordings that are deleted ------------------------------------------------------------------


def test_upload_of_what_is_deleted(tus: Tus, client: httpx.Client, host: Served, account: str, before: int) -> None:
    """The room of a recording is given back when it is deleted: its upload takes no more bytes, and leaves none."""
    created = tus.send("POST", upload_length=str(3 * MiB))
    url, id = created.headers["location"], created.headers["recording-id"]
    assert tus.patch(url, 0, webm(MiB)).status_code == 204
    assert client.delete(f"/api/media/{id}").status_code == 204
    assert host.reserved(account) == (0, 0)
    assert tus.patch(url, MiB, GARBAGE).status_code == 404
    assert on_disk(host) == before
    assert [row.status for row in host.rows(account, ["failed", "deleted"])] == ["deleted"]


# --- bytes that are not kept ----------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["partial", "whole"])
@pytest.mark.parametrize("length", [None, MiB])
def test_refused_bytes_are_dropped(
    tus: Tus, host: Served, account: str, before: int, kind: str, length: int | None
) -> None:
    """Bytes with a wrong checksum leave nothing behind, however often they come."""
    said = {"upload_defer_length": "1"} if length is None else {}
    if kind == "partial":
        said["upload_concat"] = kind
    url = tus.create(length, None, **said)
    for _ in range(3):
        assert tus.patch(url, 0, GARBAGE, **WRONG).status_code == 460
        assert on_disk(host) == before
    assert host.reserved(account)[1] <= 2 * MiB
    tus.send("DELETE", url)
    assert host.reserved(account) == (0, 0)


@pytest.mark.parametrize("kind", ["partial", "whole"])
def test_checksum_is_no_way_round_the_quota(tus: Tus, host: Served, account: str, before: int, kind: str) -> None:
    """A request whose bytes are recorded all at once has room made for them as they come."""
    said = {"upload_defer_length": "1", **({"upload_concat": kind} if kind == "partial" else {})}
    url = tus.create(None, None, **said)
    most = 0

    def slowly() -> Iterator[bytes]:
        nonlocal most
        for _ in range(16):
            yield GARBAGE
            time.sleep(0.01)
            most = max(most, on_disk(host) - before)

    refused = tus.patch(url, 0, slowly(), **WRONG)
    assert (refused.status_code, refused.text.split(":")[0]) == (507, "M104")
    assert most <= ROOM
    assert on_disk(host) == before


def test_refused_for_want_of_room(tus: Tus, host: Served, before: int) -> None:
    """Of bytes that have no room, those that were written before it was known are dropped."""
    url = tus.create(upload_defer_length="1")
    assert tus.patch(url, 0, bytes(8 * MiB)).status_code == 507
    assert tus.offset(url) == on_disk(host) - before


def test_requests_that_take_over_leave_nothing(tus: Tus, host: Served, before: int) -> None:
    """What was written for an upload that has begun just now is found again by whoever takes it over."""
    url = tus.create(2 * MiB)
    for _ in range(3):
        with pytest.raises(RuntimeError, match="gone"):
            tus.patch(url, 0, _broken_off(), **WRONG)
    assert tus.patch(url, 0, webm(2 * MiB)).status_code == 204
    assert on_disk(host) - before == 2 * MiB


def _broken_off() -> Iterator[bytes]:
    yield GARBAGE
    time.sleep(0.1)
    raise RuntimeError("gone")
