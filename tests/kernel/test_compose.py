"""Composing: installed distributions, what the host gives, and what its options take or leave."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path
from typing import Any

import pytest
from objectkernel import BootError, KernelError, ObjectKernel, Plugin, PluginDef, Service, needs, provides

pytestmark = pytest.mark.anyio

A = Service[str]("test.a")
B = Service[str]("test.b")
_serial = itertools.count()

GIVES = """
from objectkernel import Plugin, Service, provides, needs

class TheOne(Plugin):
    name = {name!r}

    @provides(Service[str]({service!r}))
    def give(self) -> str:
        return {name!r}
"""
NEEDS = """
from objectkernel import Plugin, Service, needs

class TheOne(Plugin):
    name = {name!r}
    need = needs(Service[str]({service!r}))
"""


class Site:
    """A folder of installed distributions, the only one on the path beside the standard library."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.modules: dict[str, str] = {}

    def install(
        self,
        name: str,
        source: str = GIVES,
        *,
        service: str = "test.a",
        distribution: str = "",
        version: str = "1.0",
        provides: str = "",
    ) -> None:
        """A distribution with one plugin; `provides` is a service that its metadata speaks of."""
        module = f"installed_{next(_serial)}"
        self.modules[distribution or name] = module
        (self.folder / f"{module}.py").write_text(source.format(name=name, service=service))
        distribution = distribution or name
        info = self.folder / f"{distribution.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
        entries = f"[objectkernel.plugins.v1]\n{name} = {module}:TheOne\n"
        if provides:
            entries += f"[objectkernel.provides.v1]\n{provides} = {module}:TheOne\n"
        (info / "entry_points.txt").write_text(entries)

    def imported(self, distribution: str) -> bool:
        return self.modules[distribution] in sys.modules


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.setenv("OBJECTKERNEL_NO_CACHE", "1")
    rest = [p for p in sys.path if not any(Path(p).glob("*.dist-info"))]
    monkeypatch.setattr(sys, "path", [str(tmp_path), *rest])
    return Site(tmp_path)


def states(kernel: ObjectKernel) -> dict[str, str]:
    return {p.name: p.state for p in kernel.plugins()}


def giving(name: str, key: Service[str] = A) -> type[Plugin]:
    return type("Given", (Plugin,), {"name": name, "give": provides(key)(lambda self: f"the host's {name}")})


# -- what is installed ---------------------------------------------------------------------------------


async def test_every_installed_plugin_is_selected(site: Site) -> None:
    """Without an allow list a kernel boots what is installed, and tells version and distribution of each."""
    site.install("acme-one", distribution="acme-dist", version="2.3")
    site.install("acme-two", NEEDS)
    async with ObjectKernel(environ={}) as kernel:
        assert kernel.get(A) == "acme-one"
        one, two = kernel.plugins()
    assert (one.name, one.version, one.distribution, one.source) == ("acme-one", "2.3", "acme-dist", "entry point")
    assert (one.provides, one.critical) == (("test.a",), True)
    assert two.name == "acme-two"


async def test_nothing_is_discovered_where_the_host_says_so(site: Site) -> None:
    """`discover=False` looks at no entry point."""
    site.install("acme-one")
    assert ObjectKernel(discover=False).plugins() == ()


async def test_only_and_without_apply_before_import(site: Site) -> None:
    """A plugin that is not selected is blocked, with the reason, and its module is not imported."""
    for name in ("acme-one", "acme-two", "acme-three"):
        site.install(name, service=f"test.{name}")
    kernel = ObjectKernel(only=["acme-one", "acme-two"], without=["acme-four"])
    assert [p.code for p in kernel.check()] == ["K108"]
    kernel = ObjectKernel(only=["acme-one"])
    assert states(kernel) == {"acme-one": "discovered", "acme-two": "blocked", "acme-three": "blocked"}
    assert {p.name: p.reason for p in kernel.plugins()}["acme-two"] == "not among `only`"
    kernel = ObjectKernel(without=["acme-three"], environ={})
    async with kernel:
        assert states(kernel) == {"acme-one": "running", "acme-two": "running", "acme-three": "blocked"}
        assert kernel.state == "running"
    assert not site.imported("acme-three")


