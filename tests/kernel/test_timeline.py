"""The start-up timeline: import, config, wait and start of each plugin and service, and the critical path (G18)."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import anyio
import attrs
import pytest
from objectkernel import (
    BootError,
    Extension,
    ObjectKernel,
    Plugin,
    PluginDef,
    Service,
    configured_by,
    contributes,
    provides,
)
from objectkernel.errors import KernelStateInvalid

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_task_left")]

DB = Service[str]("test.db")
CACHE = Service[str]("test.cache")
APP = Service[str]("test.app")
ITEMS = Extension[str]("test.items")


def kernel_of(*plugins: Any, **options: Any) -> ObjectKernel:
    return ObjectKernel(plugins=plugins, discover=False, **options)


def taking(name: str, key: Service[str], seconds: float, **needed: Service[Any]) -> PluginDef:
    plugin = PluginDef(name)

    @plugin.provides(key, needs=needed)
    async def service(**values: str) -> str:
        await anyio.sleep(seconds)
        return name

    return plugin


@pytest.fixture
def plugins() -> list[PluginDef]:
    return [
        taking("slow", DB, 0.05),
        taking("quick", CACHE, 0.001),
        taking("app", APP, 0.02, db=DB, cache=CACHE),
    ]


async def test_entries_tell_wait_and_start_of_each_service(plugins: list[PluginDef]) -> None:
    """What a service waited for its needs and what its own start took are told apart."""
    async with kernel_of(*plugins) as kernel:
        entries = {e.name: e for e in kernel.timeline.entries if e.kind == "service"}
    assert set(entries) == {"test.db", "test.cache", "test.app"}
    app, db = entries["test.app"], entries["test.db"]
    assert db.took >= 0.045
    assert app.waited >= 0.045
    assert app.took >= 0.018
    assert app.at >= db.at + 0.045
    assert db.waited < app.waited
    assert {e.state for e in entries.values()} == {"up"}


async def test_critical_path_is_the_chain_the_boot_waited_for(plugins: list[PluginDef]) -> None:
    """From the service that was up last back along what each waited for longest."""
    async with kernel_of(*plugins) as kernel:
        timeline = kernel.timeline
    assert timeline.critical_path == ("test.db", "test.app")
    assert {e.name for e in timeline.entries if e.critical and e.kind == "service"} == {"test.db", "test.app"}
    assert timeline.total >= 0.065


async def test_phases_of_the_boot_are_recorded_in_order(plugins: list[PluginDef]) -> None:
    """start, ready, bootstrapped, listening; the stop is no part of the start-up."""
    async with kernel_of(*plugins) as kernel:
        pass
    assert [name for name, _ in kernel.timeline.phases] == ["start", "ready", "bootstrapped", "listening"]
    assert kernel.timeline.phases[0][1] >= 0.065


async def test_plugins_have_the_seconds_of_import_and_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plugin from an entry point is told with what its import took, one with settings with what they took."""
    (tmp_path / "slow_to_import.py").write_text(
        "import time\nfrom objectkernel import Plugin\ntime.sleep(0.02)\n"
        'class Slow(Plugin):\n    name = "slow-import"\n'
    )
    info = tmp_path / "slow_to_import-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: slow-to-import\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[objectkernel.plugins.v1]\nslow-import = slow_to_import:Slow\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "slow_to_import", raising=False)

    @attrs.frozen
    class Settings:
        size: int = 1

    class Configured(Plugin):
        name = "configured"
        config = configured_by(Settings)

        @provides(DB)
        def db(self) -> str:
            return "db"

    async with ObjectKernel(plugins=[Configured], only=["slow-import"], environ={}) as kernel:
        entries = {e.name: e for e in kernel.timeline.entries if e.kind == "plugin"}
    assert entries["slow-import"].imported >= 0.015
    assert entries["configured"].imported == 0
    assert entries["configured"].configured > 0
    assert entries["slow-import"].configured == 0


