"""The faults of the database as one error: what is unknown is neither "not found" nor "empty"."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from objectkernel_system_dialect.contracts import (
    DatabaseUnavailable,
    DialectClosed,
    StatementFailed,
    TransactionFailed,
)

from objectkernel_package_service.contracts import PackageStoreUnavailable

UNANSWERED: Final = (DatabaseUnavailable, DialectClosed, StatementFailed, TransactionFailed)


@contextmanager
def answering(doing: str) -> Iterator[None]:
    """Turn every fault of the database within the block into PackageStoreUnavailable."""
    try:
        yield
    except UNANSWERED as error:
        raise PackageStoreUnavailable(
            f"{doing}: unknown, the database gave no answer",
            why=f"[{error.code}] {error.what}",
            fix=error.fix or "see to the system database, then ask again",
            operation=doing,
        ) from error