async def test_safe_mode_takes_only_only(site: Site) -> None:
    """Safe mode takes nothing from entry points but what `only` names; plugins given by hand are not concerned."""
    site.install("acme-one")
    site.install("acme-two", service="test.b")
    kernel = ObjectKernel(safe_mode=True, plugins=[giving("mine", Service[str]("test.mine"))])
    assert states(kernel) == {"mine": "discovered", "acme-one": "blocked", "acme-two": "blocked"}
    assert not site.imported("acme-one")
    kernel = ObjectKernel(safe_mode=True, only=["acme-two"])
    assert states(kernel) == {"acme-one": "blocked", "acme-two": "discovered"}


async def test_options_are_set_by_tools_too(site: Site) -> None:
    """`set_options` adds to a kernel that somebody else made, until it is bootstrapped."""
    site.install("acme-one")
    kernel = ObjectKernel(environ={})
    assert states(kernel) == {"acme-one": "discovered"}
    assert states(kernel.set_options(safe_mode=True)) == {"acme-one": "blocked"}
    async with kernel:
        with pytest.raises(KernelError, match="K501"):
            kernel.set_options(safe_mode=False)


@pytest.mark.parametrize("option", ["optional", "only", "without", "distributions", "start_timeouts", "stop_timeouts"])
async def test_options_that_name_nobody_are_problems(site: Site, option: str) -> None:
    """A plugin that an option names must be installed; the nearest is told."""
    site.install("acme-billing")
    value: Any = {"distributions": {"acme-biling": "x"}}.get(option, ["acme-biling"])
    value = {"acme-biling": 1.0} if "timeouts" in option else value
    (problem,) = ObjectKernel(**{option: value}).check()
    assert (problem.code, problem.fix) == ("K108", "did you mean 'acme-billing'?")


# -- what fails to import ------------------------------------------------------------------------------

FAILURES = {
    "an error": "raise ValueError('at import')",
    "SystemExit": "import sys; sys.exit(3)",
    "a missing module": "import nowhere_to_be_found",
    "a syntax error": "def",
}


@pytest.mark.parametrize("source", FAILURES.values(), ids=FAILURES.keys())
async def test_a_critical_plugin_that_fails_to_import_fails_the_boot(site: Site, source: str) -> None:
    """Whatever importing raises becomes one problem with the cause and its traceback; the process goes on."""
    site.install("acme-one", source)
    with pytest.raises(BootError) as caught:
        await ObjectKernel(environ={}).bootstrap()
    (error,) = caught.value.exceptions
    assert isinstance(error, KernelError)
    assert (error.code, error.facts["name"]) == ("K401", "acme-one")
    assert error.__cause__ is not None
    assert "Traceback" in error.facts["traceback"] or "SyntaxError" in error.facts["traceback"]


@pytest.mark.parametrize("source", FAILURES.values(), ids=FAILURES.keys())
async def test_an_optional_plugin_that_fails_to_import_is_left_out(site: Site, source: str) -> None:
    """The boot goes on, degraded; who needs it is skipped with the reason, as its metadata tells."""
    site.install("acme-broken", source, provides="test.b")
    site.install("acme-user", NEEDS, service="test.b")
    site.install("acme-one")
    async with ObjectKernel(optional=["acme-broken"], environ={}) as kernel:
        assert kernel.state == "degraded"
        assert states(kernel) == {"acme-one": "running", "acme-broken": "failed", "acme-user": "skipped"}
        info = {p.name: p for p in kernel.plugins()}
    assert info["acme-user"].because == "acme-broken"
    assert isinstance(info["acme-broken"].error, KernelError)
    assert not info["acme-broken"].critical


