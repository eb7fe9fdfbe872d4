"""What others import of system-dialect: keys, schemas, `Dialect`, `Repository`, errors. No SQLAlchemy."""

from __future__ import annotations

from objectkernel.keys import Extension, Service

from objectkernel_system_dialect.data_plug import (
    API_KEY_SOURCE,
    DATA_PLUG,
    SCHEMAS,
    ApiKeySource,
    DataMode,
    DataPlug,
    KeyRenewal,
    Schemas,
    SchemaStrategy,
)
from objectkernel_system_dialect.dialect import Capability, Dialect, Filter, Key, Page, Row, Sort, Stage
from objectkernel_system_dialect.errors import (
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
    OperationUnsupported,
    OptionInvalid,
    RowDamaged,
    SchemaInvalid,
    SchemaOutdated,
    StatementFailed,
    StatementRefused,
    SystemDialectShared,
    TenantRequired,
    TransactionFailed,
    UnknownField,
    UnknownOperator,
    ValueInvalid,
    VersionConflict,
)
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

__all__ = [
    "API_KEY_SOURCE",
    "BUSINESS_SCHEMAS",
    "DATA_PLUG",
    "DIALECT",
    "SCHEMAS",
    "SYSTEM_DIALECT",
    "SYSTEM_SCHEMAS",
    "ApiKeySource",
    "BaseRepository",
    "Capability",
    "ConstraintViolated",
    "CursorInvalid",
    "DataError",
    "DataMode",
    "DataPlug",
    "DatabaseBusy",
    "DatabaseDamaged",
    "DatabaseFull",
    "DatabaseReadOnly",
    "DatabaseUnavailable",
    "Dialect",
    "DialectClosed",
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
    "Index",
    "Key",
    "KeyRenewal",
    "OperationUnsupported",
    "OptionInvalid",
    "Page",
    "Relation",
    "Repository",
    "Row",
    "RowDamaged",
    "SchemaInvalid",
    "SchemaOutdated",
    "SchemaStrategy",
    "Schemas",
    "Sort",
    "Stage",
    "StatementFailed",
    "StatementRefused",
    "SystemDialectShared",
    "TenantRequired",
    "TransactionFailed",
    "UnknownField",
    "UnknownOperator",
    "ValueInvalid",
    "VersionConflict",
    "normalize_doc",
    "normalize_docs",
]
