"""Reading the registry: rows in, verified records and pages out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from anyio import to_thread
from objectkernel_system_dialect.contracts import Dialect, Row, RowDamaged

from objectkernel_package_service.answering import answering
from objectkernel_package_service.contracts import (
    LATEST,
    HistoryEntry,
    HistoryPage,
    PackageDamaged,
    PackageRecord,
    PackageSummary,
    Page,
)
from objectkernel_package_service.integrity import Integrity
from objectkernel_package_service.package import LARGE
from objectkernel_package_service.queries import OF_CHANGE, Queries, Query, Search, Views, word
from objectkernel_package_service.ranges import Candidate, highest
from objectkernel_package_service.rows import damaged, illegible, is_tags, record, summary

MANY: Final = 100
"""Versions from which a range is tried on them in a thread."""

Repair = Callable[[], Awaitable[bool]]


class PackageReader:
    """Reads for the host (`account` is None), or what an account sees.

    Args:
        repair: called when a head leads to no version; whether it changed something.
    """

    def __init__(self, dialect: Dialect, queries: Queries, integrity: Integrity, repair: Repair) -> None:
        self._execute = dialect.execute
        self._queries = queries
        self._integrity = integrity
        self._repair = repair

    # --- one package ------------------------------------------------------------------------------------

    async def exact(self, id: str, version: str, account: str | None) -> PackageRecord | None:
        """The record of this very version."""
        with answering(f"reading {id}@{version}"):
            return await self._record(self._queries.exact, {"package": id, "this": version}, account, version)

    async def latest(self, id: str, account: str | None) -> PackageRecord | None:
        """The record of the version inserted last that is not yanked."""
        with answering(f"reading the latest version of {id}"):
            return await self._record(self._queries.latest, {"package": id}, account, None)

    async def tagged(self, id: str, tag: str, account: str | None) -> PackageRecord | None:
        """The record of the version that a tag names; None where it is yanked."""
        head = await self.head(id, account)
        if head is None or (version := head["tags"].get(tag)) is None:
            return None
        found = await self.exact(id, version, account)
        return None if found is None or found.yanked else found

    async def matching(self, id: str, range: str, account: str | None) -> PackageRecord | None:
        """The record of the highest version in a range."""
        candidates = await self.candidates(id, account)
        if len(candidates) < MANY:
            version = highest(range, candidates)
        else:
            version = await to_thread.run_sync(highest, range, candidates)
        return None if version is None else await self.exact(id, version, account)

    async def candidates(self, id: str, account: str | None) -> list[Candidate]:
        """The versions of a package that can be read, newest first."""
        query, params = self._queries.candidates.of(account), _seen_by(account, {"package": id})
        with answering(f"reading the versions of {id}"):
            try:
                rows = await self._execute(query, params)
            except RowDamaged:
                places = await self._places(query, params)
                items, bad = await self._one_by_one(self._queries.summary, places)
                for error in bad:
                    self._integrity.noted(error)
                return [Candidate(item.version, item.yanked) for item in items]
        return [Candidate(row["version"], row["yanked"]) for row in rows]

    async def head(self, id: str, account: str | None) -> Row | None:
        """Owner, visibility, policy and tags of a package, and the sequence of its newest version, if it has any."""
        with answering(f"reading what is said of {id}"):
            try:
                rows = await self._execute(self._queries.head.of(account), _seen_by(account, {"package": id}))
            except RowDamaged as error:
                raise self._integrity.noted(illegible(id, None, error)) from error
        if rows and not is_tags(rows[0]["tags"]):
            raise self._integrity.noted(
                damaged(id, None, "what is stored as its tags is no mapping of tags to versions")
            )
        return rows[0] if rows else None

    async def history(self, id: str, limit: int, before: int, account: str | None) -> HistoryPage:
        """The changes of a package whose number is below `before`, newest first."""
        params = _seen_by(account, {"package": id, "before": before, "rows": limit + 1})
        with answering(f"reading the history of {id}"):
            try:
                rows = await self._execute(self._queries.history.of(account), params)
            except RowDamaged as error:
                raise self._integrity.noted(illegible(id, None, error)) from error
        items = tuple(HistoryEntry(**{name: row[name] for name in OF_CHANGE}) for row in rows[:limit])
        return HistoryPage(items=items, after=str(items[-1].number) if len(rows) > limit else None)

    async def _record(
        self, views: Views, params: Mapping[str, object], account: str | None, version: str | None
    ) -> PackageRecord | None:
        query, params = views.of(account), _seen_by(account, params)
        try:
            rows = await self._execute(query, params)
        except RowDamaged as error:
            known = version or await self._part(query, "version", params) or LATEST
            raise self._integrity.noted(illegible(str(params["package"]), known, error)) from error
        if not rows:
            return None
        (row,) = rows
        try:
            if len(row["manifest"]) + len(row["metadata"]) > LARGE:
                return await to_thread.run_sync(record, row)
            return record(row)
        except PackageDamaged as error:
            raise self._integrity.noted(error) from error

    # --- lists ------------------------------------------------------------------------------------------

    async def newest(self, limit: int, before: int, account: str | None) -> Page:
        """The latest version of each package, of those whose sequence is below `before`."""
        return await self._page(self._queries.newest.of(account), {"before": before}, limit, account, of_heads=True)

    async def versions(self, id: str, limit: int, before: int, account: str | None) -> Page:
        """The versions of one package whose sequence is below `before`."""
        query = self._queries.versions.of(account)
        return await self._page(query, {"package": id, "before": before}, limit, account)

    async def everything(self, limit: int, before: int, account: str | None) -> Page:
        """Every version of every package whose sequence is below `before`."""
        if account is not None:
            return await self.search((), limit, before, account, all_versions=True)
        return await self._page(self._queries.everything, {"before": before}, limit, account)

    async def search(
        self, words: Sequence[str], limit: int, before: int, account: str | None, *, all_versions: bool
    ) -> Page:
        """Those of them in whose id or name each word is."""
        search = self._queries.search(len(words), all_versions=all_versions)
        patterns = {word(number): _pattern(text) for number, text in enumerate(words)}
        query, params = search.rows.of(account), {"before": before, **patterns}
        page = await self._page(query, params, limit, account, of_heads=not all_versions)
        return page if page.after is not None else await self._with_end(page, search, before)

    async def _with_end(self, page: Page, search: Search, before: int) -> Page:
        """The page, with the cursor behind the rows that it looked at, where there may be more."""
        with answering("listing packages"):
            ends = await self._execute(search.end, {"before": before})
        if not ends:
            return page
        (end,) = ends[0].values()
        return Page(items=page.items, damaged=page.damaged, after=str(end))

    async def _page(
        self, query: Query, params: Mapping[str, object], limit: int, account: str | None, *, of_heads: bool = False
    ) -> Page:
        """A page of `limit` rows, each of a head or of a version; the one beyond it only says that there is more."""
        single = self._queries.latest_summary if of_heads else self._queries.summary
        params = _seen_by(account, {**params, "rows": limit + 1})
        with answering("listing packages"):
            page, whole = await self._attempt(query, single, params, limit)
            if not whole and await self._repair():
                page, _ = await self._attempt(query, single, params, limit)
        for error in page.damaged:
            self._integrity.noted(error)
        return page

    async def _attempt(
        self, query: Query, single: Query, params: Mapping[str, object], limit: int
    ) -> tuple[Page, bool]:
        """A page, and whether every head on it leads to a version."""
        try:
            rows = await self._execute(query, params)
            found = [row for row in rows[:limit] if row["id"] is not None]
            items, bad = _summaries(found)
            places = [row["place"] for row in rows]
            whole = len(found) == len(rows[:limit])
        except RowDamaged:
            places = await self._places(query, params)
            items, bad = await self._one_by_one(single, places[:limit])
            whole = len(items) + len(bad) == len(places[:limit])
        after = str(places[limit - 1]) if len(places) > limit else None
        return Page(items=tuple(items), damaged=tuple(bad), after=after), whole

    async def _places(self, query: Query, params: Mapping[str, object]) -> list[int]:
        rows = await self._execute(query.with_only_columns(query.selected_columns.place), params)
        return [row["place"] for row in rows]

    async def _one_by_one(
        self, query: Query, places: Iterable[int]
    ) -> tuple[list[PackageSummary], list[PackageDamaged]]:
        """The summaries of rows of which one cannot be read, and the damage of that one."""
        items, bad = [], []
        for place in places:
            params = {"place": place}
            try:
                rows = await self._execute(query, params)
            except RowDamaged as error:
                id, version = await self._part(query, "id", params), await self._part(query, "version", params)
                bad.append(illegible(id, version, error))
            else:
                more = _summaries([row for row in rows if row["id"] is not None])
                items += more[0]
                bad += more[1]
        return items, bad

    async def _part(self, query: Query, part: str, params: Mapping[str, object]) -> str | None:
        """One part of a row's key, None where it cannot be read."""
        try:
            rows = await self._execute(query.with_only_columns(query.selected_columns[part]), params)
        except RowDamaged:
            return None
        return rows[0][part] if rows else None


def _summaries(rows: list[Row]) -> tuple[list[PackageSummary], list[PackageDamaged]]:
    items, bad = [], []
    for row in rows:
        try:
            items.append(summary(row))
        except PackageDamaged as error:
            bad.append(error)
    return items, bad


def _seen_by(account: str | None, params: Mapping[str, object]) -> dict[str, Any]:
    return dict(params) if account is None else {**params, "account": account}


def _pattern(text: str) -> str:
    """A pattern of LIKE for a text that is part of another."""
    for special in "!%_":
        text = text.replace(special, f"!{special}")
    return f"%{text}%"
