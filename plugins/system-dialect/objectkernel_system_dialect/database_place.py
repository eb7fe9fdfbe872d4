"""`database_place`: what the URI of a database says about where it is, without a driver and without showing it."""

from __future__ import annotations

from collections.abc import Mapping

import attrs


@attrs.frozen(kw_only=True)
class DatabasePlace:
    """Where a database is.

    Attributes:
        dialect: the kind, as ``DB_DIALECT`` spells it.
        hosts: every place that the driver may connect to, in its order, each with its port: a name, an address (of IPv6
            without brackets), or the path of a socket or of the folder of one. Empty for a file, and where the URI
            leaves it to the driver, which takes what its environment and its own files say.
        database: its name, or None where the URI leaves it to the driver; of a kind that is a file its path, which may
            begin with ``{data_dir}/``, or ``:memory:``.
        user: None where there is none.
        has_password: whether the URI has one; it is not here.
        options: the query, decoded, without a password and what is in the other attributes.
    """

    dialect: str
    hosts: tuple[tuple[str, int | None], ...] = ()
    database: str | None = None
    user: str | None = None
    has_password: bool = False
    options: Mapping[str, str] = attrs.field(factory=dict)

    @property
    def host(self) -> str | None:
        """The first of the hosts."""
        return self.hosts[0][0] if self.hosts else None

    @property
    def port(self) -> int | None:
        """The port of the first host."""
        return self.hosts[0][1] if self.hosts else None


def database_place(dialect: str | None, uri: str) -> DatabasePlace:
    """Read where a URI leads, exactly as the driver will.

    Args:
        dialect: as for `DataPlug.open_isolated_dialect`; None: what the URI says.

    Raises:
        DialectUnsupported: there is no such dialect, the URI belongs to another, or it can be read in more ways than
            one, as one that says a host twice. The URI is not shown.
    """
    raise NotImplementedError
