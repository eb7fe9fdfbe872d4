"""How each field type lies in MariaDB and MySQL, where it sorts and compares as it does in Python.

===================  ================================================================================
string, enum         VARCHAR(n) of utf8mb4, by code points, where case and spaces at the end count; LONGTEXT
                     where it is longer than any key could be
text, json, array    LONGTEXT of the same; JSON as the text that it was
integer, sequence    BIGINT; a sequence is AUTO_INCREMENT
number               DOUBLE
decimal              DECIMAL(precision, scale)
boolean              TINYINT(1)
datetime             DATETIME(6), in UTC
uuid                 CHAR(36) of ASCII: 36 bytes in a key
binary               LONGBLOB
===================  ================================================================================
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from sqlalchemy.dialects.mysql import BIGINT, CHAR, DATETIME, DECIMAL, DOUBLE, LONGBLOB, LONGTEXT, TINYINT, VARCHAR
from sqlalchemy.ext.compiler import compiles

from objectkernel_system_dialect.mariadb_connection import COLLATION
from objectkernel_system_dialect.schema import Field
from objectkernel_system_dialect.stored import Codec, dump_json, load_array, load_json

LONGEST_KEY: Final = 768
"""Characters of four bytes in a key of 3072 bytes, the most that InnoDB takes."""


class CodePoints(VARCHAR):
    """A short text by code points, in the collation that the server has for that."""


class LongCodePoints(LONGTEXT):
    """A text of any length by code points."""


def codec(field: Field) -> Codec:
    """How a field lies in MariaDB."""
    match field.type:
        case "string" | "enum" if field.length <= LONGEST_KEY:
            return Codec(str, None, None, CodePoints(field.length, charset="utf8mb4"))
        case "string" | "enum" | "text":
            return Codec(str, None, None, LongCodePoints(charset="utf8mb4"))
        case "decimal":
            return Codec(Decimal, None, None, DECIMAL(field.precision, field.scale))
        case kind:
            return _CODECS[kind]


def _collated(type_: Any, compiler: Any, **arguments: Any) -> str:
    plain = VARCHAR(type_.length, charset="utf8mb4") if isinstance(type_, VARCHAR) else LONGTEXT(charset="utf8mb4")
    plain.collation = COLLATION[compiler.dialect.is_mariadb]
    text: str = compiler.process(plain, **arguments)
    return text


compiles(CodePoints, "mysql", "mariadb")(_collated)
compiles(LongCodePoints, "mysql", "mariadb")(_collated)


def _naive(value: datetime) -> datetime:
    return value.replace(tzinfo=None)  # UTC already


def _aware(value: datetime) -> datetime:
    return value.replace(tzinfo=UTC)


_CODECS: Final = {
    "integer": Codec(int, None, None, BIGINT()),
    "sequence": Codec(int, None, None, BIGINT()),
    "number": Codec(float, None, None, DOUBLE(asdecimal=False)),
    "boolean": Codec(int, None, bool, TINYINT(1)),
    "binary": Codec(bytes, None, None, LONGBLOB()),
    "datetime": Codec(datetime, _naive, _aware, DATETIME(fsp=6)),
    "uuid": Codec(str, str, UUID, CHAR(36, charset="ascii", collation="ascii_bin")),
    "json": Codec(str, dump_json, load_json, LongCodePoints(charset="utf8mb4")),
    "array": Codec(str, dump_json, load_array, LongCodePoints(charset="utf8mb4")),
}
