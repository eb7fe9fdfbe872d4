"""What others import of system-dialect: keys, schemas, `Dialect`, `Repository`, errors. No SQLAlchemy."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeAlias

import attrs
from objectkernel.keys import Extension, Service
from objectkernel_contracts import CommandContext

from objectkernel_system_dialect.base_dialect import BaseDialect
from objectkernel_system_dialect.connection_limit import ConnectionLimit
from objectkernel_system_dialect.data_plug import (
    API_KEY_SOURCE,
    DATA_PLUG,
    SCHEMAS,
    ApiKeySource,
    DataMode,
    DataPlug,
    IsolatedOptions,
    KeyRenewal,
    Schemas,
    SchemaStrategy,
)
from objectkernel_system_dialect.data_routes import DATA_PLANE_SCHEMAS, DATA_ROUTES, DataRoutes, DialectOf
from objectkernel_system_dialect.database_place import database_place
from objectkernel_system_dialect.dialect import Capability, Dialect, Filter, Key, Page, Row, Sort, Stage
from objectkernel_system_dialect.errors import (
    AccessDenied,
    BackupFailed,
    ConstraintViolated,
    CursorInvalid,
    DatabaseBusy,
    DatabaseDamaged,
    DatabaseFull,
    DatabaseReadOnly,
    DatabaseUnavailable,
    DataError,
    DialectClosed,
    DialectUnsupported,
    DuplicateKey,
    EntityUnknown,
    FilterEmpty,
    FilterInvalid,
    IdempotencyKeyBusy,
    IdempotencyKeyReused,
    MigrationFailed,
    OperationUnsupported,
    OptionInvalid,
    RequestInvalid,
    RequestTooLarge,
    RowChanged,
    RowDamaged,
    RowMissing,
    SchemaForeign,
    SchemaInvalid,
    SchemaNewer,
    SchemaOutdated,
    StatementFailed,
    StatementRefused,
    SystemDialectShared,
    TableHeld,
    TenantRequired,
    TransactionFailed,
    UnknownField,
    UnknownOperator,
    ValueInvalid,
    VersionConflict,
)
from objectkernel_system_dialect.forwarding import ForwardingDialect, HasDialect
from objectkernel_system_dialect.migrations import MIGRATIONS, Migration
from objectkernel_system_dialect.places import DatabasePlace
from objectkernel_system_dialect.repository import BaseRepository, Repository, normalize_doc, normalize_docs
from objectkernel_system_dialect.schema import Discriminator, EntitySchema, Field, FieldType, Index, Relation

DIALECT = Service[Dialect]("dialect")
"""The business data's database."""
SYSTEM_DIALECT = Service[Dialect]("system-dialect")
"""The system's own database: keys, accounts, projects, packages."""
SYSTEM_SCHEMAS = Extension[EntitySchema]("system-schemas")
"""Schemas whose tables exist in the system database before `SYSTEM_DIALECT` is up."""
BUSINESS_SCHEMAS = Extension[EntitySchema]("business-schemas")
"""Schemas whose tables exist in the business database before `DIALECT` is up."""
OfflineDialect: TypeAlias = Callable[[CommandContext], AbstractAsyncContextManager[Dialect] | None]
"""Opens the system's database for a command while no kernel runs, and leaves its tables as they are; None: there is no
database yet.

Raises:
    KernelError: of the settings, where one is refused.
"""
OFFLINE_SYSTEM = Extension[OfflineDialect]("offline-system-dialect")
"""The system's database, for commands that need no running kernel."""


@attrs.frozen
class RuntimeSchemas:
    """Entities of the business data that a plugin registers while a host runs.

    Attributes:
        collection: the table of the system's database that tells of them; where it is missing there are none.
        read: reads them, with what makes an entity schema of JSON; raises KernelError where it cannot tell all.
    """

    collection: str
    read: Callable[[Dialect, Callable[[Any], EntitySchema]], Awaitable[Sequence[EntitySchema]]]


RUNTIME_SCHEMAS = Extension[RuntimeSchemas]("runtime-schemas")
"""Entities that no extension has, for commands that need no running kernel: their tables are not dropped."""

__all__ = [
    "API_KEY_SOURCE",
    "BUSINESS_SCHEMAS",
    "DATA_PLANE_SCHEMAS",
    "DATA_PLUG",
    "DATA_ROUTES",
    "DIALECT",
    "MIGRATIONS",
    "OFFLINE_SYSTEM",
    "RUNTIME_SCHEMAS",
    "SCHEMAS",
    "SYSTEM_DIALECT",
    "SYSTEM_SCHEMAS",
    "AccessDenied",
    "ApiKeySource",
    "BackupFailed",
    "BaseDialect",
    "BaseRepository",
    "Capability",
    "ConnectionLimit",
    "ConstraintViolated",
    "CursorInvalid",
    "DataError",
    "DataMode",
    "DataPlug",
    "DataRoutes",
    "DatabaseBusy",
    "DatabaseDamaged",
    "DatabaseFull",
    "DatabasePlace",
    "DatabaseReadOnly",
    "DatabaseUnavailable",
    "Dialect",
    "DialectClosed",
    "DialectOf",
    "DialectUnsupported",
    "Discriminator",
    "DuplicateKey",
    "EntitySchema",
    "EntityUnknown",
    "Field",
    "FieldType",
    "Filter",
    "FilterEmpty",
    "FilterInvalid",
    "ForwardingDialect",
    "HasDialect",
    "IdempotencyKeyBusy",
    "IdempotencyKeyReused",
    "Index",
    "IsolatedOptions",
    "Key",
    "KeyRenewal",
    "Migration",
    "MigrationFailed",
    "OfflineDialect",
    "OperationUnsupported",
    "OptionInvalid",
    "Page",
    "Relation",
    "Repository",
    "RequestInvalid",
    "RequestTooLarge",
    "Row",
    "RowChanged",
    "RowDamaged",
    "RowMissing",
    "RuntimeSchemas",
    "SchemaForeign",
    "SchemaInvalid",
    "SchemaNewer",
    "SchemaOutdated",
    "SchemaStrategy",
    "Schemas",
    "Sort",
    "Stage",
    "StatementFailed",
    "StatementRefused",
    "SystemDialectShared",
    "TableHeld",
    "TenantRequired",
    "TransactionFailed",
    "UnknownField",
    "UnknownOperator",
    "ValueInvalid",
    "VersionConflict",
    "database_place",
    "normalize_doc",
    "normalize_docs",
]
