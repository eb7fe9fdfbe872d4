"""How each field type lies in a database that has no module of its own here: in forms that every database keeps.

===================  ================================================================================
string, enum, uuid   NVARCHAR(n) or what the database has for it
text, json, array    text of any length; JSON as the text that it was
integer, sequence    BIGINT
number               DOUBLE PRECISION
decimal              BIGINT, the value times ten to the scale
boolean              SMALLINT 0 and 1
datetime             text ``YYYY-MM-DDTHH:MM:SS.ffffff+00:00``, which sorts as time does
binary               BLOB
===================  ================================================================================
"""

from __future__ import annotations

from typing import Any, Final

import attrs
from sqlalchemy import NVARCHAR, BigInteger, Double, LargeBinary, SmallInteger, Unicode, UnicodeText
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.types import TypeEngine, UserDefinedType

from objectkernel_system_dialect import sqlite_types
from objectkernel_system_dialect.schema import Field
from objectkernel_system_dialect.stored import Codec

SERVER_COLLATION: Final = "Latin1_General_100_BIN2"
"""SQL Server's by code points. The other databases compare texts so unless told otherwise."""


class CodePoints(UserDefinedType[str]):
    """A text that compares by code points, of at most `length` characters or of any number."""

    cache_ok = True

    def __init__(self, length: int | None = None) -> None:
        self.length = length


def codec(field: Field) -> Codec:
    """How a field lies in a database that only SQLAlchemy knows: in the same form as in SQLite."""
    return attrs.evolve(sqlite_types.codec(field), declared=_declared(field))


def _declared(field: Field) -> TypeEngine[Any]:
    match field.type:
        case "string" | "enum":
            return CodePoints(field.length)
        case "uuid":
            return CodePoints(36)
        case "datetime":
            return CodePoints(32)
        case "integer" | "sequence" | "decimal":
            return BigInteger()
        case "boolean":
            return SmallInteger()
        case "number":
            return Double()
        case "binary":
            return LargeBinary()
        case _:
            return CodePoints()


@compiles(CodePoints)
def _plain(type_: CodePoints, compiler: Any, **arguments: Any) -> str:
    text: str = compiler.process(Unicode(type_.length) if type_.length else UnicodeText(), **arguments)
    return text


@compiles(CodePoints, "mssql")
def _collated(type_: CodePoints, compiler: Any, **arguments: Any) -> str:
    text: str = compiler.process(NVARCHAR(type_.length), **arguments)  # without a length NVARCHAR(max)
    return f"{text} COLLATE {SERVER_COLLATION}"
