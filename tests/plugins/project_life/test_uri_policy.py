"""Where a tenant's database may be: every way that somebody hostile writes a place, and every reason to refuse it."""

from __future__ import annotations

import os
import traceback
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from objectkernel.secret import Secret
from objectkernel_project_life.config import ProjectLifeConfig
from objectkernel_project_life.contracts import UriRefused
from objectkernel_project_life.files import ProjectFiles
from objectkernel_project_life.uri_policy import UriPolicy

ACCOUNT = "8c5d1f0e-54a8-4c3a-9c3b-0d6f5f1c9a10"
HOSTS = ("db.example", "*.tenants.example", "10.1.0.0/16", "2001:db8::/32")


@pytest.fixture
def policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> UriPolicy:
    """Rules of a host that lies in a folder of the test, and whose user has no passwords of its own."""
    for name in ("PGPASSWORD", "PGPASSFILE", "PGSSLCERT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    made = UriPolicy(ProjectLifeConfig(data_dir=tmp_path / "data", allowed_hosts=HOSTS))
    made.files.make_folder(ACCOUNT)
    return made


def refusal(policy: UriPolicy, uri: str, dialect: str | None = None, account: str = ACCOUNT) -> UriRefused:
    with pytest.raises(UriRefused) as caught:
        policy.check(account, dialect, Secret(uri))
    return caught.value


# --- servers --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "uri",
    [
        "postgresql://u:p@db.example/crm",
        "postgres://u:p@db.example:5432/crm",
        "POSTGRESQL://u:p@DB.Example./crm",
        "postgresql+asyncpg://u:p@db.example/crm",
        "postgresql://u@db.example/crm",
        "postgresql://u:p@a.tenants.example/crm?sslmode=require&application_name=crm",
        "postgresql://u:p@10.1.2.3/crm",
        "postgresql://u:p@[2001:db8::5]:5432/crm",
        "postgresql://u:p@db.example,a.tenants.example:5432/crm",
        "mysql://u:p@db.example/crm",
        "mariadb://u:p@db.example:3306/crm?charset=utf8mb4&ssl_mode=required",
        "mysql+asyncmy://u:p@10.1.0.1/crm",
    ],
)
def test_what_the_settings_allow(policy: UriPolicy, uri: str) -> None:
    """Their hosts, the usual ports, harmless options."""
    policy.check(ACCOUNT, None, uri)
    assert policy.settled(ACCOUNT, None, uri) == Secret(uri)


@pytest.mark.parametrize(
    "uri",
    [
        "postgresql://u:p@evil.example/crm",
        "postgresql://u:p@localhost/crm",
        "postgresql://u:p@127.0.0.1/crm",
        "postgresql://u:p@2130706433/crm",
        "postgresql://u:p@0x7f000001/crm",
        "postgresql://u:p@0177.0.0.1/crm",
        "postgresql://u:p@127.1/crm",
        "postgresql://u:p@0.0.0.0/crm",
        "postgresql://u:p@[::1]/crm",
        "postgresql://u:p@[::]/crm",
        "postgresql://u:p@[::ffff:127.0.0.1]/crm",
        "postgresql://u:p@169.254.169.254/crm",
        "postgresql://u:p@db.example.evil.test/crm",
        "postgresql://u:p@tenants.example/crm",
        "postgresql://u:p@db.example%00.evil.test/crm",
        "postgresql://u:p@db.example%2fx/crm",
        "postgresql://u:p@db.example,127.0.0.1/crm",
        "postgresql://u:p@127.0.0.1,db.example/crm",
        "postgresql://u:p@db.example/crm?host=127.0.0.1",
        "postgresql://u:p@db.example/crm?hostaddr=127.0.0.1",
        "postgresql:///crm?host=127.0.0.1&user=u&password=p",
        "postgresql:///crm?host=/run/postgresql&user=u&password=p",
        "postgresql://u:p@%2Frun%2Fpostgresql/crm",
        "postgresql://u:p@/crm",
        "postgresql:///crm",
        "postgresql://",
        "postgresql://u:p@db.example:6543/crm",
        "postgresql://u:p@db.example:3306/crm",
        "postgresql://u:p@db.example:5432,a.tenants.example:22/crm",
        "postgresql://u:p@db.example/crm?port=22",
        "postgresql://u:p@db.example:22/crm?port=5432",
        "postgresql://u:p@db.example/",
        "postgresql://db.example/crm",
        "postgresql://:p@db.example/crm",
        "postgresql://u:p@evil.example@db.example/crm",
        "postgresql://u:p@db.example@evil.example/crm",
        "postgresql://u:p@db.example#@evil.example/crm",
        "postgresql://u:p@db.example/crm#x@evil",
        "mysql://u:p@127.0.0.1/crm",
        "mysql://u:p@localhost/crm",
        "mysql://u:p@/crm",
        "mysql:///crm",
        "mysql://u:p@db.example:5432/crm",
        "mysql://u:p@db.example/",
        "mysql://u:p@db.example/crm?unix_socket=/run/mysqld/mysqld.sock",
        "mysql://u:p@db.example/crm?unix-socket=/run/mysqld/mysqld.sock",
        "mysql://db.example/crm",
    ],
)
def test_hostile_places(policy: UriPolicy, uri: str) -> None:
    """Internal addresses in every spelling, sockets, several hosts, ports, what the driver would fill in itself."""
    error = refusal(policy, uri)
    assert error.why
    told = "".join(traceback.format_exception(error)) + repr(error.as_dict())
    assert uri not in told
    assert "u:p@" not in told


