"""Finding an authorization server's endpoints, over real sockets."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from objectkernel_device_auth.client_addresses import address
from objectkernel_device_auth.client_discovery import AuthorizationServer as Found
from objectkernel_device_auth.client_discovery import discover
from objectkernel_device_auth.client_requests import Requests
from objectkernel_device_auth.contracts import AuthorizationFailed

from tests.plugins.device_auth.authorization_server import WELL_KNOWN, AuthorizationServer, authorization_server

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("quick")]


@pytest.fixture(params=["", "/astro_08"], ids=["root", "path"])
def server(request: pytest.FixtureRequest) -> Iterator[AuthorizationServer]:
    """A server at the root of its host, and one under a path."""
    with authorization_server(request.param) as server:
        yield server


async def found(server: AuthorizationServer, url: str | None = None) -> Found:
    async with Requests(5) as requests:
        return await discover(requests, address(url or server.url, "MOSTA_AUTH_FLOW_URL"))


@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize("inserted", [True, False], ids=["before", "behind"])
async def test_the_document_is_at_either_place(
    anyio_backend: str, server: AuthorizationServer, inserted: bool, slash: str
) -> None:
    """Between host and path, as the standard says (RFC 8414 section 3.1), or below the path, as many have it."""
    server.inserted = inserted
    assert await found(server, server.url + slash) == Found(
        issuer=server.url,
        place=server.origin.removeprefix("http://"),
        device_authorization=f"{server.url}/device_authorization",
        token=f"{server.url}/token",
        revocation=f"{server.url}/revoke",
        introspection=f"{server.url}/introspect",
    )


@pytest.mark.parametrize(
    "answer", [(404, "<html>"), (200, "<html>"), (200, {"hello": 1}), (401, {}), (302, "/")], ids=str
)
async def test_without_a_document_it_is_the_paths_of_old(
    anyio_backend: str, server: AuthorizationServer, answer: tuple[int, object]
) -> None:
    """Below the path; a page that answers everything is no document."""
    server.metadata = None
    for place in (f"{WELL_KNOWN}{server.path}", f"{server.path}{WELL_KNOWN}"):
        server.trouble(place, answer)
    assert await found(server) == Found(
        issuer=server.url,
        place=server.origin.removeprefix("http://"),
        device_authorization=f"{server.url}/api/v1/auth/device/authorize",
        token=f"{server.url}/api/v1/auth/device/token",
    )


@pytest.mark.parametrize("named", ["https://evil.example", None, 5, "HTTP://127.0.0.1"])
async def test_another_issuer_is_refused(anyio_backend: str, server: AuthorizationServer, named: object) -> None:
    """By string (RFC 8414 section 3.3); both are not named alike, and no other place is tried then."""
    server.metadata = {"issuer": named}
    with pytest.raises(AuthorizationFailed) as caught:
        await found(server)
    assert caught.value.reason == "issuer"
    assert str(named) in str(caught.value)


async def test_an_issuer_with_a_slash_at_its_end_is_the_same(anyio_backend: str, server: AuthorizationServer) -> None:
    """People write both."""
    server.metadata = {"issuer": f"{server.url}/"}
    assert (await found(server)).token == f"{server.url}/token"


@pytest.mark.parametrize(
    "name", ["device_authorization_endpoint", "token_endpoint", "revocation_endpoint", "introspection_endpoint"]
)
async def test_item_39_an_unsafe_endpoint_is_refused(
    anyio_backend: str, server: AuthorizationServer, name: str
) -> None:
    """Codes and keys go to none of http on another machine."""
    server.metadata = {name: "http://auth.example/x"}
    with pytest.raises(AuthorizationFailed, match=name):
        await found(server)


async def test_a_server_without_the_device_flow_says_so(anyio_backend: str, server: AuthorizationServer) -> None:
    """The paths of old are not tried where a document says that there is none."""
    server.metadata = {"device_authorization_endpoint": None}
    with pytest.raises(AuthorizationFailed) as caught:
        await found(server)
    assert caught.value.reason == "unsupported"


@pytest.mark.parametrize(("methods", "pkce"), [(["S256"], True), (["plain"], False), ("S256", False), (None, False)])
async def test_item_40_a_server_says_whether_it_binds_codes(
    anyio_backend: str, server: AuthorizationServer, methods: object, pkce: bool
) -> None:
    """Only where it does, a challenge is sent."""
    server.metadata = {"code_challenge_methods_supported": methods}
    assert (await found(server)).pkce is pkce


async def test_trouble_that_passes_is_waited_out(anyio_backend: str, server: AuthorizationServer) -> None:
    """Twice; the document is then read, and no other is taken for it."""
    server.trouble(f"{WELL_KNOWN}{server.path}", (503, ""), (502, ""))
    assert (await found(server)).revocation is not None


async def test_trouble_that_stays_is_told(anyio_backend: str, server: AuthorizationServer) -> None:
    """With the server's host and port, and what to check; no path is shown."""
    server.trouble(f"{WELL_KNOWN}{server.path}", *[(503, "")] * 3)
    with pytest.raises(AuthorizationFailed, match="it answered 503") as caught:
        await found(server)
    assert caught.value.reason == "unreachable"
    assert "MOSTA_AUTH_FLOW_URL" in caught.value.fix
    assert "astro_08" not in str(caught.value)
