"""The settings of the HTTP host."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import pytest
from objectkernel import ObjectKernel
from objectkernel_http import HttpLimits
from objectkernel_http.config import HttpConfig
from objectkernel_http.plugin import HttpPlugin


def test_the_limits_are_those_of_an_application() -> None:
    """Every one is a setting, with the same default."""
    assert HttpConfig().limits == HttpLimits()
    changed = {"body_bytes": 1, "header_bytes": 2, "body_seconds": 3.0, "body_rate": 4}
    assert HttpConfig(**changed).limits == HttpLimits(**changed)
    assert set(changed) == {field.name for field in attrs.fields(HttpLimits)}


@pytest.mark.parametrize(
    "wrong",
    [
        {"port": -1},
        {"port": 65536},
        {"workers": 0},
        {"keyfile": Path("key.pem")},
        {"root_path": "shop"},
        {"root_path": "/shop/"},
        {"header_seconds": 0},
        {"idle_seconds": 0},
        {"stop_seconds": 0},
        {"body_bytes": 0},
        {"header_bytes": 0},
        {"body_seconds": 0},
        {"body_rate": 0},
    ],
)
def test_what_cannot_be_meant_is_refused(wrong: dict[str, Any]) -> None:
    """By the name of the setting."""
    (name,) = wrong
    with pytest.raises(ValueError, match=name):
        HttpConfig(**wrong)


def test_settings_come_from_file_and_environment() -> None:
    """Under `[plugins.http]`, and the environment wins."""
    kernel = ObjectKernel(
        plugins=[HttpPlugin],
        discover=False,
        environ={"OBJECTKERNEL_PLUGINS__HTTP__PORT": "8123", "OBJECTKERNEL_PLUGINS__HTTP__PROXIES": '["10.0.0.1"]'},
    )
    configuration = kernel.compose().configuration
    assert configuration is not None
    assert kernel.check() == ()
    assert (configuration.instances["http"].port, configuration.instances["http"].proxies) == (8123, ("10.0.0.1",))
