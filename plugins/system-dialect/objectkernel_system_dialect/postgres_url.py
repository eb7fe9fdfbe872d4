"""The URL of a PostgreSQL database, and what of it may be shown."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote, urlsplit

import attrs

from objectkernel_system_dialect.errors import DialectUnsupported

SCHEME: Final = re.compile(r"postgres(?:ql)?(?:\+asyncpg)?://", re.IGNORECASE)


@attrs.frozen
class PostgresUrl:
    """Where a database is.

    Attributes:
        dsn: the URL as the driver takes it, with its password.
        place: how messages call the database, without user and password.
    """

    dsn: str = attrs.field(repr=False)
    place: str

    @classmethod
    def parse(cls, url: str) -> PostgresUrl:
        """Read ``postgresql://user:password@host:port/name?options``, also as ``postgres`` and ``postgresql+asyncpg``.

        Raises:
            DialectUnsupported: it is another database's, or it has an ``@`` or ``#`` of which nobody knows whether it
                belongs to the password. It is not shown.
        """
        scheme = SCHEME.match(url)
        if scheme is None:
            raise cls.refused("its scheme is not postgresql")
        dsn = f"postgresql://{url[scheme.end() :]}"
        authority, *rest = re.split(r"(?=[/?#])", url[scheme.end() :], maxsplit=1)
        if any(sign in part for part in rest for sign in "@#"):
            raise cls.refused("behind the host it has an @ or a #: is that of the password?")
        try:
            parts = urlsplit(dsn)
            database = unquote(parts.path.removeprefix("/"))
        except ValueError:  # its text shows a part of the URL
            raise cls.refused("it is no URL that can be read") from None
        host = authority.rpartition("@")[2] or "the local socket"
        return cls(dsn, f"the PostgreSQL database {database!r} at {host}")

    @staticmethod
    def refused(why: str) -> DialectUnsupported:
        """The error for a URL that cannot be used; it does not show it."""
        return DialectUnsupported(
            "the database URI cannot be used with postgres",
            why=why,
            fix="give postgresql://user:password@host:5432/name; in a password, %40 is @, %2F is / and %23 is #",
        )
