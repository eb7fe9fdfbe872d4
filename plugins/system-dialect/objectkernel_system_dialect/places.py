"""`DatabasePlace`: where a database is, as its URI says, and what no URI may have that is read in one way only."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final
from urllib.parse import unquote

import attrs

from objectkernel_system_dialect.errors import DialectUnsupported

UNSEEN: Final = re.compile(r"[\x00-\x20\x7f-\xa0\\]")
"""Blanks, control characters and the backslash: some readers of URLs leave them out, others take them for a slash."""
CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
ENCODED: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
NAME: Final = re.compile(r"[\w.-]+|[0-9A-Fa-f:.]+(%[\w.-]+)?", re.ASCII)
"""The name of a host, or an address; one of other letters is given as it is registered, in punycode."""
PORT: Final = re.compile(r"[0-9]{1,5}", re.ASCII)


@attrs.frozen(kw_only=True)
class DatabasePlace:
    """Where a database is.

    Attributes:
        dialect: the kind, as ``DB_DIALECT`` spells it.
        hosts: every place that the driver may connect to, in its order, each with its port: a name or an address (of
            IPv6 without brackets), in lower case, or the path of a socket, or of the folder of one. Empty for a file,
            and where the URI leaves it to the driver, which takes what its environment and its own files say.
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


def doubtful(why: str) -> DialectUnsupported:
    """The error for a URI of which nobody knows for certain where it leads; it does not show it."""
    return DialectUnsupported(
        "the place of a database cannot be read from its URI",
        why=why,
        fix="give scheme://user:password@host:port/name; in a password, %40 is @, %2F is / and %23 is #",
    )


def checked_url(uri: str) -> str:
    """The URL behind its scheme, once nothing in it is read by some in one way, by others in another.

    Raises:
        DialectUnsupported: there is such a thing.
    """
    rest = uri.partition("://")[2]
    if UNSEEN.search(uri):
        raise doubtful("it has a blank, a backslash or a character that cannot be seen")
    if ENCODED.search(rest):
        raise doubtful("it has a % that begins no percent-encoded byte")
    authority, *behind = re.split(r"(?=[/?#])", rest, maxsplit=1)
    if authority.count("@") > 1 or any(sign in part for part in behind for sign in "@#"):
        raise doubtful("it has an @ or a # of which nobody knows whether it belongs to the password")
    return rest


def decoded(text: str) -> str:
    """Percent-encoded text.

    Raises:
        DialectUnsupported: it is none in UTF-8, or has a character that cannot be seen.
    """
    try:
        plain: str | None = unquote(text, errors="strict")
    except UnicodeDecodeError:  # its text shows the URI, so it does not even become a context
        plain = None
    if plain is None:
        raise doubtful("a percent-encoded part is no text in UTF-8")
    if CONTROL.search(plain):
        raise doubtful("a percent-encoded part has a character that cannot be seen")
    return plain


def host_of(text: str) -> str:
    """A host as it is given, or a socket's path.

    Raises:
        DialectUnsupported: it can be none.
    """
    if text.startswith("/"):
        return text
    if NAME.fullmatch(text) is None:
        raise doubtful("one of its hosts is neither a name nor an address")
    return text.lower()


def port_of(text: str) -> int:
    """A port.

    Raises:
        DialectUnsupported: it is none.
    """
    if PORT.fullmatch(text) is None or not 0 < int(text) < 65536:
        raise doubtful("a port is a number from 1 to 65535")
    return int(text)


def options_of(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The options of a query; of those without a value drivers know nothing.

    Raises:
        DialectUnsupported: one comes twice.
    """
    found: dict[str, str] = {}
    for name, value in pairs:
        if name in found:
            raise doubtful("an option comes twice")
        if value:
            found[name] = value
    return found
