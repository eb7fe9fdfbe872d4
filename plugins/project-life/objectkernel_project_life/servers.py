"""The budget of connections of each server, which all projects there share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Protocol, runtime_checkable
from weakref import WeakValueDictionary

from objectkernel_system_dialect.contracts import ConnectionLimit, DatabasePlace, Dialect

from objectkernel_project_life.host_rules import host_of

SETTING: Final = "max_connections_total"
SEVERAL: Final = ("several", None)
"""What stands for the server of a URL that names more than one."""


class Servers:
    """One `ConnectionLimit` a server, for as long as somebody is connected with it.

    Args:
        most: connections to each.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._limits: WeakValueDictionary[tuple[str, int | None], ConnectionLimit] = WeakValueDictionary()

    def limit_of(self, place: DatabasePlace) -> ConnectionLimit | None:
        """The limit of the server that a database is on, the same for every database there; None for a file.

        A URL of several servers may lead to any of them. All such URLs have one limit together: if each combination had
        its own, whoever writes another one would have more connections.
        """
        if not place.hosts:
            return None
        servers = {(_plain(host), port) for host, port in place.hosts}
        key = servers.pop() if len(servers) == 1 else SEVERAL
        limit = self._limits.get(key)
        if limit is None:
            limit = self._limits[key] = ConnectionLimit(self._most, setting=SETTING)
        return limit

    def __iter__(self) -> Iterator[tuple[str, ConnectionLimit]]:
        """Each server as ``host:port``, and its limit."""
        for (host, port), limit in tuple(self._limits.items()):
            yield host if port is None else f"{host}:{port}", limit


def _plain(host: str) -> str:
    """One spelling of a host's name."""
    plain = str(host_of(host) or host.lower())
    return "127.0.0.1" if plain in ("localhost", "::1") else plain


class _Usage(Protocol):
    """How busy the connections of a database are."""

    @property
    def used(self) -> int | None: ...

    @property
    def idle(self) -> int | None: ...


@runtime_checkable
class _TellsUsage(Protocol):
    """A dialect that knows it."""

    def usage(self) -> _Usage | None: ...


def connections_of(dialect: Dialect) -> int:
    """How many connections a dialect has to its server now; 0 for one that has no server."""
    usage = dialect.usage() if isinstance(dialect, _TellsUsage) else None
    return 0 if usage is None or dialect.name == "sqlite" else (usage.used or 0) + (usage.idle or 0)
