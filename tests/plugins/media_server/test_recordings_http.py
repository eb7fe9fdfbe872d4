"""The routes of recordings, as their clients see them."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.plugins.media_server.tus_requests import Tus
from tests.plugins.media_server.upload_hosts import BASE, MiB, Served, served, webm

CONTENT = webm(50_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
DIGEST = f"sha-256=:{base64.b64encode(bytes.fromhex(SHA256)).decode()}:"
RECORDINGS = "/api/media/recordings"


@pytest.fixture(name="host", scope="module")
def _host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("blobs"), max_file_bytes=4 * MiB) as host:
        yield host


@pytest.fixture(name="anybody", scope="module")
def _anybody(host: Served) -> Iterator[httpx.Client]:
    """Somebody without a credential."""
    with httpx.Client(base_url=host.url, timeout=30) as client:
        yield client


@pytest.fixture(name="account")
def _account(request: pytest.FixtureRequest) -> str:
    """Of one test alone."""
    return str(abs(hash(request.node.name)))


@pytest.fixture(name="client")
def _client(host: Served, account: str) -> Iterator[httpx.Client]:
    with host.client(account) as client:
        yield client


def stored(client: httpx.Client, content: bytes = CONTENT, **query: Any) -> dict[str, Any]:
    """A recording that was sent as it is."""
    answer = client.post(RECORDINGS, content=content, params=query, headers={"Content-Type": "video/webm"})
    assert answer.status_code == 201, answer.text
    told: dict[str, Any] = answer.json()
    return told


def below(link: str) -> str:
    """A link as this machine reaches it."""
    assert link.startswith(f"{BASE}/")
    return link.removeprefix(BASE)


# --- sending --------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_raw(client: httpx.Client, host: Served, account: str, method: str) -> None:
    """The body is the recording; what is said of it is in the query."""
    said = {"durationMs": "5000.4", "sessionId": "s1", "takeIndex": "2"}
    answer = client.request(
        method, RECORDINGS, content=CONTENT, params=said, headers={"Content-Type": "video/webm;codecs=vp9"}
    )
    assert answer.status_code == 201, answer.text
    assert answer.headers["cache-control"] == "no-store"
    told = answer.json()
    assert set(told) == {"row", "signedUrl", "signedUrlExpiresAt"}
    row = told["row"]
    assert set(row) == {
        "id",
        "accountId",
        "ownerEmail",
        "bucket",
        "key",
        "mimeType",
        "sizeBytes",
        "durationMs",
        "kind",
        "status",
        "sessionId",
        "takeIndex",
        "checksum",
        "metadata",
        "createdAt",
        "updatedAt",
    }
    assert (row["accountId"], row["status"], row["kind"], row["mimeType"]) == (account, "ready", "video", "video/webm")
    assert (row["sizeBytes"], row["checksum"], row["durationMs"]) == (len(CONTENT), SHA256, 5000)
    assert (row["sessionId"], row["takeIndex"]) == ("s1", 2)
    assert datetime.fromisoformat(told["signedUrlExpiresAt"]) > datetime.now(UTC) + timedelta(minutes=50)
    assert host.reserved(account) == (len(CONTENT), 0)


def test_raw_in_chunks(client: httpx.Client) -> None:
    """A body whose length nobody says."""
    pieces = (CONTENT[at : at + 1000] for at in range(0, len(CONTENT), 1000))
    answer = client.post(RECORDINGS, content=pieces)
    assert answer.json()["row"]["checksum"] == SHA256


def test_content_digest(client: httpx.Client, host: Served, account: str) -> None:
    """RFC 9530: what does not hash to what its sender says is refused, and nothing of it is kept."""
    wrong = f"sha-256=:{base64.b64encode(bytes(32)).decode()}:"
    before = len(host.files())
    refused = client.post(RECORDINGS, content=CONTENT, headers={"Content-Digest": f"md5=:AAAA:, {wrong}"})
    assert (refused.status_code, refused.json()["code"]) == (422, "M106")
    assert len(host.files()) == before
    assert host.reserved(account) == (0, 0)
    assert [row.status for row in host.rows(account, ["failed", "ready"])] == ["failed"]
    assert client.post(RECORDINGS, content=CONTENT, headers={"Content-Digest": DIGEST}).status_code == 201
    assert client.post(RECORDINGS, content=CONTENT, headers={"Content-Digest": "sha-256=:AA==:"}).status_code == 422
    assert stored(client, sha256=SHA256)["row"]["checksum"] == SHA256


def test_type_is_refused(client: httpx.Client, host: Served, account: str) -> None:
    """What it is, and not what its sender says, decides."""
    for content in (b"<html><script>alert(1)</script>", b""):
        answer = client.post(RECORDINGS, content=content, headers={"Content-Type": "video/webm"})
        assert (answer.status_code, answer.json()["code"]) == (415, "M105")
    assert host.rows(account) == ()


def test_a_file_of_a_name_in_any_script(client: httpx.Client) -> None:
    """As browsers write it into a form, which is UTF-8; so are the names of fields."""
    head = 'Content-Disposition: form-data; name="{}"; filename="画面録画.webm"'
    body = form((head.format("blob"), CONTENT), (NAMED.format("メモ"), b"x"))
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    answer = client.post(RECORDINGS, content=body, headers=headers)
    assert answer.status_code == 201, answer.text


@pytest.mark.parametrize("said", [{"takeIndex": "-1"}, {"takeIndex": "x"}, {"durationMs": "-5"}, {"sha256": "abc"}])
def test_what_cannot_be_said(client: httpx.Client, host: Served, account: str, said: dict[str, str]) -> None:
    """422, in a query as in a form, and no recording."""
    assert client.post(RECORDINGS, content=CONTENT, params=said).status_code == 422
    assert client.post(RECORDINGS, data=said, files={"blob": CONTENT}).status_code == 422
    assert host.rows(account) == ()


def test_too_large(client: httpx.Client, host: Served, account: str) -> None:
    """413, whether its length is told or not, and nothing stays."""
    before, content = len(host.files()), webm(4 * MiB + 1)
    answers = [
        client.post(RECORDINGS, content=content),
        client.post(RECORDINGS, content=iter([content])),
        client.post(RECORDINGS, files={"blob": content}),
        client.post(RECORDINGS, files={"blob": webm(5 * MiB)}),
    ]
    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(413, "M103")] * 4
    assert len(host.files()) == before
    assert host.reserved(account) == (0, 0)


def test_too_much_at_once(tmp_path: Path) -> None:
    """One request brings so much; what is longer comes in several, by tus, which keeps what it took of one too long."""
    with served(tmp_path, request_bytes=20_000) as host, host.client() as client:
        for options in ({"content": CONTENT}, {"content": iter([CONTENT])}, {"files": {"blob": CONTENT}}):
            answer = client.post(RECORDINGS, **options)  # type: ignore[arg-type]
            assert (answer.status_code, answer.json()["code"]) == (413, "M103")
        tus = Tus(client)
        url = tus.create(len(CONTENT))
        assert tus.patch(url, 0, CONTENT).status_code == 413
        assert tus.offset(url) == 0
        assert tus.patch(url, 0, iter([CONTENT[:15_000], CONTENT[15_000:30_000]])).status_code == 413
        offset = tus.offset(url)
        while offset < len(CONTENT):
            assert tus.patch(url, offset, CONTENT[offset : offset + 20_000]).status_code == 204
            offset = tus.offset(url)
        assert [row.checksum for row in host.rows()] == [SHA256]


def test_quota(tmp_path: Path) -> None:
    """507 with a code; deleting makes room."""
    with served(tmp_path, account_bytes=60_000) as host, host.client() as client:
        row = stored(client)["row"]
        for options in ({"content": CONTENT}, {"content": iter([CONTENT])}, {"files": {"blob": CONTENT}}):
            answer = client.post(RECORDINGS, **options)  # type: ignore[arg-type]
            assert (answer.status_code, answer.json()["code"]) == (507, "M104")
        assert client.delete(f"/api/media/{row['id']}").status_code == 204
        stored(client)


@pytest.mark.parametrize("blob_first", [True, False])
def test_form(client: httpx.Client, host: Served, account: str, blob_first: bool) -> None:
    """The form of the description; its fields may come before the blob or behind it."""
    fields: list[tuple[str, Any]] = [
        ("mimeType", (None, "video/webm")),
        ("durationMs", (None, "1234.5")),
        ("sessionId", (None, "s é 1")),
        ("takeIndex", (None, "3")),
        ("sha256", (None, SHA256.upper())),
        ("metadata", (None, json.dumps({"title": "Première"}))),
        ("somethingElse", (None, "ignored")),
    ]
    blob = ("blob", ("take.webm", CONTENT, "video/webm"))
    answer = client.post(RECORDINGS, files=[blob, *fields] if blob_first else [*fields, blob])
    assert answer.status_code == 201, answer.text
    row = answer.json()["row"]
    assert (row["checksum"], row["status"], row["mimeType"]) == (SHA256, "ready", "video/webm")
    assert (row["durationMs"], row["sessionId"], row["takeIndex"]) == (1234, "s é 1", 3)
    assert row["metadata"] == {"title": "Première"}
    assert host.reserved(account) == (len(CONTENT), 0)


def form(*parts: tuple[str, bytes], end: str = "--\r\n") -> bytes:
    """A form with the boundary ``b``."""
    return b"".join(f"--b\r\n{head}\r\n\r\n".encode() + body + b"\r\n" for head, body in parts) + b"--b" + end.encode()


BLOB = ('Content-Disposition: form-data; name="blob"; filename="a.webm"', CONTENT)
NAMED = 'Content-Disposition: form-data; name="{}"'


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (form((NAMED.format("mimeType"), b"video/webm")), 422),  # no blob
        (form(BLOB, BLOB), 422),
        (form(BLOB, (NAMED.format("sha256"), b"0" * 64)), 422),
        (form(BLOB, (NAMED.format("metadata"), b"[1]")), 422),
        (form(BLOB, (NAMED.format("metadata"), b"[" * 10_000)), 422),
        (form(BLOB, (NAMED.format("sessionId"), b"\xff\xfe")), 422),
        (form(BLOB, (NAMED.format("sessionId"), b"\0")), 422),
        (form(BLOB, (NAMED.format("a"), b"x" * 70_000)), 422),
        (form(*[(NAMED.format("a"), b"x")] * 65), 422),
        (form((NAMED.format("a" * 5000), b"x")), 422),
        (form(("Content-Disposition: form-data", b"x")), 422),
        (form(("X-Other: 1", b"x")), 422),
        (form(BLOB, end="nonsense"), 400),
        (form(BLOB)[:-10], 400),
        (form(BLOB)[:1000], 400),
        (b"no form at all", 422),
        (b"", 400),
    ],
)
def test_forms_that_are_none(client: httpx.Client, host: Served, account: str, body: bytes, status: int) -> None:
    """They are refused, whatever came before: no recording, no blob, no room taken."""
    before = len(host.files())
    answer = client.post(RECORDINGS, content=body, headers={"Content-Type": "multipart/form-data; boundary=b"})
    assert answer.status_code == status, answer.text
    assert host.rows(account, ["ready", "uploading"]) == ()
    assert len(host.files()) == before
    assert host.reserved(account) == (0, 0)


@pytest.mark.parametrize(
    ("parts", "detail"),
    [
        ({"file": ("a.webm", CONTENT)}, "the file came in the field `file`, and not in `blob`"),
        ({"file": ("a.wav", b"RIFF\xff")}, "the file came in the field `file`, and not in `blob`"),
        (
            {"file": ("a.txt", b"text"), "takeIndex": (None, b"1")},
            "there is no field `blob`; fields sent: file, takeIndex",
        ),
        ({"note": (None, b"\xff")}, "the field 'note' is no UTF-8"),
        ({"blob": ("a.webm", CONTENT), "file": ("b.webm", b"\xff")}, "the field 'file' is no UTF-8"),
        ({"metadata": ("meta.json", b"\xff")}, "the field 'metadata' is no UTF-8"),
    ],
)
def test_a_file_in_another_field(
    client: httpx.Client, host: Served, account: str, parts: dict[str, Any], detail: str
) -> None:
    """It is told where the file came, and where it belongs; why is left out where there is nothing to say."""
    answer = client.post(RECORDINGS, files=parts)
    told = answer.json()
    assert (answer.status_code, told["code"], told["detail"]) == (422, "M101", detail)
    assert "why" not in told and "`blob`" in told["fix"]
    assert host.rows(account) == ()


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_parameters_that_are_none(client: httpx.Client, host: Served, account: str, method: str) -> None:
    """They are refused and not passed over, of bytes as of a form; what is said by the others is kept."""
    for body in ({"content": CONTENT}, {"files": {"blob": CONTENT}}):
        answer = client.request(method, RECORDINGS, params={"session_id": "s1"}, **body)  # type: ignore[arg-type]
        told = answer.json()
        assert (answer.status_code, told["code"]) == (422, "M101")
        assert told["detail"] == "a recording has no parameter `session_id`"
        assert told["why"] == ["known are mimeType, durationMs, sessionId, takeIndex, metadata, sha256"]
        assert told["fix"] == "did you mean `sessionId`?"
    other = client.request(method, RECORDINGS, params={"x": 1}, content=CONTENT).json()
    assert "metadata" in other["fix"]
    many = client.request(method, f"{RECORDINGS}?{'&'.join(['takeIndex=1'] * 65)}", content=CONTENT)
    assert many.status_code == 422
    assert host.rows(account) == ()
    metadata = stored(client, metadata='{"room": "blue"}')["row"]["metadata"]
    assert metadata == {"room": "blue"}


@pytest.mark.parametrize("kind", ["multipart/form-data", "multipart/form-data; boundary=" + "b" * 300])
def test_boundaries_that_are_none(client: httpx.Client, kind: str) -> None:
    """422."""
    assert client.post(RECORDINGS, content=form(BLOB), headers={"Content-Type": kind}).status_code == 422


def test_broken_off(host: Served, account: str) -> None:
    """A sender that goes in the middle leaves a recording that failed, and nothing else."""

    def breaking() -> Iterator[bytes]:
        yield CONTENT
        raise httpx.ReadError("the sender breaks off")

    before = len(host.files())
    with host.client(account) as client, pytest.raises(httpx.ReadError):
        client.post(RECORDINGS, content=breaking(), headers={"Content-Length": "100000"})
    for _ in range(1000):
        if [row.status for row in host.rows(account, ["failed", "uploading", "ready"])] == ["failed"]:
            break
    else:
        pytest.fail("it has not failed")
    assert len(host.files()) == before
    assert host.reserved(account) == (0, 0)


# --- rows -----------------------------------------------------------------------------------------


def test_list(client: httpx.Client) -> None:
    """Newest first, page after page, of the statuses that are asked for."""
    ids = [stored(client, webm(100, seed))["row"]["id"] for seed in range(3)][::-1]
    client.delete(f"/api/media/{ids[1]}")
    first = client.get(RECORDINGS, params={"limit": 1}).json()
    assert [row["id"] for row in first["items"]] == [ids[0]]
    second = client.get(RECORDINGS, params={"limit": 1, "after": first["nextCursor"]}).json()
    assert [row["id"] for row in second["items"]] == [ids[2]]
    every = client.get(RECORDINGS, params={"status": ["ready", "deleted"]}).json()
    assert [row["id"] for row in every["items"]] == ids
    assert every["nextCursor"] is None


@pytest.mark.parametrize(
    "asked",
    [{"limit": 0}, {"limit": 201}, {"limit": "x"}, {"status": "gone"}, {"after": "x"}, {"other": 1}],
)
def test_lists_that_are_none(client: httpx.Client, asked: dict[str, Any]) -> None:
    """422."""
    assert client.get(RECORDINGS, params=asked).status_code == 422


def test_session(client: httpx.Client) -> None:
    """The takes of a session in their order, whenever they came."""
    for take in (2, 0, 1):
        stored(client, webm(100, take), sessionId="a/b c", takeIndex=take)
    stored(client, sessionId="another")
    found = client.get("/api/media/sessions/a%2Fb%20c")
    if found.status_code == 404:  # a slash is one of the path's, to this server
        found = client.get(RECORDINGS, params={"sessionId": "a/b c"})
    assert [row["takeIndex"] for row in found.json()["items"]] == [0, 1, 2]
    assert len(client.get("/api/media/sessions/another").json()["items"]) == 1
    assert client.get("/api/media/sessions/none").json() == {"items": [], "nextCursor": None}
    assert client.get("/api/media/sessions/%00").status_code == 422


def test_one(client: httpx.Client) -> None:
    """A recording with a fresh link; after its end it is not there."""
    made = stored(client)["row"]
    address = f"/api/media/{made['id']}"
    assert client.get(address).json()["row"] == made
    assert client.delete(address).status_code == 204
    assert client.get(address).status_code == client.delete(address).status_code == 404


def test_link(client: httpx.Client) -> None:
    """For as long as is asked for."""
    made = stored(client)["row"]
    answer = client.post(f"/api/media/{made['id']}/url", params={"ttl": 60})
    ends = datetime.fromisoformat(answer.json()["signedUrlExpiresAt"])
    assert ends < datetime.now(UTC) + timedelta(seconds=61)
    assert answer.json()["row"] == made
    for ttl in ("0", "-1", "x", "nan", "inf", str(8 * 86400)):
        assert client.post(f"/api/media/{made['id']}/url", params={"ttl": ttl}).status_code == 422


def test_strangers(client: httpx.Client, host: Served) -> None:
    """A recording of another account, one that does not exist, and what is no id at all are one and the same 404."""
    made = stored(client)["row"]
    with host.client("mallory") as mallory:
        bodies = set()
        for id in (made["id"], "01900000-0000-7000-8000-000000000000", "%00", "x" * 64, "%F0%9F%8E%A5"):
            asked = [
                mallory.get(f"/api/media/{id}"),
                mallory.delete(f"/api/media/{id}"),
                mallory.post(f"/api/media/{id}/url"),
                mallory.get(f"/api/media/{id}/content"),
            ]
            assert [answer.status_code for answer in asked] == [404] * 4, id
            assert mallory.head(f"/api/media/{id}/content").status_code == 404
            bodies |= {answer.text for answer in asked}
        assert len(bodies) == 1
    assert client.get(f"/api/media/{made['id']}/content").content == CONTENT


def test_who_may(host: Served, client: httpx.Client, anybody: httpx.Client) -> None:
    """Reading and writing are scopes of their own; without a credential there is nothing."""
    id = stored(client)["row"]["id"]
    reads = [("GET", RECORDINGS), ("GET", "/api/media/sessions/a"), ("GET", f"/api/media/{id}")]
    reads += [("POST", f"/api/media/{id}/url"), ("GET", f"/api/media/{id}/content")]
    writes = [("POST", RECORDINGS), ("PUT", RECORDINGS), ("DELETE", f"/api/media/{id}")]
    for method, path in reads + writes:
        assert anybody.request(method, path).status_code == 401
    with host.client("eve", "media:write") as writer, host.client("eve", "media:read") as reader:
        assert {writer.request(*one).status_code for one in reads} == {403}
        assert {reader.request(*one).status_code for one in writes} == {403}


# --- content --------------------------------------------------------------------------------------


def test_content(client: httpx.Client) -> None:
    """The whole, with what a browser must not do with it, and its hash."""
    id = stored(client)["row"]["id"]
    answer = client.get(f"/api/media/{id}/content")
    assert (answer.status_code, answer.content) == (200, CONTENT)
    headers = answer.headers
    assert (headers["etag"], headers["repr-digest"]) == (f'"{SHA256}"', DIGEST)
    assert (headers["content-type"], headers["content-disposition"]) == ("video/webm", "inline")
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["content-security-policy"].startswith("sandbox;")
    assert headers["accept-ranges"] == "bytes"
    head = client.head(f"/api/media/{id}/content")
    changing = ("x-request-id", "date", "ratelimit")
    assert {n: v for n, v in head.headers.items() if n not in changing} == {
        n: v for n, v in headers.items() if n not in changing
    }
    assert head.content == b""


def test_ranges(client: httpx.Client) -> None:
    """One, several, none that there is."""
    address = f"/api/media/{stored(client)['row']['id']}/content"
    one = client.get(address, headers={"Range": "bytes=100-199"})
    assert (one.status_code, one.content) == (206, CONTENT[100:200])
    assert one.headers["content-range"] == f"bytes 100-199/{len(CONTENT)}"
    several = client.get(address, headers={"Range": "bytes=0-9,1000-1999,-5"})
    assert several.status_code == 206
    kind = several.headers["content-type"]
    boundary = kind.removeprefix("multipart/byteranges; boundary=").encode()
    assert len(several.content) == int(several.headers["content-length"])
    parts = several.content.split(b"\r\n--" + boundary)[1:-1]
    assert [part.partition(b"\r\n\r\n")[2] for part in parts] == [CONTENT[:10], CONTENT[1000:2000], CONTENT[-5:]]
    assert b"Content-Range: bytes 1000-1999/50000" in parts[1]
    none = client.get(address, headers={"Range": "bytes=50000-"})
    assert (none.status_code, none.headers["content-range"]) == (416, "bytes */50000")
    assert client.get(address, headers={"If-None-Match": f'"{SHA256}"'}).status_code == 304
    assert client.get(address, headers={"If-Match": '"other"'}).status_code == 412


def test_signed_link(client: httpx.Client, anybody: httpx.Client) -> None:
    """Whoever has a link reads, and needs no credential; ranges and preconditions hold there too."""
    made = stored(client)
    link = below(made["signedUrl"])
    assert anybody.get(link).content == CONTENT
    assert anybody.head(link).headers["content-length"] == str(len(CONTENT))
    assert anybody.get(link, headers={"Range": "bytes=5-9"}).content == CONTENT[5:10]
    assert anybody.get(link, headers={"If-None-Match": f'"{SHA256}"'}).status_code == 304
    assert anybody.get(link).headers["x-content-type-options"] == "nosniff"
    assert anybody.put(link, content=b"x").status_code == 404
    client.delete(f"/api/media/{made['row']['id']}")
    assert anybody.get(link).status_code == 404


def test_put_by_link(host: Served, anybody: httpx.Client) -> None:
    """What a link allows to be stored has its size and its type, and is stored once."""
    driver: Any = host.parts.storage

    def fresh(key: str) -> str:
        async def sign() -> str:
            link = await driver.sign_put("media-recordings", key, ttl=60, size=len(CONTENT), content_type="video/webm")
            return str(link.url)

        return below(host.run(sign))

    right = {"Content-Type": "video/webm"}
    link = fresh("direct/one.webm")
    assert anybody.put(link, content=CONTENT, headers={"Content-Type": "text/html"}).status_code == 415
    assert anybody.put(link, content=CONTENT[:-1], headers=right).status_code == 400
    assert anybody.put(link, content=iter([CONTENT, b"x"]), headers=right).status_code == 400
    assert anybody.put(link, content=iter([CONTENT[:-1]]), headers=right).status_code == 400
    assert anybody.get(link).status_code == 404
    assert anybody.put(link, content=CONTENT, headers=right).json() == {"size": len(CONTENT), "sha256": SHA256}
    assert anybody.put(link, content=CONTENT, headers=right).status_code == 409


def test_openapi(anybody: httpx.Client) -> None:
    """Every route is in the document of the API, with what it takes and answers."""
    paths = anybody.get("/openapi.json").json()["paths"]
    found = {f"{method} {path}" for path in paths if path.startswith("/api/media") for method in paths[path]}
    assert found == {
        "post /api/media/recordings",
        "get /api/media/recordings",
        "get /api/media/sessions/{id}",
        "get /api/media/{id}",
        "delete /api/media/{id}",
        "post /api/media/{id}/url",
        "get /api/media/{id}/content",
        "get /api/media/blobs/{bucket}/{key}",
        "put /api/media/blobs/{bucket}/{key}",
        "options /api/media/uploads/",
        "post /api/media/uploads/",
        "head /api/media/uploads/{id}",
        "patch /api/media/uploads/{id}",
        "delete /api/media/uploads/{id}",
        "post /api/media/uploads/{id}",
        "post /api/media/uploads/{id}/finish",
    }
    post = paths["/api/media/recordings"]["post"]
    assert "multipart/form-data" in post["requestBody"]["content"]
    assert post["responses"]["201"]["content"]["application/json"]["schema"]["$ref"].endswith("LinkedRecording")
