"""The report before boot: every problem of every plugin at once, and no plugin code has run (G8, G9)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import pytest
from objectkernel import (
    BootError,
    KernelError,
    ObjectKernel,
    Plugin,
    PluginDef,
    Service,
    background,
    configured_by,
    hookimpl,
    lifespan,
    needs,
    provides,
    wants,
)
from objectkernel.errors import ServiceMissing

pytestmark = pytest.mark.anyio

KEYS = {name: Service[str](f"test.{name}") for name in ("ledger", "ring-a", "ring-b", "ring-c", "twice", "lost")}
TYPO = Service[str]("test.leger")


@attrs.frozen
class Settings:
    port: int = 80
    currency: str = "EUR"


class Recording(Plugin):
    """Writes down every piece of its code that runs."""

    ran: list[str]

    def __init__(self) -> None:
        self.ran.append(f"{self.name} made")

    @lifespan
    async def span(self) -> Any:
        self.ran.append("lifespan")
        yield

    @background
    async def work(self) -> None:
        self.ran.append("background")

    @hookimpl
    def kernel_ready(self) -> None:
        self.ran.append("ready")


def recording(plugin: str, ran: list[str], gives: Service[str] | None = None, **attributes: Any) -> type[Plugin]:
    if gives is not None:
        attributes["give"] = provides(gives)(lambda self: ran.append("provider"))
    return type("Recorded", (Recording,), {"name": plugin, "ran": ran, **attributes})


def kernel_of(*plugins: Any, **options: Any) -> ObjectKernel:
    return ObjectKernel(plugins=plugins, discover=False, environ={}, **options)


def only_problem(*plugins: Any, **options: Any) -> KernelError:
    (problem,) = kernel_of(*plugins, **options).check()
    return problem


async def test_all_problems_of_one_composition_are_one_report(tmp_path: Path) -> None:
    """A typo, a missing provider, a ring of three, a duplicate, wrong settings, and more: one report, no code ran."""
    ran: list[str] = []
    file = tmp_path / "objectkernel.toml"
    file.write_text(
        "[plugins.configured]\nprot = 81\ncurrency = 5\n[plugins.ledgr]\nx = 1\n[kernel]\nstart_timeut = 3\n"
    )
    plugins = [
        recording("ledger", ran, KEYS["ledger"]),
        recording("misspelling", ran, ledger=needs(TYPO)),
        recording("needy", ran, lost=needs(KEYS["lost"])),
        recording("ring-a", ran, KEYS["ring-a"], next=needs(KEYS["ring-b"])),
        recording("ring-b", ran, KEYS["ring-b"], next=needs(KEYS["ring-c"])),
        recording("ring-c", ran, KEYS["ring-c"], next=wants(KEYS["ring-a"])),
        recording("twice-a", ran, KEYS["twice"]),
        recording("twice-b", ran, KEYS["twice"]),
        recording("old", ran, ledger=needs(KEYS["ledger"], version=">=2"), requires_kernel=">=99"),
        recording("hooked", ran, kernel_redy=hookimpl(lambda self: None)),
        recording("Wrong Name", ran, x=provides(Service[str]("test.x"), lifetime="z")(lambda self: "x")),  # type: ignore[call-overload]
        recording("configured", ran, config=configured_by(Settings)),
    ]
    with pytest.raises(BootError) as caught:
        await kernel_of(*plugins, config=file).bootstrap()
    assert ran == []
    expected = ["K101", "K103", "K104", "K106", "K109", "K201", "K201", "K202", "K203", "K204", "K301", "K302", "K303"]
    assert sorted(caught.value.codes) == expected
    told = str(caught.value)
    for problem in caught.value.exceptions:
        assert isinstance(problem, KernelError)
        assert problem.what in told
        assert problem.fix
        assert ".py" in problem.where or "objectkernel.toml:" in problem.where
    assert kernel_of(*plugins, config=file).check()
    assert ran == []


async def test_check_and_boot_tell_the_same() -> None:
    """`check()` gives what `bootstrap()` raises, without a running event loop."""
    plugins = [recording("needy", [], lost=needs(KEYS["lost"]))]
    problems = kernel_of(*plugins).check()
    with pytest.raises(BootError) as caught:
        await kernel_of(*plugins).bootstrap()
    assert [str(p) for p in problems] == [str(p) for p in caught.value.exceptions]


async def test_the_problems_of_optional_plugins_are_tolerated() -> None:
    """An optional plugin with a problem of any kind is left out with it, and so are those that need it; no code ran."""
    ran: list[str] = []
    plugins = [
        recording("wrong", ran, KEYS["lost"], config=configured_by(Settings)),
        recording("dependent", ran, KEYS["ledger"], lost=needs(KEYS["lost"])),
        recording("last", ran, ledger=needs(KEYS["ledger"])),
        recording("soft", [], lost=wants(KEYS["lost"])),
        recording("needy", ran, nobodys=needs(TYPO)),
    ]
    kernel = kernel_of(*plugins, optional=["wrong", "needy"], config={"plugins": {"wrong": {"port": "x"}}})
    assert kernel.check() == ()
    assert [p.code for p in kernel.compose().tolerated] == ["K303", "K201"]
    async with kernel:
        assert kernel.state == "degraded"
        told = {p.name: (p.state, p.because) for p in kernel.plugins()}
    assert told == {
        "wrong": ("failed", ""),
        "dependent": ("skipped", "wrong"),
        "last": ("skipped", "dependent"),
        "soft": ("running", ""),
        "needy": ("failed", ""),
    }
    assert ran == []


# -- what is missing (G9) ------------------------------------------------------------------------------


async def test_a_missing_service_names_the_wanting_chain() -> None:
    """Who wants it, and who wants that, from the plugin that nobody needs down to the missing name."""
    app = recording("app", [], ledger=needs(KEYS["ledger"]))
    billing = recording("billing", [], KEYS["ledger"], lost=needs(KEYS["lost"]))
    problem = only_problem(app, billing)
    assert problem.code == "K201"
    assert problem.facts["path"] == ("app", "billing")
    assert problem.why[0] == "wanted by app -> billing -> 'test.lost' ???"
    assert problem.where == billing.lost.where  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["test.leger", "test_ledger", "test.ledgers"])
async def test_a_missing_service_has_near_names(name: str) -> None:
    """Near names are told with who provides them, and are what the fix asks for."""
    problem = only_problem(recording("ledger", [], KEYS["ledger"]), recording("app", [], x=needs(Service[str](name))))
    assert problem.facts["known"] == ("test.ledger",)
    assert "close to 'test.ledger' (provided by ledger)" in problem.why
    assert problem.fix.startswith("ask for 'test.ledger'")


async def test_a_missing_service_without_near_names_invents_none() -> None:
    """Where nothing is near, nothing is suggested."""
    problem = only_problem(recording("ledger", [], KEYS["ledger"]), recording("app", [], x=needs(Service[str]("z"))))
    assert problem.facts["known"] == ()
    assert problem.fix.startswith("compose a plugin that provides 'z'")


async def test_each_missing_service_is_told_once() -> None:
    """A plugin of many providers that lacks one service has one problem."""
    many = recording("many", [], KEYS["ledger"], lost=needs(KEYS["lost"]), more=provides(TYPO)(lambda self: "x"))
    assert only_problem(many).code == "K201"


async def test_a_missing_service_names_the_failed_plugin_that_would_provide_it() -> None:
    """Who is critical and needs what an optional, failed plugin gives is skipped because of it, and says so."""
    broken = recording("broken", [], KEYS["lost"], requires_kernel=">=99")
    user = recording("user", [], lost=needs(KEYS["lost"]))
    async with kernel_of(broken, user, optional=["broken"]) as kernel:
        info = {p.name: p for p in kernel.plugins()}
    assert info["user"].reason == "it needs 'test.lost' of broken"
    assert info["broken"].reason.startswith("broken needs a kernel >=99")


async def test_a_service_of_a_failed_plugin_names_it_to_the_host_that_asks() -> None:
    """A plugin that was left out because it failed is named, with the reason, where its service is asked for."""
    broken = recording("broken", [], KEYS["lost"], requires_kernel=">=99")
    async with kernel_of(broken, optional=["broken"]) as kernel:
        with pytest.raises(ServiceMissing) as caught:
            kernel.get(KEYS["lost"])
    assert caught.value.why[0].startswith("broken would provide it, but is failed: broken needs a kernel >=99")
    assert caught.value.fix.startswith("bring that plugin back")


async def test_a_missing_service_names_the_blocked_plugin_that_would_provide_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The metadata of a plugin that was not imported tells what it would provide (objectkernel.provides.v1)."""
    info = tmp_path / "acme_lost-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-lost\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[objectkernel.plugins.v1]\nacme-lost = acme_lost_never_imported:Lost\n"
        "[objectkernel.provides.v1]\ntest.lost = acme_lost_never_imported:Lost\n"
    )
    monkeypatch.setenv("OBJECTKERNEL_NO_CACHE", "1")
    monkeypatch.syspath_prepend(tmp_path)
    user = recording("user", [], lost=needs(KEYS["lost"]))
    problem, *_ = ObjectKernel(plugins=[user], only=[], environ={}).check()
    assert "acme-lost would provide it, but is blocked: not among `only`" in problem.why
    assert problem.fix.startswith("bring that plugin back")


