"""tus 1.0.0, request by request."""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from importlib import import_module
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from tests.plugins.media_server.tus_requests import BYTES, ENDPOINT, Tus, b64, metadata
from tests.plugins.media_server.upload_hosts import MiB, Served, served, webm

CONTENT = webm(5000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(name="host", scope="module")
def _host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("blobs"), max_file_bytes=4 * MiB) as host:
        yield host


@pytest.fixture(name="account")
def _account(request: pytest.FixtureRequest) -> str:
    """Of one test alone."""
    return str(request.node.name)[:100].replace(":", "-").replace(" ", "-")


@pytest.fixture(name="tus")
def _tus(host: Served, account: str) -> Iterator[Tus]:
    with host.client(account) as client:
        yield Tus(client)


def test_options(host: Served) -> None:
    """Whoever asks is told versions, extensions, algorithms and the largest size, without a credential."""
    for path in (ENDPOINT, ENDPOINT.rstrip("/"), f"{ENDPOINT}any"):
        answer = httpx.options(host.url + path)
        assert answer.status_code == 204
        assert answer.headers["tus-resumable"] == answer.headers["tus-version"] == "1.0.0"
        assert answer.headers["tus-max-size"] == str(4 * MiB)
        assert set(answer.headers["tus-checksum-algorithm"].split(",")) == {"sha1", "sha256", "md5"}
        assert set(answer.headers["tus-extension"].split(",")) == {
            "creation",
            "creation-with-upload",
            "creation-defer-length",
            "expiration",
            "checksum",
            "checksum-trailer",
            "termination",
            "concatenation",
            "concatenation-unfinished",
        }


def test_creation_and_head(tus: Tus, host: Served, account: str) -> None:
    """A new upload has an address, an end, and what was said of it; its recording is uploading."""
    said = metadata(filename="prise é.webm", filetype="video/webm")
    answer = tus.send("POST", upload_length="5000", upload_metadata=said)
    assert answer.status_code == 201
    location = answer.headers["location"]
    assert "/" not in location
    assert parsedate_to_datetime(answer.headers["upload-expires"]) > datetime.now(UTC)
    looked = tus.send("HEAD", location)
    assert looked.status_code == 200
    assert looked.headers["cache-control"] == "no-store"
    assert (looked.headers["upload-offset"], looked.headers["upload-length"]) == ("0", "5000")
    assert looked.headers["upload-metadata"] == said
    (row,) = host.rows(account, "uploading")
    assert row.id == looked.headers["recording-id"] == answer.headers["recording-id"]
    assert row.metadata == {"filename": "prise é.webm"}
    assert host.reserved(account) == (0, 5000)


def test_location_without_slash(tus: Tus) -> None:
    """An endpoint without its last slash gives an address that leads to the same place."""
    answer = tus.send("POST", ENDPOINT.rstrip("/"), upload_length="1")
    assert str(httpx.URL(ENDPOINT.rstrip("/")).join(answer.headers["location"])).startswith(ENDPOINT)


def test_location_below_a_base(tmp_path: Path) -> None:
    """With a public address configured, that is what uploads are found at, whatever the request's Host says."""
    with served(tmp_path, public_url="https://media.example/studio/") as host, host.client() as client:
        told = {"Tus-Resumable": "1.0.0", "Upload-Length": "1", "Host": "evil.example"}
        location = client.post(ENDPOINT, headers=told).headers["location"]
    assert location.startswith("https://media.example/studio/api/media/uploads/")


def test_patch_to_the_end(tus: Tus, host: Served, account: str) -> None:
    """Bytes come in two requests; with the last one the recording is ready."""
    url = tus.create(5000)
    first = tus.patch(url, 0, CONTENT[:2000])
    assert (first.status_code, first.headers["upload-offset"]) == (204, "2000")
    assert "upload-expires" in first.headers
    second = tus.patch(url, 2000, CONTENT[2000:])
    assert (second.status_code, second.headers["upload-offset"]) == (204, "5000")
    assert second.headers["tus-resumable"] == "1.0.0"
    (row,) = host.rows(account)
    assert (row.checksum, row.size_bytes, row.id) == (SHA256, 5000, second.headers["recording-id"])
    assert tus.offset(url) == 5000
    assert host.reserved(account) == (5000, 0)