@pytest.mark.parametrize("source", ["TheOne = 5", "class TheOne: name = {name!r}", "Other = 1"])
async def test_an_entry_point_must_lead_to_a_plugin(site: Site, source: str) -> None:
    """Something else behind an entry point is told with the file that names it."""
    site.install("acme-one", source)
    (problem,) = ObjectKernel().check()
    assert problem.code == "K402"
    assert problem.where.endswith("entry_points.txt")


async def test_an_entry_point_and_its_plugin_have_one_name(site: Site) -> None:
    """Configuration and messages go by the entry point's name before import, so the plugin must have it too."""
    site.install("acme-one", GIVES.replace("{name!r}", "'acme-other'"))
    (problem,) = ObjectKernel().check()
    assert problem.code == "K402"
    assert "'acme-other'" in problem.what


async def test_an_entry_point_may_lead_to_functions(site: Site) -> None:
    """A PluginDef behind an entry point is a plugin too."""
    source = "from objectkernel import PluginDef, Service\nTheOne = PluginDef({name!r})\n"
    site.install("acme-one", source + "TheOne.provides(Service[str]({service!r}))(lambda: 'functional')\n")
    async with ObjectKernel(environ={}) as kernel:
        assert kernel.get(A) == "functional"


# -- two of one name -----------------------------------------------------------------------------------


async def test_two_entry_points_of_one_name_are_an_error_until_the_host_picks(site: Site) -> None:
    """The error names both distributions; `distributions` picks; neither is imported before."""
    site.install("acme-one", distribution="dist-a")
    site.install("acme-one", distribution="dist-b")
    kernel = ObjectKernel()
    (problem,) = kernel.check()
    assert (problem.code, problem.facts["distributions"]) == ("K403", ("dist-a", "dist-b"))
    assert states(kernel) == {"acme-one": "failed"}
    assert not site.imported("dist-a")
    async with ObjectKernel(distributions={"acme-one": "dist-b"}, environ={}) as kernel:
        assert kernel.plugins()[0].distribution == "dist-b"
    assert not site.imported("dist-a")


@pytest.mark.parametrize("option", ["without", "distributions"])
async def test_a_conflict_of_a_plugin_that_is_left_out_is_none(site: Site, option: str) -> None:
    """A name that two distributions have may be left out; a pick that names neither does not help."""
    site.install("acme-one", distribution="dist-a")
    site.install("acme-one", distribution="dist-b")
    if option == "without":
        kernel = ObjectKernel(without=["acme-one"])
        assert (kernel.check(), states(kernel)) == ((), {"acme-one": "blocked"})
    else:
        assert [p.code for p in ObjectKernel(distributions={"acme-one": "dist-c"}).check()] == ["K403"]


async def test_a_plugin_given_by_hand_takes_the_place_of_the_installed_one(site: Site) -> None:
    """Of its name the host's counts, whatever distributions have it; the installed one is not imported."""
    site.install("acme-one", distribution="dist-a")
    site.install("acme-one", distribution="dist-b")
    async with ObjectKernel(environ={}).use(giving("acme-one")) as kernel:
        assert kernel.get(A) == "the host's acme-one"
        (info,) = kernel.plugins()
    assert info.source == "host, in place of dist-a"
    assert not site.imported("dist-a")


# -- two of one service (G19) --------------------------------------------------------------------------


async def test_two_providers_are_an_error_until_the_host_picks(site: Site) -> None:
    """Boot stops and names both with their lines; `providers` picks, and the graph shows who was passed over."""
    site.install("acme-one")
    site.install("acme-two")
    (problem,) = ObjectKernel().check()
    assert (problem.code, problem.facts["providers"]) == ("K203", ("acme-one", "acme-two"))
    assert len(problem.why) == 2
    assert all(".py:" in line for line in problem.why)
    async with ObjectKernel(providers={"test.a": "acme-two"}, environ={}) as kernel:
        assert kernel.get(A) == "acme-two"
        assert kernel.graph.passed_over == [("test.a", "acme-one")]


