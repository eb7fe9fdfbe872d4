"""Fixtures of project-life's tests."""

from __future__ import annotations

from tests.plugins.project_life.project_databases import closed_port, silent_port  # noqa: F401 - fixtures
from tests.plugins.system_dialect.databases import postgres_database, postgres_url  # noqa: F401 - fixtures