def test_creation_with_upload(tus: Tus, host: Served, account: str) -> None:
    """The first bytes come with the creation, or all of them."""
    answer = tus.send("POST", content=CONTENT[:100], upload_length="5000", content_type=BYTES)
    assert (answer.status_code, answer.headers["upload-offset"]) == (201, "100")
    url = answer.headers["location"]
    assert tus.patch(url, 100, CONTENT[100:]).status_code == 204
    tus.send("POST", content=CONTENT, upload_length="5000", content_type=BYTES)
    assert [row.checksum for row in host.rows(account)] == [SHA256, SHA256]


def test_bodies_of_other_types_are_not_bytes(tus: Tus) -> None:
    """aiohttp says ``application/octet-stream`` of a body that is not there: the upload begins empty."""
    url = tus.create(5000, content_type="application/octet-stream")
    assert tus.offset(url) == 0


def test_empty_metadata(tus: Tus) -> None:
    """tuspy sends an empty header where there is nothing to say."""
    tus.create(5000, upload_metadata="")


def test_deferred_length_by_patch(tus: Tus, host: Served, account: str) -> None:
    """The length comes with a later request, or with an empty one at the end."""
    url = tus.create(upload_defer_length="1")
    looked = tus.send("HEAD", url)
    assert looked.headers["upload-defer-length"] == "1"
    assert "upload-length" not in looked.headers
    assert tus.patch(url, 0, CONTENT).status_code == 204
    assert host.rows(account) == ()
    assert host.reserved(account)[1] >= 5000
    last = tus.patch(url, 5000, iter([b""]), upload_length="5000")
    assert last.status_code == 204, last.text
    (row,) = host.rows(account)
    assert row.checksum == SHA256
    assert host.reserved(account) == (5000, 0)


@pytest.mark.parametrize("length", ["4999", str(4 * MiB + 1)])
def test_deferred_length_that_cannot_be(tus: Tus, length: str) -> None:
    """A length below what has come, or above what may come, changes nothing."""
    url = tus.create(upload_defer_length="1")
    tus.patch(url, 0, CONTENT)
    assert tus.patch(url, 5000, b"", upload_length=length).status_code in (400, 413)
    assert "upload-length" not in tus.send("HEAD", url).headers


def test_length_is_said_once(tus: Tus) -> None:
    """Another length than the first is refused; the same is not."""
    url = tus.create(5000)
    assert tus.patch(url, 0, CONTENT[:10], upload_length="6000").status_code == 400
    assert tus.patch(url, 0, CONTENT[:10], upload_length="5000").status_code == 204


def test_explicit_finish(tus: Tus, host: Served, account: str) -> None:
    """Whoever does not know the length says when there is no more, as often as they like."""
    url = tus.create(upload_defer_length="1")
    tus.patch(url, 0, CONTENT)
    for _ in range(2):
        answer = tus.send("POST", f"{url}/finish")
        assert answer.status_code == 200, answer.text
        told = answer.json()
        assert told["row"]["checksum"] == SHA256
        assert told["row"]["status"] == "ready"
        assert told["signedUrl"].startswith("https://media.test/api/media/blobs/")
    assert host.reserved(account) == (5000, 0)


def test_finish_too_early(tus: Tus) -> None:
    """An upload whose length was said is not finished before it is there."""
    url = tus.create(5000)
    tus.patch(url, 0, CONTENT[:10])
    answer = tus.send("POST", f"{url}/finish")
    assert (answer.status_code, answer.json()["code"]) == (400, "M107")
    assert tus.patch(url, 10, CONTENT[10:]).status_code == 204


def test_empty_upload_is_finished_at_once(tmp_path: Path) -> None:
    """Nothing is no recording of any type that is taken: 415, and nothing is left."""
    with served(tmp_path) as host, host.client() as client:
        answer = Tus(client).send("POST", upload_length="0")
        assert answer.status_code == 415
        assert host.uploads() == []
        assert host.files() == []
        assert [row.status for row in host.rows(status=["failed", "uploading"])] == ["failed"]


