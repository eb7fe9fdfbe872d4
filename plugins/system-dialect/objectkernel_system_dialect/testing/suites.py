"""The suites as classes for pytest to collect."""

from __future__ import annotations

from objectkernel_system_dialect.testing.parts.aggregates import Aggregates
from objectkernel_system_dialect.testing.parts.changes import Changes
from objectkernel_system_dialect.testing.parts.filters import Filters
from objectkernel_system_dialect.testing.parts.reading import Reading
from objectkernel_system_dialect.testing.parts.refusals import Refusals
from objectkernel_system_dialect.testing.parts.relations import Relations
from objectkernel_system_dialect.testing.parts.removals import Removals
from objectkernel_system_dialect.testing.parts.sharing import Sharing
from objectkernel_system_dialect.testing.parts.tenants import Tenants
from objectkernel_system_dialect.testing.parts.transactions import Transactions
from objectkernel_system_dialect.testing.parts.values import Values


class DialectSuite(Values, Filters, Refusals, Reading, Aggregates, Changes, Removals, Relations, Tenants, Transactions):
    """What every dialect has to do, on any database."""


class SharedDatabaseSuite(Sharing):
    """What several dialects on one database owe each other."""
