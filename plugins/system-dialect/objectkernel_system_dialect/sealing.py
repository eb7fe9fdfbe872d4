"""Keeps connection strings out of errors, wherever a driver put them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import quote, unquote, unquote_plus

PUBLIC: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[\w.-]+)(:[0-9]{1,5})?/?")
"""A host and perhaps a port, and nothing else: what messages call a server."""
SECRET_OPTION: Final = re.compile(r"pass|pwd|secret|key|token", re.IGNORECASE)


def seal(error: BaseException, uri: str) -> bool:
    """Cut off every cause and context of an error that shows a connection string, or what is secret in it.

    Returns:
        Whether the error itself shows nothing of it.
    """
    secrets = tuple(secrets_of(uri))
    seen = {id(error)}
    pending = [error]
    while pending:
        present = pending.pop()
        for link in ("__cause__", "__context__"):
            below: BaseException | None = getattr(present, link)
            if below is None or id(below) in seen:
                continue
            if shows(below, secrets):
                setattr(present, link, None)
            else:
                seen.add(id(below))
                pending.append(below)
    return not shows(error, secrets)


def shows(error: BaseException, secrets: tuple[str, ...]) -> bool:
    """Whether one of the secrets is in an error's text, its arguments, its attributes or its notes."""
    told = " ".join((str(error), repr(error), repr(vars(error))))
    return any(secret in told for secret in secrets)


def secrets_of(uri: str) -> Iterator[str]:
    """The string itself without its scheme, its password and the secrets among its options, as written and as meant.

    What messages tell of every database is no secret: the name of a file, a URL that has a host and a port alone, and
    a password that is as well the user's name, the host's, the database's or that of its kind.
    """
    scheme, separator, rest = uri.partition("://")
    if not separator:
        yield from _spellings(uri if os.path.basename(uri) != uri else "")
        return
    if PUBLIC.fullmatch(rest):
        return
    yield from _spellings(rest)
    address, _, query = rest.partition("?")
    for part in (address, rest):  # a password may have a question mark of its own
        credentials, _, place = part.rpartition("@")
        user, _, password = credentials.partition(":")
        if unquote(password).lower() not in {word.lower() for word in re.split(r"[/:,?+]", f"{scheme}:{user}:{place}")}:
            yield from _spellings(password)
    for option in query.split("&"):
        name, _, value = option.partition("=")
        if SECRET_OPTION.search(name):
            yield from _spellings(value)


def _spellings(secret: str) -> set[str]:
    """A secret as drivers may show it: as written, as meant, encoded anew, and within a `repr`."""
    if not secret:
        return set()
    meant = {secret, unquote(secret), unquote_plus(secret)}
    return (
        meant | {quote(text, safe=kept) for text in meant for kept in ("", " +")} | {repr(text)[1:-1] for text in meant}
    )
