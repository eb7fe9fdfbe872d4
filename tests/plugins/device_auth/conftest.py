"""Fixtures of device-auth's tests."""

from __future__ import annotations

from tests.plugins.device_auth.client_side import home, quick  # noqa: F401 - fixtures
from tests.plugins.device_auth.flows import desk  # noqa: F401 - fixture
