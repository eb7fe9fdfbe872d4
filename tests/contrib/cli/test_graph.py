"""`objectkernel graph`: the composition as data and as pictures."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import pytest

SVG = "{http://www.w3.org/2000/svg}"

SOFT = """
RULES = Extension[str]("acme.rules")

class ClockPlugin(Plugin):
    name = "acme-clock"
    @provides(CLOCK)
    def clock(self) -> list:
        return []
    @contributes(RULES)
    def rule(self) -> str:
        return "x"

class Billing(Plugin):
    name = "acme-billing"
    clock = needs(CLOCK)
    cache = wants(CACHE)
    rules = collects(RULES)
    @provides(LEDGER)
    def ledger(self) -> list:
        return []

class CachePlugin(Plugin):
    name = "acme-cache"
    @provides(CACHE)
    def cache(self) -> list:
        return []

class Off(Plugin):
    name = "acme-off"
    what = needs(Service[list]("acme.nowhere"))

kernel = ObjectKernel(plugins=[Billing, ClockPlugin, CachePlugin, Off], discover=False, optional=["acme-off"])
"""

RING = """
class A(Plugin):
    name = "acme-a"
    need = needs(CACHE)
    @provides(CLOCK)
    def clock(self) -> list:
        return []

class B(Plugin):
    name = "acme-b"
    need = needs(CLOCK)
    @provides(LEDGER)
    def ledger(self) -> list:
        return []

class C(Plugin):
    name = "acme-c"
    need = needs(LEDGER)
    @provides(CACHE)
    def cache(self) -> list:
        return []

kernel = ObjectKernel(plugins=[A, B, C], discover=False)
"""

WIDE = """
KEYS = [Service[list](f"acme.s{i}") for i in range(16)]

