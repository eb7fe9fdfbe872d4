"""Clients that others have written, as they come, through the whole flow: they discover the endpoints and send forms.

Each waits and polls as its user tells it; its user here polls once too early, so that it sees every answer there is.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack
from typing import Any, Protocol, TypeVar

import anyio.to_thread
import attrs
import pytest
import requests
from authlib.integrations.base_client import OAuthError as AuthlibError
from authlib.integrations.requests_client import OAuth2Session as AuthlibSession
from oauthlib.oauth2 import DeviceClient
from oauthlib.oauth2.rfc6749.errors import OAuth2Error
from objectkernel_device_auth.contracts import Client
from requests_oauth2client import BearerToken, ClientSecretBasic, ClientSecretPost, OAuth2Client
from requests_oauth2client.exceptions import AuthorizationPending, EndpointError, SlowDown
from requests_oauthlib import OAuth2Session

from tests.plugins.device_auth.page_hosts import CLI, DeviceShop, decide, device_shop, on_loopback

pytestmark = pytest.mark.anyio

T = TypeVar("T")
GRANT = "urn:ietf:params:oauth:grant-type:device_code"
SCOPE = "notes:read notes:write"


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@attrs.frozen
class Site:
    """A host at an address, and what its metadata document says."""

    host: DeviceShop
    url: str
    metadata: dict[str, Any]
    secret: str


@pytest.fixture(scope="module")
async def site(anyio_backend: str) -> AsyncIterator[Site]:
    async with device_shop() as host, on_loopback(host) as url:
        _, secret = await host.clients.register(Client(id="confidential", name="Robot", confidential=True))
        assert secret is not None
        found = await in_thread(lambda: requests.get(f"{url}/.well-known/oauth-authorization-server", timeout=10))
        assert found.headers["content-type"] == "application/json"
        assert found.json()["issuer"] == url
        yield Site(host, url, found.json(), secret.reveal())


async def in_thread(call: Callable[[], T]) -> T:
    """Let a client that blocks run beside the host."""
    return await anyio.to_thread.run_sync(call)


class Refused(Exception):
    """What a client was told is in its argument, the standard's code."""


@attrs.frozen
class Tokens:
    access: str
    refresh: str


class Tried(Protocol):
    """One client of one library, as far as this test uses it; every call is the library's own."""

    def ask(self) -> tuple[str, str]:
        """Begin, and return the user code and the address of the page."""

    def poll(self) -> Tokens:
        """Ask once for the token, or raise `Refused`."""

    def refresh(self, tokens: Tokens) -> Tokens:
        """Get the next tokens, or raise `Refused`."""

    def status(self, url: str, tokens: Tokens) -> int:
        """The status of a resource that a token is shown to."""

    def revoke(self, tokens: Tokens) -> None:
        """End the refresh token."""

    def close(self) -> None:
        """Close its connections."""


class ByAuthlib:
    """Authlib's session for requests. It has no call for the first step: its documentation posts a form there."""

    def __init__(self, metadata: dict[str, Any], client_id: str, secret: str | None, method: str) -> None:
        self._urls, self._code = metadata, ""
        self.session = AuthlibSession(client_id, secret, scope=SCOPE, token_endpoint_auth_method=method)

    def ask(self) -> tuple[str, str]:
        url = self._urls["device_authorization_endpoint"]
        auth = self.session.client_auth(self.session.token_endpoint_auth_method)  # which adds the client's id
        found = self.session.post(url, data={"scope": SCOPE}, auth=auth, withhold_token=True).json()
        self._code = found["device_code"]
        return found["user_code"], found["verification_uri"]

    def poll(self) -> Tokens:
        url = self._urls["token_endpoint"]
        return self._tokens(lambda: self.session.fetch_token(url, grant_type=GRANT, device_code=self._code))

    def refresh(self, tokens: Tokens) -> Tokens:
        url = self._urls["token_endpoint"]
        return self._tokens(lambda: self.session.refresh_token(url, refresh_token=tokens.refresh))

    def _tokens(self, call: Callable[[], dict[str, Any]]) -> Tokens:
        try:
            found = call()
        except AuthlibError as error:
            raise Refused(error.error) from None
        return Tokens(found["access_token"], found["refresh_token"])

    def status(self, url: str, tokens: Tokens) -> int:
        self.session.token = {"access_token": tokens.access, "token_type": "Bearer"}
        status: int = self.session.get(url).status_code
        return status

    def revoke(self, tokens: Tokens) -> None:
        answer = self.session.revoke_token(
            self._urls["revocation_endpoint"], tokens.refresh, token_type_hint="refresh_token"
        )
        assert answer.status_code == 200

    def close(self) -> None:
        self.session.close()


