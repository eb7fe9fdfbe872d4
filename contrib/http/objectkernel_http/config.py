"""The settings of the HTTP host."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import attrs
from attrs.validators import and_, ge, gt, in_, le

from objectkernel_http.limits import LOOPBACK, UNIX, HttpLimits, networks, origins


def _with_its_certificate(settings: Any, option: attrs.Attribute[Any], value: Path | None) -> None:
    if value is not None and settings.certfile is None:
        raise ValueError("keyfile needs certfile, the certificate that the key belongs to")


def _path(settings: Any, option: attrs.Attribute[Any], value: str) -> None:
    if value and (not value.startswith("/") or value.endswith("/")):
        raise ValueError(f"{option.name} begins with a slash and does not end with one: /shop")


def _proxies(settings: Any, option: attrs.Attribute[Any], value: tuple[str, ...]) -> None:
    networks(settings, option, tuple(one for one in value if one != UNIX))


@attrs.frozen(kw_only=True)
class HttpConfig:
    """Where ``objectkernel serve`` listens, and what a request may ask for.

    Attributes:
        host, port: an address of this machine, and its TCP port; 0 for any that is free.
        uds: a Unix socket in place of both.
        certfile, keyfile: PEM files for TLS; the key may be in the first one.
        proxies: addresses and networks whose ``X-Forwarded-For`` and ``X-Forwarded-Proto`` are believed; ``unix`` for
            whoever connects to the Unix socket.
        root_path: the prefix that a proxy takes away before a request comes here.
        workers: how many processes serve, each with a kernel of its own.
        title: of the OpenAPI document.
        documentation: serve ``/openapi.json`` and ``/docs``.
        metrics: who may read ``/metrics``: ``operators``, ``public`` or, where it is not served, ``off``.
        metrics_from: addresses and networks from which it is read without a credential.
        log_format: ``json``, ``console``, or ``auto``: the one on a terminal, the other elsewhere.
        access_log: a line of the log for each request.
        body_bytes, header_bytes, body_seconds, body_rate: see `HttpLimits`.
        key_rate, account_rate, address_rate, rate_window, rate_exempt, origins: see `HttpLimits`.
        header_seconds: the head of a request has come after as many, or its connection is closed.
        idle_seconds: between two requests of one connection.
        stop_seconds: what runs when the host is asked to stop has as many to finish; then it is cancelled.
    """

    host: str = "127.0.0.1"
    port: int = attrs.field(default=8000, validator=and_(ge(0), le(65535)))
    uds: Path | None = None
    certfile: Path | None = None
    keyfile: Path | None = attrs.field(default=None, validator=_with_its_certificate)
    proxies: tuple[str, ...] = attrs.field(default=(), validator=_proxies)
    root_path: str = attrs.field(default="", validator=_path)
    workers: int = attrs.field(default=1, validator=ge(1))
    title: str = "objectkernel"
    documentation: bool = True
    metrics: Literal["operators", "public", "off"] = attrs.field(
        default="operators", validator=in_(("operators", "public", "off"))
    )
    metrics_from: tuple[str, ...] = attrs.field(default=(), validator=networks)
    log_format: Literal["auto", "console", "json"] = attrs.field(
        default="auto", validator=in_(("auto", "console", "json"))
    )
    access_log: bool = True
    body_bytes: int = attrs.field(default=10 * 2**20, validator=gt(0))
    header_bytes: int = attrs.field(default=32 * 2**10, validator=gt(0))
    body_seconds: float = attrs.field(default=30.0, validator=gt(0))
    body_rate: int = attrs.field(default=1024, validator=gt(0))
    key_rate: float = attrs.field(default=200.0, validator=ge(0))
    account_rate: float = attrs.field(default=500.0, validator=ge(0))
    address_rate: float = attrs.field(default=50.0, validator=ge(0))
    rate_window: int = attrs.field(default=10, validator=gt(0))
    rate_exempt: tuple[str, ...] = attrs.field(default=LOOPBACK, validator=networks)
    origins: tuple[str, ...] = attrs.field(default=(), validator=origins)
    header_seconds: float = attrs.field(default=10.0, validator=gt(0))
    idle_seconds: int = attrs.field(default=15, validator=gt(0))
    stop_seconds: int = attrs.field(default=30, validator=gt(0))

    @property
    def limits(self) -> HttpLimits:
        """What requests may be."""
        return HttpLimits(**{field.name: getattr(self, field.name) for field in attrs.fields(HttpLimits)})
