"""URLs of MariaDB and MySQL."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from objectkernel_system_dialect.contracts import DialectUnsupported
from objectkernel_system_dialect.mariadb_connection import server_of

SECRET = "tell-nobody"


@pytest.mark.parametrize("scheme", ["mysql", "mariadb", "mysql+asyncmy", "mariadb+asyncmy"])
def test_the_parts_of_a_url(scheme: str) -> None:
    """User, password, host, port and database are taken from the URL, percent signs resolved."""
    server = server_of(f"{scheme}://ada:p%40ß@db.example:3307/shop?charset=utf8mb4")
    assert server.arguments == {
        "host": "db.example",
        "port": 3307,
        "user": "ada",
        "password": "p@ß".encode(),
        "database": "shop",
        "unix_socket": None,
        "ssl": None,
    }
    assert server.place == "the database 'shop' at db.example:3307"


def test_a_url_of_few_words() -> None:
    """Without a port it is 3306, without a host this machine."""
    arguments = server_of("mysql:///shop").arguments
    assert (arguments["host"], arguments["port"]) == ("127.0.0.1", 3306)


def test_nothing_shows_the_password() -> None:
    """Neither the text of a server nor its place has the user or the password."""
    server = server_of(f"mysql://{SECRET}:{SECRET}@db/shop")
    assert SECRET not in repr(server) + server.place


def test_a_unix_socket() -> None:
    """A socket in the file system is named by the query."""
    server = server_of("mysql://root@/shop?unix_socket=/run/mysqld/mysqld.sock")
    assert server.arguments["unix_socket"] == "/run/mysqld/mysqld.sock"
    assert "/run/mysqld/mysqld.sock" in server.place


@pytest.mark.parametrize(
    ("query", "verify", "host"),
    [
        ("ssl_mode=required", ssl.CERT_NONE, False),
        ("ssl-mode=VERIFY_CA", ssl.CERT_REQUIRED, False),
        ("ssl_mode=verify_identity", ssl.CERT_REQUIRED, True),
    ],
)
def test_encryption(query: str, verify: ssl.VerifyMode, host: bool) -> None:
    """Each mode says whether the server's certificate is checked, and its name."""
    context = server_of(f"mysql://db/shop?{query}").arguments["ssl"]
    assert (context.verify_mode, context.check_hostname) == (verify, host)


@pytest.mark.parametrize(
    ("uri", "why"),
    [
        (f"postgresql://{SECRET}@db/shop", "another database or driver"),
        (f"mysql+pymysql://{SECRET}@db/shop", "another database or driver"),
        (f"mysql://{SECRET}@db", "names no database"),
        (f"mysql://{SECRET}@db:port/shop", "no URL"),
        (f"mysql://{SECRET}@db/shop?read_default_file=x&autocommit=0", "autocommit, read_default_file"),
        (f"mysql://{SECRET}@db/shop?charset=latin1", "not utf8mb4"),
        (f"mysql://{SECRET}@db/shop?ssl_mode=perhaps", "none of disabled, required"),
        (f"mysql://{SECRET}@db/shop?ssl_ca=/nowhere/{SECRET}", "cannot be read"),
    ],
)
def test_what_is_refused(uri: str, why: str) -> None:
    """A URL with a part that is not understood is refused, and not shown."""
    with pytest.raises(DialectUnsupported, match=why) as caught:
        server_of(uri)
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None and (caught.value.__suppress_context__ or caught.value.__context__ is None)


def test_a_certificate_that_is_none(tmp_path: Path) -> None:
    """A file that holds no certificate is refused like one that is missing."""
    file = tmp_path / "ca.pem"
    file.write_text(SECRET)
    with pytest.raises(DialectUnsupported, match="cannot be read"):
        server_of(f"mysql://db/shop?ssl_ca={file}")
