"""tus 1.0.0 with all of its extensions: requests to steps of `UploadService`, and what becomes of them to answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Final

from objectkernel.errors import KernelError

from objectkernel_media_server.answers import http_date, is_told, json_answer, shown_link
from objectkernel_media_server.calls import Answer, Call
from objectkernel_media_server.checksums import Checksum
from objectkernel_media_server.errors import ChecksumMismatch, InvalidMedia, MediaError, MediaTooLarge, UploadConflict
from objectkernel_media_server.incoming import IncomingBody
from objectkernel_media_server.service import HostMedia
from objectkernel_media_server.tus_headers import ALGORITHMS, invalid, new_upload, number
from objectkernel_media_server.upload_entities import Upload
from objectkernel_media_server.uploads import UploadService

PATH: Final = "/api/media/uploads"
VERSION: Final = "1.0.0"
BYTES: Final = "application/offset+octet-stream"
EXTENSIONS: Final = (
    "creation",
    "creation-with-upload",
    "creation-defer-length",
    "expiration",
    "checksum",
    "termination",
    "concatenation",
    "concatenation-unfinished",
)
TRAILING: Final = "checksum-trailer"
"""The extension that needs a server which passes trailers on."""
MISMATCH: Final = 460
"""``Checksum Mismatch`` (tus, Checksum)."""
METHODS: Final = ("HEAD", "PATCH", "POST", "DELETE")
"""Of one upload; POST is for ``X-HTTP-Method-Override``, and for whoever cannot send another one."""


class _Refused(Exception):
    """A request that tus itself does not take."""

    def __init__(self, status: int, what: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(what)
        self.status = status
        self.what = what
        self.headers = headers or {}


class TusProtocol:
    """The endpoints. All but `options` are for an account."""

    def __init__(self, uploads: UploadService, media: HostMedia) -> None:
        self._uploads = uploads
        self._media = media

    async def options(self, call: Call) -> Answer:
        """What this server can."""
        extensions = [*EXTENSIONS, *([TRAILING] if call.trailers is not None else [])]
        headers = {
            "tus-version": VERSION,
            "tus-extension": ",".join(extensions),
            "tus-max-size": str(self._uploads.file_bytes),
            "tus-checksum-algorithm": ",".join(ALGORITHMS),
        }
        return _answer(HTTPStatus.NO_CONTENT, headers)

    async def create(self, call: Call) -> Answer:
        """Begin an upload, perhaps with its first bytes (Creation, Concatenation)."""
        return await self._told(call, self._create)

    async def upload(self, call: Call) -> Answer:
        """Look at an upload, send bytes of it, or end it."""
        asked = call.headers.get("x-http-method-override", call.method).upper()
        steps = {"HEAD": self._look, "PATCH": self._append, "DELETE": self._terminate}
        if asked not in steps:
            what = f"there is no {call.method} of an upload"
            return _refusal(HTTPStatus.METHOD_NOT_ALLOWED, what, {"allow": ", ".join(METHODS)})
        return await self._told(call, steps[asked])

    async def finish(self, call: Call) -> Answer:
        """Say that there is no more: for whoever recorded without knowing the length, and cannot say it with bytes."""
        row = await self._uploads.finish(call.account_id, call.id)
        return json_answer(shown_link(await self._media.linked(row)))

    # --- steps ------------------------------------------------------------------------------------

    async def _create(self, call: Call) -> Answer:
        new, declared = new_upload(call.headers), number(call.headers, "content-length")
        brings = call.headers.get("content-type") == BYTES and declared != 0 and new.kind != "final"
        checksum = _checksum(call) if brings else None
        if brings and new.length is not None and (declared or 0) > new.length:
            raise MediaTooLarge(f"the upload has {new.length} bytes, and no more", limit=new.length)
        upload = await self._uploads.create(call.account_id, new)
        if brings:
            body = IncomingBody(call.receive)
            upload = await self._uploads.append(
                call.account_id, upload.id, 0, body, checksum=checksum, declared=declared
            )
        elif new.length == 0:
            upload = await self._uploads.complete(upload)
        headers = {"location": self._location(call, upload), **_state(upload)}
        if not brings:
            del headers["upload-offset"]
        return _answer(HTTPStatus.CREATED, headers)

    async def _look(self, call: Call) -> Answer:
        upload = await self._uploads.look(call.account_id, call.id)
        headers = {"cache-control": "no-store", **_state(upload)}
        if upload.length is not None:
            headers["upload-length"] = str(upload.length)
        elif upload.kind != "final":
            headers["upload-defer-length"] = "1"
        if upload.kind == "final" and upload.state == "open":
            del headers["upload-offset"]
        if upload.metadata is not None:
            headers["upload-metadata"] = upload.metadata
        if upload.concat is not None:
            headers["upload-concat"] = upload.concat
        return _answer(HTTPStatus.OK, headers)

    async def _append(self, call: Call) -> Answer:
        if call.headers.get("content-type") != BYTES:
            raise _Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"the bytes of an upload come as {BYTES}")
        offset, length = number(call.headers, "upload-offset"), number(call.headers, "upload-length")
        if offset is None:
            raise invalid("PATCH says at which Upload-Offset it goes on")
        upload = await self._uploads.append(
            call.account_id,
            call.id,
            offset,
            IncomingBody(call.receive),
            length=length,
            checksum=_checksum(call),
            declared=number(call.headers, "content-length"),
        )
        return _answer(HTTPStatus.NO_CONTENT, _state(upload))

    async def _terminate(self, call: Call) -> Answer:
        await self._uploads.terminate(call.account_id, call.id)
        return _answer(HTTPStatus.NO_CONTENT, {})

    def _location(self, call: Call, upload: Upload) -> str:
        """Where an upload is: proxies do not always say what they are called, so relative unless it is configured."""
        base = self._uploads.limits.public_url
        if base:
            return f"{base.rstrip('/')}{PATH}/{upload.id}"
        last = call.address.rpartition("/")[2]
        return f"{last}/{upload.id}" if last else upload.id

    async def _told(self, call: Call, step: Callable[[Call], Awaitable[Answer]]) -> Answer:
        """What a step answers; what it raises, as tus has it."""
        try:
            if call.headers.get("tus-resumable") != VERSION:
                what = f"this server speaks tus {VERSION}, and the request does not say that it does"
                raise _Refused(HTTPStatus.PRECONDITION_FAILED, what, {"tus-version": VERSION})
            return await step(call)
        except _Refused as refused:
            return _refusal(refused.status, refused.what, refused.headers)
        except MediaError as error:
            if not is_told(error):
                raise
            is_final = isinstance(error, UploadConflict) and getattr(error, "is_final", False)
            status = HTTPStatus.FORBIDDEN if is_final else status_of(type(error))  # tus, Concatenation
            return _refusal(status, f"{error.code}: {error.what}")


def status_of(kind: type[KernelError]) -> int:
    """The status of an error here, which is not always its own."""
    if issubclass(kind, ChecksumMismatch):
        return MISMATCH
    if issubclass(kind, InvalidMedia):
        return HTTPStatus.BAD_REQUEST
    return getattr(kind, "http_status", HTTPStatus.INTERNAL_SERVER_ERROR)


def _checksum(call: Call) -> Checksum | None:
    """What the bytes shall hash to; None: their sender does not say."""
    header = call.headers.get("upload-checksum")
    if header is not None:
        return Checksum(header)
    trailers = call.trailers
    names = {name.strip().lower() for name in call.headers.get("trailer", "").split(",")}
    if "upload-checksum" not in names:
        return None
    if trailers is None:
        raise invalid("this server does not pass trailers on", why="OPTIONS does not name checksum-trailer")
    return Checksum(None, lambda: trailers().get("upload-checksum", ""))


def _state(upload: Upload) -> dict[str, str]:
    headers = {"upload-offset": str(upload.offset)}
    if upload.state == "open":
        headers["upload-expires"] = http_date(upload.expires_at)
    if upload.media_id is not None:
        headers["recording-id"] = upload.media_id
    return headers


def _answer(status: int, headers: Mapping[str, str]) -> Answer:
    return Answer(status=status, headers={"tus-resumable": VERSION, **headers})


def _refusal(status: int, what: str, headers: Mapping[str, str] | None = None) -> Answer:
    told = {"tus-resumable": VERSION, "content-type": "text/plain; charset=utf-8", **(headers or {})}
    return Answer(status=int(status), headers=told, body=f"{what}\n".encode(), is_early=True)
