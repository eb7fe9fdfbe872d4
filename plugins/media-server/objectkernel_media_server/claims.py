"""What the sender of a recording says of it: checked, all problems at once."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import attrs

from objectkernel_media_server.contracts import InvalidMedia
from objectkernel_media_server.entities import HIGHEST_TAKE, LONGEST_ACCOUNT, LONGEST_EMAIL, LONGEST_SESSION

GIB: Final = 2**30
LONGEST_CLAIM: Final = 200
LONGEST_DURATION: Final = 2**53
_EMAIL: Final = re.compile(r"[^\s@\x00-\x1f\x7f]{1,64}@[^\s@\x00-\x1f\x7f]{1,253}")
_SHA256: Final = re.compile(r"[0-9A-Fa-f]{64}")
_TYPE: Final = re.compile(rf"[\x20-\x7e]{{0,{LONGEST_CLAIM}}}")


@attrs.frozen(kw_only=True)
class Limits:
    """How much one recording may be.

    Attributes:
        file_bytes: of content.
        metadata_bytes: of its metadata as compact JSON in UTF-8.
        metadata_depth: of objects and arrays within each other.
    """

    file_bytes: int = 8 * GIB
    metadata_bytes: int = 16 * 1024
    metadata_depth: int = 8


@attrs.frozen(kw_only=True)
class Claims:
    """What a sender says of a recording; see `MediaRow` and `MediaService.create_recording`."""

    mime_type: str = ""
    size: int | None = None
    duration_ms: int | None = None
    session_id: str | None = None
    take_index: int | None = None
    owner_email: str | None = None
    metadata: Mapping[str, Any] | None = None
    sha256: str | None = None


def checked(account_id: str, claims: Claims, limits: Limits) -> Claims:
    """The claims, if they can be kept.

    Raises:
        InvalidMedia: they cannot; all problems are in `why`.
    """
    problems = [*_account(account_id), *_problems(claims), *_metadata(claims.metadata, limits)]
    if problems:
        raise InvalidMedia("the recording cannot be taken as it is described", why=problems, fix="mend what is said")
    return attrs.evolve(claims, sha256=claims.sha256 and claims.sha256.lower())


def is_text(value: object, longest: int) -> bool:
    """Whether a value is text that every database can hold, and not empty."""
    if not isinstance(value, str) or not 0 < len(value) <= longest or "\0" in value:
        return False
    return value.isascii() or not re.search("[\ud800-\udfff]", value)


def is_whole(value: object, least: int, most: int) -> bool:
    """Whether a value is a whole number within bounds."""
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _account(account_id: object) -> Iterator[str]:
    if not is_text(account_id, LONGEST_ACCOUNT):
        yield f"the account is no text of 1 to {LONGEST_ACCOUNT} characters"


def _problems(claims: Claims) -> Iterator[str]:
    if not _matches(_TYPE, claims.mime_type):
        yield f"the type is no text of at most {LONGEST_CLAIM} printable characters of ASCII"
    for name, value, most in (
        ("size", claims.size, 2**62),
        ("duration", claims.duration_ms, LONGEST_DURATION),
        ("take's index", claims.take_index, HIGHEST_TAKE),
    ):
        if value is not None and not is_whole(value, 0, most):
            yield f"the {name} is no whole number from 0 to {most}"
    if claims.session_id is not None and not is_text(claims.session_id, LONGEST_SESSION):
        yield f"the session is no text of 1 to {LONGEST_SESSION} characters"
    if claims.owner_email is not None and not _matches(_EMAIL, claims.owner_email):
        yield "the owner's e-mail address is none"
    if claims.sha256 is not None and not _matches(_SHA256, claims.sha256):
        yield "the SHA-256 is not 64 hexadecimal digits"


def _matches(pattern: re.Pattern[str], value: object) -> bool:
    is_short = isinstance(value, str) and len(value) <= LONGEST_EMAIL and (value == "" or is_text(value, LONGEST_EMAIL))
    return is_short and pattern.fullmatch(str(value)) is not None


def _metadata(metadata: object, limits: Limits) -> Iterator[str]:
    if metadata is None:
        return
    if not isinstance(metadata, Mapping):
        yield "the metadata are no object"
        return
    if (problem := _json_problem(metadata, limits.metadata_depth)) is not None:
        yield f"the metadata {problem}"
        return
    text = json.dumps(_plain(metadata), ensure_ascii=False, separators=(",", ":"))
    if len(text.encode()) > limits.metadata_bytes:
        yield f"the metadata are longer than {limits.metadata_bytes} bytes of JSON"


def _json_problem(value: Any, depth: int) -> str | None:
    """Why a value is no JSON of at most `depth` levels that every database can hold; None where it is."""
    match value:
        case None | bool():
            return None
        case str():
            return None if value == "" or is_text(value, len(value)) else "have text that not every database can hold"
        case int():
            return None if abs(value) < 2**63 else "have a whole number of more than 64 bits"
        case float():
            return None if math.isfinite(value) else "have a number that JSON has not"
        case Mapping() | list() | tuple() if depth == 0:
            return "are too deep"
        case Mapping() if not all(isinstance(name, str) for name in value):
            return "have a name that is no text"
        case Mapping() | list() | tuple():
            parts = (*value.keys(), *value.values()) if isinstance(value, Mapping) else value
            return next(filter(None, (_json_problem(part, depth - 1) for part in parts)), None)
        case _:
            return f"have a value of type {type(value).__name__}, which JSON has not"


def _plain(value: Any) -> Any:
    """The value in types that JSON is written from."""
    if isinstance(value, Mapping):
        return {name: _plain(part) for name, part in value.items()}
    return [_plain(part) for part in value] if isinstance(value, list | tuple) else value


def plain_metadata(metadata: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Checked metadata as they are kept."""
    return None if metadata is None else _plain(metadata)
