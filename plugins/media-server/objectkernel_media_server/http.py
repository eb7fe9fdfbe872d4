"""The routes under ``/api/media``, for a host that is a FastAPI application."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter
from objectkernel_contracts import Principal, Scope, errors_as, public, raises, requires
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Send
from starlette.types import Scope as AsgiScope

from objectkernel_media_server import tus_http
from objectkernel_media_server.calls import Answer, Call, Endpoint, call_of, send_answer
from objectkernel_media_server.errors import (
    ChecksumMismatch,
    InvalidMedia,
    MediaMissing,
    MediaTooLarge,
    MediaTypeRefused,
    QuotaExceeded,
    UploadConflict,
    UploadIncomplete,
)
from objectkernel_media_server.service import HostMedia
from objectkernel_media_server.signing import LinkSigner
from objectkernel_media_server.tus_http import TusProtocol
from objectkernel_media_server.upload_limits import UploadLimits
from objectkernel_media_server.uploads import UploadService

READ: Final = "media:read"
WRITE: Final = "media:write"
NO_LIMIT: Final = 2**62
"""Of the host's own for a body: these routes look at every length themselves."""


class Answered(Response):
    """An answer as FastAPI sends it."""

    def __init__(self, answer: Answer, call: Call, limits: UploadLimits) -> None:
        super().__init__(status_code=answer.status)
        self._answer = answer
        self._call = call
        self._limits = limits

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        await send_answer(self._answer, self._call, send, self._limits)


def media_router(media: HostMedia, uploads: UploadService, *, links: LinkSigner | None) -> APIRouter:
    """All routes.

    Args:
        links: of a store whose links lead to the host; None: they lead elsewhere.
    """
    router = APIRouter()
    router.include_router(tus_router(TusProtocol(uploads, media), uploads.limits))
    return router


def tus_router(tus: TusProtocol, limits: UploadLimits) -> APIRouter:
    """tus under ``/api/media/uploads/``."""
    router = APIRouter(prefix=tus_http.PATH, tags=["uploads"])

    async def answered(request: Request, endpoint: Endpoint, **path: str) -> Response:
        principal: Principal | None = request.state.principal
        account = "" if principal is None else principal.account_id
        call = call_of(request.scope, request.receive, account, path)
        return Answered(await endpoint(call), call, limits)

    @router.options("", include_in_schema=False)
    @router.options("/", summary="What this server can (tus)", status_code=204)
    @public()
    @errors_as("tus")
    async def options(request: Request) -> Response:
        return await answered(request, tus.options)

    @router.options("/{id}", include_in_schema=False)
    @public()
    @errors_as("tus")
    async def options_of_one(request: Request, id: str) -> Response:
        return await answered(request, tus.options)

    @router.post("", include_in_schema=False, max_body_size=NO_LIMIT)
    @router.post("/", summary="Begin an upload (tus)", status_code=201, max_body_size=NO_LIMIT)
    @requires(Scope(WRITE))
    @errors_as("tus")
    @raises(InvalidMedia, MediaMissing, MediaTooLarge, QuotaExceeded, MediaTypeRefused, status=tus_http.status_of)
    async def create(request: Request) -> Response:
        return await answered(request, tus.create)

    @router.post("/{id}/finish", summary="Say that an upload has no more bytes")
    @requires(Scope(WRITE))
    @raises(MediaMissing, UploadIncomplete, UploadConflict, ChecksumMismatch, MediaTypeRefused)
    async def finish(request: Request, id: str) -> Response:
        return await answered(request, tus.finish, id=id)

    @router.head("/{id}", summary="How far an upload is (tus)")
    @requires(Scope(WRITE))
    @errors_as("tus")
    @raises(MediaMissing, status=tus_http.status_of)
    async def look(request: Request, id: str) -> Response:
        return await answered(request, tus.upload, id=id)

    @router.patch("/{id}", summary="Send bytes of an upload (tus)", status_code=204, max_body_size=NO_LIMIT)
    @requires(Scope(WRITE))
    @errors_as("tus")
    @raises(
        InvalidMedia,
        MediaMissing,
        MediaTooLarge,
        QuotaExceeded,
        UploadConflict,
        ChecksumMismatch,
        MediaTypeRefused,
        status=tus_http.status_of,
    )
    async def append(request: Request, id: str) -> Response:
        return await answered(request, tus.upload, id=id)

    @router.delete("/{id}", summary="End an upload (tus)", status_code=204)
    @requires(Scope(WRITE))
    @errors_as("tus")
    @raises(MediaMissing, status=tus_http.status_of)
    async def terminate(request: Request, id: str) -> Response:
        return await answered(request, tus.upload, id=id)

    @router.post("/{id}", summary="Any of them, named by X-HTTP-Method-Override (tus)", max_body_size=NO_LIMIT)
    @requires(Scope(WRITE))
    @errors_as("tus")
    async def overridden(request: Request, id: str) -> Response:
        return await answered(request, tus.upload, id=id)

    return router
