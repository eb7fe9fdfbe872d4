"""The behaviour suite itself: what it says of a dialect that is not whole."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from objectkernel_system_dialect.contracts import BaseDialect
from objectkernel_system_dialect.sql_dialect import SqlDialect
from objectkernel_system_dialect.testing.dialects import missing_members

PARTIAL = '''
import pytest
from objectkernel_system_dialect.contracts import BaseDialect
from objectkernel_system_dialect.testing import Dialects, DialectSuite

class Partial(BaseDialect):
    name = "partial"

    async def find(self, schema, filter=None, **options):
        return []

async def opened():
    return Partial()

@pytest.fixture(scope="module")
def anyio_backend():
    return "asyncio"

@pytest.fixture(scope="module")
async def dialects(anyio_backend):
    async with Dialects(opened) as dialects:
        yield dialects

class TestPartial(DialectSuite):
    """A dialect with one operation of its own."""
'''


@pytest.mark.slow
def test_what_a_partial_dialect_lacks_is_one_failure(tmp_path: Path) -> None:
    """One test fails and names every missing member; no other adds to it, not even where nothing can be closed."""
    module = tmp_path / "test_partial.py"
    module.write_text(PARTIAL)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly", str(module)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=100)
    assert done.returncode == 1, done.stdout
    assert re.match(r"\d+ skipped, 1 error in ", done.stdout.splitlines()[-1])
    assert "Partial lacks these members of Dialect: register, schemas, as_tenant" in done.stdout


@pytest.mark.anyio
async def test_what_is_missing_is_named(dialect: SqlDialect) -> None:
    """Every member of the Protocol that is not there, and nothing of a whole dialect."""
    assert missing_members(dialect) == ()
    lacking = missing_members(BaseDialect())
    assert {"name", "find", "find_page", "create", "aclose"} <= set(lacking)
    assert set(lacking).isdisjoint({"capabilities", "find_one", "stream", "search", "transaction", "execute"})
