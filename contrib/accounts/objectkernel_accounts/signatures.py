"""Texts that nobody else can have made: tokens of forms, and marks of devices."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from typing import Final

from objectkernel_contracts import Keyring, NamedKey

LONGEST: Final = 400


class Signer:
    """Signs short-lived texts with one of the host's secrets; one that was made before a change of it counts on.

    Args:
        name: of the secret.
    """

    def __init__(self, keyring: Keyring, name: str) -> None:
        self._keyring = keyring
        self._name = name

    def sign(self, *what: str) -> str:
        """A new text for all of this together, never the same twice."""
        return self._signed(self._keyring.current(self._name), secrets.token_urlsafe(12), what)

    def nonce_of(self, text: str, *what: str) -> str | None:
        """What tells a text from others that were signed for the same; None: it was not signed for this."""
        nonce, _, rest = text.partition(".")
        id = rest.rpartition(".")[0]
        key = self._keyring.find(self._name, id) if 0 < len(text) <= LONGEST and text.isascii() and id else None
        if key is None or not hmac.compare_digest(text, self._signed(key, nonce, what)):
            return None
        return nonce

    def _signed(self, key: NamedKey, nonce: str, what: tuple[str, ...]) -> str:
        parts = [part.encode("utf-8", "surrogatepass") for part in (self._name, nonce, *what)]
        message = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
        mac = hmac.digest(key.secret, message, hashlib.sha256)
        return f"{nonce}.{key.id}.{base64.urlsafe_b64encode(mac).decode().rstrip('=')}"