class ByRequestsOAuthlib:
    """requests-oauthlib over oauthlib's client of the device flow, its parameters in the form."""

    def __init__(self, metadata: dict[str, Any], client_id: str, secret: str | None, method: str) -> None:
        self._urls, self._code, self._secret = metadata, "", secret
        self._client = DeviceClient(client_id, scope=SCOPE.split())
        self._session = OAuth2Session(client=self._client)

    @property
    def _shown(self) -> dict[str, Any]:
        return {"client_secret": self._secret} if self._secret else {}

    def ask(self) -> tuple[str, str]:
        form = {"client_id": self._client.client_id, "scope": SCOPE, **self._shown}
        url = self._urls["device_authorization_endpoint"]
        found = self._session.post(url, data=form, withhold_token=True).json()
        self._code = found["device_code"]
        return found["user_code"], found["verification_uri"]

    def poll(self) -> Tokens:
        url = self._urls["token_endpoint"]
        more = {"device_code": self._code, "include_client_id": True, **self._shown}
        return self._tokens(lambda: self._session.fetch_token(url, **more))

    def refresh(self, tokens: Tokens) -> Tokens:
        url = self._urls["token_endpoint"]
        more = {"client_id": self._client.client_id, **self._shown}
        return self._tokens(lambda: self._session.refresh_token(url, refresh_token=tokens.refresh, **more))

    def _tokens(self, call: Callable[[], dict[str, Any]]) -> Tokens:
        try:
            found = call()
        except OAuth2Error as error:
            raise Refused(error.error) from None
        return Tokens(found["access_token"], found["refresh_token"])

    def status(self, url: str, tokens: Tokens) -> int:
        self._session.token = {"access_token": tokens.access, "token_type": "Bearer"}
        return int(self._session.get(url).status_code)

    def revoke(self, tokens: Tokens) -> None:
        url, headers, body = self._client.prepare_token_revocation_request(
            self._urls["revocation_endpoint"], tokens.refresh, client_id=self._client.client_id, **self._shown
        )
        assert requests.post(url, headers=headers, data=body, timeout=10).status_code == 200

    def close(self) -> None:
        self._session.close()


class ByRequestsOAuth2Client:
    """requests_oauth2client, made of the discovery document."""

    def __init__(self, metadata: dict[str, Any], client_id: str, secret: str | None, method: str) -> None:
        kinds = {"client_secret_basic": ClientSecretBasic, "client_secret_post": ClientSecretPost}
        auth: Any = client_id if secret is None else kinds[method](client_id, secret)
        self._client = OAuth2Client.from_discovery_document(
            metadata,
            issuer=metadata["issuer"],
            auth=auth,
            device_authorization_endpoint=metadata["device_authorization_endpoint"],  # the one that it passes over
            testing=True,  # for http on the loopback
        )
        self._code: Any = None

    def ask(self) -> tuple[str, str]:
        self._code = self._client.authorize_device(scope=SCOPE)
        return self._code.user_code, self._code.verification_uri

    def poll(self) -> Tokens:
        return self._tokens(lambda: self._client.device_code(self._code))

    def refresh(self, tokens: Tokens) -> Tokens:
        return self._tokens(lambda: self._client.refresh_token(tokens.refresh))

    def _tokens(self, call: Callable[[], BearerToken]) -> Tokens:
        try:
            found = call()
        except (AuthorizationPending, SlowDown, EndpointError) as error:
            raise Refused(error.error) from None
        assert found.refresh_token is not None
        return Tokens(found.access_token, found.refresh_token)

    def status(self, url: str, tokens: Tokens) -> int:
        return requests.get(url, auth=BearerToken(tokens.access), timeout=10).status_code

    def revoke(self, tokens: Tokens) -> None:
        assert self._client.revoke_refresh_token(tokens.refresh)

    def close(self) -> None:
        self._client.session.close()


