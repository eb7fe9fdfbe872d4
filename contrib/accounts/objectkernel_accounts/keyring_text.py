"""Keys as text: how they are given to a host, and how they lie in its file."""

from __future__ import annotations

import base64
import binascii
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Final

from objectkernel.secret import Secret
from objectkernel_contracts import NamedKey

from objectkernel_accounts.keyring_errors import KeysInvalid

LEAST: Final = 32
MOST: Final = 1024
"""Bytes of a secret."""
NAME: Final = re.compile(r"[a-z][a-z0-9]*(?:[.-][a-z0-9]+)*")
LONGEST_NAME: Final = 64
ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")

Keys = Mapping[str, tuple[NamedKey, ...]]


def new_key(now: datetime | None = None) -> NamedKey:
    """A fresh secret; its id begins with the day, so that one sees how old it is."""
    day = now or datetime.now(UTC)
    return NamedKey(id=f"{day:%Y%m%d}-{secrets.token_hex(4)}", secret=secrets.token_bytes(LEAST))


def key_text(key: NamedKey) -> str:
    """A key as it is given to a host; secret."""
    return f"{key.id}:{encoded(key.secret)}"


def encoded(secret: bytes) -> str:
    """A secret in base64 (RFC 4648, section 4)."""
    return base64.b64encode(secret).decode()


def given_keys(given: Mapping[str, Iterable[Secret[str]]], variable: str) -> Keys:
    """The keys that a host was given.

    Raises:
        KeysInvalid: with everything that is wrong with them; none of their values is in it.
    """
    problems: list[str] = []
    found: dict[str, tuple[NamedKey, ...]] = {}
    for name, texts in given.items():
        if not is_name(name):
            problems.append(f"{name!r} is no name of a key: lower-case words, joined by hyphens or dots")
        keys = [_key(f"key {number} of {name!r}", text, problems) for number, text in enumerate(texts, 1)]
        found[name] = tuple(key for key in keys if key is not None)
        problems += problems_of(name, found[name]) if keys else [f"{name!r} has no key"]
    if problems:
        raise KeysInvalid(
            "the host's secrets cannot be used",
            why=tuple(problems),
            fix=f'give each name its keys, the current one first: {variable}=\'{{"sessions": ["ID:BASE64"]}}\', '
            f"with {LEAST} random bytes or more in base64; `objectkernel secrets export-env` makes a whole one",
            problems=tuple(problems),
            variable=variable,
        )
    return found


def is_name(name: str) -> bool:
    """Whether keys may have this name."""
    return len(name) <= LONGEST_NAME and NAME.fullmatch(name) is not None


def problems_of(name: str, keys: Iterable[NamedKey]) -> Iterator[str]:
    """What is wrong with the keys of one name, in words that show no secret."""
    seen: set[str] = set()
    for key in keys:
        if not ID.fullmatch(key.id):
            yield f"{name!r} has a key whose id is none: up to 64 letters, digits, dots, hyphens and underscores"
        elif key.id in seen:
            yield f"{name!r} has two keys with the id {key.id!r}"
        elif not LEAST <= len(key.secret) <= MOST:
            yield f"the key {key.id!r} of {name!r} has {len(key.secret)} bytes; {LEAST} to {MOST} are taken"
        seen.add(key.id)


def decoded(text: str) -> bytes | None:
    """The bytes of a secret in base64; None: it is none."""
    try:
        return base64.b64decode(text.encode("ascii"), validate=True)
    except (UnicodeEncodeError, binascii.Error):
        return None


def _key(place: str, text: Secret[str], problems: list[str]) -> NamedKey | None:
    id, colon, encoded = text.reveal().partition(":")
    secret = decoded(encoded)
    if not colon:
        problems.append(f"{place} has no id: it is written ID:BASE64")
    elif secret is None:
        problems.append(f"{place} is no base64 behind its id (RFC 4648, section 4, with padding)")
    else:
        return NamedKey(id=id, secret=secret)
    return None
