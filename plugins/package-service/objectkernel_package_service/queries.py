"""What is asked of the tables beyond a look-up, as statements of SQLAlchemy Core: made once for each dialect."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, TypeAlias

import attrs
from objectkernel_system_dialect.contracts import Dialect
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Delete,
    Insert,
    Select,
    Update,
    and_,
    bindparam,
    delete,
    func,
    insert,
    literal,
    literal_column,
    or_,
    select,
    union_all,
    update,
)

from objectkernel_package_service.table import CHANGE, HEAD, NEED, PACKAGE

OF_VERSION: Final = (
    "id",
    "version",
    "hash",
    "previous_hash",
    "created_at",
    "updated_at",
    "sequence",
    "size",
    "deprecated",
    "yanked",
)
OF_HEAD: Final = ("owner", "visibility", "policy", "tags")
CONTENT: Final = ("manifest", "metadata")
OF_CHANGE: Final = ("id", "number", "action", "version", "hash", "details", "by", "at")
KEPT: Final = ("created_at", "hash", "deprecated", "yanked")
"""What publishing a version again needs to know of it."""
WINDOW: Final = 5000
"""Rows that one page looks at where it has to pass over some: what bounds its cost."""

Query: TypeAlias = Select[*tuple[Any, ...]]


@attrs.frozen
class Views:
    """One question, as the host asks it and as an account does, which sees what is public and its own."""

    of_host: Query
    of_account: Query

    def of(self, account: str | None) -> Query:
        """The one for this caller; with an account it has the parameter `account`."""
        return self.of_host if account is None else self.of_account


@attrs.frozen
class Search:
    """A list whose pages look at `WINDOW` rows each.

    Attributes:
        rows: what is found among them: before, rows, each `word`, account.
        end: where the look ends, if there are so many: before.
    """

    rows: Views
    end: Query


def word(number: int) -> str:
    """The parameter with the pattern of one of the words that are searched for."""
    return f"word{number}"


class Queries:
    """Statements on the tables of one dialect, by what they are about."""

    def __init__(self, dialect: Dialect) -> None:
        self._packages = dialect.table(PACKAGE)
        self._heads = dialect.table(HEAD)
        self._changes = dialect.table(CHANGE)
        self._needs = dialect.table(NEED)
        self._package: Any = bindparam("package")
        self._before: Any = bindparam("before", type_=BigInteger)
        self._rows: Any = bindparam("rows", type_=BigInteger)
        self._searches: dict[tuple[int, bool], Search] = {}
        packages, heads = self._packages, self._heads
        self._listed = packages.c.yanked == literal(False, packages.c.yanked.type)
        self._by_id = packages.outerjoin(heads, heads.c.id == packages.c.id)
        self._this = and_(packages.c.id == self._package, packages.c.version == bindparam("this"))
        self._reads()
        self._lists()
        self._changing()
        self._dependents()

    def _reads(self) -> None:
        """One package.

        Attributes:
            exact: one version with its content: package, this.
            latest: the version inserted last that is not yanked, with its content: package.
            head: what is said of a package as a whole, and the sequence of its newest version, if any: package.
            candidates: the versions of a package, newest first: package.
            history: its changes, newest first, for an account those since a seal: package, before, rows.
        """
        packages, heads, changes = self._packages, self._heads, self._changes
        newest_first = packages.c.sequence.desc()
        record = select(*self._summary(), *_columns(packages, CONTENT)).select_from(self._by_id)
        of_package = packages.c.id == self._package
        self.exact = self._views(record.where(self._this))
        self.latest = self._views(record.where(of_package, self._listed).order_by(newest_first).limit(1))
        self.head = self._views(
            select(*_columns(heads, OF_HEAD), self._newest().label("newest")).where(heads.c.id == self._package)
        )
        self.candidates = self._views(
            select(packages.c.version, packages.c.yanked, packages.c.sequence.label("place"))
            .select_from(self._by_id)
            .where(of_package)
            .order_by(newest_first)
        )
        seal = self._seal()
        others = [changes.c[name] for name in OF_CHANGE if name != "number"]
        of_package = select(*others).where(changes.c.id == self._package).order_by(changes.c.number.desc())
        history = of_package.limit(self._rows)
        self.history = Views(
            history.add_columns(changes.c.number).where(changes.c.number < self._before),
            history.add_columns((changes.c.number - seal).label("number"))
            .select_from(changes.join(heads, heads.c.id == changes.c.id))
            .where(_visible(heads), changes.c.number > seal, changes.c.number < self._before + seal),
        )

    def _lists(self) -> None:
        """Lists of summaries, newest first; `place` is what the next page is before.

        Attributes:
            versions: of one package: package, before, rows.
            everything: all versions: before, rows.
            newest: of each package the latest: before, rows. Where `id` is None, a head leads to no version.
            latest_summary: the row that a head leads to, as in `newest`: place.
            summary: one row: place.
        """
        packages, heads = self._packages, self._heads
        place = packages.c.sequence.label("place")
        versions = (
            select(*self._summary(), place)
            .select_from(self._by_id)
            .where(packages.c.sequence < self._before)
            .order_by(packages.c.sequence.desc())
            .limit(self._rows)
        )
        self.versions = self._views(versions.where(packages.c.id == self._package))
        self.everything = versions
        own = and_(heads.c.owner == bindparam("account"), heads.c.visibility == "private")
        both = union_all(
            select(self._places(heads.c.visibility == "public").subquery().c.place),
            select(self._places(own).subquery().c.place),
        )
        self.newest = Views(
            *(
                self._latest_of(heads, places.join(heads, heads.c.latest == places.c.place))
                for places in (self._places().subquery(), both.subquery())
            )
        )
        self.summary: Query = (
            select(*self._summary(), place)
            .select_from(self._by_id)
            .where(packages.c.sequence == bindparam("place", type_=BigInteger))
        )

        self.latest_summary = (
            select(*self._summary(), heads.c.latest.label("place"))
            .select_from(self._latest_join(heads, heads))
            .where(heads.c.latest == bindparam("place", type_=BigInteger))
        )

    def search(self, words: int, *, all_versions: bool) -> Search:
        """Lists in which the package of every row has these many words in its id or name."""
        key = words, all_versions
        if key not in self._searches:
            self._searches[key] = self._search_versions(words) if all_versions else self._search_heads(words)
        return self._searches[key]

    def _search_heads(self, words: int) -> Search:
        heads = self._heads
        places = select(heads.c.latest).where(heads.c.latest < self._before).order_by(heads.c.latest.desc())
        seen = places.with_only_columns(*heads.c).limit(WINDOW).subquery()
        found = self._latest_of(seen, seen).where(*_found(seen, words))
        return Search(Views(found, found.where(_visible(seen))), places.offset(WINDOW - 1).limit(1))

    def _search_versions(self, words: int) -> Search:
        packages, heads = self._packages, self._heads
        places = (
            select(packages.c.sequence).where(packages.c.sequence < self._before).order_by(packages.c.sequence.desc())
        )
        seen = places.with_only_columns(*_columns(packages, OF_VERSION)).limit(WINDOW).subquery()
        found = (
            select(*_columns(seen, OF_VERSION), *_columns(heads, OF_HEAD), seen.c.sequence.label("place"))
            .select_from(seen.outerjoin(heads, heads.c.id == seen.c.id))
            .where(*_found(heads, words))
            .order_by(seen.c.sequence.desc())
            .limit(self._rows)
        )
        return Search(self._views(found), places.offset(WINDOW - 1).limit(1))

    def _changing(self) -> None:
        """What changes need.

        Attributes:
            state: what a change of a package has to know of it, always one row: package, this (a version).
            published: the hash that a version was published with last, since a seal: package, this.
            number: take the next number of the history: the columns.
            insert, update, remove: one version: package, this, and the columns; of `insert` the columns.
            update_all, remove_all: every version of a package: package, and the columns.
            placed: what a version is told of by the database: package, this.
            make_head, remove_head: the head of a package: package, and the columns; package.
            settle: set the `latest` of a head right: package, and other columns of it.
            need, forget_needs, forget_all_needs: what a version needs: the columns; package, this; package.
            lost: packages whose head leads to no version.
            hashes: version and hash of each version of a package, in the order of their insertion: package.
        """
        packages, heads, changes, needs = self._packages, self._heads, self._changes, self._needs
        one = select(literal_column("1").label("one")).subquery()
        number = select(func.max(changes.c.number)).where(changes.c.id == self._package).scalar_subquery()
        self.state: Query = select(
            number.label("number"),
            self._newest().label("newest"),
            heads.c.id.label("head"),
            *_columns(heads, OF_HEAD),
            packages.c.version.label("present"),
            *_columns(packages, KEPT),
        ).select_from(one.outerjoin(heads, heads.c.id == self._package).outerjoin(packages, self._this))
        self.published: Query = (
            select(changes.c.hash)
            .where(
                changes.c.id == self._package,
                changes.c.version == bindparam("this"),
                changes.c.action == "publish",
                changes.c.number > self._seal(),
            )
            .order_by(changes.c.number.desc())
            .limit(1)
        )
        this_needs = and_(needs.c.id == self._package, needs.c.version == bindparam("this"))
        self.number: Insert = insert(changes)
        self.insert: Insert = insert(packages)
        self.update: Update = update(packages).where(self._this)
        self.remove: Delete = delete(packages).where(self._this)
        self.update_all: Update = update(packages).where(packages.c.id == self._package)
        self.remove_all: Delete = delete(packages).where(packages.c.id == self._package)
        self.placed: Query = select(packages.c.sequence).where(self._this)
        self.make_head: Insert = insert(heads).values(latest=self._newest(listed=True))
        self.remove_head: Delete = delete(heads).where(heads.c.id == self._package)
        self.need: Insert = insert(needs)
        self.forget_needs: Delete = delete(needs).where(this_needs)
        self.forget_all_needs: Delete = delete(needs).where(needs.c.id == self._package)
        self.settle: Update = update(heads).where(heads.c.id == self._package).values(latest=self._newest(listed=True))
        self.lost: Query = (
            select(heads.c.id)
            .select_from(self._latest_join(heads, heads))
            .where(heads.c.latest > 0, packages.c.id.is_(None))
        )
        self.hashes: Query = (
            select(packages.c.version, packages.c.hash)
            .where(packages.c.id == self._package)
            .order_by(packages.c.sequence)
        )

    def _dependents(self) -> None:
        """Who needs a package: versions of others that are not yanked.

        Attributes:
            ranges: the ranges in which they need it: package.
            needing: who needs it in some of these ranges: package, ranges, rows.
        """
        packages, heads, needs = self._packages, self._heads, self._needs
        others = and_(needs.c.needs == self._package, needs.c.id != self._package, self._listed)
        theirs = needs.join(packages, and_(packages.c.id == needs.c.id, packages.c.version == needs.c.version))
        self.ranges: Query = select(needs.c.range).select_from(theirs).where(others).distinct()
        self.needing: Query = (
            select(needs.c.id, needs.c.version, heads.c.owner, heads.c.visibility)
            .select_from(theirs.outerjoin(heads, heads.c.id == needs.c.id))
            .where(others, needs.c.range.in_(bindparam("ranges", expanding=True)))
            .order_by(needs.c.id, packages.c.sequence)
            .limit(self._rows)
        )

    def _latest_join(self, heads: Any, rows: Any) -> Any:
        packages = self._packages
        return rows.outerjoin(packages, and_(packages.c.sequence == heads.c.latest, packages.c.id == heads.c.id))

    # --- parts ------------------------------------------------------------------------------------------

    def _summary(self) -> Iterator[ColumnElement[Any]]:
        yield from _columns(self._packages, OF_VERSION)
        yield from _columns(self._heads, OF_HEAD)

    def _views(self, query: Query) -> Views:
        return Views(query, query.where(_visible(self._heads)))

    def _newest(self, *, listed: bool = False) -> Any:
        """The sequence of a package's newest version."""
        other = self._packages.alias("other")
        query = select(other.c.sequence).where(other.c.id == self._package)
        if listed:
            query = query.where(other.c.yanked == literal(False, other.c.yanked.type))
        return query.order_by(other.c.sequence.desc()).limit(1).scalar_subquery()

    def _seal(self) -> Any:
        """The number of the last seal in a package's history, or 0."""
        sealed = self._changes.alias("sealed")
        last = select(func.max(sealed.c.number)).where(sealed.c.id == self._package, sealed.c.action == "seal")
        return func.coalesce(last.scalar_subquery(), 0)

    def _places(self, *conditions: ColumnElement[bool]) -> Query:
        """The places of one page's heads, from an index alone: where it is to join at once, MariaDB sorts all."""
        latest = self._heads.c.latest
        return (
            select(latest.label("place"))
            .where(*conditions, latest < self._before)
            .order_by(latest.desc())
            .limit(self._rows)
        )

    def _latest_of(self, heads: Any, rows: Any) -> Query:
        """The latest versions of the heads in these rows."""
        return (
            select(*_columns(self._packages, OF_VERSION), *_columns(heads, OF_HEAD), heads.c.latest.label("place"))
            .select_from(self._latest_join(heads, rows))
            .order_by(heads.c.latest.desc())
            .limit(self._rows)
        )


def _columns(table: Any, names: tuple[str, ...]) -> list[ColumnElement[Any]]:
    return [table.c[name] for name in names]


def _visible(heads: Any) -> ColumnElement[bool]:
    return or_(heads.c.visibility == "public", heads.c.owner == bindparam("account"))


def _found(heads: Any, words: int) -> list[ColumnElement[bool]]:
    return [heads.c.words.like(bindparam(word(number)), escape="!") for number in range(words)]
