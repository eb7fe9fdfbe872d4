"""The routes under ``/api/media``, for a host that is a FastAPI application."""

from __future__ import annotations

from typing import Annotated, Any, Final

import attrs
from fastapi import APIRouter, Query
from objectkernel_contracts import Principal, Scope, errors_as, public, raises, requires
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Send
from starlette.types import Scope as AsgiScope

from objectkernel_media_server import http_models as models
from objectkernel_media_server import tus_http
from objectkernel_media_server.answers import is_told, problem
from objectkernel_media_server.calls import Answer, Call, Endpoint, call_of, send_answer
from objectkernel_media_server.content_http import Contents
from objectkernel_media_server.direct_routes import Direct, DirectRoute, directly
from objectkernel_media_server.errors import (
    ChecksumMismatch,
    InvalidMedia,
    MediaError,
    MediaMissing,
    MediaTooLarge,
    MediaTypeRefused,
    ObjectExists,
    QuotaExceeded,
    UploadConflict,
    UploadIncomplete,
)
from objectkernel_media_server.http_models import MediaId, UploadId
from objectkernel_media_server.recordings_http import Rows
from objectkernel_media_server.service import HostMedia
from objectkernel_media_server.signing import LinkSigner
from objectkernel_media_server.trail import acting_as
from objectkernel_media_server.tus_http import TusProtocol
from objectkernel_media_server.upload_http import FORM, WholeUploads
from objectkernel_media_server.upload_limits import UploadLimits
from objectkernel_media_server.uploads import UploadService

PATH: Final = "/api/media"
READ: Final = "media:read"
WRITE: Final = "media:write"
READ_BY: Final = frozenset(
    {
        b"content-length",
        b"if-match",
        b"if-modified-since",
        b"if-none-match",
        b"if-range",
        b"if-unmodified-since",
        b"range",
    }
)
"""The headers of a request that reads, as ASGI writes names."""
NO_LIMIT: Final = 2**62
"""Of the host's own for a body: these routes look at every length themselves."""
BODIES: Final = {
    "requestBody": {
        "required": True,
        "content": {
            FORM: {"schema": models.RecordingForm.model_json_schema()},
            "*/*": {"schema": {"type": "string", "format": "binary"}},
        },
    }
}
ONLY_BYTES: Final = {"requestBody": {"content": {tus_http.BYTES: {"schema": {"type": "string", "format": "binary"}}}}}
CONTENT: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "The content", "content": {"*/*": {}}},
    206: {"description": "The ranges that were asked for", "content": {"*/*": {}}},
    302: {"description": "The store has it"},
    304: {"description": "It is as it was"},
    412: {"description": "It is not as the request wants it"},
    416: {"description": "It has no such range"},
}


class Answered(Response):
    """An answer as FastAPI sends it."""

    def __init__(self, answer: Answer, call: Call, limits: UploadLimits) -> None:
        super().__init__(status_code=answer.status)
        self._answer = answer
        self._call = call
        self._limits = limits

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        await send_answer(self._answer, self._call, send, self._limits)


@attrs.frozen
class _Routes:
    """What the routes are made of."""

    limits: UploadLimits

    async def answer(self, request: Request, endpoint: Endpoint, **path: str) -> Response:
        """What an endpoint answers to whoever asks."""
        principal: Principal | None = request.state.principal
        if principal is None:
            return await self._answer(request, endpoint, "", path)
        with acting_as(principal):
            return await self._answer(request, endpoint, principal.account_id, path)

    async def _answer(self, request: Request, endpoint: Endpoint, account_id: str, path: dict[str, str]) -> Response:
        call = call_of(request.scope, request.receive, account_id, path, self.limits)
        try:
            answer = await endpoint(call)
        except MediaError as error:
            answer = _told(error)
        return Answered(answer, call, self.limits)

    def reading(self, endpoint: Endpoint) -> Direct:
        """An endpoint that changes nothing, and of which nothing is noted, as an ASGI application."""

        async def read(scope: AsgiScope, receive: Receive, send: Send) -> None:
            principal: Principal | None = scope["state"]["principal"]
            account_id = "" if principal is None else principal.account_id
            call = call_of(scope, receive, account_id, scope["path_params"], self.limits, wanted=READ_BY)
            try:
                answer = await endpoint(call)
            except MediaError as error:
                answer = _told(error)
            await send_answer(answer, call, send, self.limits)

        return read


