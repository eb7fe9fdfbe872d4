"""Which versions belong together."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from itertools import product

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from objectkernel_package_service.contracts import Page
from objectkernel_package_service.install_contracts import Installed, InstallRefused
from objectkernel_package_service.resolution import MOST_TRIED, Piece, Resolution, in_order, unmet

from tests.plugins.package_service.installing import package

pytestmark = pytest.mark.anyio


def piece(id, version="1.0.0", **needs):
    now = datetime(2026, 1, 1, tzinfo=UTC)
    content = json.dumps(package(id, version, needs=needs)).encode()
    return Piece.of(
        Installed(id=id, version=version, hash=f"{id}{version}", installed_at=now, updated_at=now, content=content)
    )


def pieces(*several):
    return {one.package.id: one for one in several}


def test_what_is_needed_comes_first():
    """Whatever the names; what nobody is related to is there too."""
    ordered, problems = in_order(
        pieces(piece("a", c="*"), piece("b"), piece("c", d="*"), piece("d"), piece("e", a="*"))
    )
    assert (list(ordered), problems) == (["d", "c", "a", "b", "e"], [])


def test_rings_are_told_once_and_hide_no_other():
    """Two rings are two problems."""
    _, problems = in_order(
        pieces(piece("a", b="*"), piece("b", a="*"), piece("c", c="*"), piece("d", a="*", c="*"), piece("e"))
    )
    assert sorted(problem.what for problem in problems) == [
        "depends on itself: a -> b -> a",
        "depends on itself: c -> c",
    ]


def test_a_long_chain_needs_no_stack():
    """Thousands of packages in a row are ordered."""
    several = [piece(f"p{n}", **({f"p{n + 1}": "*"} if n < 2999 else {})) for n in range(3000)]
    ordered, problems = in_order(pieces(*several))
    assert (next(iter(ordered)), len(ordered), problems) == ("p2999", 3000, [])


def test_what_is_unmet():
    """A package that is missing, or in a version that will not do."""
    found = unmet(pieces(piece("a", gone="*"), piece("b", c="^2.0.0"), piece("c"), piece("d", c="1.x")))
    assert {id: problem.path for id, problem in found.items()} == {
        "a": 'a: $.manifest.dependencies["gone"]',
        "b": 'b: $.manifest.dependencies["c"]',
    }


async def resolve(registry, id, version="latest", *, installed=()):
    chosen = await Resolution(registry, pieces(*installed), "0.1.0", None).with_package(id, version)
    return {one.package.id: one.package.version for one in chosen.values()}


async def test_the_highest_version_that_suits_all(registry):
    """Of every package one version; yanked ones and pre-releases only where they are asked for."""
    for version in ("1.0.0", "1.5.0", "1.9.0", "2.0.0", "1.8.0-rc.1"):
        await registry.publish(package("base", version))
    await registry.yank("base", "1.9.0")
    await registry.publish(package("left", needs={"base": ">=1.0.0"}))
    await registry.publish(package("right", needs={"base": "1.x || 3"}))
    await registry.publish(package("top", needs={"left": "*", "right": "*"}))
    assert await resolve(registry, "top") == {"base": "1.5.0", "left": "1.0.0", "right": "1.0.0", "top": "1.0.0"}
    await registry.publish(package("exact", needs={"base": "1.9.0"}))
    assert (await resolve(registry, "exact"))["base"] == "1.9.0"
    await registry.publish(package("early", needs={"base": "~1.8.0-rc.0"}))
    assert (await resolve(registry, "early"))["base"] == "1.8.0-rc.1"


async def test_ranges_that_have_nothing_in_common(registry):
    """Are told with all who want them; nothing is computed for alternatives that multiply."""
    await registry.publish(package("base", "1.0.0"))
    wide = " || ".join(f"{n}.x" for n in range(2, 50))
    for n in range(6):
        await registry.publish(package(f"user{n}", needs={"base": f"{wide} || {n + 60}.x"}))
    await registry.publish(package("top", needs={f"user{n}": "*" for n in range(6)}))
    with pytest.raises(InstallRefused) as caught:
        await resolve(registry, "top")
    (problem,) = caught.value.problems
    assert (problem.path, "user0@1.0.0 needs" in problem.what) == ("base", True)


async def test_a_choice_may_change_others(registry):
    """A dependency that had to move brings its own."""
    await registry.publish(package("base", "1.0.0"))
    await registry.publish(package("base", "2.0.0", needs={"deep": "^1.0.0"}))
    await registry.publish(package("deep", "1.3.0"))
    await registry.publish(package("app", needs={"base": "^2.0.0"}))
    assert await resolve(registry, "app", installed=[piece("base")]) == {
        "app": "1.0.0",
        "base": "2.0.0",
        "deep": "1.3.0",
    }


@attrs.frozen
class Shelf:
    """A registry in memory: versions of packages, each with what it needs. Attributes: fetched (what was read)."""

    stock: dict
    fetched: list = attrs.field(factory=list)

    async def versions(self, id, limit, after=None, *, owner=None):
        items = [Item(version) for version in self.stock.get(id, ())]
        return Page(items=tuple(items), after=None)

    async def get(self, id, version, *, owner=None):
        self.fetched.append(f"{id}@{version}")
        return piece(id, version, **self.stock[id][version]).package if version in self.stock.get(id, ()) else None


@attrs.frozen
class Item:
    """What the search looks at of a version."""

    version: str
    yanked: bool = False


async def search(stock, id, version="1.0.0", *installed):
    return await resolve(Shelf(stock), id, version, installed=installed)


async def test_an_older_version_is_taken_where_the_highest_will_not_do():
    """However far the search has to go back; what only the newer ones needed is not installed."""
    stock = {
        "app": {"1.0.0": {"left": "*", "right": "*"}},
        "left": {"1.0.0": {"base": "^1.0.0"}, "2.0.0": {"base": "^2.0.0", "extra": "*"}},
        "right": {"1.0.0": {"base": "^1.0.0"}, "1.1.0": {"base": "^1.0.0"}},
        "base": {"1.0.0": {}, "1.5.0": {}, "2.0.0": {"extra": "*"}},
        "extra": {"1.0.0": {}},
    }
    assert await search(stock, "app") == {"app": "1.0.0", "left": "1.0.0", "right": "1.1.0", "base": "1.5.0"}


async def test_an_older_version_is_taken_where_the_highest_is_for_another_host(registry):
    """A dependency's `engine` counts as what it needs does."""
    await registry.publish(package("base", "1.0.0"))
    newer = package("base", "2.0.0")
    newer["manifest"]["engine"] = ">=99"
    await registry.publish(newer)
    await registry.publish(package("app", needs={"base": "*"}))
    assert await resolve(registry, "app") == {"app": "1.0.0", "base": "1.0.0"}
    await registry.publish(package("new", needs={"base": "^2.0.0"}))
    with pytest.raises(InstallRefused) as caught:
        await resolve(registry, "new")
    assert [problem.path for problem in caught.value.problems] == ["base: $.manifest.engine"]