def test_type_is_refused(tus: Tus, host: Served, account: str) -> None:
    """What is not of a type that is taken is refused when all of it has come, and is gone."""
    url = tus.create(20, upload_metadata=metadata(filetype="video/webm"))
    assert tus.patch(url, 0, b"<script>alert(1)<!--").status_code == 415
    assert tus.send("HEAD", url).status_code == 404
    assert host.rows(account) == ()
    assert host.reserved(account) == (0, 0)


def test_wrong_offsets(tus: Tus) -> None:
    """409 with the offset as it is, and nothing is kept."""
    url = tus.create(5000)
    tus.patch(url, 0, CONTENT[:2000])
    for offset in (0, 1999, 2001, 5000, 10**18):
        assert tus.patch(url, offset, CONTENT[2000:]).status_code == 409
    assert tus.offset(url) == 2000


@pytest.mark.parametrize("offset", ["-1", "1.5", "x", "", "٣", "9" * 30, "0, 0"])
def test_offsets_that_are_none(tus: Tus, offset: str) -> None:
    """400."""
    url = tus.create(5000)
    told = {"Upload-Offset": offset.encode(), "Content-Type": BYTES, "Tus-Resumable": "1.0.0"}
    answer = tus.http.patch(httpx.URL(ENDPOINT).join(url), content=b"x", headers=told)  # type: ignore[arg-type]
    assert answer.status_code == 400


def test_offset_is_needed(tus: Tus) -> None:
    """A PATCH without one is refused."""
    url = tus.create(5000)
    assert tus.send("PATCH", url, b"x", content_type=BYTES).status_code == 400


def test_other_content_type(tus: Tus) -> None:
    """415."""
    url = tus.create(5000)
    assert tus.patch(url, 0, CONTENT, content_type="video/webm").status_code == 415


def test_other_version(tus: Tus) -> None:
    """412 with the versions that there are, whatever else is right."""
    for version in ("0.2.2", ""):
        answer = tus.send("POST", upload_length="1", tus_resumable=version)
        assert (answer.status_code, answer.headers["tus-version"]) == (412, "1.0.0")


def test_more_than_was_said(tus: Tus) -> None:
    """A body that is longer than the rest is refused before any of it is read; one whose length is not told, then."""
    url = tus.create(100)
    assert tus.patch(url, 0, CONTENT).status_code == 413
    assert tus.offset(url) == 0
    assert tus.send("POST", content=CONTENT, upload_length="10", content_type=BYTES).status_code == 413
    assert tus.patch(url, 0, iter([CONTENT[:60], CONTENT[60:200]])).status_code == 413


def test_larger_than_may_be(tus: Tus, host: Served, account: str) -> None:
    """413 at the creation, or when a deferred length turns out so; nothing is reserved."""
    answer = tus.send("POST", upload_length=str(4 * MiB + 1))
    assert (answer.status_code, answer.headers["tus-resumable"]) == (413, "1.0.0")
    assert host.rows(account, "uploading") == ()
    assert host.reserved(account) == (0, 0)
    url = tus.create(upload_defer_length="1")
    big = webm(3 * MiB)
    assert tus.patch(url, 0, big).status_code == 204
    assert tus.patch(url, len(big), iter([big[: 2 * MiB]])).status_code == 413


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"upload_length": "1", "upload_defer_length": "1"},
        {"upload_defer_length": "2"},
        {"upload_length": "-1"},
        {"upload_length": "1e3"},
        {"upload_length": str(2**63)},
        {"upload_length": "1", "upload_metadata": "filename !!!"},
        {"upload_length": "1", "upload_metadata": "filename YQ==,filename YQ=="},
        {"upload_length": "1", "upload_metadata": "takeIndex " + b64("two")},
        {"upload_length": "1", "upload_metadata": "sha256 " + b64("abc")},
        {"upload_length": "1", "upload_metadata": "a " + b64("x" * 9000)},
        {"upload_length": "1", "upload_concat": "both"},
        {"upload_length": "1", "upload_concat": "final;/api/media/uploads/a"},
        {"upload_concat": "final;"},
    ],
)
def test_creations_that_are_none(tus: Tus, host: Served, account: str, headers: dict[str, str]) -> None:
    """400, and nothing begins."""
    assert tus.send("POST", **headers).status_code == 400
    assert host.rows(account, "uploading") == ()


