"""The URL of a MariaDB or MySQL database: what it says, without a driver."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import attrs

from objectkernel_system_dialect.errors import DialectUnsupported
from objectkernel_system_dialect.sqlalchemy_url import parsed_url

DEFAULT_HOST: Final = "127.0.0.1"
DEFAULT_PORT: Final = 3306
SCHEMES: Final = frozenset({"mysql", "mariadb", "mysql+asyncmy", "mariadb+asyncmy"})


@attrs.frozen(kw_only=True)
class MariadbUrl:
    """What a URL says.

    Attributes:
        host: None where it names none: then it is `DEFAULT_HOST`, or the socket of `query`.
        query: with underscores in the names, and a tuple for what comes more than once.
    """

    host: str | None
    port: int
    user: str | None
    password: str | None = attrs.field(repr=False)
    database: str | None
    query: Mapping[str, str | tuple[str, ...]]

    @classmethod
    def parse(cls, uri: str) -> MariadbUrl:
        """Read ``mysql://user:password@host:3306/database?options``, or the same with ``mariadb://``.

        Raises:
            DialectUnsupported: the URL is none, or for another driver. It is not shown.
        """
        url = parsed_url(uri)
        if url is None:
            raise cls.refused("it is no URL that can be read")
        if url.drivername.lower() not in SCHEMES:
            raise cls.refused("its scheme is that of another database or driver")
        query: dict[str, str | tuple[str, ...]] = {}
        for name, value in url.query.items():
            query[name.replace("-", "_")] = value
        if len(query) < len(url.query):
            raise cls.refused("it has an option twice, with - and with _")
        return cls(
            host=url.host,
            port=url.port or DEFAULT_PORT,
            user=url.username,
            password=url.password,
            database=url.database,
            query=query,
        )

    @staticmethod
    def refused(why: str) -> DialectUnsupported:
        """The error for a URL that cannot be used; it does not show it."""
        return DialectUnsupported(
            "the database URI cannot be used with mariadb",
            why=why,
            fix="give mysql://user:password@host:3306/database",
        )
