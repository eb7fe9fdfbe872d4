"""The authorization server's endpoints: those of the OAuth standards, and the same under ``/api/v1/auth/device``."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any, Final, TypeAlias
from urllib.parse import urlsplit

import attrs
from fastapi import APIRouter
from objectkernel_contracts import Principal, Scope, errors_as, public, raises, requires
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from objectkernel_device_auth import oauth_models as models
from objectkernel_device_auth.config import DeviceAuthConfig
from objectkernel_device_auth.contracts import ApiKey, Client, DeviceAuth, TokenAnswer
from objectkernel_device_auth.errors import InvalidRequest, OAuthError, TooManyTries
from objectkernel_device_auth.flow_needs import FlowClients
from objectkernel_device_auth.ground import joined
from objectkernel_device_auth.key_scopes import KnownScopes
from objectkernel_device_auth.oauth_forms import LONGEST_FORM, OAuthForm, ShownClient, read_form, shown_client
from objectkernel_device_auth.oauth_models import DEVICE_GRANT, REFRESH_GRANT
from objectkernel_device_auth.page_errors import CodeUnusable
from objectkernel_device_auth.pages_shared import LOOPBACK, TellsWhen, asker_of

AUTHORIZE: Final = "/device_authorization"
TOKEN: Final = "/token"
REVOKE: Final = "/revoke"
INTROSPECT: Final = "/introspect"
METADATA: Final = "/.well-known/oauth-authorization-server"
OWN: Final = "/api/v1/auth/device"
"""Where the description of the client has them."""
APPROVE: Final = f"{OWN}/approve"
NO_STORE: Final[Mapping[str, str]] = {"Cache-Control": "no-store", "Pragma": "no-cache"}
METADATA_SECONDS: Final = 300
LONGEST_DECISION: Final = 64 * 2**10
PATHS: Final = re.compile(
    rf"({re.escape(METADATA)}(/.*)?|{OWN}/[a-z]+|{AUTHORIZE}|{TOKEN}|{REVOKE}|{INTROSPECT})\Z", re.DOTALL
)
"""Ours, to the end of the path: what stands before them may begin like one of them."""
METHODS: Final = ["client_secret_basic", "client_secret_post"]

Answering: TypeAlias = Callable[[Request, OAuthForm], Awaitable[Response]]


@attrs.frozen(kw_only=True)
class OAuthServer:
    """What the endpoints call, and what they tell of it."""

    flow: DeviceAuth
    clients: FlowClients
    scopes: KnownScopes
    config: DeviceAuthConfig

    def issuer(self, request: Request) -> str:
        """Where the host is reached: as the setting says, or else as this request does."""
        if self.config.base_url:
            return self.config.base_url.rstrip("/")
        path: str = request.scope["path"]
        own = PATHS.search(path)
        return f"{request.url.scheme}://{request.url.netloc}{path[: own.start()] if own else ''}"

    def expect_secure(self, request: Request) -> None:
        """Refuse a connection that others can listen to.

        Raises:
            OAuthError: ``invalid_request``.
        """
        local = LOOPBACK.fullmatch(request.url.hostname or "") is not None
        if not (local or request.url.scheme == "https" or self.config.plain_http):
            raise OAuthError("invalid_request", "tokens are given over https alone; others can read this connection")

    async def authorize(self, request: Request, form: OAuthForm) -> Response:
        client = shown_client(request, form)
        made = await self.flow.authorize(
            client.id,
            form.get("scope"),
            client_secret=client.secret,
            asker=asker_of(request),
            code_challenge=form.get("code_challenge"),
            code_challenge_method=form.get("code_challenge_method"),
            base_url=self.issuer(request),
        )
        answer = models.DeviceAnswer(
            device_code=made.device_code.reveal(),
            user_code=made.user_code,
            verification_uri=made.verification_uri,
            verification_uri_complete=made.verification_uri_complete,
            expires_in=made.expires_in,
            interval=made.interval,
        )
        return _answered(answer.model_dump())

    async def token(self, request: Request, form: OAuthForm) -> Response:
        kind = form.need("grant_type")
        client = shown_client(request, form)
        if kind == DEVICE_GRANT:
            return _tokens(await self._redeem(request, form, client))
        if kind == REFRESH_GRANT:
            refreshed = await self.flow.refresh(
                form.need("refresh_token"),
                client.id,
                client_secret=client.secret,
                scope=form.get("scope"),
                asker=asker_of(request),
            )
            return _tokens(refreshed)
        raise OAuthError("unsupported_grant_type", f"grant_type has to be {DEVICE_GRANT} or {REFRESH_GRANT}")

    async def revoke(self, request: Request, form: OAuthForm) -> Response:
        client = shown_client(request, form)
        await self.flow.revoke(form.need("token"), client.id, client_secret=client.secret)
        return Response(status_code=HTTPStatus.OK, headers=dict(NO_STORE))

    async def introspect(self, request: Request, form: OAuthForm) -> Response:
        caller = await self._caller(request, form)
        key = await self.flow.introspect(form.need("token"), caller)
        return _answered(_told(key, self.issuer(request)))

    def metadata(self, request: Request) -> models.Metadata:
        """What clients discover (RFC 8414)."""
        issuer = self.issuer(request)
        return models.Metadata(
            issuer=issuer,
            device_authorization_endpoint=f"{issuer}{AUTHORIZE}",
            token_endpoint=f"{issuer}{TOKEN}",
            revocation_endpoint=f"{issuer}{REVOKE}",
            introspection_endpoint=f"{issuer}{INTROSPECT}",
            response_types_supported=[],
            grant_types_supported=[DEVICE_GRANT, REFRESH_GRANT],
            scopes_supported=sorted(self.scopes.device),
            code_challenge_methods_supported=["S256"],
            token_endpoint_auth_methods_supported=["none", *METHODS],
            revocation_endpoint_auth_methods_supported=["none", *METHODS],
            introspection_endpoint_auth_methods_supported=METHODS,
        )

    async def _redeem(self, request: Request, form: OAuthForm, client: ShownClient) -> TokenAnswer:
        return await self.flow.redeem(
            form.need("device_code"),
            client.id,
            client_secret=client.secret,
            code_verifier=form.get("code_verifier"),
            asker=asker_of(request),
        )

    async def _caller(self, request: Request, form: OAuthForm) -> Principal | Client:
        """Who asks about a token: somebody with a key or a session, or a client that shows its secret."""
        principal: Principal | None = request.state.principal
        if principal is not None:
            return principal
        if request.headers.get("authorization", "").lower().startswith("bearer "):
            raise OAuthError("invalid_client", "the key that is shown is unknown, or has ended")
        shown = shown_client(request, form)
        client = await self.clients.authenticate(shown.id, shown.secret)
        if client is None or not client.confidential:
            raise OAuthError("invalid_client", "whoever asks about a token shows a key, or the secret of a client")
        return client


def oauth_router(server: OAuthServer) -> APIRouter:
    """The endpoints of the authorization server."""
    router = APIRouter(tags=["authorization"])
    _add_forms(router, server)
    _add_metadata(router, server)
    _add_approval(router, server)
    return router


def _add_forms(router: APIRouter, server: OAuthServer) -> None:
    asking = models.taken(
        {"client_id": "objectkernel-cli", "scope": "data:read"},
        "client_secret",
        "code_challenge",
        "code_challenge_method",
    )
    redeeming = models.taken(
        {"grant_type": DEVICE_GRANT, "device_code": "GmRhmhcxhwAzkoEqiMEg_DnyEysNk", "client_id": "objectkernel-cli"},
        "refresh_token",
        "scope",
        "client_secret",
        "code_verifier",
        required=("grant_type",),
    )
    token = {"token": "okr_…", "client_id": "objectkernel-cli"}
    token_form = models.taken(token, "token_type_hint", "client_secret", required=("token",))
    endpoints: tuple[tuple[tuple[str, ...], str, Answering, dict[str, Any], type[models.Answer] | None], ...] = (
        ((AUTHORIZE, f"{OWN}/authorize"), "Ask for a device code", server.authorize, asking, models.DeviceAnswer),
        ((TOKEN, f"{OWN}/token"), "Get a key, or the next one", server.token, redeeming, models.TokenReply),
        ((REVOKE,), "End a token", server.revoke, token_form, None),
        ((INTROSPECT,), "Ask about a token", server.introspect, token_form, models.Introspection),
    )
    for paths, summary, answer, form, model in endpoints:
        endpoint = _endpoint(server, answer)
        responses: dict[int | str, dict[str, Any]] = {200: {"model": model} if model else {"description": "It is over"}}
        for path in paths:
            router.add_api_route(
                path,
                endpoint,
                methods=["POST"],
                summary=summary,
                name=f"authorization.{path.rpartition('/')[2]}",
                response_model=None,
                response_class=JSONResponse if model else Response,
                responses=responses,
                openapi_extra=form,
                max_body_size=LONGEST_FORM,
            )


def _endpoint(server: OAuthServer, answer: Answering) -> Callable[[Request], Awaitable[Response]]:
    @errors_as("oauth")
    @public()
    @raises(OAuthError)
    async def endpoint(request: Request) -> Response:
        try:
            server.expect_secure(request)
            return await answer(request, await read_form(request))
        except OAuthError as error:
            return _refused(error)

    return endpoint


def _add_metadata(router: APIRouter, server: OAuthServer) -> None:
    async def tell(request: Request, path: str) -> Response:
        issuer = server.issuer(request)
        if path and urlsplit(issuer).path != f"/{path}":
            raise HTTPException(HTTPStatus.NOT_FOUND, "there is no such issuer here")
        headers = {"Cache-Control": f"public, max-age={METADATA_SECONDS}"} if server.config.base_url else dict(NO_STORE)
        return JSONResponse(server.metadata(request).model_dump(), headers=headers)

    @router.get(METADATA, summary="What the authorization server can", responses={200: {"model": models.Metadata}})
    @public()
    async def metadata(request: Request) -> Response:
        return await tell(request, "")

    @router.get(METADATA + "/{path:path}", include_in_schema=False)
    @public()
    async def metadata_below(request: Request, path: str) -> Response:
        """For an issuer with a path, which comes last (RFC 8414 section 3.1)."""
        return await tell(request, path)


def _add_approval(router: APIRouter, server: OAuthServer) -> None:
    @router.post(APPROVE, summary="Decide on a device by its code", max_body_size=LONGEST_DECISION)
    @requires(Scope())
    @raises(CodeUnusable, InvalidRequest, TooManyTries)
    async def approve(request: Request, response: Response, body: models.Approval) -> models.Approved:
        """For somebody who is signed in; a key decides on nothing."""
        by: Principal = request.state.principal
        response.headers.update(NO_STORE)
        try:
            found = await server.flow.claim(body.user_code, by, asker=asker_of(request))
        except TooManyTries as error:
            raise TellsWhen(error) from error
        if found is None or not await server.flow.decide(
            found.id, body.decision, by, scopes=body.scopes, name=body.name
        ):
            raise CodeUnusable()
        return models.Approved(decision=body.decision, client_id=found.client.id, client_name=found.client.name)


def _tokens(answer: TokenAnswer) -> Response:
    reply = {
        "access_token": answer.access_token.reveal(),
        "token_type": answer.token_type,
        "expires_in": answer.expires_in,
        "scope": answer.scope,
    }
    if answer.refresh_token is not None:
        reply["refresh_token"] = answer.refresh_token.reveal()
    return _answered(reply)


def _told(key: ApiKey | None, issuer: str) -> dict[str, Any]:
    if key is None:
        return {"active": False}
    told = {
        "active": True,
        "scope": joined(key.scopes),
        "client_id": key.client_id,
        "token_type": "Bearer",
        "exp": None if key.expires_at is None else int(key.expires_at.timestamp()),
        "iat": int(key.created_at.timestamp()),
        "sub": key.user_id or key.account_id,
        "iss": issuer,
    }
    return {name: value for name, value in told.items() if value is not None}


def _answered(content: Mapping[str, Any]) -> Response:
    return JSONResponse(content, headers=dict(NO_STORE))


def _refused(error: OAuthError) -> Response:
    """RFC 6749, section 5.2."""
    told: dict[str, Any] = {"error": error.error, "error_description": error.description}
    headers = dict(NO_STORE)
    if error.interval is not None:
        told["interval"] = error.interval
    if error.status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = 'Basic realm="objectkernel", charset="UTF-8"'
    if error.retry_after is not None:
        headers["Retry-After"] = str(error.retry_after)
    return JSONResponse(told, error.status, headers)