async def test_text_has_a_line_for_each_and_marks_the_critical_path(plugins: list[PluginDef]) -> None:
    """The text names every service with its plugin, marks the critical path and sums up."""
    async with kernel_of(*plugins) as kernel:
        lines = kernel.timeline.text().splitlines()
    marked = [line for line in lines if line.startswith("*")]
    assert ["test.db [slow]" in marked[0], "test.app [app]" in marked[1]] == [True, True]
    assert any("test.cache [quick]" in line for line in lines if not line.startswith("*"))
    assert lines[-1] == "  critical path: test.db -> test.app"
    assert "boot" in lines[-2]
    assert all(word in lines[0] for word in ("import", "config", "wait", "start"))


async def test_text_counts_the_contributions_that_were_up_at_once() -> None:
    """They have one line together, however many; one that takes its time has its own."""

    class Items(Plugin):
        name = "test-items"

        @contributes(ITEMS, uses=())
        def first(self) -> str:
            return "first"

        @contributes(ITEMS, uses=())
        def second(self) -> str:
            return "second"

        @contributes(ITEMS, uses=())
        def slow(self) -> str:
            time.sleep(0.01)
            return "slow"

    async with kernel_of(Items()) as kernel:
        lines = kernel.timeline.text().splitlines()
    (together,) = [line for line in lines if "2 contributions" in line]
    assert len(together) == lines[0].index("start") + len("start")
    assert any("test-items.slow (contribution)" in line for line in lines)
    assert not any("test-items.first" in line for line in lines)


async def test_dict_is_json_in_milliseconds(plugins: list[PluginDef]) -> None:
    """The timeline as JSON has the same facts, in milliseconds."""
    async with kernel_of(*plugins) as kernel:
        timeline = kernel.timeline
    data = json.loads(json.dumps(timeline.as_dict()))
    assert data["critical_path"] == ["test.db", "test.app"]
    assert data["total_ms"] == round(timeline.total * 1000, 3)
    assert list(data["phases_ms"]) == ["start", "ready", "bootstrapped", "listening"]
    (app,) = [e for e in data["entries"] if e["name"] == "test.app"]
    assert app["plugin"] == "app"
    assert app["critical"] is True
    assert app["wait_ms"] >= 45
    assert app["start_ms"] >= 18


async def test_svg_is_a_well_formed_picture_of_every_service(plugins: list[PluginDef]) -> None:
    """The picture is XML with the name of each service in it."""
    async with kernel_of(*plugins) as kernel:
        root = ElementTree.fromstring(kernel.timeline.svg())
    assert root.tag.endswith("svg")
    texts = [e.text or "" for e in root.iter() if e.tag.endswith("text")]
    assert all(any(name in t for t in texts) for name in ("test.db [slow]", "test.cache [quick]", "test.app [app]"))


async def test_failed_boot_has_a_timeline_of_what_it_did() -> None:
    """The timeline of a boot that failed shows what started and what failed."""
    failing = PluginDef("failing")

    @failing.provides(APP, needs={"db": DB})
    async def app(db: str) -> str:
        raise OSError("no")

    kernel = kernel_of(failing, taking("db", DB, 0.0))
    with pytest.raises(BootError):
        await kernel.bootstrap()
    entries = {e.name: e for e in kernel.timeline.entries}
    assert entries["test.db"].took > 0
    assert entries["failing"].state == "failed"
    assert "failed" in kernel.timeline.text()


async def test_empty_kernel_has_an_empty_timeline() -> None:
    """A kernel without plugins boots, and its timeline has nothing to tell but the phases."""
    async with kernel_of() as kernel:
        timeline = kernel.timeline
        assert (timeline.entries, timeline.critical_path) == ((), ())
        assert "boot" in timeline.text()
        assert ElementTree.fromstring(timeline.svg()) is not None


async def test_timeline_before_the_boot_is_a_clear_error() -> None:
    """There is no timeline of a kernel that never ran."""
    with pytest.raises(KernelStateInvalid) as caught:
        _ = kernel_of().timeline
    assert caught.value.state == "idle"
