"""Settings: their defaults, their names in the environment, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import pytest
from objectkernel import Secret
from objectkernel_system_dialect.config import SystemDialectConfig


def test_defaults_are_sqlite_in_the_data_folder() -> None:
    """With nothing set everything lies in one file in one folder."""
    config = SystemDialectConfig()
    assert (config.db_dialect, config.sgbd_uri, config.system_uri) == ("sqlite", None, None)
    assert config.data_dir == Path(".objectkernel")


def test_environment_names_are_those_of_the_description() -> None:
    """The variables by which existing deployments know these settings."""
    names = {field.name: field.metadata.get("env") for field in attrs.fields(SystemDialectConfig)}
    assert {name: env for name, env in names.items() if env} == {
        "db_dialect": "DB_DIALECT",
        "sgbd_uri": "SGBD_URI",
        "system_dialect": "MOSTA_SYSTEM_DIALECT",
        "system_uri": "MOSTA_SYSTEM_URI",
        "data_dir": "OBJECTKERNEL_DATA_DIR",
    }


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"db_dialect": "oracle"}, "supported now: sqlite"),
        ({"system_dialect": "mongodb", "system_uri": Secret("x")}, "supported now: sqlite"),
        ({"system_dialect": "sqlite"}, "the URI is missing"),
        ({"system_uri": Secret("hunter2")}, "the dialect is missing"),
        ({"busy_timeout": -1.0}, "busy_timeout"),
        ({"busy_timeout": float("inf")}, "busy_timeout"),
        ({"busy_timeout": float("nan")}, "busy_timeout"),
        ({"readers": 65}, "readers"),
        ({"readers": 0}, "readers"),
        ({"synchronous": "OFF"}, "synchronous"),
    ],
    ids=str,
)
def test_a_setting_that_cannot_be_meant_is_refused(settings: dict[str, Any], words: str) -> None:
    """The refusal says what would do, and shows no URI."""
    with pytest.raises(ValueError, match=words) as caught:
        SystemDialectConfig(**settings)
    assert "hunter2" not in str(caught.value)


def test_uris_do_not_show() -> None:
    """A connection string is a secret, wherever the settings are printed."""
    assert "hunter2" not in repr(SystemDialectConfig(sgbd_uri=Secret("sqlite:///hunter2.db")))
