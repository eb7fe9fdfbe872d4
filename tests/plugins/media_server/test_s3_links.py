"""What a real S3 server makes of the driver's links and objects, and what the driver makes of a server that fails."""

from __future__ import annotations

import hashlib
import json
import socket
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import attrs
import boto3  # type: ignore[import-untyped]
import httpx
import pytest
from botocore.exceptions import ClientError  # type: ignore[import-untyped]
from objectkernel_media_server.errors import ObjectExists, StorageUnavailable
from objectkernel_media_server.s3 import S3Driver
from objectkernel_media_server.s3_client import S3Place
from objectkernel_media_server.storage_contracts import AppendStopped
from objectkernel_media_server.testing.stores import MIB, body_of, content_of, read_all

from tests.plugins.media_server.object_servers import ACCESS_KEY, SECRET_KEY, ObjectServer, object_server, server  # noqa: F401

ONE = "suite-one"
WEBM = "video/webm"

pytestmark = pytest.mark.anyio


@pytest.fixture
async def store(anyio_backend: str, server: ObjectServer) -> AsyncIterator[S3Driver]:  # noqa: F811
    store = S3Driver(server.place)
    yield store
    await store.aclose()


@pytest.fixture
async def browser(anyio_backend: str) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient() as browser:
        yield browser


@pytest.fixture
def key(request: pytest.FixtureRequest) -> str:
    return f"links/{hashlib.sha256(request.node.name.encode()).hexdigest()[:16]}.webm"


async def test_boto3_reads(server: ObjectServer, store: S3Driver, key: str) -> None:  # noqa: F811
    """What the driver has written, in one request, in parts, or in several goes, boto3 reads; with its type."""
    client = boto3.client(
        "s3",
        endpoint_url=server.url,
        region_name="us-east-1",
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
    )
    content = content_of(9 * MIB + 5)
    await store.put_stream(ONE, f"{key}-1", body_of(content[:1000]), content_type=WEBM)
    await store.put_stream(ONE, f"{key}-2", body_of(content), content_type=WEBM)
    token, offset = await store.append(
        ONE, f"{key}-3", await store.begin(ONE, f"{key}-3", content_type=WEBM), 0, body_of(content[: 6 * MIB])
    )
    token, offset = await store.append(ONE, f"{key}-3", token, offset, body_of(content[offset:]))
    await store.finish(ONE, f"{key}-3", token, offset)
    for n, expected in ((1, content[:1000]), (2, content), (3, content)):
        found = client.get_object(Bucket=ONE, Key=f"{key}-{n}")
        with found["Body"] as body:
            assert body.read() == expected
        assert found["ContentType"] == WEBM
    client.close()


async def test_get(store: S3Driver, browser: httpx.AsyncClient, key: str) -> None:
    """A link reads the object under the name and type that it was made with, whole or in ranges."""
    content = content_of(100_000)
    await store.put_stream(ONE, key, body_of(content), content_type="application/octet-stream")
    link = await store.sign_get(ONE, key, ttl=60, content_type=WEBM, filename='é "1".webm')
    whole = await browser.get(link.url)
    assert (whole.status_code, whole.content) == (200, content)
    assert whole.headers["content-type"] == WEBM
    assert (
        whole.headers["content-disposition"]
        == "attachment; filename=\"_ _1_.webm\"; filename*=UTF-8''%C3%A9%20%221%22.webm"
    )
    part = await browser.get(link.url, headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, content[10:20])
    shown = await browser.get((await store.sign_get(ONE, key, ttl=60)).url)
    assert shown.headers["content-disposition"] == "inline"
    assert (await browser.put(link.url, content=b"x")).status_code == 403
    assert (await browser.get(link.url.partition("?")[0])).status_code == 403


async def test_get_tampered(store: S3Driver, browser: httpx.AsyncClient, key: str) -> None:
    """The server refuses a link with another key, time, name, type or signature."""
    await store.put_stream(ONE, key, body_of(b"content"))
    await store.put_stream(ONE, f"{key}-2", body_of(b"other"))
    url = (await store.sign_get(ONE, key, ttl=60, content_type=WEBM, filename="a.webm")).url
    assert (await browser.get(url)).status_code == 200
    for old, new in (
        (f"{key}?", f"{key}-2?"),
        ("X-Amz-Expires=60", "X-Amz-Expires=600"),
        ("a.webm", "a.html"),
        ("video%2Fwebm", "text%2Fhtml"),
        (url[-8:], "0" * 8),
    ):
        assert old in url
        assert (await browser.get(url.replace(old, new))).status_code == 403


