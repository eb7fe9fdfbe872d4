"""Which versions belong together: what is wanted, what it depends on, and what is installed already.

A search that goes back. Of each package that is needed its versions are tried from the highest down until all that are
chosen admit each other. What is installed and will do is tried before every other version of it; what is installed and
not needed by what is to be installed stays as it is.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import cmp_to_key, lru_cache, partial
from typing import Any, Final

import attrs
import nodesemver  # type: ignore[import-untyped]

from objectkernel_package_service.absence import absence, meant
from objectkernel_package_service.contracts import Owner, PackageRecord, PackageService, PackageSummary, Problem
from objectkernel_package_service.install_contracts import Installed, InstallRefused
from objectkernel_package_service.manifest import ENGINE, Manifest
from objectkernel_package_service.ranges import Candidate, admits

MOST_TRIED: Final = 2000
"""Choices of a version; more need only packages that are made for it."""
PAGE: Final = 500
HINTS: Final = 5
"""Packages that are not there for which close names are looked for: a manifest may name thousands."""


@attrs.frozen(eq=False)
class Piece:
    """One version of a package, as it is chosen; its content is read once."""

    package: Installed
    manifest: Manifest
    metadata: Mapping[str, Any] = attrs.field(repr=False)

    @classmethod
    def of(cls, package: Installed) -> Piece:
        """A version that is installed, or might be."""
        document = json.loads(package.content)
        return cls(package, Manifest.of(document["manifest"]), document["metadata"])


Need = tuple[Piece, str]
"""Who needs a package, and in which range of versions."""


@attrs.frozen
class _Choice:
    """Where the search can come back to.

    Attributes:
        before: what was chosen before.
        left: what else may be chosen of the package, the next one first: versions, or what is installed.
    """

    id: str
    before: Mapping[str, Piece]
    left: list[str | Piece]


class Resolution:
    """Chooses versions from a registry, as one account sees it."""

    def __init__(
        self, registry: PackageService, installed: Mapping[str, Piece], host: str, owner: Owner | None
    ) -> None:
        self._registry = registry
        self._installed = installed
        self._host = host
        self._owner = owner
        self._published: dict[str, list[PackageSummary]] = {}
        self._fetched: dict[tuple[str, str], Piece | None] = {}
        self._tried = 0
        self._absent = 0

    async def with_package(self, id: str, version: str) -> dict[str, Piece]:
        """Everything that is to be installed once this package is, in dependency order.

        Raises:
            InstallRefused: with everything that is in the way of the highest versions; older ones will not do either.
        """
        wanted = await self._fetch(id, version)
        if wanted is None:
            why = await absence(self._registry, id, version, owner=self._owner)
            raise refused(id, version, [Problem(id, why)])
        chosen: Mapping[str, Piece] | None = {id: wanted}
        choices: list[_Choice] = []
        first: list[Problem] = []
        while chosen is not None:
            problems, choice = await self._look(chosen)
            if choice is not None:
                choices.append(choice)
            elif not problems:
                return in_order({**self._installed, **chosen})[0]
            first = first or problems
            chosen = await self._next(choices)
        if self._tried >= MOST_TRIED:
            first.append(Problem(id, f"there may be a way among more than {MOST_TRIED:,} choices, which are not tried"))
        raise refused(id, version, first)

    async def _look(self, chosen: Mapping[str, Piece]) -> tuple[list[Problem], _Choice | None]:
        """What is wrong with what is chosen; where nothing is, what is to be chosen next; None: that is all."""
        needs = _needs(chosen.values())
        problems = list(_misfits(chosen, needs))
        choices: list[_Choice] = []
        for id, wants in needs.items():
            if id not in chosen:
                choices.append(_Choice(id, chosen, await self._candidates(id, wants, chosen)))
                if not choices[-1].left:
                    problems.append(Problem(id, await self._unmet(id, wants)))
        problems += self._engine_problems(chosen)
        if problems or not choices:
            together = {**self._installed, **chosen}
            return problems or [*_misfits(together, _needs(together.values())), *in_order(together)[1]], None
        return [], min(choices, key=lambda choice: choice.id in self._installed)  # which what is new may have to move

    async def _unmet(self, id: str, wants: Sequence[Need]) -> str:
        if await self._versions(id):
            return f"no version is published for all who need it: {_told(wants)}"
        self._absent += 1
        hint = await meant(self._registry, id, owner=self._owner) if self._absent <= HINTS else ""
        return f"no package is called that: {_told(wants)}{hint}"

    async def _next(self, choices: list[_Choice]) -> Mapping[str, Piece] | None:
        """Choose what is next in the last choice that has something left; None: nothing has."""
        while choices and self._tried < MOST_TRIED:
            last = choices[-1]
            if not last.left:
                choices.pop()
                continue
            self._tried += 1
            one = last.left.pop(0)
            piece = await self._fetch(last.id, one) if isinstance(one, str) else one
            if piece is not None:
                return {**last.before, last.id: piece}
        return None

    async def _candidates(self, id: str, wants: Sequence[Need], chosen: Mapping[str, Piece]) -> list[str | Piece]:
        """What all who need a package admit: what is installed, then what is published, from the highest down.

        What another installed package does not admit comes last: that one would have to be chosen anew as well.
        """
        ranges = {range for _, range in wants}
        known = self._installed.get(id)
        here = [] if known is None or not all(_meets(known.package.version, range) for range in ranges) else [known]
        found = [
            item.version
            for item in await self._versions(id)
            if all(_meets(item.version, range) for range in ranges)
            and (not item.yanked or item.version in ranges)
            and item.version not in [one.package.version for one in here]
        ]
        held = [
            other.manifest.dependencies[id]
            for one, other in self._installed.items()
            if one not in chosen and id in other.manifest.dependencies
        ]
        found.sort(key=lambda version: not all(_meets(version, range) for range in held))
        return [*here, *found]

    async def _versions(self, id: str) -> list[PackageSummary]:
        """Every version that is published, from the highest down."""
        if id not in self._published:
            ask = partial(self._registry.versions, id, PAGE, owner=self._owner)
            page = await ask()
            items = [*page.items]
            while page.after is not None:
                page = await ask(page.after)
                items += page.items
            order = cmp_to_key(partial(nodesemver.rcompare, loose=False))
            self._published[id] = sorted(items, key=lambda item: order(item.version))
        return self._published[id]

    async def _fetch(self, id: str, version: str) -> Piece | None:
        """One version: what is installed where it is the same."""
        if (id, version) not in self._fetched:
            record = await self._registry.get(id, version, owner=self._owner)
            known = self._installed.get(id)
            if record is None:
                self._fetched[id, version] = None
            elif known is not None and (known.package.version, known.package.hash) == (record.version, record.hash):
                self._fetched[id, version] = known
            else:
                self._fetched[id, version] = Piece.of(_installed(record, known))
        return self._fetched[id, version]

    def _engine_problems(self, chosen: Mapping[str, Piece]) -> Iterator[Problem]:
        for id, piece in chosen.items():
            if self._installed.get(id) is not piece and not piece.manifest.fits(self._host):
                wanted = piece.manifest.engine[ENGINE]
                yield Problem(f"{id}: $.manifest.engine", f"needs {ENGINE} {wanted}, and this is {self._host}")


def in_order(pieces: Mapping[str, Piece]) -> tuple[dict[str, Piece], list[Problem]]:
    """The pieces with what each depends on before it, and a problem for each ring of dependencies."""
    ordered: dict[str, Piece] = {}
    rings: dict[frozenset[str], Problem] = {}
    for start in sorted(pieces):
        stack: list[tuple[str, Iterator[str]]] = [] if start in ordered else [(start, _dependencies(pieces, start))]
        path = dict.fromkeys(id for id, _ in stack)
        while stack:
            id, waiting = stack[-1]
            following = next((one for one in waiting if one not in ordered), None)
            if following is None:
                ordered[id] = pieces[id]
                stack.pop()
                del path[id]
            elif following in path:
                names = list(path)
                ring = names[names.index(following) :]
                told = " -> ".join((*ring, following))
                rings.setdefault(frozenset(ring), Problem(_place(ring[-1], following), f"depends on itself: {told}"))
            else:
                stack.append((following, _dependencies(pieces, following)))
                path[following] = None
    return ordered, list(rings.values())


def _dependencies(pieces: Mapping[str, Piece], id: str) -> Iterator[str]:
    return iter(sorted(pieces[id].manifest.dependencies.keys() & pieces.keys()))


def unmet(pieces: Mapping[str, Piece]) -> dict[str, Problem]:
    """The pieces that lack something that they depend on, or have it in a version that will not do; each with one."""
    found: dict[str, Problem] = {}
    for id, wants in _needs(pieces.values()).items():
        for by, range in wants:
            here = pieces.get(id)
            if here is None or not _meets(here.package.version, range):
                has = "is not in use" if here is None else f"is there as {here.package.version}"
                name = by.package.id
                found.setdefault(name, Problem(_place(name, id), f"{name} needs {id} {range}, which {has}"))
    return found


def refused(id: str, version: str, problems: Iterable[Problem]) -> InstallRefused:
    """The error for a package that cannot be installed."""
    found = tuple(problems)
    return InstallRefused(
        id,
        f"{id}@{version} cannot be installed: {len(found)} problem{'s' if len(found) > 1 else ''}",
        found,
        fix="see to every line above and install again; nothing has changed",
    )


def _misfits(pieces: Mapping[str, Piece], needs: Mapping[str, Sequence[Need]]) -> Iterator[Problem]:
    """The needs that are met by something, and in a version that will not do."""
    for id, wants in needs.items():
        version = pieces[id].package.version if id in pieces else None
        wrong = [want for want in wants if version is not None and not _meets(version, want[1])]
        right = [want for want in wants if want not in wrong]
        why = f": {_told(right)}" if right else ""
        for by, range in wrong:
            what = f"{_told([(by, range)])}, and {id} {version} is to be installed{why}"
            yield Problem(_place(by.package.id, id), what)


def _needs(pieces: Iterable[Piece]) -> dict[str, list[Need]]:
    """What is needed: of each id by whom, and in which range."""
    found: dict[str, list[Need]] = defaultdict(list)
    for piece in pieces:
        for id, range in sorted(piece.manifest.dependencies.items()):
            found[id].append((piece, range))
    return found


def _told(wants: Sequence[Need]) -> str:
    return ", ".join(f"{by.package.id}@{by.package.version} needs {range}" for by, range in wants)


@lru_cache(maxsize=10_000)
def _meets(version: str, range: str) -> bool:
    return admits(range)(Candidate(version, yanked=False))


def _place(by: str, id: str) -> str:
    return f"{by}: $.manifest.dependencies[{id!r}]".replace("'", '"')


def _installed(record: PackageRecord, known: Piece | None) -> Installed:
    now = datetime.now(UTC)
    return Installed(
        id=record.id,
        version=record.version,
        hash=record.hash,
        installed_at=now if known is None else known.package.installed_at,
        updated_at=now,
        content=record.content,
    )
