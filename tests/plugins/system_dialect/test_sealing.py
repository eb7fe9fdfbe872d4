"""What is cut off an error so that no connection string leaves with it."""

from __future__ import annotations

import pytest
from objectkernel_system_dialect.contracts import DatabaseUnavailable
from objectkernel_system_dialect.sealing import seal, shows

URI = "postgresql://ada:hun%40ter2@db.example/shop?sslmode=require&sslpassword=s3same"


def chained(cause: BaseException) -> DatabaseUnavailable:
    """An error of data access behind which a driver's stands, two steps away."""
    outer = DatabaseUnavailable("cannot be opened", database="shop", reason="test")
    outer.__cause__ = OSError("no route")
    outer.__cause__.__context__ = cause
    return outer


def noted(error: BaseException, note: str) -> BaseException:
    error.add_note(note)
    return error


def with_attribute(error: BaseException) -> BaseException:
    error.dsn = URI  # type: ignore[attr-defined]
    return error


@pytest.mark.parametrize(
    "cause",
    [
        ValueError(f"cannot parse {URI}"),
        ValueError("invalid password: hun%40ter2"),
        ValueError("invalid password: hun@ter2"),
        ValueError("bad key s3same"),
        ValueError("connect to ada:hun%40ter2@db.example"),
        ValueError("x", {"dsn": ["ada:hun@ter2"]}),
        noted(ValueError("x"), f"while connecting to {URI}"),
        with_attribute(ValueError("x")),
        ExceptionGroup("several", [ValueError("x"), ValueError("hun@ter2")]),
    ],
    ids=repr,
)
def test_a_cause_that_shows_a_secret_is_cut_off(cause: BaseException) -> None:
    """Wherever the driver put it: text, arguments, notes, attributes, an error within a group; encoded or not."""
    error = chained(cause)
    seal(error, URI)
    assert error.__cause__ is not None
    assert error.__cause__.__context__ is None


def test_a_harmless_cause_stays() -> None:
    """What a driver says about the network helps, and shows nothing."""
    error = chained(ConnectionRefusedError(111, "Connection refused"))
    seal(error, URI)
    assert error.__cause__ is not None
    assert isinstance(error.__cause__.__context__, ConnectionRefusedError)


def test_errors_that_lead_in_a_circle_are_looked_at_once() -> None:
    """A chain may come back to itself."""
    one, other = ValueError("a"), ValueError("b")
    one.__context__, other.__context__ = other, one
    seal(one, URI)
    assert one.__context__ is other


@pytest.mark.parametrize("uri", [":memory:", "sqlite://", "postgresql://host/db?a=b"])
def test_a_uri_without_secrets_hides_nothing_else(uri: str) -> None:
    """An empty part of a URI is in every text, and is no secret."""
    error = chained(ValueError("anything"))
    seal(error, uri)
    assert error.__cause__ is not None
    assert error.__cause__.__context__ is not None


@pytest.mark.parametrize(
    ("uri", "told"),
    [
        ("postgresql://ada:p?ss@host/db", "bad password 'p?ss'"),
        ("postgresql://ada:p!ss word@host/db", "postgresql://ada:p%21ss%20word@host/db"),
        ("postgresql://ada:p!ss word@host/db", "postgresql://ada:p%21ss word@host/db"),
        ("postgresql://ada:p%5Css@host/db", repr({"password": "p\\ss"})),
    ],
)
def test_a_password_is_known_however_it_is_written(uri: str, told: str) -> None:
    """Drivers encode it anew, put it into a `repr`, and take its question mark for part of it."""
    assert not seal(ValueError(told), uri)


@pytest.mark.parametrize(
    ("uri", "told"),
    [
        ("postgres://postgres:postgres@host/postgres", "the PostgreSQL database 'postgres' at host"),
        ("mysql://app:shop@host:3306/shop", "the database 'shop' at host:3306"),
        ("shop.db", "the database file 'shop.db'"),
        ("mssql+pyodbc://app:mssql@host/db", "the mssql database"),
        ("http://127.0.0.1:8123", "the server 127.0.0.1:8123"),
        ("https://data.example/", "https://data.example/api/v1/data"),
        ("http://[::1]:8123", "the server [::1]:8123"),
    ],
)
def test_what_every_message_tells_is_no_secret(uri: str, told: str) -> None:
    """A password that is the name of the user or the database, a file's name, a host and its port hide no error."""
    assert seal(DatabaseUnavailable(f"{told} cannot be reached", database=told, reason="test"), uri)


@pytest.mark.parametrize(
    "rest",
    [
        "ada:hunter2@host:8123",
        "ada:hunter2",
        "hunter2@host",
        ":hunter2@host",
        "host:8123/hunter2",
        "host:8123?hunter2",
        "host:8123?key=hunter2",
        "host:8123#hunter2",
        "[::1]:hunter2",
    ],
)
def test_more_than_a_host_and_a_port_stays_a_secret(rest: str) -> None:
    """With a user, a path, options or a port that is none, an address is shown in no error."""
    assert not seal(ValueError(f"cannot reach {rest}"), f"http://{rest}")


def test_a_bare_path_is_a_connection_string() -> None:
    """Folders are nobody's business."""
    error = chained(FileNotFoundError(2, "No such file", "/srv/hunter2/a.db"))
    seal(error, "/srv/hunter2/a.db")
    assert error.__cause__ is not None
    assert error.__cause__.__context__ is None
    assert shows(ValueError("abc"), ("b",))