@pytest.mark.slow
async def test_get_expired(store: S3Driver, browser: httpx.AsyncClient, key: str) -> None:
    """The server refuses a link whose time is over."""
    import anyio

    await store.put_stream(ONE, key, body_of(b"content"))
    url = (await store.sign_get(ONE, key, ttl=1)).url
    with anyio.fail_after(30):
        while (await browser.get(url)).status_code == 200:
            await anyio.sleep(0.3)
    assert (await browser.get(url)).status_code == 403


async def test_put(store: S3Driver, browser: httpx.AsyncClient, key: str) -> None:
    """A link stores one object of the size and type that it was made for, once, and no other."""
    content = content_of(1000)
    link = await store.sign_put(ONE, key, ttl=60, size=1000, content_type=WEBM)
    signed = parse_qs(urlsplit(link.url).query)["X-Amz-SignedHeaders"][0].split(";")
    assert {"content-length", "content-type", "host", "if-none-match"} == set(signed)
    for wrong, headers in (
        (content[:999], link.headers),
        (content + b"x", link.headers),
        (content, {**link.headers, "Content-Type": "text/html"}),
        (content, {"Content-Type": WEBM}),
        (content, {**link.headers, "If-None-Match": "x"}),
        (content, {}),
    ):
        assert (await browser.put(link.url, content=wrong, headers=headers)).status_code == 403
    assert await store.head(ONE, key) is None
    assert (await browser.put(link.url, content=content, headers=link.headers)).status_code == 200
    assert await read_all(store, ONE, key) == content
    assert (await browser.put(link.url, content=content, headers=link.headers)).status_code == 412


async def test_put_elsewhere(store: S3Driver, browser: httpx.AsyncClient, key: str) -> None:
    """A link for one key stores nothing under another."""
    link = await store.sign_put(ONE, key, ttl=60, size=1, content_type=WEBM)
    other = await browser.put(link.url.replace(key, f"{key}-2"), content=b"x", headers=link.headers)
    assert other.status_code == 403
    assert await store.head(ONE, f"{key}-2") is None


async def test_public_endpoint(server: ObjectServer, store: S3Driver, key: str) -> None:  # noqa: F811
    """Links begin with the address at which browsers reach the server; the driver's requests go to the other."""
    place = S3Place(
        endpoint_url=server.url,
        public_endpoint_url="https://media.example",
        access_key=ACCESS_KEY,
        secret_key=SECRET_KEY,
    )
    driver = S3Driver(place)
    await driver.put_stream(ONE, key, body_of(b"1"))
    link = await driver.sign_get(ONE, key, ttl=60)
    assert link.url.startswith(f"https://media.example/{ONE}/{key}?")
    assert SECRET_KEY not in repr(place)
    await driver.aclose()


async def test_wrong_credentials(server: ObjectServer, key: str) -> None:  # noqa: F811
    """A server that refuses is unavailable, and not one that has no such object."""
    driver = S3Driver(S3Place(endpoint_url=server.url, access_key=ACCESS_KEY, secret_key="another"))
    for look in (driver.ping, lambda: driver.head(ONE, key), lambda: driver.put_stream(ONE, key, body_of(b"1"))):
        with pytest.raises(StorageUnavailable) as caught:
            await look()
        assert server.url not in str(caught.value)
    await driver.aclose()


async def test_no_such_bucket(store: S3Driver, key: str) -> None:
    """A bucket that is not there is no empty one."""
    with pytest.raises(StorageUnavailable):
        await store.head("no-such-bucket", key)
    with pytest.raises(StorageUnavailable):
        await store.delete("no-such-bucket", key)
    with pytest.raises(StorageUnavailable):
        _ = [found async for found in store.list("no-such-bucket")]


async def test_no_server() -> None:
    """A server that is not there is `StorageUnavailable`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        place = S3Place(
            endpoint_url=f"http://127.0.0.1:{free.getsockname()[1]}", access_key="a", secret_key="b", attempts=1
        )
        driver = S3Driver(place)
        for look in (driver.ping, lambda: driver.head(ONE, "a"), lambda: driver.begin(ONE, "a")):
            with pytest.raises(StorageUnavailable):
                await look()
        await driver.aclose()


async def test_server_fails_midway(store: S3Driver, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the server fails in the middle of an append the parts that it has are kept, and the next goes on there."""
    content = content_of(20 * MIB)
    token = await store.begin(ONE, key)
    real = store.send_part

    async def failing(bucket: str, key: str, upload: str, number: int, content: bytes) -> dict[str, object]:
        if number == 2:
            raise StorageUnavailable("no answer", store="s3", reason="test")
        return await real(bucket, key, upload, number, content)

    with monkeypatch.context() as patch:
        patch.setattr(store, "send_part", failing)
        async with aclosing(body_of(content)) as body:
            with pytest.raises(AppendStopped) as stopped:
                await store.append(ONE, key, token, 0, body)
    assert isinstance(stopped.value.__cause__, StorageUnavailable)
    assert stopped.value.offset >= 8 * MIB
    token, offset = await store.append(
        ONE, key, stopped.value.token, stopped.value.offset, body_of(content[stopped.value.offset :])
    )
    done = await store.finish(ONE, key, token, offset)
    assert done.sha256 == hashlib.sha256(content).hexdigest()


