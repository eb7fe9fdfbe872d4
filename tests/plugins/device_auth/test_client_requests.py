"""Requests to a server that may do anything: over real sockets."""

from __future__ import annotations

import contextlib
import platform
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
import pytest
from anyio.streams.tls import TLSStream
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from objectkernel_device_auth.client_requests import LARGEST, NoAnswer, Requests

from tests.plugins.device_auth.authorization_server import AuthorizationServer, authorization_server, hang

pytestmark = pytest.mark.anyio


@pytest.fixture
def server() -> Iterator[AuthorizationServer]:
    """A server whose answers the test gives."""
    with authorization_server() as server:
        yield server


async def test_a_form_is_sent_and_an_object_comes_back(anyio_backend: str, server: AuthorizationServer) -> None:
    """With the status that it has."""
    server.trouble("/x", (400, {"error": "invalid_scope"}))
    async with Requests(10) as requests:
        answer = await requests.post(f"{server.url}/x", {"a": "ü &"})
    assert (answer.status, answer.document, answer.error) == (400, {"error": "invalid_scope"}, "invalid_scope")
    assert server.sent("/x") == [{"a": "ü &"}]
    assert server.agents == {f"objectkernel on {platform.system()}"}  # whoever approves is shown that


@pytest.mark.parametrize(
    "content",
    ["", "<html>", "[]", "null", "[" * 10**5, '{"a": "' + "x" * LARGEST + '"}', "{}" * 10**6],
    ids=lambda content: content[:6],
)
async def test_what_is_no_object_is_none(anyio_backend: str, server: AuthorizationServer, content: str) -> None:
    """Neither a page nor what is too large is read for one, and it ends at once."""
    server.trouble("/x", (200, content))
    async with Requests(10) as requests:
        answer = await requests.get(f"{server.url}/x")
    assert (answer.status, answer.document, answer.error) == (200, None, None)


async def test_a_redirect_is_not_followed(anyio_backend: str, server: AuthorizationServer) -> None:
    """A code or key would go where nobody has said."""
    server.trouble("/x", (302, f"{server.url}/y"))
    async with Requests(10) as requests:
        assert (await requests.post(f"{server.url}/x", {})).status == 302
    assert server.calls["/y"] == 0


async def test_a_server_that_hangs_is_left(anyio_backend: str, server: AuthorizationServer) -> None:
    """The time is that of the whole answer."""
    server.trouble("/x", hang(5))
    async with Requests(0.3) as requests:
        with pytest.raises(NoAnswer, match=r"within 0\.3 s") as caught:
            await requests.post(f"{server.url}/x", {})
    assert caught.value.timed_out


async def test_an_answer_that_drips_is_left(anyio_backend: str) -> None:
    """Each part comes in time, and the whole does not."""
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port = listener.extra(anyio.abc.SocketAttribute.local_port)

    async def drip(stream: anyio.abc.SocketStream) -> None:
        async with stream:
            await stream.send(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
            try:
                while True:
                    await stream.send(b" ")
                    await anyio.sleep(0.02)
            except (anyio.BrokenResourceError, anyio.ClosedResourceError):
                pass

    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, drip)
        async with Requests(0.4) as requests:
            with pytest.raises(NoAnswer) as caught:
                await requests.get(f"http://127.0.0.1:{port}/")
        assert caught.value.timed_out
        tasks.cancel_scope.cancel()


async def test_nobody_there_is_no_answer(anyio_backend: str) -> None:
    """Why is told, and not as an untrusted certificate."""
    with authorization_server() as gone:
        url = gone.url
    async with Requests(5) as requests:
        with pytest.raises(NoAnswer, match="ConnectError: Connection refused") as caught:
            await requests.get(url)
    assert not caught.value.timed_out and not caught.value.hopeless


async def test_plain_http_where_tls_is_expected_is_no_answer(anyio_backend: str, server: AuthorizationServer) -> None:
    """A failed handshake ends as an error of this module, which knows what may have happened."""
    async with Requests(5) as requests:
        with pytest.raises(NoAnswer, match="is it http"):
            await requests.get(server.url.replace("http:", "https:"))


async def test_an_untrusted_certificate_is_hopeless(anyio_backend: str, tmp_path: Path) -> None:
    """Asking again would give the same; on each event loop it is told from other failures of TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(self_signed(tmp_path))
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port = listener.extra(anyio.abc.SocketAttribute.local_port)

    async def shake_hands(stream: anyio.abc.SocketStream) -> None:
        async with stream:
            with contextlib.suppress(ssl.SSLError, anyio.BrokenResourceError, anyio.EndOfStream):
                await TLSStream.wrap(stream, server_side=True, ssl_context=context)

    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, shake_hands)
        async with Requests(5) as requests:
            with pytest.raises(NoAnswer, match="its certificate is not trusted") as caught:
                await requests.get(f"https://127.0.0.1:{port}/")
        assert caught.value.hopeless
        tasks.cancel_scope.cancel()


def self_signed(folder: Path) -> Path:
    """A key, and a certificate for this machine that nobody has reason to trust."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    certificate = builder.sign(key, hashes.SHA256())
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file = folder / "self-signed.pem"
    file.write_bytes(secret + certificate.public_bytes(pem))
    return file


@pytest.mark.parametrize(
    ("status", "transient"), [(200, False), (400, False), (408, True), (429, True), (500, True), (503, True)]
)
async def test_some_answers_may_be_others_in_a_moment(
    anyio_backend: str, server: AuthorizationServer, status: int, transient: bool
) -> None:
    """Trouble of the server, and requests that came too fast."""
    server.trouble("/x", (status, {}))
    async with Requests(5) as requests:
        assert (await requests.get(f"{server.url}/x")).is_transient is transient
