"""The bytes of a package and their hash: RFC 8785 canonical JSON, SHA-256."""

from __future__ import annotations

import hashlib
from typing import Any

import rfc8785


def canonical(value: Any) -> bytes:
    """The one spelling of a JSON value (RFC 8785); `value` has passed `json_value.problems`."""
    return rfc8785.dumps(value)


def content_of(manifest: bytes, metadata: bytes) -> bytes:
    """The canonical bytes of ``{manifest, metadata}``, of parts that are canonical already.

    Canonical objects have their keys sorted, and "manifest" sorts before "metadata".
    """
    return b'{"manifest":' + manifest + b',"metadata":' + metadata + b"}"


def digest(content: bytes) -> str:
    """SHA-256 as 64 hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()