@pytest.mark.slow
async def test_server_killed(tmp_path: Path) -> None:
    """A server that is killed in the middle and comes back: clear errors between, and nothing acknowledged is lost."""
    content = content_of(14 * MIB)
    with object_server(tmp_path) as running:
        driver = S3Driver(attrs.evolve(running.place, attempts=1))
        await driver.put_stream(ONE, "whole", body_of(content))
        token, offset = await driver.begin(ONE, "upload"), 0
        for end in (6 * MIB, 7 * MIB):
            token, offset = await driver.append(ONE, "upload", token, offset, body_of(content[offset:end]))
    for look in (
        driver.ping,
        lambda: driver.head(ONE, "whole"),
        lambda: read_all(driver, ONE, "whole"),
        lambda: driver.append(ONE, "upload", token, offset, body_of(content[offset:])),
        lambda: driver.finish(ONE, "upload", token, offset),
        lambda: driver.put_stream(ONE, "small", body_of(b"1")),
    ):
        with pytest.raises(StorageUnavailable):
            await look()
    with object_server(tmp_path, [*running.ports]):
        assert await read_all(driver, ONE, "whole") == content
        token, offset = await driver.append(ONE, "upload", token, offset, body_of(content[offset:]))
        done = await driver.finish(ONE, "upload", token, offset)
        assert done.sha256 == hashlib.sha256(content).hexdigest()
        assert await read_all(driver, ONE, "upload") == content
        await driver.aclose()


async def test_nothing_beside_the_object(server: ObjectServer, store: S3Driver, key: str) -> None:  # noqa: F811
    """Tails and marks lie beside the objects while an upload lasts; at its end the bucket has the object alone."""
    content = content_of(6 * MIB)
    client = boto3.client(
        "s3",
        endpoint_url=server.url,
        region_name="us-east-1",
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
    )

    def beside() -> list[str]:
        found = client.list_objects_v2(Bucket=ONE, Prefix=".unfinished/")
        return [one["Key"] for one in found.get("Contents", ()) if key in one["Key"]]

    token, offset = await store.begin(ONE, key), 0
    for end in (1000, 2000, 3000):
        token, offset = await store.append(ONE, key, token, offset, body_of(content[offset:end]))
    assert len(beside()) == 2
    old, token = token, await store.fence(ONE, key, token, offset)
    assert len(beside()) == 4
    await store.abort(ONE, key, old)
    assert len(beside()) == 2
    token, offset = await store.append(ONE, key, token, offset, body_of(content[offset:]))
    lost = await store.fence(ONE, key, token, offset)
    await store.finish(ONE, key, token, offset)
    assert await read_all(store, ONE, key) == content
    assert beside() == []
    await store.abort(ONE, key, lost)
    other = await store.begin(ONE, f"{key}-2")
    await store.append(ONE, f"{key}-2", other, 0, body_of(b"tail"))
    await store.client.call("abort_multipart_upload", Bucket=ONE, Key=f"{key}-2", UploadId=json.loads(other)[0])
    left = [(name, token) async for name, token, _ in store.unfinished(ONE) if name == f"{key}-2"]
    assert len(left) == 1
    await store.abort(ONE, *left[0])
    assert beside() == []
    client.close()


async def test_two_drivers_one_key(server: ObjectServer, store: S3Driver, key: str) -> None:  # noqa: F811
    """boto3 with If-None-Match is refused like a second driver: it is the server that keeps them apart."""
    await store.put_stream(ONE, key, body_of(b"first"))
    client = boto3.client(
        "s3",
        endpoint_url=server.url,
        region_name="us-east-1",
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
    )
    with pytest.raises(ClientError):
        client.put_object(Bucket=ONE, Key=key, Body=b"second", IfNoneMatch="*")
    client.close()
    with pytest.raises(ObjectExists):
        await store.put_stream(ONE, key, body_of(b"third"))
    assert await read_all(store, ONE, key) == b"first"
