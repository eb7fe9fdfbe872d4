"""What shows that a form was made here for whoever sends it, and that a code in a cookie was put there by this host.

Both are a MAC of the host's key ring. The token of a form is bound to the session and to what the form is about, so
that neither another session's token nor the one of another form passes. The cookie carries the code from the address
to the form: it is bound to the code and to its end, and says nothing about whether the code is any good.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from datetime import UTC, datetime, timedelta
from typing import Final

from objectkernel_contracts import Keyring, NamedKey

FORM_KEYS: Final = "device-forms"
"""The name of the secrets, for `KEY_NAMES`."""
CODE_LASTS: Final = timedelta(minutes=15)
"""How long the browser keeps a code that it was sent with, at most: signing in may come between."""
LONGEST: Final = 400
CODE: Final = re.compile(r"[A-Za-z0-9-]{1,32}", re.ASCII)
"""What a code may look like in an address; whether it is one, the flow tells."""


class FormTokens:
    """Makes and checks them."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring

    def make(self, session_id: str, *about: str) -> str:
        """A token for a form of this session; `about` says what it does, and to what."""
        return self._sign(secrets.token_urlsafe(12), "form", session_id, *about)

    def is_good(self, token: str, session_id: str, *about: str) -> bool:
        """Whether `make` has made it, for the same."""
        return self._is_signed(token, "form", session_id, *about)

    def keep_code(self, user_code: str) -> str | None:
        """The value of a cookie that carries a code; None: it cannot be one."""
        if CODE.fullmatch(user_code) is None:
            return None
        ends = str(int((datetime.now(UTC) + CODE_LASTS).timestamp()))
        return f"{user_code}:{ends}:{self._sign(secrets.token_urlsafe(12), 'code', user_code, ends)}"

    def kept_code(self, cookie: str) -> str | None:
        """The code that a cookie carries; None: none that this host has put there a short while ago."""
        user_code, ends, signature = (*cookie.split(":", 2), "", "", "")[:3]
        if CODE.fullmatch(user_code) is None or not self._is_signed(signature, "code", user_code, ends):
            return None
        return user_code if int(ends) > datetime.now(UTC).timestamp() else None

    def _is_signed(self, token: str, *what: str) -> bool:
        nonce, _, rest = token.partition(".")
        id = rest.rpartition(".")[0]
        key = self._keyring.find(FORM_KEYS, id) if len(token) <= LONGEST and token.isascii() and id else None
        return key is not None and hmac.compare_digest(token, self._sign(nonce, *what, key=key))

    def _sign(self, nonce: str, *what: str, key: NamedKey | None = None) -> str:
        key = key or self._keyring.current(FORM_KEYS)
        parts = [part.encode("utf-8", "surrogatepass") for part in (nonce, *what)]
        message = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
        mac = hmac.digest(key.secret, message, hashlib.sha256)
        return f"{nonce}.{key.id}.{base64.urlsafe_b64encode(mac).decode().rstrip('=')}"
