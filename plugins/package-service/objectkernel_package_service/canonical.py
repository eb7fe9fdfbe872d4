"""The bytes of a package and their hash: RFC 8785 canonical JSON, SHA-256."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Final

import rfc8785

_encode: Final = json.JSONEncoder(
    ensure_ascii=False, sort_keys=True, check_circular=False, separators=(",", ":")
).encode


def canonical(value: Any, *, plain: bool = False) -> bytes:
    """The one spelling of a JSON value (RFC 8785); `value` has passed `json_value.problems`.

    Most packages hold nothing that json and the RFC spell differently, and json is five times as fast.

    Args:
        plain: it is known to hold nothing of that kind, as `json_value.look_over` finds out.
    """
    return _encode(value).encode() if plain or _spelled_alike(value) else rfc8785.dumps(value)


def _spelled_alike(value: Any) -> bool:
    """False where a fraction, or the order of names beyond ASCII, may come out otherwise."""
    if isinstance(value, dict):
        return all(map(str.isascii, value)) and all(map(_spelled_alike, value.values()))
    if isinstance(value, list | tuple):
        return all(map(_spelled_alike, value))
    return not isinstance(value, float)


def content_of(manifest: bytes, metadata: bytes) -> bytes:
    """The canonical bytes of ``{manifest, metadata}``, of parts that are canonical already.

    Canonical objects have their keys sorted, and "manifest" sorts before "metadata".
    """
    return b'{"manifest":' + manifest + b',"metadata":' + metadata + b"}"


def digest(content: bytes) -> str:
    """SHA-256 as 64 hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()
