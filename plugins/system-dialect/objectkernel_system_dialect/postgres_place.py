"""Where the URL of a PostgreSQL database leads, as its driver, asyncpg, reads it."""

from __future__ import annotations

import os
import re
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from objectkernel_system_dialect.places import (
    DatabasePlace,
    checked_url,
    decoded,
    doubtful,
    host_of,
    options_of,
    port_of,
)
from objectkernel_system_dialect.postgres_url import SCHEME

DEFAULT_PORT: Final = "5432"
BRACKETED: Final = re.compile(r"\[([^\]]+)\](?::(.*))?")


def postgres_place(uri: str) -> DatabasePlace:
    """See `database_place`.

    What the URL leaves open the driver takes from its environment: without a host that is ``PGHOST``, or else the
    sockets of this machine and ``localhost``; without a port ``PGPORT``, which is heeded here too.
    """
    if SCHEME.match(uri) is None:
        raise doubtful("its scheme is not postgresql, or it names another driver")
    address, _, query = checked_url(uri).partition("?")
    if not _splits(uri):
        raise doubtful("it is no URL that can be read")
    authority, slash, path = address.partition("/")
    credentials, _, hosts = authority.rpartition("@")
    user, _, password = credentials.partition(":")
    options = _options(query)
    before = {"host": hosts, "port": hosts, "user": user, "password": password, "dbname": slash, "database": slash}
    if any(name in options for name, there in before.items() if there) or {"dbname", "database"} <= options.keys():
        raise doubtful("its query says what stands before it already, or the same twice")
    places = _places(hosts, None, encoded=True)
    if "host" in options:
        places = _places(options.pop("host"), options.pop("port", None), encoded=False)
    name = options.pop("dbname", None) or options.pop("database", None)
    return DatabasePlace(
        dialect="postgres",
        hosts=places,
        database=decoded(path) or name,
        user=decoded(user) or options.pop("user", None),
        has_password=bool(password or options.pop("password", None)),
        options=options,
    )


def _splits(uri: str) -> bool:
    try:
        urlsplit(uri)
    except ValueError:  # its text may show a part of the URI
        return False
    return True


def _options(query: str) -> dict[str, str]:
    if not query:
        return {}
    try:
        pairs: list[tuple[str, str]] | None = parse_qsl(
            query, strict_parsing=True, keep_blank_values=True, errors="strict"
        )
    except ValueError:  # its text shows a part of the URI, so it does not even become a context
        pairs = None
    if pairs is None:
        raise doubtful("its query has a part that is no name=value in UTF-8")
    return options_of(pairs)


def _places(hosts: str, ports: str | None, *, encoded: bool) -> tuple[tuple[str, int], ...]:
    """Hosts with commas between; `ports`, or else the environment's: one for all of them, or one for each."""
    if not hosts:
        return ()
    named = [_split(host) for host in hosts.split(",")]
    others = [port_of(port) for port in (ports or os.environ.get("PGPORT") or DEFAULT_PORT).split(",")]
    if len(others) == 1:
        others *= len(named)
    if len(others) != len(named):
        raise doubtful("it has neither one port for all hosts nor one for each")
    if ports and any(own for _, own in named):
        raise doubtful("it says a port twice")
    plain = decoded if encoded else str
    return tuple(
        (host_of(plain(host)), port_of(plain(own)) if own else other)
        for (host, own), other in zip(named, others, strict=True)
    )


def _split(host: str) -> tuple[str, str]:
    """A host and its port, "" where it has none."""
    if host.startswith("/"):
        return host, ""
    if host.startswith("["):
        found = BRACKETED.fullmatch(host)
        if found is None:
            raise doubtful("an address of IPv6 in brackets is followed by nothing but a port")
        return found[1], found[2] or ""
    name, _, port = host.partition(":")
    return name, port