async def test_the_pick_stands_in_the_file_too(site: Site, tmp_path: Path) -> None:
    """`[kernel.providers]` of the configuration file picks."""
    site.install("acme-one")
    site.install("acme-two")
    (tmp_path / "objectkernel.toml").write_text('[kernel.providers]\n"test.a" = "acme-one"\n')
    async with ObjectKernel(config=tmp_path / "objectkernel.toml", environ={}) as kernel:
        assert kernel.get(A) == "acme-one"


async def test_a_pick_of_somebody_who_does_not_provide_is_a_problem(site: Site) -> None:
    """The nearest provider is told; so is a service that nobody has."""
    site.install("acme-one")
    (problem,) = ObjectKernel(providers={"test.a": "acme-oen"}).check()
    assert (problem.code, problem.fix) == ("K201", "did you mean 'acme-one'?")
    (problem,) = ObjectKernel(providers={"test.aa": "acme-one"}).check()
    assert problem.fix == "did you mean 'test.a'?"


async def test_one_plugin_that_provides_a_service_twice_is_an_error() -> None:
    """The same within one class, where no pick of the host can help."""
    twice = type("Twice", (giving("twice"),), {"again": provides(A)(lambda self: "again")})
    (problem,) = ObjectKernel(plugins=[twice], discover=False).check()
    assert (problem.code, problem.fix) == ("K203", "remove one of the two providers")


async def test_a_service_given_by_the_host_takes_the_place_of_a_plugins() -> None:
    """The plugin's provider does not run, and the graph shows it as passed over."""
    ran: list[int] = []
    plugin = type("Late", (Plugin,), {"name": "late", "give": provides(A)(lambda self: str(ran.append(1)))})
    async with ObjectKernel(plugins=[plugin], discover=False).provide(A, "mine") as kernel:
        assert kernel.get(A) == "mine"
        assert kernel.graph.passed_over == [("test.a", "late")]
    assert ran == []


# -- by hand -------------------------------------------------------------------------------------------


async def test_one_plugin_twice_is_an_error() -> None:
    """One class, one name or one instance is composed once."""
    one, other = giving("one"), giving("one", B)
    for plugins in ([one, one], [one, one()], [one(), one()], [one, other]):
        codes = [p.code for p in ObjectKernel(plugins=plugins, discover=False).check()]
        assert codes == ["K102"]


async def test_an_instance_serves_one_kernel() -> None:
    """An instance that is in a kernel is refused by another, and free again when that has stopped."""
    instance = giving("one")()
    async with ObjectKernel(plugins=[instance], discover=False):
        (problem,) = ObjectKernel(plugins=[instance], discover=False).check()
        assert problem.code == "K102"
    async with ObjectKernel(plugins=[instance], discover=False) as kernel:
        assert kernel.get(A) == "the host's one"


async def test_one_class_serves_many_kernels() -> None:
    """A class is a declaration: each kernel makes an instance of its own."""
    one = giving("one")
    async with (
        ObjectKernel(plugins=[one], discover=False) as first,
        ObjectKernel(plugins=[one], discover=False) as other,
    ):
        assert first.compose().records["one"].instance is not other.compose().records["one"].instance


@pytest.mark.parametrize("target", [5, None, "acme-one", Site, object()])
async def test_what_is_no_plugin_is_told(target: Any) -> None:
    """Something else among the plugins is a problem beside the others."""
    problems = ObjectKernel(
        plugins=[target, type("Needy", (Plugin,), {"name": "n", "a": needs(A)})], discover=False
    ).check()
    assert [p.code for p in problems] == ["K402", "K201"]


async def test_use_and_provide_change_what_was_composed() -> None:
    """A composition that was looked at is made anew when the host adds to it."""
    kernel = ObjectKernel(discover=False)
    assert kernel.plugins() == ()
    plugin = PluginDef("one")
    plugin.provides(B, needs={"a": A})(lambda a: f"b on {a}")
    assert [p.code for p in kernel.use(plugin).check()] == ["K201"]
    async with kernel.provide(A, "a"):
        assert kernel.get(B) == "b on a"
