"""A plan: the steps that bring a database's tables to their schemas, in an order in which each can be made.

This module imports alembic, whose operations the steps are made of; it is imported when there is something to plan.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, Literal

import attrs
from alembic.autogenerate import render_python_code
from alembic.autogenerate.api import AutogenContext
from alembic.autogenerate.render import renderers
from alembic.migration import MigrationContext
from alembic.operations import Operations, ops
from alembic.operations.ops import MigrateOperation
from sqlalchemy import Column, Connection, ForeignKeyConstraint, update
from sqlalchemy.exc import CompileError

from objectkernel_system_dialect.sqlite_rebuild import Rebuild
from objectkernel_system_dialect.stored import Stored


class FillOp(MigrateOperation):
    """Gives a value to the rows that have none in a column."""

    def __init__(self, column: Column[Any], value: Any) -> None:
        self.column = column
        self.value = value

    def statement(self) -> Any:
        """The update, with the value as a parameter."""
        return update(self.column.table).where(self.column.is_(None)).values({self.column.name: self.value})


ORDER: Final = (
    ops.DropConstraintOp,
    ops.AddColumnOp,
    FillOp,
    ops.AlterColumnOp,
    ops.ExecuteSQLOp,
    ops.CreateTableOp,
    ops.CreateUniqueConstraintOp,
    ops.CreateIndexOp,
    ops.CreateForeignKeyOp,
    ops.DropIndexOp,  # behind its successor: a foreign key of MariaDB is never without an index
    ops.DropColumnOp,
    ops.DropTableOp,
)
"""The order in which operations of a plan are made, whichever steps they belong to."""


@attrs.frozen(kw_only=True)
class Step:
    """One change to one table.

    Attributes:
        text: what is changed, for people.
        destructive: data is lost by it; only made when asked for.
        obstacle: why it cannot be made as things are, and what to do; None where it can.
        operations: alembic's; none where SQLite makes the table anew (`rebuilds`).
        drops: the column that SQLite leaves out when it does.
    """

    collection: str
    text: str
    destructive: bool = False
    obstacle: str | None = None
    operations: tuple[MigrateOperation, ...] = attrs.field(default=(), repr=False)
    rebuilds: bool = False
    drops: str | None = None


@attrs.frozen
class Plan:
    """What lies between a database and its schemas.

    Attributes:
        rebuilds: for SQLite, how each table would be made anew.
        held: for MariaDB, which changes the type of no column in a foreign key, the foreign keys by the tables and
            columns on both of their sides.
    """

    steps: tuple[Step, ...]
    rebuilds: Mapping[str, Rebuild] = attrs.field(factory=dict, repr=False)
    held: Mapping[tuple[str, str], Sequence[ForeignKeyConstraint]] = attrs.field(factory=dict, repr=False)

    @property
    def safe(self) -> tuple[Step, ...]:
        """The steps that lose no data, those with an obstacle among them."""
        return tuple(step for step in self.steps if not step.destructive)

    @property
    def obstacles(self) -> tuple[Step, ...]:
        return tuple(step for step in self.steps if step.obstacle is not None)

    def chosen(self, *, destructive: bool) -> tuple[Step, ...]:
        """The steps to make."""
        return self.steps if destructive else self.safe

    def operations(self, *, destructive: bool) -> list[MigrateOperation]:
        """The operations of the chosen steps, in the order to make them in."""
        steps = self.chosen(destructive=destructive)
        made = [operation for step in steps for operation in step.operations]
        made += self._rebuilding(steps)
        made += self._letting_go(made)
        return sorted(made, key=lambda operation: ORDER.index(type(operation)))

    def _letting_go(self, made: Sequence[MigrateOperation]) -> Iterator[MigrateOperation]:
        """Foreign keys that are made again, since a column of theirs changes its type."""
        retyped = [one for one in made if isinstance(one, ops.AlterColumnOp) and one.modify_type is not None]
        gone = {one.constraint_name for one in made if isinstance(one, ops.DropConstraintOp)}
        for key in dict.fromkeys(
            key for one in retyped for key in self.held.get((one.table_name, one.column_name), ())
        ):
            if key.name not in gone:
                yield ops.DropConstraintOp(str(key.name), key.table.name, "foreignkey")
                yield ops.CreateForeignKeyOp.from_constraint(key)

    def _rebuilding(self, steps: Sequence[Step]) -> Iterator[MigrateOperation]:
        for collection in dict.fromkeys(step.collection for step in steps if step.rebuilds):
            dropped = frozenset(step.drops for step in steps if step.collection == collection and step.drops)
            for sql in self.rebuilds[collection].statements(dropped):
                yield ops.ExecuteSQLOp(_literally(sql))

    def python(self, connection: Connection, *, destructive: bool) -> str:
        """The operations as code of an alembic migration, headed by a comment for each step with an obstacle."""
        context = MigrationContext.configure(connection)
        imports: set[str] = {"from alembic import op", "import sqlalchemy as sa"}
        operations = self.operations(destructive=destructive)

        def render(kind: str, item: Any, _context: AutogenContext) -> str | Literal[False]:
            if kind != "type" or not isinstance(item, Stored):
                return False
            declared = item.codec(connection.dialect.name).declared
            module = type(declared).__module__
            if module.startswith("sqlalchemy.dialects."):
                dialect = module.split(".")[2]
                imports.add(f"from sqlalchemy.dialects import {dialect}")
                return f"{dialect}.{declared!r}"
            if module.startswith("sqlalchemy."):
                return f"sa.{declared!r}"
            imports.add(f"from {module} import {type(declared).__name__}")
            return repr(declared)

        code = render_python_code(ops.UpgradeOps(ops=operations), render_item=render, migration_context=context)
        lines = [line.removeprefix("    ") for line in code.splitlines() if not line.lstrip().startswith("# ###")]
        blocked = described(step for step in self.chosen(destructive=destructive) if step.obstacle is not None)
        comments = [f"# {line}" for text in blocked for line in f"not possible: {text}".splitlines()]
        return "\n".join([*sorted(imports), "", *comments, *lines]) + "\n"


def apply(connection: Connection, plan: Plan, *, destructive: bool = False) -> None:
    """Make the steps of a plan that has no obstacle among them.

    Args:
        destructive: also those that lose data.
    """
    operations = plan.operations(destructive=destructive)
    if not operations:
        return
    operate = Operations(MigrationContext.configure(connection))
    for operation in operations:
        operate.invoke(operation)


@Operations.implementation_for(FillOp)
def _fill(operations: Operations, operation: FillOp) -> None:
    operations.get_bind().execute(operation.statement())


@renderers.dispatch_for(FillOp)
def _render_fill(context: AutogenContext, operation: FillOp) -> str:
    assert context.dialect is not None
    try:
        sql = str(operation.statement().compile(dialect=context.dialect, compile_kwargs={"literal_binds": True}))
    except (CompileError, NotImplementedError):  # SQLAlchemy's, the latter of types that have no literal at all
        return f"# fill {operation.column} with its default, which SQL has no literal for"
    if context.dialect.paramstyle in ("format", "pyformat"):
        sql = sql.replace("%%", "%")  # they are doubled again when it runs
    return f"op.execute({_literally(sql)!r})"


def _literally(sql: str) -> str:
    """SQL in which text() finds no parameters."""
    return sql.replace(":", "\\:")


def described(steps: Iterable[Step]) -> tuple[str, ...]:
    """Steps for an error or a list: what each changes, and what is in its way."""
    return tuple(step.text if step.obstacle is None else f"{step.text}: {step.obstacle}" for step in steps)
