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
    changed = {
        "body_bytes": 1,
        "header_bytes": 2,
        "body_seconds": 3.0,
        "body_rate": 4,
        "key_rate": 5.0,
        "account_rate": 6.0,
        "address_rate": 7.0,
        "rate_window": 8,
        "rate_exempt": ("10.0.0.0/8",),
        "origins": ("https://app.example.com",),
    }
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
        {"proxies": ("*",)},
        {"proxies": ("10.0.0.1/8",)},
        {"proxies": ("proxy.example",)},
        {"header_seconds": 0},
        {"idle_seconds": 0},
        {"stop_seconds": 0},
        {"body_bytes": 0},
        {"header_bytes": 0},
        {"body_seconds": 0},
        {"body_rate": 0},
        {"key_rate": -1},
        {"account_rate": -1},
        {"address_rate": -1},
        {"rate_window": 0},
        {"rate_exempt": ("10.0.0.1/8",)},
        {"origins": ("app.example.com",)},
        {"origins": ("https://app.example.com/",)},
        {"metrics": "everybody"},
        {"metrics_from": ("localhost",)},
        {"log_format": "xml"},
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