def test_metadata_too_long_for_a_recording(tus: Tus) -> None:
    """What may not be in a recording's metadata may not be said of an upload."""
    assert tus.send("POST", upload_length="1", upload_metadata=metadata(a="\0")).status_code == 400


def test_metadata_is_no_header_of_its_own(tus: Tus) -> None:
    """A value with line breaks comes back as it went in: in Base64."""
    said = metadata(filename="a\r\nSet-Cookie: evil=1")
    url = tus.create(5, upload_metadata=said)
    looked = tus.send("HEAD", url)
    assert looked.headers["upload-metadata"] == said
    assert "set-cookie" not in looked.headers


@pytest.mark.parametrize("algorithm", ["sha1", "sha256", "md5"])
def test_checksums(tus: Tus, algorithm: str) -> None:
    """Bytes that hash to what was said are kept, others are not, and the offset stays."""
    url = tus.create(5000)
    good = b64(hashlib.new(algorithm, CONTENT[:2000]).digest())
    assert tus.patch(url, 0, CONTENT[1:2001], upload_checksum=f"{algorithm} {good}").status_code == 460
    assert tus.offset(url) == 0
    assert tus.patch(url, 0, CONTENT[:2000], upload_checksum=f"{algorithm} {good}").status_code == 204
    assert tus.patch(url, 2000, CONTENT[2000:]).status_code == 204


@pytest.mark.parametrize("header", ["crc32 AAAA", "sha1", "sha1 !!", "sha1 AAAA", "SHA1 AAAA", ""])
def test_checksums_that_are_none(tus: Tus, header: str) -> None:
    """400, and nothing is kept."""
    url = tus.create(5000)
    assert tus.patch(url, 0, CONTENT, upload_checksum=header).status_code == 400
    assert tus.offset(url) == 0


def test_checksum_of_an_empty_body(tus: Tus) -> None:
    """It is compared too."""
    url = tus.create(5000)
    wrong, right = (b64(hashlib.sha1(text).digest()) for text in (b"x", b""))
    assert tus.patch(url, 0, b"", upload_checksum=f"sha1 {wrong}").status_code == 460
    assert tus.patch(url, 0, b"", upload_checksum=f"sha1 {right}").status_code == 204


def test_checksum_of_the_whole(tus: Tus, host: Served, account: str) -> None:
    """Metadata may say what all bytes hash to; where they do not, the upload has failed and is gone."""
    good, bad = metadata(sha256=SHA256.upper()), metadata(sha256="0" * 64)
    assert tus.patch(tus.create(5000, upload_metadata=bad), 0, CONTENT).status_code == 460
    assert host.reserved(account) == (0, 0)
    assert tus.patch(tus.create(5000, upload_metadata=good), 0, CONTENT).status_code == 204
    assert [row.checksum for row in host.rows(account)] == [SHA256]


@pytest.mark.parametrize("parser", ["h11", "httptools"])
def test_checksum_trailer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, parser: str) -> None:
    """The checksum comes behind the body: a good one is taken, a wrong or missing one is not."""
    classes = {"h11": "TimedH11", "httptools": "TimedHttpTools"}
    protocol = getattr(import_module(f"objectkernel_http.protocol_{parser}"), classes[parser])
    monkeypatch.setattr("objectkernel_http.serving.fastest_protocol", lambda: protocol)
    good = b64(hashlib.sha1(CONTENT).digest())
    with served(tmp_path) as host, host.client() as client:
        tus = Tus(client)
        url = tus.create(5000)
        for trailer, status in ((f"sha1 {b64(bytes(20))}", 460), ("", 400), (f"sha1 {good}", 204)):
            assert trailing(host, url, trailer) == status
            assert tus.offset(url) == (5000 if status == 204 else 0)


