"""The table `sys_packages` and the statements on it that are more than a look-up.

A row that is the newest of its package is always marked `latest`; for a moment an older one may be marked too, and
stays so when its publisher dies in that moment. The index of marked rows therefore holds every row that a list shows
and next to nothing else, and what a list shows is still decided by the sequence. Each statement below keeps this true
by itself, so it holds between any two of them, whoever else publishes or deletes. (That the statements of all callers
come one after another is what a database with one writer gives.)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import attrs
from objectkernel_system_dialect.contracts import EntitySchema, Field, Index
from sqlalchemy import Integer, Select, Table, Update, bindparam, delete, exists, func, literal, select, update
from sqlalchemy.sql.dml import ReturningDelete, ReturningUpdate

from objectkernel_package_service.naming import LONGEST_ID, LONGEST_VERSION

PACKAGE: Final = EntitySchema(
    name="Package",
    collection="sys_packages",
    key=("id", "version"),
    fields={
        "id": Field("string", required=True, length=LONGEST_ID),
        "version": Field("string", required=True, length=LONGEST_VERSION),
        "hash": Field("string", required=True, length=64),
        "previous_hash": Field("string", length=64),
        "created_at": Field("datetime", required=True),
        "updated_at": Field("datetime", required=True),
        "latest": Field("boolean", required=True, default=True),
        "sequence": Field("sequence"),
        # The large ones last: a column behind them is reached only by reading past them.
        "manifest": Field("text", required=True),
        "metadata": Field("text", required=True),
    },
    indexes=(
        Index({"id": 1, "created_at": -1}),
        Index({"id": 1, "sequence": -1}),
        Index({"latest": 1, "sequence": -1}),
    ),
)
"""One row a version. `sequence` is its place among all insertions: clocks tie and turn back, it does not."""

SUMMARY: Final = ("id", "version", "hash", "previous_hash", "created_at", "updated_at")
RECORD: Final = (*SUMMARY, "manifest", "metadata")

Query = Select[tuple[object, ...]]


@attrs.frozen(kw_only=True)
class Statements:
    """Statements of SQLAlchemy Core and their parameters.

    Attributes:
        newest: of each package the row inserted last, newest first: before, rows.
        versions: the rows of one package, newest first: package, before, rows.
        everything: all rows, newest first: before, rows.
        supersede: take the mark from the row below this one, if this one is there: package, this.
        promote: mark the row that is newest without this one: package, this.
        remove: delete this row, unless the newest without it is not marked: package, this.
        replace: put new content where a version is, keep the hash that it had, and set its mark right: package, this,
            new_manifest, new_metadata, new_hash, now; returns `created_at` and `previous_hash`.
        settle: mark every row that is the newest of its package and is not: for when a key was changed past the
            service; returns the rows marked.
        mend: by column, put a sound value where one is that cannot be read: package, this, sound.
    """

    newest: Query
    versions: Query
    everything: Query
    supersede: Update
    promote: Update
    remove: ReturningDelete[int]
    replace: ReturningUpdate[Any, Any]
    settle: ReturningUpdate[int]
    mend: Mapping[str, Update]


def statements(table: Table) -> Statements:
    """The statements on one dialect's table."""
    other = table.alias("other")
    package: Any = bindparam("package")
    this: Any = bindparam("this")
    marked = literal(True, table.c.latest.type)
    superseded = exists().where(other.c.id == table.c.id, other.c.sequence > table.c.sequence)
    everything: Query = (
        select(*(table.c[name] for name in (*SUMMARY, "sequence")))
        .where(table.c.sequence < bindparam("before"))
        .order_by(table.c.sequence.desc())
        .limit(bindparam("rows", type_=Integer))
    )
    others = select(other.c.sequence).where(other.c.id == package).order_by(other.c.sequence.desc()).limit(1)
    new = table.alias("new")
    its_sequence = select(new.c.sequence).where(new.c.id == package, new.c.version == this).scalar_subquery()
    below = others.where(other.c.sequence < its_sequence)
    without_this = others.where(other.c.version != this)
    successor_marked = without_this.with_only_columns(other.c.latest).scalar_subquery()
    newest_of_each = select(func.max(other.c.sequence)).group_by(other.c.id)
    unmarked = newest_of_each.except_(select(new.c.sequence).where(new.c.latest == marked))
    this_row = (table.c.id == package, table.c.version == this)
    return Statements(
        newest=everything.where(table.c.latest == marked, ~superseded),
        versions=everything.where(table.c.id == package),
        everything=everything,
        supersede=update(table).where(table.c.sequence == below.scalar_subquery()).values(latest=False),
        promote=update(table).where(table.c.sequence == without_this.scalar_subquery()).values(latest=True),
        remove=delete(table)
        .where(*this_row, func.coalesce(successor_marked, marked) == marked)
        .returning(table.c.sequence),
        replace=update(table)
        .where(*this_row)
        .values(
            manifest=bindparam("new_manifest"),
            metadata=bindparam("new_metadata"),
            hash=bindparam("new_hash"),
            previous_hash=table.c.hash,
            updated_at=bindparam("now"),
            latest=~superseded,
        )
        .returning(table.c.created_at, table.c.previous_hash),
        settle=update(table).where(table.c.sequence.in_(unmarked)).values(latest=True).returning(table.c.sequence),
        mend={
            "created_at": update(table).where(*this_row).values(created_at=bindparam("sound")),
            "hash": update(table).where(*this_row).values(hash=bindparam("sound")),
        },
    )