@pytest.mark.parametrize(
    "option",
    [
        "sslrootcert=/etc/passwd",
        "sslcert=/etc/passwd",
        "sslkey=/etc/ssl/private/key.pem",
        "sslcrl=/etc/passwd",
        "sslpassword=x",
        "passfile=/srv/host/.pgpass",
        "service=prod",
        "servicefile=/etc/pg_service.conf",
        "options=-c%20session_preload_libraries%3Dx",
        "krbsrvname=x",
        "gsslib=x",
        "search_path=other",
        "session_authorization=postgres",
        "role=postgres",
        "SSLROOTCERT=/etc/passwd",
        "sslmode=require&sslrootcert=/etc/passwd",
        "unheard_of=1",
    ],
)
def test_options_of_postgresql(policy: UriPolicy, option: str) -> None:
    """Whatever names a file, a service or what is executed; also what nobody has looked at."""
    refusal(policy, f"postgresql://u:p@db.example/crm?{option}")


@pytest.mark.parametrize(
    "option",
    [
        "ssl_ca=/etc/passwd",
        "ssl-ca=/etc/passwd",
        "ssl_cert=/etc/passwd",
        "ssl_key=/etc/passwd",
        "local_infile=1",
        "read_default_file=/srv/host/.my.cnf",
        "read_default_group=x",
        "init_command=DROP%20TABLE%20x",
        "unheard_of=1",
    ],
)
def test_options_of_mariadb(policy: UriPolicy, option: str) -> None:
    """The same of its driver."""
    refusal(policy, f"mysql://u:p@db.example/crm?{option}")


def test_every_reason_is_told(policy: UriPolicy) -> None:
    """At once, with the settings that would allow it."""
    error = refusal(policy, "postgresql://10.9.0.1:22/?sslrootcert=/etc/passwd")
    told = "\n".join(error.why)
    for part in ("options", "no user", "no database", "allowed_hosts", "allowed_ports"):
        assert part in told
    assert error.facts["problems"] == error.why