def trailing(host: Served, url: str, trailer: str) -> int:
    """The status of a PATCH whose checksum comes behind its body."""
    address = urlsplit(host.url)
    head = [
        f"PATCH {url} HTTP/1.1",
        f"Host: {address.netloc}",
        "Authorization: Bearer ada:",
        "Tus-Resumable: 1.0.0",
        "Upload-Offset: 0",
        f"Content-Type: {BYTES}",
        "Transfer-Encoding: chunked",
        "Trailer: Upload-Checksum",
        "Connection: close",
    ]
    last = f"Upload-Checksum: {trailer}\r\n" if trailer else ""
    with socket.create_connection((address.hostname or "", address.port or 0), timeout=10) as sock:
        sock.sendall("\r\n".join([*head, "", ""]).encode())
        sock.sendall(f"{len(CONTENT):x}\r\n".encode() + CONTENT + b"\r\n0\r\n" + last.encode() + b"\r\n")
        answer = b"".join(iter(lambda: sock.recv(65536), b""))
    return int(answer.split()[1])


def test_termination(tus: Tus, host: Served, account: str) -> None:
    """An upload that was ended is gone with its bytes and its room; a finished one with its recording."""
    url = tus.create(5000)
    tus.patch(url, 0, CONTENT[:100])
    assert tus.send("DELETE", url).status_code == 204
    assert tus.send("HEAD", url).status_code == tus.send("DELETE", url).status_code == 404
    assert host.reserved(account) == (0, 0)
    done = tus.create(5000)
    tus.patch(done, 0, CONTENT)
    assert tus.send("DELETE", done).status_code == 204
    assert host.rows(account) == ()
    assert host.reserved(account) == (0, 0)


def test_method_override(tus: Tus, host: Served, account: str) -> None:
    """Whoever can send POST alone does everything with it."""
    url = tus.create(5000)
    sent = tus.send("POST", url, CONTENT[:10], x_http_method_override="PATCH", upload_offset="0", content_type=BYTES)
    assert (sent.status_code, sent.headers["upload-offset"]) == (204, "10")
    looked = tus.send("POST", url, x_http_method_override="head")
    assert looked.headers["upload-offset"] == "10"
    assert tus.send("POST", url, x_http_method_override="DELETE").status_code == 204
    assert tus.send("POST", url).status_code == tus.send("POST", url, x_http_method_override="PUT").status_code == 405
    assert host.rows(account, "uploading") == ()


def test_concatenation(tus: Tus, host: Served, account: str) -> None:
    """Parts in any order become one recording; they take no room of their own, and are gone afterwards."""
    parts = [tus.create(2500, upload_concat="partial") for _ in range(2)]
    assert host.rows(account, "uploading") == ()
    assert host.reserved(account) == (0, 5000)
    tus.patch(parts[1], 0, CONTENT[2500:])
    tus.patch(parts[0], 0, CONTENT[:2500])
    looked = tus.send("HEAD", parts[0])
    assert (looked.headers["upload-concat"], looked.headers["upload-offset"]) == ("partial", "2500")
    concat = f"final;{host.url}{parts[0]} {parts[1]}"
    answer = tus.send("POST", upload_concat=concat, upload_metadata=metadata(title="both"))
    assert answer.status_code == 201, answer.text
    looked = tus.send("HEAD", answer.headers["location"])
    assert (looked.headers["upload-offset"], looked.headers["upload-length"]) == ("5000", "5000")
    assert looked.headers["upload-concat"] == concat
    (row,) = host.rows(account)
    assert (row.checksum, row.metadata) == (SHA256, {"title": "both"})
    assert host.reserved(account) == (5000, 0)
    assert [tus.send("HEAD", part).status_code for part in parts] == [404, 404]


def test_concatenation_of_unfinished_parts(tus: Tus, host: Served, account: str) -> None:
    """The final upload waits for its parts, and is whole with the last of them; it takes no bytes itself."""
    first = tus.create(1000, upload_concat="partial")
    second = tus.create(upload_concat="partial", upload_defer_length="1")
    final = tus.create(upload_concat=f"final;{first} {second}")
    looked = tus.send("HEAD", final)
    assert "upload-offset" not in looked.headers
    assert "upload-length" not in looked.headers
    assert tus.patch(final, 0, CONTENT).status_code == 403
    tus.patch(first, 0, CONTENT[:1000])
    tus.patch(second, 0, CONTENT[1000:])
    assert host.rows(account) == ()
    assert tus.patch(second, 4000, b"", upload_length="4000").status_code == 204
    assert tus.offset(final) == 5000
    (row,) = host.rows(account)
    assert row.checksum == SHA256
    assert host.reserved(account) == (5000, 0)


