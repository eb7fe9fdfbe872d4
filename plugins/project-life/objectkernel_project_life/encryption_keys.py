"""The keys that URIs are encrypted with: where they come from, and what each is called."""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import re
import secrets
from collections.abc import Mapping
from typing import Final

import attrs
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from objectkernel.secret import Secret
from objectkernel_contracts import Keyring

from objectkernel_project_life.errors import EncryptionKeyMissing

VARIABLE: Final = "PROJECT_ENCRYPTION_KEY"
KEY_NAME: Final = "project-uris"
"""What `KEYRING` is asked for."""
SIZE: Final = 32
"""Bytes of a key (AES-256)."""
LONGEST_ID: Final = 64
"""Characters of a key's id; the column `uri_key` has this length."""

_HEX: Final = re.compile(r"[0-9A-Fa-f]{64}")
_FEWEST_VALUES: Final = 8
"""Different bytes in a key; random ones have more, placeholders such as zeros have not."""


@attrs.frozen(kw_only=True)
class UriKey:
    """A key.

    Attributes:
        id: tells it from others, is no secret, and has no dot.
        secret: 32 bytes.
    """

    id: str
    secret: bytes = attrs.field(repr=False)


def generate_encryption_key() -> str:
    """A new key: 32 random bytes as base64url without padding (RFC 4648, section 5)."""
    return secrets.token_urlsafe(SIZE)


def get_encryption_key(environ: Mapping[str, str] | None = None) -> Secret[str] | None:
    """What `PROJECT_ENCRYPTION_KEY` says: a key, or several with commas between; None where it says nothing.

    Raises:
        EncryptionKeyMissing: it says something else.
    """
    text = (os.environ if environ is None else environ).get(VARIABLE, "")
    return Secret(text) if parse_keys(text) else None


def parse_keys(text: str | Secret[str]) -> tuple[UriKey, ...]:
    """The keys of a list with commas between, the active one first: 32 bytes each, as hexadecimal, base64 or base64url.

    Raises:
        EncryptionKeyMissing: something in it is no key; it is told by its number, and not shown.
    """
    items = [item.strip() for item in (text.reveal() if isinstance(text, Secret) else text).split(",")]
    found: dict[str, UriKey] = {}
    problems: list[str] = []
    for number, item in enumerate((item for item in items if item), 1):
        secret = _decoded(item)
        if secret is None:
            problems.append(f"key {number}, of {len(item)} characters, is not {SIZE} bytes in any spelling")
        elif len(set(secret)) < _FEWEST_VALUES:
            problems.append(f"key {number} is not random")
        else:
            key = UriKey(id=f"env-{derived(secret, 'key id')[:8].hex()}", secret=secret)
            found.setdefault(key.id, key)
    if problems:
        raise EncryptionKeyMissing(
            "what is given as encryption keys for projects' URIs cannot be used",
            why=tuple(problems),
            fix=f"set {VARIABLE} to a key that `objectkernel projects generate-key` makes: {SIZE} bytes as base64url, "
            "base64 or hexadecimal; several have commas between, the active one first",
        )
    return tuple(found.values())


def uri_keys(configured: Secret[str] | None, keyring: Keyring | None) -> tuple[UriKey, ...]:
    """All keys of a host, the active one first.

    Those of the setting come first; those of `KEYRING` follow, so that what they have encrypted is read after a host
    has been given keys of its own.

    Raises:
        EncryptionKeyMissing: the setting has something that is no key.
    """
    given = parse_keys(configured) if configured is not None else ()
    ringed = keyring.keys(KEY_NAME) if keyring is not None else ()
    return (*given, *(UriKey(id=_ring_id(key.id), secret=derived(key.secret, "uri")) for key in ringed))


def derived(secret: bytes, purpose: str) -> bytes:
    """Another 32 bytes from a secret, for one purpose (HKDF with SHA-256, RFC 5869)."""
    info = f"objectkernel project-life 1 {purpose}".encode()
    return HKDF(hashes.SHA256(), length=SIZE, salt=None, info=info).derive(secret)


def _ring_id(id: str) -> str:
    """The id of a key of `KEYRING`, so that it has no dot, fits its column, and cannot be taken for another's."""
    plain = f"ring-{id.replace('.', '~')}"
    return plain if len(plain) <= LONGEST_ID else f"ringhash-{hashlib.sha256(id.encode()).hexdigest()[:32]}"


def _decoded(text: str) -> bytes | None:
    """The 32 bytes that a text spells; None where it spells none, or not in the only way that its spelling has."""
    if _HEX.fullmatch(text):
        return bytes.fromhex(text)
    bare = text.removesuffix("=")
    for altchars in (b"-_", b"+/"):
        try:
            secret = base64.b64decode(f"{bare}=".encode("ascii"), altchars, validate=True)
        except (UnicodeEncodeError, binascii.Error):
            continue
        if len(secret) == SIZE and base64.b64encode(secret, altchars).decode() == f"{bare}=":
            return secret
    return None