def plugin(i):
    def serve(self) -> list:
        return []
    needed = {f"n{j}": (needs if (i + j) % 3 else wants)(KEYS[j]) for j in {i // 2, i // 3, i - 1} if 0 <= j < i}
    return type(f"P{i}", (Plugin,), {"name": f"acme-p{i}", "serve": provides(KEYS[i])(serve), **needed})

kernel = ObjectKernel(plugins=[plugin(i) for i in range(16)], discover=False)
"""


def arrows_of(told):
    return {(a["source"], a["target"]): (a["kind"], a["hard"]) for a in told["arrows"]}


def test_json_has_boxes_and_arrows(run, write_app):
    """Each service with its plugin and state; needs is hard, wants and collects are soft."""
    told = run("--app", write_app(SOFT), "graph", "--json").json
    states = {(i["name"], i["kind"], i["plugin"]): i["state"] for i in told["items"]}
    assert states["acme.clock", "service", "acme-clock"] == "discovered"
    assert states["acme-off", "plugin", "acme-off"] == "failed"
    assert arrows_of(told) == {
        ("acme.ledger", "acme.clock"): ("needs", True),
        ("acme.ledger", "acme.cache"): ("wants", False),
        ("acme.ledger", "acme-clock.rule"): ("collects", False),
    }


def test_a_missing_service_is_drawn(run, write_app):
    """What a plugin needs and nobody provides has a box of its own."""
    source = SOFT.replace("Billing, ClockPlugin", "Billing")
    told = run("--app", write_app(source), "graph", "--json").json
    assert ("missing acme.clock", "missing") in {(i["id"], i["state"]) for i in told["items"]}
    assert ("acme.ledger", "missing acme.clock") in arrows_of(told)


def test_a_provider_that_was_passed_over_is_drawn(run, write_app):
    """What the host gives takes the plugin's place; the plugin's service is shown, and no arrow leads there."""
    source = SOFT.rstrip() + ".provide(CLOCK, [])\n"
    told = run("--app", write_app(source), "graph", "--json").json
    states = {i["id"]: (i["plugin"], i["state"]) for i in told["items"]}
    assert states["acme.clock"] == ("the host", "host")
    assert states["acme.clock of acme-clock"] == ("acme-clock", "passed over")
    assert all("of acme-clock" not in target for _, target in arrows_of(told))


def test_mermaid_frames_plugins_and_dots_soft_arrows(run, write_app):
    """Without a format a terminal gets Mermaid."""
    lines = [line.strip() for line in run("--app", write_app(SOFT), "graph").out.splitlines()]
    assert lines[0] == "flowchart LR"
    ids = dict(re.findall(r'^(n\d+)\["(.*)"\]$', "\n".join(lines), flags=re.MULTILINE))
    by_name = {name.split(" ")[0]: id for id, name in ids.items()}
    assert f"{by_name['acme.ledger']} --> {by_name['acme.clock']}" in lines
    assert f"{by_name['acme.ledger']} -.-> {by_name['acme.cache']}" in lines
    assert f"{by_name['acme.ledger']} -. collects .-> {by_name['acme-clock.rule']}" in lines
    assert any(line.startswith("subgraph") and '"acme-billing"' in line for line in lines)


def test_dot_clusters_plugins_and_dashes_soft_arrows(run, write_app):
    """Graphviz' language, a cluster for each plugin."""
    told = run("--app", write_app(SOFT), "graph", "--format", "dot").out
    assert told.startswith("digraph kernel {")
    assert '"acme.ledger" -> "acme.clock" [style=solid];' in told
    assert '"acme.ledger" -> "acme.cache" [style=dashed];' in told
    assert 'label="acme-billing"' in told
    assert told.count("{") == told.count("}")


def boxes_of(picture):
    """Name → left, top, right, bottom."""
    found = {}
    for group in picture.findall(f"{SVG}g"):
        box, name = group.find(f"{SVG}rect"), group.find(f"{SVG}text").text
        x, y, width, height = (float(box.get(part)) for part in ("x", "y", "width", "height"))
        found[name] = (x, y, x + width, y + height)
    return found


def paths_of(picture):
    """(source, target) → points along the arrow."""
    for path in picture.findall(f"{SVG}path"):
        if path.get("class"):
            source, target = re.split(" (?:needs|wants|collects) ", path.find(f"{SVG}title").text)
            points, at = [], (0.0, 0.0)
            for letter, numbers in re.findall(r"([MLC])([^MLC]+)", path.get("d")):
                c = [float(n) for n in numbers.split()]
                if letter == "C":
                    points += [bezier(at, c, step / 40) for step in range(41)]
                elif letter == "L":
                    points += [(at[0] + (c[0] - at[0]) * s / 40, at[1] + (c[1] - at[1]) * s / 40) for s in range(41)]
                at = (c[-2], c[-1])
            yield (source, target), points


def bezier(begin, c, t):
    u = 1 - t
    return tuple(u**3 * begin[i] + 3 * u * u * t * c[i] + 3 * u * t * t * c[2 + i] + t**3 * c[4 + i] for i in range(2))


@pytest.mark.parametrize("source", [SOFT, RING, WIDE], ids=["soft", "ring", "wide"])
def test_no_arrow_of_the_picture_runs_behind_a_box(run, write_app, folder, source):
    """Each box is drawn once, none over another, and an arrow touches only the two that it connects."""
    app = write_app(source)
    told = run("--app", app, "graph", "--json").json
    assert run("--app", app, "graph", "-o", "it.svg").code == 0
    picture = ET.parse(folder / "it.svg").getroot()
    boxes = boxes_of(picture)
    assert sorted(boxes) == sorted(item["name"] for item in told["items"])
    drawn = dict(paths_of(picture))
    assert set(drawn) == set(arrows_of(told))
    for name, (left, top, right, bottom) in boxes.items():
        for x, y, *_ in [point for points in drawn.values() for point in points]:
            assert not (left + 1 < x < right - 1 and top < y < bottom), name
        for other, (x1, y1, x2, y2) in boxes.items():
            assert name == other or x1 >= right or x2 <= left or y1 >= bottom or y2 <= top, (name, other)


def test_an_arrow_of_the_picture_ends_at_its_boxes(run, write_app, folder):
    """From an edge of who needs to an edge of what is needed, in a ring too."""
    run("--app", write_app(RING), "graph", "-o", "it.svg")
    picture = ET.parse(folder / "it.svg").getroot()
    boxes = boxes_of(picture)
    for ends, points in paths_of(picture):
        for name, (x, y) in zip(ends, (points[0], points[-1]), strict=True):
            left, top, right, bottom = boxes[name]
            assert x in (left, right)
            assert top < y < bottom


def test_a_picture_is_the_same_on_every_machine(run, write_app, folder):
    """Its tips name the file and its folder, not the way there."""
    told = run("--app", write_app(SOFT), "graph", "--format", "svg").out
    assert f"<title>{folder.name}/host_" in told
    assert str(folder.parent) not in told


def test_an_empty_composition_has_a_picture(run, write_app):
    """No box, and no error."""
    told = run("--app", write_app("kernel = ObjectKernel(discover=False)"), "graph", "--format", "svg").out
    assert ET.fromstring(told).findall(f"{SVG}g") == []


@pytest.mark.parametrize("form", ["mermaid", "dot", "svg", "json"])
def test_a_composition_with_problems_is_drawn_in_every_format(run, write_app, form):
    """A ring has no start order; all of its services are there all the same."""
    told = run("--app", write_app(RING), "graph", "--format", form)
    assert told.code == 0
    for name in ("acme.clock", "acme.ledger", "acme.cache"):
        assert name in told.out


@pytest.mark.parametrize(("name", "begin"), [("a.svg", "<svg"), ("a.gv", "digraph"), ("a.json", "{"), ("a.md", "flow")])
def test_the_format_is_what_the_file_name_ends_with(run, write_app, folder, name, begin):
    """-o alone is enough."""
    done = run("--app", write_app(), "graph", "-o", name)
    assert (done.code, done.out) == (0, "")
    assert (folder / name).read_text().startswith(begin)


def test_json_with_a_file_tells_what_was_written(run, write_app, folder):
    """The picture goes to the file, and standard output is still JSON."""
    told = run("--app", write_app(), "graph", "-o", "a.svg", "--json").json
    assert (told["format"], told["file"]) == ("svg", "a.svg")
    assert (folder / "a.svg").exists()


def test_json_and_another_format_exclude_each_other(run, write_app):
    """What --json promises, a picture on standard output would break."""
    done = run("--app", write_app(), "graph", "--json", "--format", "svg")
    assert (done.code, done.out, done.error["code"]) == (2, "", "usage")


def test_a_file_that_cannot_be_written_is_told(run, write_app):
    """One line, exit code 1."""
    done = run("--app", write_app(), "graph", "-o", "none/a.svg", "--json")
    assert (done.code, "none/a.svg" in done.error["what"]) == (1, True)
