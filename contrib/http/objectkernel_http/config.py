"""The settings of the HTTP host."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
from attrs.validators import and_, ge, gt, le

from objectkernel_http.limits import HttpLimits


def _with_its_certificate(settings: Any, option: attrs.Attribute[Any], value: Path | None) -> None:
    if value is not None and settings.certfile is None:
        raise ValueError("keyfile needs certfile, the certificate that the key belongs to")


def _path(settings: Any, option: attrs.Attribute[Any], value: str) -> None:
    if value and (not value.startswith("/") or value.endswith("/")):
        raise ValueError(f"{option.name} begins with a slash and does not end with one: /shop")


@attrs.frozen(kw_only=True)
class HttpConfig:
    """Where ``objectkernel serve`` listens, and what a request may ask for.

    Attributes:
        host, port: an address of this machine, and its TCP port; 0 for any that is free.
        uds: a Unix socket in place of both.
        certfile, keyfile: PEM files for TLS; the key may be in the first one.
        proxies: addresses and networks whose ``X-Forwarded-For`` and ``X-Forwarded-Proto`` are believed.
        root_path: the prefix that a proxy takes away before a request comes here.
        workers: how many processes serve, each with a kernel of its own.
        title: of the OpenAPI document.
        documentation: serve ``/openapi.json`` and ``/docs``.
        body_bytes, header_bytes, body_seconds, body_rate: see `HttpLimits`.
        header_seconds: the head of a request has come after as many, or its connection is closed.
        idle_seconds: between two requests of one connection.
        stop_seconds: what runs when the host is asked to stop has as many to finish; then it is cancelled.
    """

    host: str = "127.0.0.1"
    port: int = attrs.field(default=8000, validator=and_(ge(0), le(65535)))
    uds: Path | None = None
    certfile: Path | None = None
    keyfile: Path | None = attrs.field(default=None, validator=_with_its_certificate)
    proxies: tuple[str, ...] = ()
    root_path: str = attrs.field(default="", validator=_path)
    workers: int = attrs.field(default=1, validator=ge(1))
    title: str = "objectkernel"
    documentation: bool = True
    body_bytes: int = attrs.field(default=10 * 2**20, validator=gt(0))
    header_bytes: int = attrs.field(default=32 * 2**10, validator=gt(0))
    body_seconds: float = attrs.field(default=30.0, validator=gt(0))
    body_rate: int = attrs.field(default=1024, validator=gt(0))
    header_seconds: float = attrs.field(default=10.0, validator=gt(0))
    idle_seconds: int = attrs.field(default=15, validator=gt(0))
    stop_seconds: int = attrs.field(default=30, validator=gt(0))

    @property
    def limits(self) -> HttpLimits:
        """What one request may send."""
        return HttpLimits(
            body_bytes=self.body_bytes,
            header_bytes=self.header_bytes,
            body_seconds=self.body_seconds,
            body_rate=self.body_rate,
        )
