"""Device codes and user codes: how they are made, read and kept.

A device code has 256 random bits, so its SHA-256 tells nobody anything. A user code has 34.6: whoever had a plain
digest of it would find it in a minute, so it is kept as an HMAC with a secret of `KEYRING` that no database has.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from typing import Final

from objectkernel_contracts import Keyring, NamedKey

from objectkernel_device_auth.sealed import seal, unseal

CODE_KEYS: Final = "device-codes"
"""The name of the secrets in the keyring."""
ALPHABET: Final = "BCDFGHJKLMNPQRSTVWXZ"
"""No vowels, so no words; no digits (RFC 8628 section 6.1)."""
LENGTH: Final = 8
POSSIBLE: Final = len(ALPHABET) ** LENGTH
"""User codes."""
LONGEST_TYPED: Final = 100
LONGEST_DEVICE_CODE: Final = 200
_OTHER: Final = re.compile(f"[^{ALPHABET}]")
_SEALING: Final = "user code"


def new_device_code() -> str:
    """256 random bits in letters that need no escape in a URL or a form."""
    return secrets.token_urlsafe(32)


def new_user_code() -> str:
    """A code to type, without its hyphen: each is as likely as any other."""
    return "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))


def shown(user_code: str) -> str:
    """A code as people see it, with a hyphen in its middle: ``BCDF-GHJK``."""
    return f"{user_code[:4]}-{user_code[4:]}"


def read_user_code(typed: str) -> str | None:
    """The code that somebody has typed, in whatever case, with whatever between its letters; None: it is none."""
    if len(typed) > LONGEST_TYPED:
        return None
    code = _OTHER.sub("", typed.upper())
    return code if len(code) == LENGTH else None


def digest(secret: str) -> str:
    """What is kept of a device code or a refresh token: SHA-256 in hexadecimal."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


class UserCodes:
    """What is kept of user codes.

    Args:
        keyring: with a secret of the name `CODE_KEYS`; a code that was made before a change of it counts on.
    """

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring

    def digest(self, user_code: str) -> str:
        """What a new code is kept as."""
        return _mac(self._keyring.current(CODE_KEYS), user_code)

    def digests(self, user_code: str) -> list[str]:
        """What a code may be kept as, with every secret that is still accepted."""
        return [_mac(key, user_code) for key in self._keyring.keys(CODE_KEYS)]

    def sealed(self, user_code: str, request_id: str) -> str:
        """A code so that the host can read it again, for the page of this request."""
        key = self._keyring.current(CODE_KEYS)
        return f"{key.id}.{seal(user_code, key.secret, _SEALING, request_id)}"

    def unsealed(self, sealed: str, request_id: str) -> str | None:
        """The code; None when its secret is accepted no more."""
        id, _, content = sealed.rpartition(".")
        key = self._keyring.find(CODE_KEYS, id)
        return None if key is None else unseal(content, key.secret, _SEALING, request_id)


def _mac(key: NamedKey, user_code: str) -> str:
    return hmac.digest(key.secret, f"{_SEALING}:{user_code}".encode(), hashlib.sha256).hex()
