"""Whole recordings in one request: the body itself, or a form with the field ``blob``."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from contextlib import aclosing
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import parse_qsl

import attrs
from objectkernel.errors import nearest, shortened

from objectkernel_media_server.answers import json_answer, shown_link
from objectkernel_media_server.calls import Answer, Call
from objectkernel_media_server.claims import Claims, checked
from objectkernel_media_server.contracts import MediaRow, MediaWithSignedUrl
from objectkernel_media_server.errors import InvalidMedia
from objectkernel_media_server.forms import Form, Part
from objectkernel_media_server.incoming import reading
from objectkernel_media_server.intake import Intake, too_large
from objectkernel_media_server.service import HostMedia
from objectkernel_media_server.sniffing import accepted, known_type
from objectkernel_media_server.storage_contracts import StoredObject
from objectkernel_media_server.tus_headers import digest, number, whole
from objectkernel_media_server.upload_limits import UploadLimits
from objectkernel_media_server.upload_rows import missing_upload

FORM: Final = "multipart/form-data"
BLOB: Final = "blob"
SAID: Final = ("mimeType", "durationMs", "sessionId", "takeIndex", "metadata", "sha256")
"""What may be said of a recording: fields of a form, and parameters of a query."""
MOST_FIELDS: Final = 64
LONGEST_NAME: Final = 40
"""Characters of a name that an error repeats."""
SHA256: Final = re.compile(r"(?:^|,)\s*sha-256=:([A-Za-z0-9+/=]*):\s*(?=$|,)")
"""In a ``Content-Digest`` (RFC 9530), which is a dictionary of structured fields."""
DURATION: Final = re.compile(r"(\d{1,15})(?:\.\d*)?")
"""Milliseconds as browsers measure them, with fractions."""


class WholeUploads:
    """The endpoint.

    Args:
        limits: of its fields.
    """

    def __init__(self, media: HostMedia, limits: UploadLimits) -> None:
        self._media = media
        self._limits = limits

    async def record(self, call: Call) -> Answer:
        """Store a recording; 201 with its row and a link."""
        said, kind = _query(call.query), call.headers.get("content-type", "")
        is_form = kind.partition(";")[0].strip().lower() == FORM
        found = await (self._form(call, kind) if is_form else self._raw(call, said, kind))
        return json_answer(shown_link(found), HTTPStatus.CREATED)

    async def _raw(self, call: Call, query: Mapping[str, str], kind: str) -> MediaWithSignedUrl:
        said = _claims(query, kind)
        said = attrs.evolve(said, sha256=content_digest(call.headers) or said.sha256)
        size = self._declared(call, 0)
        async with reading(call.receive) as body:
            return await self._media.create_recording(
                call.account_id, body, **attrs.asdict(attrs.evolve(said, size=size), recurse=False)
            )

    def _declared(self, call: Call, beside: int) -> int | None:
        """How many bytes will come, where that is said; refused before any is read, where they are too many.

        Args:
            beside: how many of them may be something else.
        """
        length, most = number(call.headers, "content-length"), self._media.recordings.limits.file_bytes
        if length is not None and length > most + beside:
            raise too_large(most)
        return length

    async def _form(self, call: Call, kind: str) -> MediaWithSignedUrl:
        """The fields may come before the blob and behind it: the row begins with the one, and is finished with all."""
        self._declared(call, self._limits.form_bytes)
        fields: dict[str, str] = {}
        stored: tuple[MediaRow, StoredObject] | None = None
        try:
            async with (
                reading(call.receive) as body,
                aclosing(Form(kind, body, self._limits.form_bytes).parts()) as parts,
            ):
                async for part in parts:
                    if part.name != BLOB:
                        fields[part.name] = await _field(part, is_blob_there=stored is not None)
                    elif stored is not None:
                        raise InvalidMedia("the form has two blobs", fix="send a request for each")
                    else:
                        stored = await self._stored(call.account_id, part, _claims(fields, part.content_type))
            if stored is None:
                raise InvalidMedia(
                    f"there is no field `{BLOB}`; fields sent: {_names(fields) or 'none'}",
                    fix=f"put the file into the field `{BLOB}`",
                )
            row, found = stored
            await self._say(row, fields)
        except BaseException as error:
            if stored is not None:
                await self._media.recordings.refuse(stored[0], error)
            raise
        return await self._media.linked(await self._media.finish_recording(call.account_id, row.id, found))

    async def _stored(self, account_id: str, part: Part, said: Claims) -> tuple[MediaRow, StoredObject]:
        """Put the blob into the store; its row stays ``uploading``."""
        lives = self._media.recordings
        said = checked(account_id, said, lives.limits)
        async with aclosing(part.pieces()) as pieces:
            intake = Intake(pieces, lives.limits.file_bytes)
            kind = accepted(await intake.head(), said.mime_type, lives.allowed)
            row = await lives.begin(account_id, said, kind)
            try:
                watched = intake.watched(lambda came: lives.came(row, came))
                return row, await lives.storage.put_stream(row.bucket, row.key, watched, content_type=kind)
            except BaseException as error:
                await lives.refuse(row, error)
                raise

    async def _say(self, row: MediaRow, fields: Mapping[str, str]) -> None:
        """Let a row say what came behind its blob."""
        lives = self._media.recordings
        said = checked(row.account_id, _claims(fields, row.mime_type), lives.limits)
        changes: dict[str, Any] = {
            "mime_type": known_type(said.mime_type),
            "duration_ms": said.duration_ms,
            "session_id": said.session_id,
            "take_index": said.take_index,
            "metadata": said.metadata,
            "checksum": said.sha256,
        }
        told = {name: value for name, value in changes.items() if value is not None and value != getattr(row, name)}
        if told and await lives.repo.update(row.account_id, row.id, told, expect=("uploading",)) is None:
            raise missing_upload()


def content_digest(headers: Mapping[str, str]) -> str | None:
    """The SHA-256 of ``Content-Digest``, in hexadecimal; None: there is none.

    Raises:
        InvalidMedia: it cannot be meant.
    """
    found = SHA256.search(headers.get("content-digest", ""))
    if found is None:
        return None
    try:
        value = base64.b64decode(found[1], validate=True)
    except (binascii.Error, ValueError):
        value = b""
    if len(value) != 32:
        raise InvalidMedia("Content-Digest has a sha-256 of another length than 32 bytes")
    return value.hex()


def _claims(fields: Mapping[str, str], kind: str) -> Claims:
    """What is said of a recording; all of it may be left out."""
    return Claims(
        mime_type=fields.get("mimeType") or kind,
        duration_ms=_milliseconds(fields.get("durationMs", "")),
        session_id=fields.get("sessionId") or None,
        take_index=whole(fields, "takeIndex"),
        metadata=_metadata(fields.get("metadata", "")),
        sha256=digest(fields.get("sha256", "")),
    )


def _milliseconds(text: str) -> int | None:
    if not text.strip():
        return None
    found = DURATION.fullmatch(text.strip())
    if found is None or not text.isascii():
        raise InvalidMedia("durationMs is a number that is not negative")
    return int(found[1])


def _metadata(text: str) -> Mapping[str, Any] | None:
    if not text.strip():
        return None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise InvalidMedia("metadata is a JSON object")
    return found


async def _field(part: Part, *, is_blob_there: bool) -> str:
    """What a field says.

    Raises:
        InvalidMedia: it is none that can be read; of a file that came in another field than the blob's, that it did.
    """
    try:
        return await part.text()
    except InvalidMedia:
        if is_blob_there or not part.is_file or part.name in SAID:
            raise
        raise InvalidMedia(
            f"the file came in the field `{part.name[:LONGEST_NAME]}`, and not in `{BLOB}`",
            fix=f"put the file into the field `{BLOB}`",
        ) from None


def _names(fields: Mapping[str, str]) -> str:
    return ", ".join(shortened([name[:LONGEST_NAME] for name in fields]))


def _query(query: bytes) -> dict[str, str]:
    """What a query says.

    Raises:
        InvalidMedia: it has a parameter that is none, or too many.
    """
    try:
        found = dict(parse_qsl(query.decode("latin-1"), keep_blank_values=True, max_num_fields=MOST_FIELDS))
    except ValueError:
        raise InvalidMedia(f"a query has at most {MOST_FIELDS} fields") from None
    for name in found:
        if name not in SAID:
            close = nearest(name[:LONGEST_NAME], SAID, 1)
            raise InvalidMedia(
                f"a recording has no parameter `{name[:LONGEST_NAME]}`",
                why=f"known are {', '.join(SAID)}",
                fix=f"did you mean `{close[0]}`?" if close else "take it out, or put it into metadata",
            )
    return found