def test_one_part_twice(tus: Tus, host: Served, account: str) -> None:
    """A part may be in a recording as often as its sender likes."""
    head, again = tus.create(4000, upload_concat="partial"), tus.create(1000, upload_concat="partial")
    tus.patch(head, 0, CONTENT[:4000])
    tus.patch(again, 0, CONTENT[4000:])
    tus.create(upload_concat=f"final;{head} {again} {again}")
    (row,) = host.rows(account)
    assert row.checksum == hashlib.sha256(CONTENT + CONTENT[4000:]).hexdigest()
    assert host.reserved(account) == (6000, 0)


def test_parts_of_others(tus: Tus, host: Served) -> None:
    """Parts that are not there, another account's, and uploads that are no parts are one and the same 404."""
    with host.client("somebody-else") as client:
        foreign = Tus(client).create(5, upload_concat="partial")
    answers = [
        tus.send("POST", upload_concat=f"final;{part}") for part in (foreign, f"{ENDPOINT}none", tus.create(5), "?x")
    ]
    assert {(answer.status_code, answer.text) for answer in answers} == {(404, answers[0].text)}


def test_strangers(tus: Tus, host: Served) -> None:
    """An upload of another account is as one that does not exist, whatever is asked of it."""
    url = tus.create(5000)
    with host.client("mallory") as client:
        mallory = Tus(client)
        for address in (url, f"{ENDPOINT}{'0' * 32}", f"{ENDPOINT}%00", f"{ENDPOINT}{'z' * 60}"):
            asked = [
                mallory.patch(address, 0, b"x"),
                mallory.send("DELETE", address),
                mallory.send("POST", f"{address}/finish"),
            ]
            assert [answer.status_code for answer in asked] == [404, 404, 404], address
            assert mallory.send("HEAD", address).status_code == 404
        told = {mallory.patch(address, 0, b"x").text for address in (url, f"{ENDPOINT}{'0' * 32}")}
        assert len(told) == 1
    assert tus.offset(url) == 0


def test_who_may(host: Served) -> None:
    """Uploads are for whoever may write; errors of the host have the shape of tus."""
    told = {"Tus-Resumable": "1.0.0", "Upload-Length": "1"}
    anybody = httpx.post(host.url + ENDPOINT, headers=told)
    assert (anybody.status_code, anybody.headers["content-type"].split(";")[0]) == (401, "text/plain")
    with host.client("ada", "media:read") as reader:
        assert reader.post(ENDPOINT, headers=told).status_code == 403


def test_quota(tmp_path: Path) -> None:
    """What an account has no room for is refused at its creation, or where it outgrows it; what was there stays."""
    with served(tmp_path, account_bytes=6000, acknowledge_bytes=1000) as host, host.client() as client:
        tus = Tus(client)
        url = tus.create(5000)
        refused = tus.send("POST", upload_length="1001")
        assert (refused.status_code, refused.text.split(":")[0]) == (507, "M104")
        deferred = tus.create(upload_defer_length="1")
        assert tus.patch(deferred, 0, webm(3000)).status_code == 507
        assert tus.offset(deferred) == 1000
        assert host.reserved() == (0, 6000)
        assert tus.patch(url, 0, CONTENT).status_code == 204
        assert host.reserved() == (5000, 1000)
        part = tus.send("POST", upload_length="1", upload_concat="partial")
        assert part.status_code == 507


def test_too_many_uploads(tmp_path: Path) -> None:
    """An account has so many at once; one that ends makes room."""
    with served(tmp_path, uploads_per_account=2) as host, host.client() as client:
        tus = Tus(client)
        url = tus.create(10)
        tus.create(10)
        assert tus.send("POST", upload_length="10").status_code == 507
        tus.send("DELETE", url)
        tus.create(10)
