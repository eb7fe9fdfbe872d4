"""The routes as ASGI 3 applications, for any framework: one for each, and one for all of them.

``create_media_handlers(media, uploads, principal_of, links=links)``: the framework tells who asks, and nothing else of
it is needed. Path parameters are where Starlette and others put them, ``scope["path_params"]``, or in the path itself.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any, Final

import attrs
from objectkernel_contracts import Principal

from objectkernel_media_server.answers import PROBLEM, is_told, json_answer, problem
from objectkernel_media_server.calls import Answer, AsgiScope, Call, Endpoint, Send, call_of, send_answer
from objectkernel_media_server.content_http import Contents
from objectkernel_media_server.errors import MediaError
from objectkernel_media_server.incoming import Receive
from objectkernel_media_server.recordings_http import Rows
from objectkernel_media_server.service import HostMedia
from objectkernel_media_server.signing import LinkSigner
from objectkernel_media_server.trail import acting_as
from objectkernel_media_server.tus_http import TusProtocol
from objectkernel_media_server.upload_http import WholeUploads
from objectkernel_media_server.upload_limits import UploadLimits
from objectkernel_media_server.uploads import UploadService

LOG: Final = logging.getLogger("objectkernel.media-server")
BELOW: Final = "/api/media"
READ: Final = "media:read"
WRITE: Final = "media:write"

PrincipalOf = Callable[[AsgiScope], Awaitable[Principal | None]]
"""Who sends the request of a scope; None: nobody who is known."""


@attrs.frozen(kw_only=True)
class _Way:
    """An endpoint, for some methods.

    Attributes:
        scope: what its sender needs; None: it is for anybody.
    """

    methods: frozenset[str]
    scope: str | None
    endpoint: Endpoint


class MediaHandler:
    """One route: an ASGI 3 application.

    Args:
        template: its path below ``/api/media``.
    """

    def __init__(self, template: str, ways: Iterable[_Way], principal_of: PrincipalOf, limits: UploadLimits) -> None:
        self.template = template
        self.pattern: Final = re.compile(re.sub(r"\{(\w+)(:path)?\}", _group, template))
        self._ways = tuple(ways)
        self._principal_of = principal_of
        self._limits = limits

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise ValueError("this application is for requests of HTTP")
        found = self.pattern.fullmatch(below(scope))
        path = {name: str(value) for name, value in (scope.get("path_params") or {}).items()}
        await self.serve(scope, receive, send, {**path, **(found.groupdict() if found else {})})

    async def serve(self, scope: AsgiScope, receive: Receive, send: Send, path: Mapping[str, str]) -> None:
        """Answer a request whose path has these parameters."""
        call = call_of(scope, receive, "", path, self._limits)
        try:
            answer = await self._answer(scope, call)
        except MediaError as error:
            if is_told(error):
                answer = problem(error)
            else:
                LOG.error("%s %s: %s", call.method, self.template, error.text(), exc_info=error)
                answer = _refusal(HTTPStatus(error.http_status), "what this needs is away for the moment")
        await send_answer(answer, call, send, self._limits)

    async def _answer(self, scope: AsgiScope, call: Call) -> Answer:
        way = next((way for way in self._ways if call.method in way.methods), None)
        if way is None:
            allowed = sorted({method for way in self._ways for method in way.methods})
            return _refusal(HTTPStatus.METHOD_NOT_ALLOWED, "there is no such method", {"allow": ", ".join(allowed)})
        if way.scope is None:
            return await way.endpoint(call)
        principal = await self._principal_of(scope)
        if principal is None:
            return _refusal(HTTPStatus.UNAUTHORIZED, "this needs a credential", {"www-authenticate": "Bearer"})
        if way.scope not in principal.scopes:
            return _refusal(HTTPStatus.FORBIDDEN, f"this needs the scope {way.scope}")
        with acting_as(principal):
            return await way.endpoint(attrs.evolve(call, account_id=principal.account_id))


@attrs.frozen(kw_only=True)
class MediaHandlers:
    """The routes, each with its path below ``/api/media``.

    Attributes:
        recordings: ``/recordings``.
        session: ``/sessions/{id}``.
        recording: ``/{id}``.
        url: ``/{id}/url``.
        content: ``/{id}/content``.
        blob: ``/blobs/{bucket}/{key:path}``.
        uploads: ``/uploads/``; None, as the next two, where there is no tus.
        upload: ``/uploads/{id}``.
        finish: ``/uploads/{id}/finish``.
    """

    recordings: MediaHandler
    session: MediaHandler
    recording: MediaHandler
    url: MediaHandler
    content: MediaHandler
    blob: MediaHandler
    uploads: MediaHandler | None = None
    upload: MediaHandler | None = None
    finish: MediaHandler | None = None

    async def app(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        """All of them: an ASGI 3 application, to be mounted at ``/api/media`` or at the root."""
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return
        path = below(scope)
        for handler in self._in_order():
            found = handler.pattern.fullmatch(path)
            if found is not None:
                await handler.serve(scope, receive, send, found.groupdict())
                return
        answer = _refusal(HTTPStatus.NOT_FOUND, "there is no such route")
        limits = UploadLimits()
        await send_answer(answer, call_of(scope, receive, "", {}, limits), send, limits)

    def _in_order(self) -> Iterable[MediaHandler]:
        first = (self.recordings, self.session, self.uploads, self.finish, self.upload, self.blob)
        return filter(None, (*first, self.url, self.content, self.recording))


def create_media_handlers(
    media: HostMedia,
    uploads: UploadService | None,
    principal_of: PrincipalOf,
    *,
    links: LinkSigner | None,
    limits: UploadLimits | None = None,
) -> MediaHandlers:
    """The routes for any framework.

    Args:
        uploads: None: without tus.
        links: of a store whose links lead to these routes; None: they lead elsewhere.
        principal_of: tells who asks; recordings are those of its account, and it needs the scopes ``media:read`` and
            ``media:write`` as on a host.
    """
    limits = limits or (UploadLimits() if uploads is None else uploads.limits)
    rows, whole, contents = Rows(media), WholeUploads(media, limits), Contents(media, limits, links)

    def handler(template: str, *ways: tuple[str, str | None, Endpoint]) -> MediaHandler:
        made = [_Way(methods=frozenset(names.split()), scope=scope, endpoint=one) for names, scope, one in ways]
        return MediaHandler(template, made, principal_of, limits)

    tus = None if uploads is None else TusProtocol(uploads, media)
    return MediaHandlers(
        recordings=handler("/recordings", ("POST PUT", WRITE, whole.record), ("GET", READ, rows.list)),
        session=handler("/sessions/{id}", ("GET", READ, rows.session)),
        recording=handler("/{id}", ("GET", READ, rows.one), ("DELETE", WRITE, rows.delete)),
        url=handler("/{id}/url", ("POST", READ, rows.link)),
        content=handler("/{id}/content", ("GET HEAD", READ, contents.content)),
        blob=handler("/blobs/{bucket}/{key:path}", ("GET HEAD PUT", None, contents.blob)),
        **({} if tus is None else _tus_handlers(tus, handler)),
    )


def _tus_handlers(tus: TusProtocol, handler: Callable[..., MediaHandler]) -> dict[str, MediaHandler]:
    options = ("OPTIONS", None, tus.options)
    return {
        "uploads": handler("/uploads", options, ("POST", WRITE, tus.create)),
        "upload": handler("/uploads/{id}", options, ("HEAD PATCH DELETE POST", WRITE, tus.upload)),
        "finish": handler("/uploads/{id}/finish", ("POST", WRITE, tus.finish)),
    }


def below(scope: AsgiScope) -> str:
    """The path of a request below ``/api/media``, wherever that is mounted; some frameworks end it with a slash."""
    path, root = str(scope["path"]), str(scope.get("root_path", ""))
    path = path.removeprefix(root) if root else path
    return path.removeprefix(BELOW).rstrip("/")


def _group(found: re.Match[str]) -> str:
    return f"(?P<{found[1]}>{'.+' if found[2] else '[^/]+'})"


def _refusal(status: HTTPStatus, what: str, headers: Mapping[str, str] | None = None) -> Answer:
    content: dict[str, Any] = {"type": "about:blank", "title": status.phrase, "status": int(status), "detail": what}
    answer = json_answer(content, status, media_type=PROBLEM, is_early=True)
    return attrs.evolve(answer, headers={**answer.headers, **(headers or {})})


async def _lifespan(receive: Receive, send: Send) -> None:
    """There is nothing to start."""
    for event in ("startup", "shutdown"):
        await receive()
        await send({"type": f"lifespan.{event}.complete"})