async def test_what_is_installed_and_needed_moves_with_what_is_new():
    """Also where two that are installed have to move together; nothing else does."""
    stock = {
        "app": {"1.0.0": {"one": "*", "two": "^2.0.0"}},
        "one": {"1.0.0": {"two": "^1.0.0"}, "2.0.0": {"two": "^2.0.0"}},
        "two": {"1.0.0": {}, "2.0.0": {}},
        "other": {"1.0.0": {}, "2.0.0": {}},
    }
    here = piece("one", two="^1.0.0"), piece("two"), piece("other")
    assert await search(stock, "app", "1.0.0", *here) == {
        "app": "1.0.0",
        "one": "2.0.0",
        "two": "2.0.0",
        "other": "1.0.0",
    }


@pytest.mark.parametrize("base", ["a-base", "z-base"])
async def test_what_is_new_comes_in_its_highest_version_whatever_the_names(base):
    """What is installed moves for it, and is not a reason for an older one."""
    stock = {
        "app": {"1.0.0": {base: "*", "lib": "*"}},
        "lib": {"1.0.0": {base: "*"}, "2.0.0": {base: "^2.0.0"}},
        base: {"1.0.0": {}, "2.0.0": {}},
    }
    assert await search(stock, "app", "1.0.0", piece(base)) == {"app": "1.0.0", "lib": "2.0.0", base: "2.0.0"}


