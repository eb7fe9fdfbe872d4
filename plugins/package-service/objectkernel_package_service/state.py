"""What a change of a package has to know of it first."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import attrs
from objectkernel_system_dialect.contracts import Dialect, Row, RowDamaged

from objectkernel_package_service.contracts import PackageForeign, Policy, Visibility
from objectkernel_package_service.integrity import Integrity
from objectkernel_package_service.queries import KEPT, OF_HEAD, Queries
from objectkernel_package_service.rows import damaged, is_tags, spelled

MENDED: dict[str, Any] = {
    "owner": None,
    "visibility": "private",
    "policy": "mutable",
    "tags": {},
    "created_at": None,
    "hash": None,
    "deprecated": None,
    "yanked": False,
}
"""What stands for a value that cannot be read, until it is written again."""


@attrs.frozen(kw_only=True)
class Head:
    """What is said of a package as a whole."""

    owner: str | None
    visibility: Visibility
    policy: Policy
    tags: dict[str, str]

    def tags_of(self, version: str) -> tuple[str, ...]:
        """The tags that name a version, sorted."""
        return tuple(sorted(tag for tag, named in self.tags.items() if named == version))


@attrs.frozen(kw_only=True)
class Kept:
    """What stays of a version when it is published again; None is also what cannot be read."""

    created_at: datetime | None
    hash: str | None
    deprecated: str | None
    yanked: bool


@attrs.frozen(kw_only=True)
class State:
    """A package and one version of it before a change.

    Attributes:
        number: of the change before.
        exists: whether the package has any version.
        head: None: the package was never published, or its head was removed past the service.
        version: None: it is not there.
        illegible: the names of what could not be read.
    """

    id: str
    number: int
    exists: bool
    head: Head | None
    version: Kept | None
    illegible: frozenset[str] = frozenset()

    def is_for(self, account: str | None) -> bool:
        """Whether the account may change the package; False: to this account it does not exist.

        Raises:
            PackageForeign: it belongs to another.
            PackageDamaged: whose it is cannot be told.
        """
        if account is None:
            return True
        if self.head is None:
            if self.exists:
                raise damaged(self.id, None, "nothing is stored of whose it is")
            return False
        if self.illegible & {"owner", "visibility"}:
            raise damaged(self.id, None, "what is stored of whose it is cannot be read")
        if self.head.owner == account:
            return True
        if self.head.visibility == "public":
            raise self.foreign()
        return False

    def foreign(self) -> PackageForeign:
        """The error for who may not change it."""
        return PackageForeign(
            f"the package {self.id} belongs to another account",
            why="who publishes an id first owns it",
            fix="publish under an id of your own, or ask the owner",
            id=self.id,
        )


@attrs.frozen
class States:
    """Reads them."""

    dialect: Dialect
    queries: Queries
    integrity: Integrity

    async def read(self, id: str, version: str) -> State:
        """The state, with `MENDED` for what cannot be read; that is logged and counted."""
        try:
            (row,) = await self.dialect.execute(self.queries.state, {"package": id, "this": version})
        except RowDamaged:
            return await self._what_can_be_read(id, version)
        return self._state(id, version, row, frozenset())

    async def _what_can_be_read(self, id: str, version: str) -> State:
        row: Row = {}
        illegible: set[str] = set()
        for name, column in self.queries.state.selected_columns.items():
            only = self.queries.state.with_only_columns(column)
            try:
                (part,) = await self.dialect.execute(only, {"package": id, "this": version})
                row |= part
            except RowDamaged as error:
                if name not in MENDED:
                    raise damaged(id, None, f"what is stored as its {name} cannot be read") from error
                row[name] = MENDED[name]
                illegible.add(name)
        return self._state(id, version, row, frozenset(illegible))

    def _state(self, id: str, version: str, row: Row, illegible: frozenset[str]) -> State:
        if row["head"] is not None and not is_tags(row["tags"]):
            row["tags"] = MENDED["tags"]
            illegible |= {"tags"}
        for name in sorted(illegible):
            self.integrity.mends(spelled(id, version), name)
        return State(
            id=id,
            number=row["number"] or 0,
            exists=row["newest"] is not None,
            head=None if row["head"] is None else Head(**{name: row[name] for name in OF_HEAD}),
            version=None if row["present"] is None else Kept(**{name: row[name] for name in KEPT}),
            illegible=illegible,
        )
