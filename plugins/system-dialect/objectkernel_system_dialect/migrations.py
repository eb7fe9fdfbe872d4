"""Data migrations: what a plugin does to rows and names of an older version, once in each database."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import attrs
from objectkernel.keys import Extension

if TYPE_CHECKING:
    from objectkernel_system_dialect.migration_runs import MigrationStep

    Apply: TypeAlias = Callable[[MigrationStep], None]


def _names(names: Iterable[str]) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names)


def _plain(_migration: Migration, _attribute: attrs.Attribute[Apply], apply: Apply) -> None:
    """Refuse what would count as run and do nothing."""
    if inspect.iscoroutinefunction(apply):
        raise ValueError("`apply` of a migration is a plain function: nobody would await this one")


@attrs.frozen
class Migration:
    """One numbered change of what lies in a database.

    It runs once, when a host starts on a database that has a table of `collections` and has not run it. Where there is
    none yet it counts as run: the tables are made as the schemas say. On PostgreSQL and SQLite it is undone wholly
    when it fails; MariaDB keeps the changes of tables that were made up to there, so write it so that it may run again.
    On SQLite foreign keys rest meanwhile: deleting a row deletes none that leads to it, and one that leads nowhere at
    the end is refused.

    Attributes:
        plugin: whose it is.
        number: from 1 on, in the order in which they run; it never changes once it was published.
        summary: one line for `objectkernel schema plan`.
        apply: a plain function that makes the change; it is given a `MigrationStep`.
        collections: the tables that it works on, old names and new ones.
        when: ``before`` the tables are brought to their schemas, as it has to be with new names, or ``after``, as with
            values for new columns.
    """

    plugin: str
    number: int = attrs.field(validator=attrs.validators.ge(1))
    summary: str
    apply: Apply = attrs.field(repr=False, validator=_plain)
    collections: tuple[str, ...] = attrs.field(converter=_names, kw_only=True, validator=attrs.validators.min_len(1))
    when: Literal["before", "after"] = attrs.field(
        default="after", kw_only=True, validator=attrs.validators.in_(("before", "after"))
    )


MIGRATIONS: Final = Extension[Migration]("migrations")
"""Data migrations of plugins, for whichever database has their tables."""