async def test_a_disabled_plugin_is_named_at_run_time() -> None:
    """After `disable`, asking for the service tells who provides it and that it is disabled."""
    async with kernel_of(recording("ledger", [], KEYS["ledger"])) as kernel:
        await kernel.disable("ledger")
        with pytest.raises(KernelError) as caught:
            kernel.get(KEYS["ledger"])
    assert caught.value.code == "K209"
    assert "ledger is disabled" in caught.value.why[0]


# -- rings (G9) ----------------------------------------------------------------------------------------


async def test_a_ring_shows_its_whole_path_with_the_line_of_each_edge() -> None:
    """The path closes on its first name, each edge has file and line, and the ways out are told."""
    ring = [
        recording("a", [], KEYS["ring-a"], following=needs(KEYS["ring-b"])),
        recording("b", [], KEYS["ring-b"], following=needs(KEYS["ring-c"])),
        recording("c", [], KEYS["ring-c"], following=needs(KEYS["ring-a"])),
    ]
    problem = only_problem(*ring, recording("outside", [], needs_it=needs(KEYS["ring-a"])))
    assert problem.code == "K202"
    path = problem.facts["path"]
    assert path[0] == path[-1]
    assert set(path) == {"test.ring-a", "test.ring-b", "test.ring-c"}
    assert len(path) == 4
    lines = {plugin.following.where for plugin in ring}  # type: ignore[attr-defined]
    assert {line.rpartition(" at ")[2] for line in problem.why} == lines
    assert all(way in problem.fix for way in ("uses=", "split", "late=True"))


