"""What other plugins may import: complete, and cheap."""

from __future__ import annotations

import subprocess
import sys

from objectkernel_system_dialect import contracts, errors
from objectkernel_system_dialect.base_dialect import BaseDialect
from objectkernel_system_dialect.contracts import Dialect
from objectkernel_system_dialect.errors import DataError
from objectkernel_system_dialect.sql_dialect import SqlDialect


def test_contracts_import_no_engine() -> None:
    """Importing the contracts loads neither SQLAlchemy nor a database driver nor an event loop."""
    code = (
        "import sys, objectkernel; before = set(sys.modules); import objectkernel_system_dialect.contracts; "
        "print([name for name in set(sys.modules) - before "
        "if name.split('.')[0] in ('sqlalchemy', 'sqlite3', 'asyncio', 'trio', 'anyio')])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_all_is_complete() -> None:
    """`__all__` names what exists, and every error is to be had from the contracts."""
    for name in contracts.__all__:
        assert hasattr(contracts, name)
    names = {n for n, e in vars(errors).items() if isinstance(e, type) and issubclass(e, DataError)}
    assert names <= set(contracts.__all__)


def test_the_sql_dialect_is_a_dialect() -> None:
    """The implementation on SQL has every operation of the Protocol."""
    operations = [name for name in vars(Dialect) if not name.startswith("_")]
    given = {*dir(SqlDialect), *BaseDialect.__annotations__}
    assert [name for name in operations if name not in given] == []


def test_keys_have_their_names() -> None:
    """The names by which services and extensions are known in configuration and messages."""
    assert contracts.DIALECT == "dialect"
    assert contracts.SYSTEM_DIALECT == "system-dialect"
    assert contracts.SYSTEM_SCHEMAS == "system-schemas"
    assert contracts.BUSINESS_SCHEMAS == "business-schemas"
