"""Short texts that are kept encrypted: AES-256-GCM, each with a key and a place of its own."""

from __future__ import annotations

import base64
import secrets
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

NONCE: Final = 12
"""Bytes; 96 random bits, as NIST SP 800-38D wants them."""


def seal(text: str, secret: bytes, purpose: str, place: str) -> str:
    """Encrypt a text.

    Args:
        secret: 256 random bits or more; the key is derived from them for this purpose (RFC 5869).
        place: where it is kept: it opens nowhere else.
    """
    nonce = secrets.token_bytes(NONCE)
    sealed = AESGCM(_key(secret, purpose)).encrypt(nonce, text.encode(), place.encode())
    return base64.urlsafe_b64encode(nonce + sealed).decode()


def unseal(sealed: str, secret: bytes, purpose: str, place: str) -> str | None:
    """The text; None when it was sealed with another secret or for another place, or was changed."""
    content = base64.urlsafe_b64decode(sealed)
    try:
        return AESGCM(_key(secret, purpose)).decrypt(content[:NONCE], content[NONCE:], place.encode()).decode()
    except InvalidTag:
        return None


def _key(secret: bytes, purpose: str) -> bytes:
    return HKDF(hashes.SHA256(), length=32, salt=None, info=purpose.encode()).derive(secret)
