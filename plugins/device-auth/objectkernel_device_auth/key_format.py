"""What a key looks like: ``<host>_<key id>_<secret><checksum>``, letters and digits of base 62.

Scanners for leaked secrets find it by its shape. The checksum (CRC-32, which is no secret) tells a key that was
mistyped or cut off from one that may be good without asking the database.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import string
import zlib
from typing import Final

import attrs

ALPHABET: Final = string.digits + string.ascii_uppercase + string.ascii_lowercase
PREFIX: Final = re.compile(r"[a-z][a-z0-9]{0,15}")
ID_LENGTH: Final = 12
"""71 random bits."""
SECRET_LENGTH: Final = 32
"""190 random bits: more than anybody can guess, so that a plain digest at rest is enough."""
CHECK_LENGTH: Final = 6
ID_AT: Final = slice(-(ID_LENGTH + 1 + SECRET_LENGTH + CHECK_LENGTH), -(1 + SECRET_LENGTH + CHECK_LENGTH))
"""Where the id stands in a key."""
_TOKEN: Final = re.compile(
    rf"[a-z][a-z0-9]{{0,15}}_([0-9A-Za-z]{{{ID_LENGTH}}})_[0-9A-Za-z]{{{SECRET_LENGTH}}}([0-9A-Za-z]{{{CHECK_LENGTH}}})"
)


@attrs.frozen
class NewToken:
    """A key that was just made.

    Attributes:
        id: public.
        text: all of it.
        digest: SHA-256 of it in hexadecimal: what is kept.
    """

    id: str
    text: str = attrs.field(repr=False)
    digest: str = attrs.field(repr=False)


def make_token(prefix: str, id: str | None = None) -> NewToken:
    """A new key.

    Args:
        prefix: see `PREFIX`.
        id: a word in the place of the key id, for secrets that are found by something else.
    """
    return _token(prefix, id or _random(ID_LENGTH), _random(SECRET_LENGTH))


def key_id_of(token: str) -> str | None:
    """The id that stands in a key; None for what cannot be a key: a typo, a part of one, something else."""
    found = _TOKEN.fullmatch(token)
    if found is None or checksum(token[:-CHECK_LENGTH]) != found[2]:
        return None
    return found[1]


def digest_of(token: str) -> str:
    """What the database has of a key or of another secret: SHA-256 in hexadecimal."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def checksum(text: str) -> str:
    """CRC-32 in base 62, six characters."""
    return _base_62(zlib.crc32(text.encode()).to_bytes(4, "big"), CHECK_LENGTH)


def _token(prefix: str, id: str, secret: str) -> NewToken:
    start = f"{prefix}_{id}_{secret}"
    text = start + checksum(start)
    return NewToken(id, text, digest_of(text))


def _base_62(data: bytes, length: int) -> str:
    """The last digits of a number that is much longer: each is as likely as any other."""
    number, found = int.from_bytes(data, "big"), []
    for _ in range(length):
        number, digit = divmod(number, len(ALPHABET))
        found.append(ALPHABET[digit])
    return "".join(reversed(found))


def _random(length: int) -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(length))
