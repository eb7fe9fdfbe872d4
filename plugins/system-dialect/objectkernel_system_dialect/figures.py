"""The figures that a host reports of the databases."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from objectkernel_contracts import Figure

from objectkernel_system_dialect.dialect import Dialect
from objectkernel_system_dialect.usage import TellsUsage, Usage


def connection_figures(dialects: Mapping[str, Dialect]) -> Iterator[Figure]:
    """How busy the connections of dialects are, by the name that each is given here."""
    for name, dialect in dialects.items():
        usage = dialect.usage() if isinstance(dialect, TellsUsage) else None
        if usage is not None:
            yield from _figures(name, usage)


def _figures(database: str, usage: Usage) -> Iterator[Figure]:
    of = {"database": database}
    yield Figure(
        name="database_connections_limit", help="The most connections that may be open.", value=usage.limit, labels=of
    )
    for state, count in (("used", usage.used), ("idle", usage.idle)):
        if count is not None:
            told = "Connections to the database, by whether they work."
            yield Figure(name="database_connections", help=told, value=count, labels={**of, "state": state})
    for queue, count in usage.waiting.items():
        told = "Calls that nobody serves yet, by what they wait for."
        yield Figure(name="database_calls_waiting", help=told, value=count, labels={**of, "queue": queue})
