"""Links that expire: HMAC-SHA256 over everything that they allow (for stores that have no links of their own)."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Final, Literal
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import attrs
from objectkernel_contracts import NamedKey

from objectkernel_media_server.errors import InvalidMedia, SigningKeyMissing
from objectkernel_media_server.keys import check_place
from objectkernel_media_server.storage_contracts import SignedUrl

LINKS_PATH: Final = "/api/media/blobs"
LONGEST: Final = 7 * 24 * 3600.0
"""Seconds that a link may live: what S3 allows."""
LATEST: Final = 256
"""Good links of which it is remembered what they allow: a player sends one with each range. Bad ones never are."""
_CONTEXT: Final = "objectkernel-media-link-1"
_TYPE: Final = re.compile(r"[a-z0-9!#$&^_.+-]+/[a-z0-9!#$&^_.+-]+(; ?[a-z0-9-]+=[A-Za-z0-9.,_-]+)*", re.IGNORECASE)

Method = Literal["GET", "PUT"]


@attrs.frozen(kw_only=True)
class SignedGrant:
    """What a good link allows.

    Attributes:
        method: ``GET`` is for HEAD too.
        content_type: of the answer, or of what is to be stored; "": it is not said.
        filename: what a browser shall save the answer as; None: it may show it.
        size: of what is to be stored; None for ``GET``.
    """

    method: Method
    bucket: str
    key: str
    expires_at: datetime
    content_type: str = ""
    filename: str | None = None
    size: int | None = None


class LinkSigner:
    """Makes links, and tells good ones.

    Args:
        keys: the first one signs, every one is accepted; asked for each link, so that a rotation needs no restart.
        base_url: where the host is reached, such as ``https://shop.example``; "": links begin with their path.
        now: seconds since 1970.
    """

    def __init__(
        self, keys: Callable[[], Sequence[NamedKey]], base_url: str, now: Callable[[], float] = time.time
    ) -> None:
        self.base_url = checked_base(base_url)
        self._keys = keys
        self._now = now
        self._good: dict[tuple[Method, str, str, str], tuple[tuple[NamedKey, ...], SignedGrant]] = {}

    def sign(
        self,
        method: Method,
        bucket: str,
        key: str,
        *,
        ttl: float,
        content_type: str = "",
        filename: str | None = None,
        size: int | None = None,
    ) -> SignedUrl:
        """A link for `ttl` seconds.

        Raises:
            InvalidMedia: the time or the type is none.
            SigningKeyMissing: there is no secret.
        """
        check_place(bucket, key)
        check_link(ttl, content_type)
        keys = self._keys()
        if not keys:
            raise SigningKeyMissing("there is no secret to sign links with", fix="set STORAGE_SIGNING_SECRET")
        expires = int(self._now() + ttl)
        grant = SignedGrant(
            method=method,
            bucket=bucket,
            key=key,
            expires_at=datetime.fromtimestamp(expires, UTC),
            content_type=content_type,
            filename=filename,
            size=size,
        )
        query = _query(grant, keys[0])
        return SignedUrl(
            url=f"{self.base_url}{LINKS_PATH}/{bucket}/{key}?{query}",
            expires_at=grant.expires_at,
            headers={"Content-Type": content_type} if method == "PUT" and content_type else {},
        )

    def verify(self, method: str, bucket: str, key: str, query: str) -> SignedGrant | None:
        """What a link allows, if it is good and has not expired; None for every other one.

        Args:
            method: of the request.
            bucket, key: of its path.
            query: of its address, as it came: another spelling of the same is another link.
        """
        if method not in ("GET", "HEAD", "PUT"):
            return None
        keys = tuple(self._keys())
        asked: tuple[Method, str, str, str] = ("PUT" if method == "PUT" else "GET", bucket, key, query)
        known = self._good.get(asked)
        if known is not None and known[0] == keys:
            grant: SignedGrant | None = known[1]
        else:
            grant = _granted(*asked, keys)
            if grant is not None:
                self._good[asked] = keys, grant
                if len(self._good) > LATEST:
                    del self._good[next(iter(self._good))]
        return None if grant is None or self._now() >= grant.expires_at.timestamp() else grant


def _granted(method: Method, bucket: str, key: str, query: str, keys: Sequence[NamedKey]) -> SignedGrant | None:
    """What a link allows that one of the keys has signed, whether it has expired or not."""
    try:
        given = dict(parse_qsl(query, keep_blank_values=True, strict_parsing=True, errors="strict", max_num_fields=8))
        size = given.get("size")
        grant = SignedGrant(
            method=method,
            bucket=bucket,
            key=key,
            expires_at=datetime.fromtimestamp(int(given["exp"]), UTC),
            content_type=given.get("type", ""),
            filename=given.get("name"),
            size=None if size is None else int(size),
        )
    except (KeyError, ValueError, OverflowError, OSError):
        return None
    good = False
    for one in keys:  # every key each time, so that time does not tell which one it was
        good |= hmac.compare_digest(_query(grant, one).encode(), query.encode("utf-8", "surrogatepass"))
    return grant if good else None


def signing_keys(secrets: str) -> tuple[NamedKey, ...]:
    """The keys of a setting: secrets with commas between, the first one signs. The id of a key follows from it.

    Raises:
        SigningKeyMissing: one is shorter than 32 bytes.
    """
    parts = [part.strip().encode() for part in secrets.split(",") if part.strip()]
    if any(len(part) < 32 for part in parts):
        raise SigningKeyMissing(
            "a secret that signs links has fewer than 32 bytes", fix="make one with `openssl rand -hex 32`"
        )
    return tuple(NamedKey(id=_key_id(part), secret=part) for part in parts)


def check_link(ttl: float, content_type: str) -> None:
    """Raises InvalidMedia for a time or a type that no link can have."""
    if not 1 <= ttl <= LONGEST:
        raise InvalidMedia("a link cannot live this long", why=f"{ttl} s", fix=f"ask for 1 to {LONGEST:.0f} s")
    if content_type and not _TYPE.fullmatch(content_type):
        raise InvalidMedia("this is no media type", fix="write one such as video/webm")


def attachment(filename: str) -> str:
    """``Content-Disposition`` (RFC 6266) that saves a file under this name, without its folder and controls."""
    name = "".join(c for c in re.split(r"[/\\\\]", filename)[-1] if c.isprintable()).strip() or "download"
    plain = re.sub(r"[^ !#$&+.0-9A-Z^_`a-z{}~-]", "_", name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


def checked_base(base_url: str) -> str:
    """`base_url` without its last slash.

    Raises:
        InvalidMedia: it is no address that a link can begin with.
    """
    parts = urlsplit(base_url)
    odd = parts.query or parts.fragment or parts.username or not base_url.isascii() or " " in base_url
    if base_url and (parts.scheme not in ("http", "https") or not parts.hostname or odd):
        raise InvalidMedia("links cannot begin with this address", fix="write one such as https://shop.example")
    return base_url.rstrip("/")


def _key_id(secret: bytes) -> str:
    return hashlib.sha256(b"id of a link key\0" + secret).hexdigest()[:8]


def _query(grant: SignedGrant, key: NamedKey) -> str:
    """The one query that a link with this grant and this key has."""
    expires = int(grant.expires_at.timestamp())
    said = [
        _CONTEXT,
        key.id,
        grant.method,
        grant.bucket,
        grant.key,
        expires,
        grant.content_type,
        grant.filename,
        grant.size,
    ]
    mac = hmac.digest(key.secret, json.dumps(said).encode(), "sha256")
    signature = urlsafe_b64encode(mac).rstrip(b"=").decode()
    fields: list[tuple[str, object]] = [("exp", expires), ("kid", key.id)]
    if grant.content_type:
        fields.append(("type", grant.content_type))
    if grant.filename is not None:
        fields.append(("name", grant.filename))
    if grant.size is not None:
        fields.append(("size", grant.size))
    return urlencode([*fields, ("sig", signature)])