def _told(error: MediaError) -> Answer:
    """What is told of an error; one that is for the host is raised again."""
    if not is_told(error):
        raise error
    return problem(error)


def media_router(
    media: HostMedia,
    uploads: UploadService | None,
    *,
    links: LinkSigner | None,
    limits: UploadLimits | None = None,
) -> APIRouter:
    """All routes.

    Args:
        uploads: None: the store takes objects in one go only, and there is no tus.
        links: of a store whose links lead to the host; None: they lead elsewhere.
        limits: None: those of `uploads`.
    """
    router = APIRouter(prefix=PATH)
    limits = limits or (UploadLimits() if uploads is None else uploads.limits)
    routes, contents = _Routes(limits), Contents(media, limits, links)
    router.include_router(_recordings(routes, WholeUploads(media, limits), Rows(media)))
    if uploads is not None:
        router.include_router(_uploads(routes, TusProtocol(uploads, media)))
    router.include_router(_blobs(routes, contents))
    router.include_router(_one(routes, Rows(media), contents))
    return router


def _recordings(routes: _Routes, whole: WholeUploads, rows: Rows) -> APIRouter:
    router = APIRouter(tags=["recordings"])

    @router.post(
        "/recordings",
        summary="Store a recording",
        status_code=201,
        response_model=models.LinkedRecording,
        openapi_extra=BODIES,
        max_body_size=NO_LIMIT,
    )
    @requires(Scope(WRITE))
    @raises(InvalidMedia, MediaTooLarge, QuotaExceeded, MediaTypeRefused, ChecksumMismatch, UploadIncomplete)
    async def record(request: Request, said: Annotated[models.RawParameters, Query()]) -> Response:
        return await routes.answer(request, whole.record)

    @router.put("/recordings", include_in_schema=False, max_body_size=NO_LIMIT)
    @requires(Scope(WRITE))
    async def record_by_put(request: Request, said: Annotated[models.RawParameters, Query()]) -> Response:
        return await routes.answer(request, whole.record)

    @router.get("/recordings", summary="List recordings", response_model=models.RecordingPage)
    @requires(Scope(READ))
    @raises(InvalidMedia)
    async def list_recordings(request: Request, asked: Annotated[models.ListParameters, Query()]) -> Response:
        return await routes.answer(request, rows.list)

    @router.get("/sessions/{id}", summary="List the takes of a session", response_model=models.RecordingPage)
    @requires(Scope(READ))
    @raises(InvalidMedia)
    async def takes(
        request: Request, id: models.SessionId, asked: Annotated[models.PageParameters, Query()]
    ) -> Response:
        return await routes.answer(request, rows.session, id=id)

    return router


def _one(routes: _Routes, rows: Rows, contents: Contents) -> APIRouter:
    router = APIRouter(prefix="/{id}", tags=["recordings"], route_class=DirectRoute)

    @router.get("", summary="Look at a recording", response_model=models.LinkedRecording)
    @requires(Scope(READ))
    @raises(MediaMissing)
    async def look(request: Request, id: MediaId) -> Response:
        return await routes.answer(request, rows.one, id=id)

    @router.delete("", summary="Delete a recording", status_code=204)
    @requires(Scope(WRITE))
    @raises(MediaMissing)
    async def delete(request: Request, id: MediaId) -> Response:
        return await routes.answer(request, rows.delete, id=id)

    @router.post("/url", summary="Get another link", response_model=models.LinkedRecording)
    @requires(Scope(READ))
    @raises(MediaMissing, InvalidMedia)
    async def link(request: Request, id: MediaId, asked: Annotated[models.LinkParameters, Query()]) -> Response:
        return await routes.answer(request, rows.link, id=id)

    @router.get("/content", summary="Read a recording, or parts of it", responses=CONTENT, response_class=Response)
    @requires(Scope(READ))
    @raises(MediaMissing)
    @directly(routes.reading(contents.content))
    async def content(request: Request, id: MediaId) -> Response:
        return await routes.answer(request, contents.content, id=id)

    @router.head("/content", include_in_schema=False)
    @requires(Scope(READ))
    @directly(routes.reading(contents.content))
    async def content_head(request: Request, id: MediaId) -> Response:
        return await routes.answer(request, contents.content, id=id)

    return router