async def test_what_others_that_are_installed_refuse_is_tried_last():
    """Each version that is tried is read as a whole from the registry."""
    stock = {"app": {"1.0.0": {"base": ">=1.2.0"}}, "base": {f"{n}.5.0": {} for n in range(1, 9)}}
    shelf = Shelf(stock)
    here = piece("base"), piece("user", base="^1.0.0")
    assert (await resolve(shelf, "app", "1.0.0", installed=here))["base"] == "1.5.0"
    assert shelf.fetched == ["app@1.0.0", "base@1.5.0"]


async def test_what_is_in_the_way_is_told_of_the_highest_versions():
    """With who needs what in which version."""
    stock = {
        "app": {"1.0.0": {"left": "*", "right": "*"}},
        "left": {"1.0.0": {"base": "^1.0.0"}, "2.0.0": {"base": "^2.0.0"}},
        "right": {"1.0.0": {"base": "^3.0.0"}},
        "base": {"1.0.0": {}, "2.0.0": {}, "3.0.0": {}},
    }
    with pytest.raises(InstallRefused) as caught:
        await search(stock, "app")
    (problem,) = caught.value.problems
    assert problem.what == (
        "no version is published for all who need it: left@2.0.0 needs ^2.0.0, right@1.0.0 needs ^3.0.0"
    )


async def test_a_search_has_an_end():
    """Packages that are made for it are refused, and the error says that not everything was tried."""
    stock = {"app": {"1.0.0": {f"p{n}": "*" for n in range(8)}}}
    stock |= {f"p{n}": {f"{major}.0.0": {} for major in range(1, 30)} for n in range(8)}
    stock["p7"] = {"1.0.0": {"app": "2.0.0"}}
    with pytest.raises(InstallRefused) as caught:
        await search(stock, "app")
    assert f"more than {MOST_TRIED:,} choices" in caught.value.problems[-1].what


NAMES = ("a", "b", "c", "d")
ranges = st.sampled_from(["*", "^1.0.0", "^2.0.0", "1.0.0", ">=2.0.0"])
stocks = st.fixed_dictionaries(
    {
        name: st.dictionaries(
            st.sampled_from(["1.0.0", "2.0.0"]), st.dictionaries(st.sampled_from(NAMES), ranges, max_size=2), min_size=1
        )
        for name in NAMES
    }
)


@given(stocks, st.sets(st.sampled_from(NAMES)))
async def test_a_way_is_found_where_there_is_one(stock, names):
    """The search agrees with trying everything: all that is chosen is needed, fits, and has an order."""
    first = {name: piece(name, min(stock[name]), **stock[name][min(stock[name])]) for name in sorted(names)}
    while lacking := unmet(first) or {problem.path[0]: problem for problem in in_order(first)[1]}:
        for id in lacking:
            first.pop(id, None)
    wanted = max(stock["a"])
    ways = list(every_way(stock, "a", wanted, first))
    try:
        chosen = await search(stock, "a", wanted, *first.values())
    except InstallRefused:
        assert ways == []
    else:
        assert chosen in ways


def every_way(stock, id, version, installed):
    """Every sound set of versions that has this one, what that needs, and whatever else is installed as it is."""
    others = [name for name in NAMES if name != id]
    for versions in product(*([None, *stock[name]] for name in others)):
        chosen = {id: version} | {name: one for name, one in zip(others, versions, strict=True) if one is not None}
        made = pieces(*(piece(name, one, **stock[name][one]) for name, one in chosen.items()))
        together = {**installed, **made}
        needed, waiting = set(), [id]
        while waiting:
            one = waiting.pop()
            if one not in needed and one in made:
                needed.add(one)
                waiting += made[one].manifest.dependencies
        if needed == set(made) and not unmet(together) and not in_order(together)[1]:
            yield {one.package.id: one.package.version for one in together.values()}
