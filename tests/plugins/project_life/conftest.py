"""Fixtures of project-life's tests."""

from __future__ import annotations

from tests.plugins.system_dialect.databases import postgres_database, postgres_url  # noqa: F401 - fixtures
