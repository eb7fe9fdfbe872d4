"""Places: compared whatever way they are written, shown without anything that is secret."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from objectkernel.secret import Secret
from objectkernel_project_life.place import HIDDEN, masked, normal_place

SEEN = st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1)


@pytest.mark.parametrize(
    "uris",
    [
        (
            "postgresql://u:p@db.example/crm",
            "postgres://other:secret@DB.EXAMPLE.:5432/crm?sslmode=require",
            "postgresql+asyncpg://db.example:5432/crm",
            "postgresql:///crm?host=db.example",
        ),
        ("mysql://u:p@db.example/crm", "mariadb://db.example:3306/crm", "mysql+asyncmy://x@db.example/crm"),
        ("postgresql://u@[::ffff:10.0.0.1]/crm", "postgresql://10.0.0.1/crm"),
        ("postgresql://u@[2001:db8:0:0::1]/crm", "postgresql://[2001:DB8::1]:5432/crm"),
        ("postgresql://u@a.example,b.example/crm", "postgresql://b.example:5432,a.example/crm"),
        ("sqlite:////data/a/../b/crm.db", "sqlite:////data/b/crm.db", "/data/b/crm.db", "sqlite:////data//b/./crm.db"),
    ],
)
def test_one_place_in_many_spellings(uris: tuple[str, ...]) -> None:
    """User, password, options, case, the usual port, the driver: none of it is another database."""
    assert len({normal_place(None, uri) for uri in uris}) == 1
    assert normal_place(None, Secret(uris[0])) == normal_place(None, uris[0])


def test_different_places() -> None:
    """Each of these is a database of its own."""
    uris = [
        "postgresql://db.example/crm",
        "postgresql://db.example/CRM",
        "postgresql://db.example/crm2",
        "postgresql://db2.example/crm",
        "postgresql://db.example:5433/crm",
        "mysql://db.example/crm",
        "mysql://db.example:5432/crm",
        "sqlite:////data/crm.db",
        "sqlite:////data/crm2.db",
        "sqlite:////data/Crm.db",
    ]
    assert len({normal_place(None, uri) for uri in uris}) == len(uris)


def test_links_are_followed(tmp_path: Path) -> None:
    """Two names of one file are one place."""
    (tmp_path / "crm.db").touch()
    (tmp_path / "link.db").symlink_to(tmp_path / "crm.db")
    assert normal_place(None, f"sqlite:///{tmp_path}/link.db") == normal_place(None, f"sqlite:///{tmp_path}/crm.db")


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("postgresql://u:s3cret@db.example/crm?sslmode=require", "postgresql://db.example:5432/crm"),
        ("postgres+asyncpg://u:s3cret@db.example:5433/crm", None),
        ("postgresql+asyncpg://u:s3cret@DB.example:5433/crm", "postgresql://db.example:5433/crm"),
        ("postgresql://u:s3cret@[2001:db8::1]/crm", "postgresql://[2001:db8::1]:5432/crm"),
        ("postgresql://u:s3cret@a.example,b.example:6000/crm", "postgresql://a.example:5432,b.example:6000/crm"),
        ("mysql://u:s3cret@db.example/crm", "mysql://db.example:3306/crm"),
        ("mariadb://u:s3cret@db.example/crm?ssl_mode=required", "mariadb://db.example:3306/crm"),
        ("sqlite:////data/s3cret-folder/crm.db", "sqlite:///crm.db"),
        ("/data/s3cret-folder/crm.db", "sqlite:///crm.db"),
        ("postgresql://u:p@s3cret@db.example/crm", "***"),
        ("nonsense://s3cret", "***"),
    ],
)
def test_what_is_shown(uri: str, shown: str | None) -> None:
    """Kind, server and database; never user, password, options or folders."""
    assert "s3cret" not in masked(uri)
    assert masked(Secret(uri)) == masked(uri)
    if shown is not None:
        assert masked(uri).lower() == shown


def test_what_is_shown_steers_no_terminal() -> None:
    """The name of a database may have anything in it."""
    assert masked("postgresql://u:p@db.example/%e2%80%aecrm%20x") == "postgresql://db.example:5432/%E2%80%AEcrm%20x"
    assert masked("postgresql://u:p@db.example/%1b%5b2Jcrm") == HIDDEN


@given(user=SEEN, password=SEEN)
def test_no_secret_is_ever_shown(user: str, password: str) -> None:
    """Whatever is in front of the @, percent-encoded as it has to be, or not."""
    shown = "postgresql://db.example:5432/crm"
    assert masked(f"postgresql://{quote(user, safe='')}:{quote(password, safe='')}@db.example/crm") == shown
    assert masked(f"postgresql://u:zz{password}zz@db.example/crm") in (shown, HIDDEN)
