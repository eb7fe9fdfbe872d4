"""Fixtures of several modules."""

from tests.contrib.http.processes import serve  # noqa: F401 - a fixture