def _blobs(routes: _Routes, contents: Contents) -> APIRouter:
    router = APIRouter(prefix="/blobs", tags=["links"], route_class=DirectRoute)

    @router.get("/{bucket}/{key:path}", summary="Read what a link allows", responses=CONTENT, response_class=Response)
    @public()
    @raises(MediaMissing)
    @directly(routes.reading(contents.blob))
    async def read(request: Request, bucket: models.BucketName, key: models.BlobKey) -> Response:
        return await routes.answer(request, contents.blob, bucket=bucket, key=key)

    @router.head("/{bucket}/{key:path}", include_in_schema=False)
    @public()
    @directly(routes.reading(contents.blob))
    async def read_head(request: Request, bucket: models.BucketName, key: models.BlobKey) -> Response:
        return await routes.answer(request, contents.blob, bucket=bucket, key=key)

    @router.put(
        "/{bucket}/{key:path}",
        summary="Store what a link allows",
        status_code=201,
        response_model=models.StoredBlob,
        max_body_size=NO_LIMIT,
    )
    @public()
    @raises(MediaMissing, MediaTypeRefused, UploadIncomplete, ObjectExists)
    async def store(request: Request, bucket: models.BucketName, key: models.BlobKey) -> Response:
        return await routes.answer(request, contents.blob, bucket=bucket, key=key)

    return router


def _uploads(routes: _Routes, tus: TusProtocol) -> APIRouter:
    router = APIRouter(prefix="/uploads", tags=["uploads"])

    @router.options("", include_in_schema=False)
    @router.options("/", summary="What this server can (tus)", status_code=204)
    @public()
    @errors_as("tus")
    async def options(request: Request) -> Response:
        return await routes.answer(request, tus.options)

    @router.options("/{id}", include_in_schema=False)
    @public()
    @errors_as("tus")
    async def options_of_one(request: Request, id: UploadId) -> Response:
        return await routes.answer(request, tus.options)

    @router.post("", include_in_schema=False, max_body_size=NO_LIMIT)
    @router.post(
        "/",
        summary="Begin an upload (tus)",
        status_code=201,
        response_class=Response,
        openapi_extra=ONLY_BYTES,
        max_body_size=NO_LIMIT,
    )
    @requires(Scope(WRITE))
    @errors_as("tus")
    @raises(InvalidMedia, MediaMissing, MediaTooLarge, QuotaExceeded, MediaTypeRefused, status=tus_http.status_of)
    async def create(request: Request) -> Response:
        return await routes.answer(request, tus.create)

    @router.post("/{id}/finish", summary="Say that an upload has no more bytes", response_model=models.LinkedRecording)
    @requires(Scope(WRITE))
    @raises(MediaMissing, UploadIncomplete, UploadConflict, ChecksumMismatch, MediaTypeRefused)
    async def finish(request: Request, id: UploadId) -> Response:
        return await routes.answer(request, tus.finish, id=id)

    @router.head("/{id}", summary="How far an upload is (tus)", response_class=Response)
    @requires(Scope(WRITE))
    @errors_as("tus")
    @raises(MediaMissing, status=tus_http.status_of)
    async def look(request: Request, id: UploadId) -> Response:
        return await routes.answer(request, tus.upload, id=id)

    @router.patch(
        "/{id}",
        summary="Send bytes of an upload (tus)",
        status_code=204,
        openapi_extra=ONLY_BYTES,
        max_body_size=NO_LIMIT,
    )
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
    async def append(request: Request, id: UploadId) -> Response:
        return await routes.answer(request, tus.upload, id=id)

    @router.delete("/{id}", summary="End an upload (tus)", status_code=204)
    @requires(Scope(WRITE))
    @errors_as("tus")
    @raises(MediaMissing, status=tus_http.status_of)
    async def terminate(request: Request, id: UploadId) -> Response:
        return await routes.answer(request, tus.upload, id=id)

    @router.post(
        "/{id}",
        summary="Any of these, named by X-HTTP-Method-Override (tus)",
        response_class=Response,
        max_body_size=NO_LIMIT,
    )
    @requires(Scope(WRITE))
    @errors_as("tus")
    async def overridden(request: Request, id: UploadId) -> Response:
        return await routes.answer(request, tus.upload, id=id)

    return router
