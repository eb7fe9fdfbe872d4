"""URIs as they are stored: `k1.<key id>.<base64url(nonce + ciphertext + tag)>`, AES-256-GCM."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Sequence
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from objectkernel.secret import Secret

from objectkernel_project_life.encryption_keys import (
    LONGEST_ID,
    VARIABLE,
    UriKey,
    derived,
    generate_encryption_key,
    get_encryption_key,
    parse_keys,
)
from objectkernel_project_life.errors import EncryptionKeyMissing, UriNotEncryptable, UriUnreadable

FORMAT: Final = "k1"
NONCE: Final = 12
"""Bytes; 96 random bits, as NIST SP 800-38D wants them."""
TAG: Final = 16
"""Bytes; the whole tag, nothing shorter is taken."""

_ENVELOPE_LIKE: Final = re.compile(r"k\d+\.")
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_KEY_ID: Final = re.compile(rf"[A-Za-z0-9_~-]{{1,{LONGEST_ID}}}")


class UriCipher:
    """Encrypts and decrypts URIs of projects with the keys of a host."""

    def __init__(self, keys: Sequence[UriKey], *, allow_plaintext: bool = False) -> None:
        """Args:
        keys: the active one first; none: nothing is encrypted.
        allow_plaintext: leave URIs as they are where there is no key.
        """
        self._ciphers = {key.id: AESGCM(key.secret) for key in keys}
        self._active = keys[0].id if keys else None
        self._index_keys = tuple(derived(key.secret, "place") for key in keys)
        self._allow_plaintext = allow_plaintext

    @property
    def active_id(self) -> str | None:
        """The id of the key that URIs are encrypted with; None where there is no key."""
        return self._active

    @property
    def can_encrypt(self) -> bool:
        """Whether there is a key."""
        return self._active is not None

    @property
    def can_store(self) -> bool:
        """Whether `encrypt` has a way: there is a key, or plain URIs are allowed."""
        return self.can_encrypt or self._allow_plaintext

    def encrypt(self, uri: Secret[str] | str, project_id: str) -> tuple[str, str | None]:
        """A URI as it is to be stored in a project's row, and the id of its key; the URI itself and None without a key.

        Raises:
            EncryptionKeyMissing: there is no key, and plain URIs are not allowed.
            UriNotEncryptable: it is no text, or already encrypted.
        """
        clear = _encodable(uri)
        if self._active is None:
            if not self._allow_plaintext:
                raise _no_key()
            return _plain(clear), None
        nonce = secrets.token_bytes(NONCE)
        sealed = self._ciphers[self._active].encrypt(nonce, clear, _bound_to(project_id))
        return f"{FORMAT}.{self._active}.{_base64url(nonce + sealed)}", self._active

    def decrypt(self, text: str, project_id: str) -> Secret[str]:
        """The URI that is stored in a project's row. One that was stored without a key is given as it is.

        Raises:
            UriUnreadable: its key is not there, or it was cut, altered or moved to another row.
        """
        if not _ENVELOPE_LIKE.match(text):
            if _SCHEME.match(text):
                return Secret(text)
            raise _unreadable(None, "it is neither an encrypted URI nor a plain one")
        version, *rest = text.split(".")
        key_id = rest[0] if _KEY_ID.fullmatch(rest[0]) else None
        if version != FORMAT:
            raise _unreadable(key_id, "its format is one that this version does not know")
        if key_id is None or len(rest) != 2:
            raise _unreadable(key_id, "it was cut or altered")
        content = _canonical_bytes(rest[1])
        if content is None or len(content) < NONCE + TAG:
            raise _unreadable(key_id, "it was cut or altered")
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            raise _unreadable(key_id, "the host has not this key")
        try:
            return Secret(cipher.decrypt(content[:NONCE], content[NONCE:], _bound_to(project_id)).decode())
        except InvalidTag:
            # Without the error behind it: nothing that was decrypted is to be found in a traceback.
            raise _unreadable(key_id, "it was altered, or belongs to another project") from None

    def place_indexes(self, place: str) -> tuple[str, ...]:
        """What a place may be stored as, so that it is found again and shows nothing: 64 hexadecimal digits each.

        The first is the one to store: a keyed hash with the active key. Those of older keys follow, and the unkeyed one
        of a host without a key.
        """
        content = place.encode()
        keyed = (hmac.new(key, content, hashlib.sha256).hexdigest() for key in self._index_keys)
        return (*keyed, hashlib.sha256(b"objectkernel project-life 1 place\0" + content).hexdigest())


def encrypt_uri(uri: str | Secret[str], key: str | Secret[str] | None = None, *, project_id: str) -> str:
    """A URI as it may be stored for a project.

    Args:
        key: 32 bytes as base64url, base64 or hexadecimal; several have commas between, the first is used. None: what
            `PROJECT_ENCRYPTION_KEY` says.

    Raises:
        EncryptionKeyMissing: there is no key.
        UriNotEncryptable: it is no text, or already encrypted.
    """
    return UriCipher(_keys(key)).encrypt(uri, project_id)[0]


def decrypt_uri(text: str, key: str | Secret[str] | None = None, *, project_id: str) -> str:
    """The URI in clear: secret. A plain one is given as it is.

    Raises:
        EncryptionKeyMissing: what is given as a key is none.
        UriUnreadable: its key is not there, or it was cut, altered or moved to another project.
    """
    return UriCipher(_keys(key)).decrypt(text, project_id).reveal()


def _keys(key: str | Secret[str] | None) -> tuple[UriKey, ...]:
    given = get_encryption_key() if key is None else key
    return () if given is None else parse_keys(given)


def _encodable(uri: object) -> bytes:
    """The bytes of a URI that may be encrypted."""
    text = uri.reveal() if isinstance(uri, Secret) else uri
    if not isinstance(text, str) or not text:
        raise _not_encryptable("it is empty, or no text")
    if _ENVELOPE_LIKE.match(text):
        raise _not_encryptable("it is encrypted already")
    try:
        return text.encode()
    except UnicodeEncodeError:
        pass  # and not raised from here: this error holds the text
    raise _not_encryptable("it has characters that are none")


def _plain(clear: bytes) -> str:
    """A URI that is stored as it is: one that will be known for a URI when it is read."""
    text = clear.decode()
    if not _SCHEME.match(text):
        raise _not_encryptable("it does not begin with a scheme, such as postgresql:")
    return text


def _bound_to(project_id: str) -> bytes:
    """What an envelope is valid for: format, table, column, row."""
    return json.dumps([FORMAT, "projects", "uri", project_id], separators=(",", ":")).encode()


def _base64url(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _canonical_bytes(text: str) -> bytes | None:
    """The bytes of a base64url text; None unless it is the one spelling of them."""
    try:
        content = base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), b"-_", validate=True)
    except (UnicodeEncodeError, binascii.Error):
        return None
    return content if _base64url(content) == text else None


def _no_key() -> EncryptionKeyMissing:
    return EncryptionKeyMissing(
        "there is no key to encrypt projects' URIs with",
        why="a URI holds the user and the password of a database",
        fix=f"set {VARIABLE} to what `objectkernel projects generate-key` prints, or compose a plugin that provides "
        "KEYRING; `allow_plaintext_uris = true` stores them as they are",
    )


def _not_encryptable(reason: str) -> UriNotEncryptable:
    return UriNotEncryptable("the URI cannot be encrypted", why=reason, fix="give the URI as a driver takes it")


def _unreadable(key_id: str | None, reason: str) -> UriUnreadable:
    asked = f"the key {key_id!r} is asked for; " if key_id else ""
    return UriUnreadable(
        "the stored URI of a project cannot be decrypted",
        why=f"{asked}{reason}",
        fix=f"give the host this key again, behind the active one in {VARIABLE} (or in KEYRING, where its id begins "
        "with ring); otherwise give the project its URI anew: `objectkernel projects rotate-uri`",
        key_id=key_id,
    )


__all__ = [
    "UriCipher",
    "decrypt_uri",
    "encrypt_uri",
    "generate_encryption_key",
    "get_encryption_key",
]
