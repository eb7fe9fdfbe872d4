"""Every error of data access; none carries a driver's text, a value or a connection string."""

from __future__ import annotations

from http import HTTPStatus
from typing import ClassVar

from objectkernel.errors import KernelError


class DataError(KernelError):
    """The base of all errors of data access."""

    code = "D100"


# --- D1xx: schemas --------------------------------------------------------------------------------


class SchemaInvalid(DataError):
    """Entity schemas contradict themselves or each other. Attributes: problems (all of them)."""

    code = "D101"


class EntityUnknown(DataError):
    """An operation names an entity that this dialect has not registered. Attributes: entity, known."""

    code = "D102"


class SchemaOutdated(DataError):
    """Tables are not as their schemas want them, and the strategy does not, or cannot, mend it.

    Attributes: differences (one sentence each; all of them).
    """

    code = "D103"


class SchemaNewer(DataError):
    """A database has migrations behind it that this program does not know. Attributes: migrations (plugin, number)."""

    code = "D104"


class MigrationFailed(DataError):
    """The function of a data migration raised an error. Attributes: plugin, number."""

    code = "D105"


class SchemaForeign(DataError):
    """The strategy ``create-drop`` was asked for on a database with tables that it has not made. Attributes: tables."""

    code = "D106"


class TableHeld(DataError):
    """A table cannot be dropped, since rows of others lead to it. Attributes: tables (those others)."""

    code = "D107"


# --- D2xx: what a caller asked for -------------------------------------------------------------------


class UnknownField(DataError):
    """A filter, an option or a write names a field that does not exist. Attributes: entity, name, near."""

    code = "D201"


class UnknownOperator(DataError):
    """A filter names an operator that does not exist. Attributes: name, near."""

    code = "D202"


class FilterInvalid(DataError):
    """A filter cannot be meant: an empty ``$or``, a wrong operand, an operator its field has not."""

    code = "D203"


class ValueInvalid(DataError):
    """A value does not fit its field. Attributes: entity, field, kind (its Python type)."""

    code = "D204"


class CursorInvalid(DataError):
    """A cursor is damaged, or belongs to another sort order."""

    code = "D205"


class FilterEmpty(DataError):
    """A bulk delete has an empty filter and no ``all=True``."""

    code = "D206"


class OptionInvalid(DataError):
    """A sort direction, a limit, a skip or a selection that cannot be meant."""

    code = "D207"


class StatementRefused(DataError):
    """`Dialect.execute` was given something that is no query, insert, update or delete of SQLAlchemy Core."""

    code = "D208"


class OperationUnsupported(DataError):
    """This dialect cannot do that: its `capabilities` say what it can. Attributes: dialect, capability."""

    code = "D209"


class TenantRequired(DataError):
    """A row of another tenant than the caller's was to be written. Attributes: entity."""

    code = "D210"


# --- D3xx: what the database refused ------------------------------------------------------------------


class DuplicateKey(DataError):
    """A row with this key or unique value exists already. Attributes: entity, fields."""

    code = "D301"


class ConstraintViolated(DataError):
    """A rule of the database refused the write. Attributes: entity, constraint (such as ``foreign key``)."""

    code = "D302"


class StatementFailed(DataError):
    """The database could not run a statement as it was written; nothing was changed."""

    code = "D303"


class VersionConflict(DataError):
    """The row was changed since it was read: it has another version. Attributes: entity, key, wanted."""

    code = "D304"


class TransactionFailed(DataError):
    """An operation within a transaction failed, so that nothing of it can be kept; it was undone."""

    code = "D305"


# --- D4xx: the database itself --------------------------------------------------------------------------


class DatabaseUnavailable(DataError):
    """The database gave no proper answer: whether a row exists, or a write took place, is unknown.

    Attributes: database (its place without credentials), reason (the driver's symbolic code, such as
        ``SQLITE_IOERR``). `http_status` is what a host answers on the routes of any plugin.
    """

    code = "D401"
    http_status: ClassVar[int] = HTTPStatus.SERVICE_UNAVAILABLE


class DatabaseBusy(DatabaseUnavailable):
    """Another process held the database for longer than the busy timeout; nothing was changed."""

    code = "D402"


class DatabaseFull(DatabaseUnavailable):
    """The disk or the database is full; the write was not made."""

    code = "D403"
    http_status = HTTPStatus.INSUFFICIENT_STORAGE


class DatabaseDamaged(DatabaseUnavailable):
    """The file is no database, or a damaged one."""

    code = "D404"
    http_status = HTTPStatus.INTERNAL_SERVER_ERROR


class DatabaseReadOnly(DatabaseUnavailable):
    """The database may be read and not written; the write was not made."""

    code = "D405"


class DialectClosed(DataError):
    """An operation on a dialect after its end, or in another event loop than the one that opened it."""

    code = "D406"
    http_status: ClassVar[int] = HTTPStatus.SERVICE_UNAVAILABLE


class DialectUnsupported(DataError):
    """A database was asked for that this dialect does not speak, or a URI that does not belong to it."""

    code = "D407"


class RowDamaged(DataError):
    """A stored row holds a value that its field cannot have; the row was not delivered.

    Attributes: entity and key of the row ("" and None where they are not known, as behind `Dialect.execute`), field.
    """

    code = "D408"


class SystemDialectShared(DataError):
    """The system's data has no database of its own: when the business data is switched, it stays behind."""

    code = "D409"
    tolerable = True


# --- D6xx: data over HTTP ---------------------------------------------------------------------------------


class RowMissing(DataError):
    """There is no row with this key, or none that the caller may see. Attributes: entity."""

    code = "D601"


class RequestInvalid(DataError):
    """A body, a parameter or a header is not what the route takes. Attributes: problems (all of them)."""

    code = "D602"


class RequestTooLarge(DataError):
    """A body has more bytes than the server takes. Attributes: limit."""

    code = "D603"


class AccessDenied(DataError):
    """The server refuses the key, or what it is to be used for. Attributes: database, status (HTTP's)."""

    code = "D604"


class RowChanged(DataError):
    """The row is not the one that ``If-Match`` names; nothing was changed. Attributes: entity."""

    code = "D605"


class IdempotencyKeyReused(DataError):
    """An ``Idempotency-Key`` came with another request than the first time; nothing was changed."""

    code = "D606"


class IdempotencyKeyBusy(DataError):
    """The first request with this ``Idempotency-Key`` is under way, or was cut off; ask again later."""

    code = "D607"


# --- D5xx: backups ----------------------------------------------------------------------------------------


class BackupFailed(DataError):
    """A backup was not made, is not sound, or was not restored. Attributes: file."""

    code = "D501"