KINDS = [ByAuthlib, ByRequestsOAuthlib, ByRequestsOAuth2Client]


@pytest.fixture(autouse=True)
def _plain_http(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let oauthlib speak http with the loopback."""
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")


async def refusal(call: Callable[[], Tokens]) -> str:
    """The code that a call is refused with."""
    with pytest.raises(Refused) as caught:
        await in_thread(call)
    return str(caught.value)


@pytest.mark.parametrize("method", ["none", "client_secret_basic", "client_secret_post"])
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
async def test_the_whole_flow(site: Site, kind: Any, method: str) -> None:
    """Pending, slowed down, given a token when approved, refreshed, revoked; then nothing is any good."""
    assert method in site.metadata["token_endpoint_auth_methods_supported"]
    if kind is ByRequestsOAuthlib and method == "client_secret_basic":
        method = "client_secret_post"  # it shows a secret in the form alone
    shown = (CLI, None) if method == "none" else ("confidential", site.secret)
    resource = f"{site.url}/api/v1/account"
    with ExitStack() as ends:
        client: Tried = kind(site.metadata, *shown, method)
        ends.callback(client.close)
        user_code, page = await in_thread(client.ask)
        assert page == f"{site.url}/device"
        assert await refusal(client.poll) == "authorization_pending"
        assert await refusal(client.poll) == "slow_down"
        await decide(await site.host.newcomer(), user_code, "approved")
        first = await in_thread(client.poll)
        assert await in_thread(lambda: client.status(resource, first)) == 200
        second = await in_thread(lambda: client.refresh(first))
        assert second.access != first.access and second.refresh != first.refresh
        assert await in_thread(lambda: client.status(resource, second)) == 200
        await in_thread(lambda: client.revoke(second))
        assert await in_thread(lambda: client.status(resource, second)) == 401
        assert await refusal(lambda: client.refresh(second)) == "invalid_grant"


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
async def test_a_denial_and_a_wrong_secret(site: Site, kind: Any) -> None:
    """Each library tells its user the standard's code."""
    with ExitStack() as ends:
        client: Tried = kind(site.metadata, CLI, None, "none")
        ends.callback(client.close)
        user_code, _ = await in_thread(client.ask)
        await decide(await site.host.newcomer(), user_code, "denied")
        assert await refusal(client.poll) == "access_denied"
        assert await refusal(client.poll) == "access_denied"
        forged: Tried = kind(site.metadata, "confidential", "x" * 40, "client_secret_post")
        ends.callback(forged.close)
        assert await refusal(lambda: forged.refresh(Tokens("", "nothing"))) == "invalid_client"


async def test_authlibs_client_introspects(site: Site) -> None:
    """A confidential client is told of its own tokens, and of another's nothing (RFC 7662)."""
    url = site.metadata["introspection_endpoint"]
    own, person = (
        ByAuthlib(site.metadata, "confidential", site.secret, "client_secret_basic"),
        await site.host.newcomer(),
    )
    with ExitStack() as ends:
        ends.callback(own.close)
        user_code, _ = await in_thread(own.ask)
        await decide(person, user_code, "approved")
        tokens = await in_thread(own.poll)
        answer = await in_thread(lambda: own.session.introspect_token(url, tokens.access))
        told = answer.json()
        assert (told["active"], told["client_id"], told["scope"]) == (True, "confidential", SCOPE)
        foreign = (await site.host.let_in(person)).access_token.reveal()
        answer = await in_thread(lambda: own.session.introspect_token(url, foreign))
        assert answer.json() == {"active": False}
