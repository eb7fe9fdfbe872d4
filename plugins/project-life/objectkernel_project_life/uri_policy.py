"""Where projects may have their databases: what a tenant names, the host opens, so it decides."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Final

from objectkernel.secret import Secret
from objectkernel_system_dialect.contracts import DatabasePlace, DialectUnsupported, database_place

from objectkernel_project_life.config import ProjectLifeConfig
from objectkernel_project_life.errors import UriRefused
from objectkernel_project_life.files import ProjectFiles
from objectkernel_project_life.host_rules import HostRules, host_of
from objectkernel_project_life.place import FAMILIES, USUAL_PORTS

MEMORY: Final = ":memory:"
OPTIONS: Final[Mapping[str, frozenset[str]]] = {
    "postgres": frozenset(
        {
            "sslmode",
            "sslnegotiation",
            "ssl_min_protocol_version",
            "ssl_max_protocol_version",
            "target_session_attrs",
            "application_name",
        }
    ),
    "mysql": frozenset({"charset", "ssl_mode"}),
}
"""What a URI may have behind its question mark. Whatever else there is names a file of the host's, another place, or
what a server does; a new option of a driver is refused until somebody has looked at it."""


class UriPolicy:
    """The rules of a host; they are asked before anything is stored, and again whenever a project is opened."""

    def __init__(self, config: ProjectLifeConfig) -> None:
        self.files = ProjectFiles(config.data_dir)
        self._dialects = frozenset(name.strip().lower() for name in config.allowed_dialects)
        self._hosts = HostRules.parse(config.allowed_hosts)
        self._ports = frozenset(config.allowed_ports)

    def settled(self, account: str, dialect: str | None, uri: Secret[str] | str) -> Secret[str]:
        """The URI as it is stored: a relative path of SQLite's is one in the account's folder, others are as given.

        Raises:
            UriRefused: it cannot be read.
        """
        place = self._place(dialect, uri)
        path = place.database
        if place.dialect != "sqlite" or path in (None, "", MEMORY) or os.path.isabs(path or ""):
            return uri if isinstance(uri, Secret) else Secret(uri)
        return Secret(f"sqlite:///{self.files.account_folder(account) / (path or '')}")

    def check(self, account: str, dialect: str | None, uri: Secret[str] | str) -> DatabasePlace:
        """Where a URI leads, if a project of this account may have its database there.

        Raises:
            UriRefused: with every reason; the URI is not shown.
        """
        place = self._place(dialect, uri)
        problems = tuple(self._problems(account, place))
        if problems:
            raise _refused(problems)
        return place

    def _place(self, dialect: str | None, uri: Secret[str] | str) -> DatabasePlace:
        text = uri.reveal() if isinstance(uri, Secret) else uri
        if text.startswith("~"):
            raise _refused(("it is in a home folder",))
        try:
            return database_place(dialect, text)
        except DialectUnsupported as error:
            reasons = (error.what, *error.why)
        raise _refused(reasons)

    def _problems(self, account: str, place: DatabasePlace) -> Iterator[str]:
        if place.dialect not in self._dialects:
            yield f"databases of {place.dialect} are not allowed (`allowed_dialects`)"
        allowed = OPTIONS.get(FAMILIES.get(place.dialect, place.dialect), frozenset())
        if set(place.options) - allowed:
            listed = ", ".join(sorted(allowed)) or "none"
            yield f"it has options that are not allowed; these are: {listed}"
        if place.dialect == "sqlite":
            yield from self._file_problems(account, place)
        else:
            yield from self._server_problems(place)

    def _file_problems(self, account: str, place: DatabasePlace) -> Iterator[str]:
        if place.database in (None, "", MEMORY):
            yield "a database in memory is gone with its connection"
        elif (problem := self.files.problem(account, place.database or "")) is not None:
            yield problem

    def _server_problems(self, place: DatabasePlace) -> Iterator[str]:
        if not place.hosts:
            yield "it names no server, so that the driver would take one of the host's own"
        if not place.user:
            yield "it names no user, so that the driver would take the host's own"
        elif place.dialect == "postgres" and not place.has_password and _host_has_postgres_password():
            yield "it has no password, so that the driver would take the host's own"
        if place.dialect == "postgres" and place.options.get("sslmode") != "disable" and _host_has_certificate():
            yield "the driver would show the server a certificate of the host's own, but for sslmode=disable"
        if not place.database:
            yield "it names no database"
        for number, (text, port) in enumerate(place.hosts, 1):
            host = host_of(text)
            if "/" in text or text.startswith("@"):
                yield f"server {number} is a socket of the host's own"
            elif host is None:
                yield f"server {number} is no name and no address in its usual form"
            elif not self._hosts.allow(host):
                yield f"server {number} is not allowed (`allowed_hosts`)"
            usual = USUAL_PORTS.get(place.dialect)
            if (port or usual) not in (self._ports or {usual}):
                yield f"the port of server {number} is not allowed (`allowed_ports`)"


def _host_has_postgres_password() -> bool:
    """Whether the driver would find a password by itself: in its environment, or in the file of the host's user."""
    if os.environ.get("PGPASSWORD") or os.environ.get("PGPASSFILE"):
        return True
    return _host_has(".pgpass")


def _host_has_certificate() -> bool:
    """Whether the driver would find by itself what proves to a server that it is the host's user."""
    if os.environ.get("PGSSLCERT"):
        return True
    return _host_has(".postgresql/postgresql.crt")


def _host_has(name: str) -> bool:
    """Whether a file is in the home folder of the host's user, if that is known."""
    home = os.path.expanduser("~")
    return home != "~" and os.path.exists(os.path.join(home, name))


def _refused(problems: tuple[str, ...]) -> UriRefused:
    return UriRefused(
        "the project may not have its database at this place",
        why=problems,
        fix="name another place, or ask whoever runs the host to allow this one in the settings of project-life; "
        "for SQLite, leave the URI out: the project gets a file of its own",
        problems=problems,
    )