def test_the_password_of_the_host_is_not_lent(
    policy: UriPolicy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A URI without one would get that of the host's user from its environment or its file."""
    uri = "postgresql://u@db.example/crm"
    policy.check(ACCOUNT, None, uri)
    home = tmp_path / "home"
    home.mkdir()
    (home / ".pgpass").write_text("*:*:*:*:s3cret")
    assert "no password" in refusal(policy, uri).why[0]
    (home / ".pgpass").unlink()
    for name in ("PGPASSWORD", "PGPASSFILE"):
        monkeypatch.setenv(name, "s3cret")
        assert "no password" in refusal(policy, uri).why[0]
        policy.check(ACCOUNT, None, "postgresql://u:p@db.example/crm")
        monkeypatch.delenv(name)


def test_the_certificate_of_the_host_is_not_shown(
    policy: UriPolicy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A server that knows its clients by certificates would take a tenant for the host's user."""
    uri = "postgresql://u:p@db.example/crm"
    refused = uri, f"{uri}?sslmode=require", f"{uri}?sslmode=prefer"
    own = tmp_path / "home" / ".postgresql"
    own.mkdir(parents=True)
    (own / "postgresql.crt").write_text("a certificate")
    for one in refused:
        assert "certificate" in refusal(policy, one).why[0]
    policy.check(ACCOUNT, None, f"{uri}?sslmode=disable")
    policy.check(ACCOUNT, None, "mysql://u:p@db.example/crm")
    (own / "postgresql.crt").unlink()
    policy.check(ACCOUNT, None, uri)
    monkeypatch.setenv("PGSSLCERT", "/etc/host.crt")
    for one in refused:
        assert "certificate" in refusal(policy, one).why[0]


def test_without_settings_there_is_sqlite_alone(tmp_path: Path) -> None:
    """Nobody reaches what is behind the host until somebody has said where."""
    policy = UriPolicy(ProjectLifeConfig(data_dir=tmp_path))
    for uri in ("postgresql://u:p@db.example/crm", "mysql://u:p@10.1.0.1/crm"):
        assert "allowed_hosts" in refusal(policy, uri).why[0]
    policy.check(ACCOUNT, None, policy.files.default_uri(ACCOUNT, "1"))


def test_the_settings_for_kinds_and_ports(tmp_path: Path) -> None:
    """What is not named is refused; ports that are named replace the usual ones."""
    config = ProjectLifeConfig(
        data_dir=tmp_path, allowed_dialects=("Postgres",), allowed_hosts=("db.example",), allowed_ports=(6432, 6433)
    )
    policy = UriPolicy(config)
    policy.check(ACCOUNT, None, "postgresql://u:p@db.example:6432/crm")
    assert "allowed_ports" in refusal(policy, "postgresql://u:p@db.example/crm").why[0]
    assert "allowed_dialects" in refusal(policy, "mysql://u:p@db.example:6432/crm").why[0]
    assert "allowed_dialects" in refusal(policy, policy.files.default_uri(ACCOUNT, "1").reveal()).why[0]


@pytest.mark.parametrize(
    "uri", ["", " ", "nonsense", "http://db.example/crm", "redis://db.example", "net://x", "\0", "://"]
)
def test_what_is_no_database(policy: UriPolicy, uri: str) -> None:
    """Another scheme, or none: a bare path is a file of SQLite's, and not one of the account's."""
    refusal(policy, uri)
    with pytest.raises(UriRefused):
        policy.check(ACCOUNT, None, policy.settled(ACCOUNT, None, uri))


def test_the_dialect_must_fit_the_uri(policy: UriPolicy) -> None:
    """`mariadb` and `mysql` open each other's URLs; nothing else does."""
    policy.check(ACCOUNT, "mysql", "mariadb://u:p@db.example/crm")
    for dialect in ("sqlite", "mysql", "nonsense", ""):
        refusal(policy, "postgresql://u:p@db.example/crm", dialect)


@settings(max_examples=50)
@given(st.text())
def test_no_text_is_let_in_by_accident(uri: str) -> None:
    """Whatever somebody writes is refused or is a place that the settings name; nothing else is raised."""
    policy = UriPolicy(ProjectLifeConfig(data_dir=Path("/nonexistent"), allowed_hosts=HOSTS))
    for text in (uri, f"postgresql://{uri}", f"mysql://u:p@{uri}", f"sqlite:///{uri}"):
        with pytest.raises(UriRefused):
            policy.check(ACCOUNT, None, text)


# --- files ----------------------------------------------------------------------------------------------------


def test_a_file_of_the_account(policy: UriPolicy) -> None:
    """The one that a project gets, and others beside it; a relative path is one of the account's folder."""
    folder = policy.files.account_folder(ACCOUNT)
    policy.check(ACCOUNT, "sqlite", policy.files.default_uri(ACCOUNT, "11111111-1111-4111-8111-111111111111"))
    policy.check(ACCOUNT, None, f"sqlite:///{folder}/crm.db")
    policy.check(ACCOUNT, None, f"sqlite:///{folder}/../{ACCOUNT}/crm.sqlite3")
    policy.check(ACCOUNT, None, f"{folder}/crm.db")
    for text in ("sqlite:///crm.db", "crm.db"):
        settled = policy.settled(ACCOUNT, None, text)
        assert settled.reveal() == f"sqlite:///{folder}/crm.db"
        policy.check(ACCOUNT, None, settled)
    (folder / "crm.db").touch()
    policy.check(ACCOUNT, None, f"sqlite:///{folder}/crm.db")


@pytest.mark.parametrize(
    "uri",
    [
        "sqlite:///etc/passwd",
        "sqlite:////etc/passwd",
        "sqlite:////{data}/objectkernel.db",
        "sqlite:////{data}/projects/crm.db",
        "sqlite:////{data}/projects/other-account/crm.db",
        "sqlite:////{own}/../other-account/crm.db",
        "sqlite:////{own}/../../objectkernel.db",
        "sqlite:////{own}",
        "sqlite:////{own}/",
        "sqlite:////{own}/crm",
        "sqlite:////{own}/crm.db-wal",
        "sqlite:////{own}/crm.db-journal",
        "sqlite:////{own}/.db",
        "sqlite:////{own}/crm.db?mode=ro",
        "sqlite:////{own}/crm.db%00.db?x",
        "sqlite:////{own}/a\nb.db",
        "sqlite:///crm.db",
        "sqlite:///../crm.db",
        "sqlite:///../other-account/crm.db",
        "crm.db",
        "../crm.db",
        "~/crm.db",
        "{{data_dir}}/objectkernel.db",
        "{{data_dir}}/projects/{account}/crm.db",
        "sqlite://",
        "sqlite:///",
        "sqlite:///:memory:",
        ":memory:",
        "file:/etc/passwd",
        "sqlite:///file:/etc/passwd?mode=ro&uri=true",
        "sqlite://host/crm.db",
        "sqlite+pysqlcipher:////{own}/crm.db?key=x",
        "duckdb:////{own}/crm.db",
    ],
)
def test_files_of_others(policy: UriPolicy, uri: str, tmp_path: Path) -> None:
    """The host's own, other accounts', SQLite's own beside a database, none at all."""
    own = policy.files.account_folder(ACCOUNT)
    spelt = uri.format(own=str(own)[1:], data=str(tmp_path / "data")[1:], account=ACCOUNT)
    error = refusal(policy, spelt)
    assert str(tmp_path) not in str(error)


def test_how_a_file_may_be_called(policy: UriPolicy) -> None:
    """Whoever gives another ending is told all that there are."""
    own = policy.files.account_folder(ACCOUNT)
    assert ".db, .sqlite or .sqlite3 at its end" in str(refusal(policy, f"sqlite:///{own}/crm.txt"))


@pytest.mark.parametrize(
    "text", ["../crm.db", "../other-account/crm.db", "a/../../other-account/crm.db", "../../../../etc/x.db"]
)
def test_a_relative_path_leads_nowhere_else(policy: UriPolicy, text: str) -> None:
    """Settled below the account's folder, and refused where it climbs out of it."""
    for uri in (text, f"sqlite:///{text}"):
        refusal(policy, policy.settled(ACCOUNT, None, uri).reveal())


def test_links_are_followed(policy: UriPolicy, tmp_path: Path) -> None:
    """A link within the folder to a file outside of it, there or not; a folder; the account's own."""
    folder, outside = policy.files.account_folder(ACCOUNT), tmp_path / "outside"
    outside.mkdir()
    (outside / "crm.db").touch()
    (folder / "link.db").symlink_to(outside / "crm.db")
    (folder / "dangling.db").symlink_to(outside / "new.db")
    (folder / "loop.db").symlink_to(folder / "loop.db")
    (folder / "down").symlink_to(outside)
    for name in ("link.db", "dangling.db", "down/crm.db", "down/new.db", "loop.db"):
        refusal(policy, f"sqlite:///{folder}/{name}")
    (folder / "within.db").symlink_to(folder / "crm.db")
    policy.check(ACCOUNT, None, f"sqlite:///{folder}/within.db")
    other = policy.files.account_folder("another")
    other.symlink_to(outside)
    refusal(policy, f"sqlite:///{other}/crm.db", account="another")
    refusal(policy, f"sqlite:///{outside}/crm.db", account="another")


def test_a_link_that_is_put_there_later(policy: UriPolicy, tmp_path: Path) -> None:
    """Allowed when it was stored, refused when it is opened: the same question is asked again."""
    uri = policy.files.default_uri(ACCOUNT, "1")
    policy.check(ACCOUNT, None, uri)
    (policy.files.account_folder(ACCOUNT) / "1.db").symlink_to(tmp_path / "data" / "objectkernel.db")
    refusal(policy, uri.reveal())


def test_no_regular_file(policy: UriPolicy) -> None:
    """A folder, or a pipe that nobody writes to: opening it would never end."""
    folder = policy.files.account_folder(ACCOUNT)
    (folder / "folder.db").mkdir()
    os.mkfifo(folder / "pipe.db")
    for name in ("folder.db", "pipe.db"):
        assert "no regular file" in refusal(policy, f"sqlite:///{folder}/{name}").why[0]


@settings(max_examples=50)
@given(one=st.text(max_size=255), other=st.text(max_size=255))
def test_folders_of_accounts(one: str, other: str) -> None:
    """Each account has one, directly in the projects folder, whatever its id is; no two share one."""
    files = ProjectFiles(Path("/nonexistent"))
    for account in (one, "..", ".", "", "a/b", "/etc", "A", "con\0", "\ud800", f"_{one}"):
        folder = files.account_folder(account)
        assert folder.parent == files.folder
        assert folder.name not in ("", ".", "..")
        assert len(folder.name) <= 65
    assert (files.account_folder(one) == files.account_folder(other)) is (one == other)
    assert files.account_folder(ACCOUNT).name == ACCOUNT


def test_folders_are_for_the_host_alone(policy: UriPolicy) -> None:
    """Nobody else on the machine reads tenants' data."""
    folder = policy.files.account_folder(ACCOUNT)
    assert [one.stat().st_mode & 0o777 for one in (folder, folder.parent)] == [0o700, 0o700]
    policy.files.make_folder(ACCOUNT)