async def test_a_soft_edge_closes_a_ring_and_a_late_one_does_not() -> None:
    """`wants` is an order, so it may close a ring; `late=True` gives none."""

    def pair(late: bool) -> list[Any]:
        return [
            recording("a", [], KEYS["ring-a"], following=wants(KEYS["ring-b"], late=late)),
            recording("b", [], KEYS["ring-b"], following=needs(KEYS["ring-a"])),
        ]

    assert only_problem(*pair(late=False)).code == "K202"
    assert kernel_of(*pair(late=True)).check() == ()


async def test_a_service_that_needs_itself_is_a_ring() -> None:
    """The shortest ring has one service."""
    problem = only_problem(recording("a", [], KEYS["ring-a"], itself=needs(KEYS["ring-a"])))
    assert problem.facts["path"] == ("test.ring-a", "test.ring-a")


async def test_two_rings_are_two_problems() -> None:
    """Each ring is reported by itself."""
    plugins = [recording(n, [], KEYS[n], itself=needs(KEYS[n])) for n in ("ring-a", "ring-b")]
    assert [p.code for p in kernel_of(*plugins).check()] == ["K202", "K202"]


async def test_a_long_ring_is_found_without_recursion() -> None:
    """A ring of more services than Python's recursion limit is one problem, no RecursionError."""
    count = 1500
    keys = [Service[str](f"ring.n{i}") for i in range(count)]
    plugin = PluginDef("long")
    for index, key in enumerate(keys):
        plugin.provides(key, needs={"other": keys[(index + 1) % count]})(lambda other: "x")
    problem = only_problem(plugin)
    assert problem.code == "K202"
    assert len(problem.facts["path"]) == count + 1
