"""Settings: their defaults, their names in the environment, the cascade, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import pytest
from objectkernel import Secret
from objectkernel.config import resolve
from objectkernel_system_dialect.config import SystemDialectConfig
from objectkernel_system_dialect.contracts import IsolatedOptions
from objectkernel_system_dialect.opening import ConnectionOptions

VARIABLES = {
    "db_dialect": "DB_DIALECT",
    "sgbd_uri": "SGBD_URI",
    "db_schema_strategy": "DB_SCHEMA_STRATEGY",
    "data": "MOSTA_DATA",
    "net_url": "MOSTA_NET_URL",
    "net_transport": "MOSTA_NET_TRANSPORT",
    "net_api_key": "MOSTA_NET_API_KEY",
    "system_dialect": "MOSTA_SYSTEM_DIALECT",
    "system_uri": "MOSTA_SYSTEM_URI",
    "system_schema_strategy": "MOSTA_SYSTEM_SCHEMA_STRATEGY",
    "system_required": "MOSTA_SYSTEM_REQUIRED",
    "data_dir": "OBJECTKERNEL_DATA_DIR",
}
"""Option → the variable by which existing deployments know it."""

PLAIN = {
    "DB_DIALECT": "sqlite",
    "SGBD_URI": "plain.db",
    "DB_SCHEMA_STRATEGY": "none",
    "MOSTA_DATA": "orm",
    "MOSTA_NET_URL": "https://plain.example",
    "MOSTA_NET_TRANSPORT": "rest",
    "MOSTA_NET_API_KEY": "plain",
    "MOSTA_SYSTEM_DIALECT": "sqlite",
    "MOSTA_SYSTEM_URI": "plain-system.db",
    "MOSTA_SYSTEM_SCHEMA_STRATEGY": "none",
    "MOSTA_SYSTEM_REQUIRED": "false",
    "OBJECTKERNEL_DATA_DIR": "plain",
}
STAGED: dict[str, tuple[str, Any]] = {
    "DB_DIALECT": ("postgres", "postgres"),
    "SGBD_URI": ("postgresql://staged.example/db", Secret("postgresql://staged.example/db")),
    "DB_SCHEMA_STRATEGY": ("validate", "validate"),
    "MOSTA_DATA": ("net", "net"),
    "MOSTA_NET_URL": ("https://staged.example", Secret("https://staged.example")),
    "MOSTA_NET_TRANSPORT": ("ws", "ws"),
    "MOSTA_NET_API_KEY": ("staged", Secret("staged")),
    "MOSTA_SYSTEM_DIALECT": ("mariadb", "mariadb"),
    "MOSTA_SYSTEM_URI": ("mysql://staged.example/system", Secret("mysql://staged.example/system")),
    "MOSTA_SYSTEM_SCHEMA_STRATEGY": ("create", "create"),
    "MOSTA_SYSTEM_REQUIRED": ("true", True),
    "OBJECTKERNEL_DATA_DIR": ("staged", Path("staged")),
}


def read(environ: dict[str, str]) -> SystemDialectConfig:
    """The settings that an environment gives; none is refused."""
    configuration = resolve({"system-dialect": SystemDialectConfig}, None, environ)
    assert configuration.problems == ()
    config: SystemDialectConfig = configuration.instances["system-dialect"]
    return config


def refused(environ: dict[str, str]) -> str:
    """What is said about an environment that is refused."""
    (problem,) = resolve({"system-dialect": SystemDialectConfig}, None, environ).problems
    return str(problem)


def test_defaults_are_sqlite_in_the_data_folder() -> None:
    """With nothing set everything lies in one file in one folder, and its tables are kept up."""
    config = read({})
    assert (config.db_dialect, config.sgbd_uri, config.system_dialect, config.system_uri) == (None, None, None, None)
    assert (config.data, config.net_transport, config.system_required) == ("orm", "rest", False)
    assert (config.db_schema_strategy, config.system_schema_strategy) == ("update", "update")
    assert config.data_dir == Path(".objectkernel")


def test_environment_names_are_those_of_the_description() -> None:
    """The variables by which existing deployments know these settings."""
    names = {field.name: field.metadata.get("env") for field in attrs.fields(SystemDialectConfig)}
    assert {name: env for name, env in names.items() if env} == VARIABLES


@pytest.mark.parametrize("stage", ["DEV", "TEST", "PROD"])
@pytest.mark.parametrize("option", VARIABLES)
def test_the_stage_wins_for_every_variable(option: str, stage: str) -> None:
    """With MOSTA_ENV=TEST each TEST_NAME wins over its NAME, and without it no TEST_NAME counts."""
    staged = {f"{stage}_{name}": value for name, (value, _) in STAGED.items()}
    assert getattr(read({**PLAIN, **staged, "MOSTA_ENV": stage}), option) == STAGED[VARIABLES[option]][1]
    assert getattr(read({**PLAIN, **staged}), option) == getattr(read(PLAIN), option)
    assert getattr(read(PLAIN), option) != STAGED[VARIABLES[option]][1]


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({"DB_DIALECT": "postgras"}, "did you mean 'postgres'?"),
        ({"DB_DIALECT": "mongodb"}, "'mongodb' is no database that can be opened"),
        ({"DB_DIALECT": "postgres"}, "set SGBD_URI to one such as postgresql://"),
        ({"DB_DIALECT": "net"}, "set MOSTA_DATA=net and MOSTA_NET_URL"),
        ({"DB_DIALECT": "postgres", "SGBD_URI": "/srv/hunter2.db"}, "the URI is one of sqlite"),
        ({"DB_DIALECT": "sqlite", "SGBD_URI": "postgresql://ada:hunter2@host/db"}, "the URI is one of postgres"),
        ({"DB_DIALECT": "mariadb", "SGBD_URI": "postgresql://ada:hunter2@host/db"}, "the URI is one of postgres"),
        ({"SGBD_URI": "mongodb://ada:hunter2@host/db"}, "the scheme of no database"),
        ({"SGBD_URI": "sqlite://ada:hunter2@host/db"}, "which a file has not"),
        ({"SGBD_URI": "://hunter2"}, "the scheme of no database"),
        ({"SGBD_URI": " "}, "the URI is empty"),
        ({"MOSTA_SYSTEM_DIALECT": "sqlite"}, "the URI is missing"),
        ({"MOSTA_SYSTEM_URI": "hunter2"}, "the dialect is missing"),
        ({"MOSTA_SYSTEM_DIALECT": "mongodb", "MOSTA_SYSTEM_URI": "x"}, "'mongodb' is no database"),
        ({"MOSTA_SYSTEM_DIALECT": "mysql", "MOSTA_SYSTEM_URI": "sqlite:///hunter2"}, "the URI is one of sqlite"),
        ({"MOSTA_SYSTEM_REQUIRED": "true"}, "set MOSTA_SYSTEM_DIALECT and MOSTA_SYSTEM_URI"),
        ({"MOSTA_DATA": "nat"}, "did you mean 'net'?"),
        ({"MOSTA_DATA": "remote"}, "'remote'"),
        ({"MOSTA_DATA": "net"}, "needs MOSTA_NET_URL"),
        ({"DB_SCHEMA_STRATEGY": "updat"}, "did you mean 'update'?"),
        ({"MOSTA_SYSTEM_SCHEMA_STRATEGY": "drop"}, "'drop'"),
    ],
    ids=str,
)
def test_an_environment_that_cannot_be_meant_is_refused(environ: dict[str, str], words: str) -> None:
    """One problem that says what would do; no URI is in it."""
    text = refused(environ)
    assert words in text
    assert "hunter2" not in text


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("busy_timeout", -1.0),
        ("busy_timeout", float("inf")),
        ("busy_timeout", float("nan")),
        ("readers", 0),
        ("readers", 65),
        ("synchronous", "OFF"),
        ("pool_size", 0),
        ("pool_timeout", 0.0),
        ("connect_timeout", 0.0),
        ("command_timeout", float("nan")),
        ("statement_cache", -1),
    ],
)
def test_a_number_out_of_bounds_is_refused(option: str, value: Any) -> None:
    """Each has bounds within which it can be meant; the refusal names the option."""
    with pytest.raises(ValueError, match=option):
        SystemDialectConfig(**{option: value})


@pytest.mark.parametrize(
    ("dialect", "uri"),
    [
        ("PostgreSQL", "postgres://host/db"),
        ("postgres", "postgresql+asyncpg://host/db"),
        ("mariadb", "mysql://host/db"),
        ("mysql", "mariadb+asyncmy://host/db"),
        ("oracle", "oracle+oracledb://host/db"),
        ("mssql", "mssql+pyodbc://host/db"),
        ("duckdb", "duckdb:///file.db"),
        ("sqlite", ":memory:"),
        (None, "postgresql://host/db"),
    ],
)
def test_spellings_of_one_database_go_together(dialect: str | None, uri: str) -> None:
    """A dialect goes with every URL of its kind, whatever the driver; a URI alone says which dialect it is."""
    assert SystemDialectConfig(db_dialect=dialect, sgbd_uri=Secret(uri)).sgbd_uri == Secret(uri)


def test_uris_do_not_show() -> None:
    """A connection string is a secret, wherever the settings are printed; a key and an address are too."""
    config = SystemDialectConfig(
        sgbd_uri=Secret("sqlite:///hunter2.db"),
        system_dialect="sqlite",
        system_uri=Secret("hunter2"),
        net_url=Secret("https://hunter2"),
        net_api_key=Secret("hunter2"),
    )
    assert "hunter2" not in repr(config)


def test_connections_are_set_by_these_settings() -> None:
    """Every option of a connection is a setting of the same name, type and default, or an isolated database's own."""
    settings = attrs.fields_dict(attrs.resolve_types(SystemDialectConfig))
    own = attrs.fields_dict(IsolatedOptions)
    options = attrs.fields(attrs.resolve_types(ConnectionOptions))
    assert {option.name for option in options} <= settings.keys() | own.keys()
    for option in (option for option in options if option.name in settings):
        assert (settings[option.name].default, settings[option.name].type) == (option.default, option.type)
