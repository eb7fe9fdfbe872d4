"""URLs of PostgreSQL: how they are written, and that nothing of them is shown but the place."""

from __future__ import annotations

import pytest
from objectkernel_system_dialect.errors import DialectUnsupported
from objectkernel_system_dialect.postgres_url import PostgresUrl


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+asyncpg", "PostgreSQL"])
def test_schemes_are_one(scheme: str) -> None:
    """Every usual scheme leads to the driver's own, and what follows stays as it is."""
    url = PostgresUrl.parse(f"{scheme}://ada:p%40ss@db.example:5433/shop?sslmode=require")
    assert url.dsn == "postgresql://ada:p%40ss@db.example:5433/shop?sslmode=require"
    assert url.place == "the PostgreSQL database 'shop' at db.example:5433"


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("postgresql:///shop", "the PostgreSQL database 'shop' at the local socket"),
        ("postgresql://a:b@one:1,two:2/shop", "the PostgreSQL database 'shop' at one:1,two:2"),
        ("postgresql://a:b@c@host/shop", "the PostgreSQL database 'shop' at host"),
        ("postgresql://[::1]:5432/%C3%A9", "the PostgreSQL database 'é' at [::1]:5432"),
    ],
)
def test_place_has_neither_user_nor_password(url: str, place: str) -> None:
    """Messages name the database and its host, and no more."""
    assert PostgresUrl.parse(url).place == place


@pytest.mark.parametrize(
    "url",
    [
        "mysql://ada:hush@host/shop",
        "postgresql:ada:hush@host/shop",
        "postgresql://ada:12/hush@host/shop",
        "postgresql://ada:12?hush@host/shop",
        "postgresql://ada:12#hush@host/shop",
        "postgresql://ada:12#hush/shop",
        "postgresql://ada:hush@[::1/shop",
    ],
)
def test_doubtful_url_is_refused_unseen(url: str) -> None:
    """What is another database's, or might show a part of a password as host or name, is refused and not shown."""
    with pytest.raises(DialectUnsupported) as caught:
        PostgresUrl.parse(url)
    assert "hush" not in f"{caught.value}{caught.value!r}{caught.value.__cause__!r}{caught.value.__context__!r}"


def test_repr_hides_the_url() -> None:
    """Whoever prints it sees the place."""
    assert "hush" not in repr(PostgresUrl.parse("postgresql://ada:hush@host/shop"))
