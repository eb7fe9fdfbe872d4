"""Where a project's database is, in two forms: one to compare, one to show."""

from __future__ import annotations

import os
from typing import Final
from urllib.parse import quote

from objectkernel.secret import Secret
from objectkernel_system_dialect.contracts import DatabasePlace, DialectUnsupported, database_place

from objectkernel_project_life.host_rules import host_of

FAMILIES: Final = {"mariadb": "mysql"}
"""Kinds of servers that are one for our purpose: each opens the other's URLs."""
SCHEMES: Final = {"postgres": "postgresql"}
USUAL_PORTS: Final = {"postgres": 5432, "mysql": 3306, "mariadb": 3306, "mssql": 1433, "oracle": 1521}
HIDDEN: Final = "***"


def normal_place(dialect: str | None, uri: Secret[str] | str) -> str:
    """The same text for every way to write a place: of a file its path without links, of a server its hosts, ports and
    database in one order, without user and options.

    Names are not resolved: ``localhost`` and ``127.0.0.1`` are two places.

    Raises:
        DialectUnsupported: the URI cannot be read.
    """
    place = database_place(dialect, _clear(uri))
    family = FAMILIES.get(place.dialect, place.dialect)
    if place.dialect == "sqlite":
        return f"{family}:{os.path.realpath(place.database or '')}"
    hosts = sorted({f"{host_of(host) or host}\t{port or USUAL_PORTS.get(place.dialect)}" for host, port in place.hosts})
    return "\n".join((family, *hosts, f"/{place.database or ''}"))


def masked(uri: Secret[str] | str, dialect: str | None = None) -> str:
    """What may be shown of a URI: ``postgresql://db.example:5432/crm``, ``sqlite:///crm.db``."""
    try:
        place = database_place(dialect, _clear(uri))
    except DialectUnsupported:
        return HIDDEN
    scheme = SCHEMES.get(place.dialect, place.dialect)
    if place.dialect == "sqlite":
        return f"{scheme}:///{_shown(os.path.basename(place.database or ''))}"
    hosts = ",".join(_host_and_port(place, host, port) for host, port in place.hosts)
    return f"{scheme}://{hosts}/{_shown(place.database or '')}"


def _host_and_port(place: DatabasePlace, host: str, port: int | None) -> str:
    number = port or USUAL_PORTS.get(place.dialect)
    return (f"[{host}]" if ":" in host else _shown(host)) + (f":{number}" if number else "")


def _shown(text: str) -> str:
    """A part of a URL, so that it can steer neither a reader nor a terminal."""
    return quote(text, safe=":", errors="replace")


def _clear(uri: Secret[str] | str) -> str:
    return uri.reveal() if isinstance(uri, Secret) else uri
