"""The start-up timeline: what each plugin and service took, and which of them the boot waited for."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

import attrs

if TYPE_CHECKING:
    from objectkernel.graph import Node
    from objectkernel.run import Run

MILLI = 1000.0
BRIEF = 0.001
"""Seconds; the text only counts contributions that took less."""


@attrs.frozen(kw_only=True)
class Entry:
    """One plugin or service; all times in seconds.

    Attributes:
        kind: plugin, service, contribution, lifespan or background.
        at: when it could first have started, from the begin of the boot.
        imported, configured: of a plugin: importing its module, reading its settings.
        waited: from the boot's start phase until the last thing it needs was up.
        took: its own start.
        critical: it lies on the critical path: the boot would have been shorter without it.
    """

    kind: str
    name: str
    plugin: str
    at: float
    imported: float
    configured: float
    waited: float
    took: float
    state: str
    critical: bool


class Timeline:
    """The timeline of a kernel that has booted, or failed to.

    Attributes:
        entries: in order of their start.
        critical_path: the names of the services that the boot waited for, first to last.
        total: seconds from the begin of the start phase to the end of the last boot phase.
        phases: (name, seconds) of the boot's phases.
    """

    def __init__(self, run: Run) -> None:
        boot = [p for p in run.phases if p[0] != "stop"]
        self._zero = boot[0][1] if boot else 0.0
        self.total = boot[-1][2] - self._zero if boot else 0.0
        self.phases = tuple((name, end - begin) for name, begin, end in boot)
        started = [n for n in run.graph.nodes if n.life is not None and n.life.entered_at]
        path = _critical_path([n for n in started if n.kind not in ("plugin", "background")])
        self.critical_path = tuple(n.id for n in path)
        on_path = set(path)
        entries = [
            Entry(
                kind=node.kind,
                name=node.id,
                plugin=node.plugin,
                at=max(node.life.ready_at - self._zero, 0.0),
                imported=0.0,
                configured=0.0,
                waited=max(node.life.ready_at - node.life.wanted_at, 0.0),
                took=max(node.life.entered_at - node.life.started_at, 0.0),
                state=node.life.state,
                critical=node in on_path,
            )
            for node in started
            if node.kind != "plugin"
        ]
        entries += [
            Entry(
                kind="plugin",
                name=record.name,
                plugin=record.name,
                at=0.0,
                imported=record.import_seconds,
                configured=record.config_seconds,
                waited=0.0,
                took=sum(e.took for e in entries if e.plugin == record.name),
                state=record.state,
                critical=any(e.critical for e in entries if e.plugin == record.name),
            )
            for record in run.records.values()
        ]
        self.entries = tuple(sorted(entries, key=lambda e: (e.at, e.kind != "plugin", e.name)))

    def as_dict(self) -> dict[str, Any]:
        """The timeline for JSON; times in milliseconds."""
        return {
            "total_ms": round(self.total * MILLI, 3),
            "phases_ms": {name: round(seconds * MILLI, 3) for name, seconds in self.phases},
            "critical_path": list(self.critical_path),
            "entries": [
                {
                    "kind": e.kind,
                    "name": e.name,
                    "plugin": e.plugin,
                    "state": e.state,
                    "critical": e.critical,
                    "at_ms": round(e.at * MILLI, 3),
                    "import_ms": round(e.imported * MILLI, 3),
                    "config_ms": round(e.configured * MILLI, 3),
                    "wait_ms": round(e.waited * MILLI, 3),
                    "start_ms": round(e.took * MILLI, 3),
                }
                for e in self.entries
            ],
        }

    def text(self, width: int = 24) -> str:
        """A table with a bar for each start; ``*`` marks the critical path. Times in milliseconds.

        Contributions that are up at once have one line together.
        """
        shown = [e for e in self.entries if e.kind != "plugin" or e.imported or e.configured or not e.took]
        brief = [e for e in shown if e.kind == "contribution" and e.state == "up" and e.took < BRIEF and not e.critical]
        rows = [e for e in shown if e not in brief] if len(brief) > 1 else shown
        label = max((len(_label(e)) for e in rows), default=8)
        lines = [f"  {'':{label}}  {'import':>8} {'config':>8} {'wait':>8} {'start':>8}  ms"]
        scale = max((e.at + e.took for e in rows), default=0.0) or 1.0
        for entry in rows:
            cells = (entry.imported, entry.configured, entry.waited, entry.took)
            numbers = " ".join(f"{c * MILLI:8.2f}" if c else f"{'·':>8}" for c in cells)
            begin = min(int(entry.at / scale * width), width - 1)
            bar = "█" * max(1, round(entry.took / scale * width)) if entry.took else "▏"
            mark = "*" if entry.critical else " "
            state = "" if entry.state in ("up", "running") else f" {entry.state}"
            lines.append(f"{mark} {_label(entry):{label}}  {numbers}  {' ' * begin}{bar[: width - begin]}{state}")
        if rows is not shown:
            together = sum(e.took for e in brief) * MILLI
            lines.append(f"  {f'{len(brief)} contributions':{label}}  {'':26} {together:8.2f}")
        phases = ", ".join(f"{name} {seconds * MILLI:.2f}" for name, seconds in self.phases)
        lines.append(f"  boot {self.total * MILLI:.2f} ms ({phases})")
        if self.critical_path:
            lines.append(f"  critical path: {' -> '.join(self.critical_path)}")
        return "\n".join(lines)

    def svg(self, width: int = 900) -> str:
        """The timeline as a picture: grey waits, blue starts, red on the critical path."""
        rows = [e for e in self.entries if e.kind != "plugin"]
        left, height = 260, 22
        scale = (width - left - 90) / (max((e.at + e.took for e in rows), default=0.0) or 1.0)
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{(len(rows) + 2) * height}" '
            f'font-family="sans-serif" font-size="12">',
            f'<text x="8" y="15" font-weight="bold">start-up: {self.total * MILLI:.2f} ms</text>',
        ]
        for index, entry in enumerate(rows, 1):
            y = index * height + 4
            x = left + entry.at * scale
            colour = "#c0392b" if entry.critical else "#2980b9"
            wait = max(entry.waited * scale, 0)
            parts.append(f'<text x="8" y="{y + 13}">{escape(_label(entry))}</text>')
            parts.append(f'<rect x="{x - wait:.1f}" y="{y + 7}" width="{wait:.1f}" height="3" fill="#ccc"/>')
            parts.append(
                f'<rect x="{x:.1f}" y="{y + 2}" width="{max(entry.took * scale, 2):.1f}" height="13" fill="{colour}"/>'
            )
            parts.append(
                f'<text x="{x + max(entry.took * scale, 2) + 5:.1f}" y="{y + 13}" fill="#555">'
                f"{entry.took * MILLI:.2f} ms</text>"
            )
        parts.append("</svg>")
        return "\n".join(parts)


def _label(entry: Entry) -> str:
    return f"{entry.name} ({entry.kind})" if entry.kind != "service" else f"{entry.name} [{entry.plugin}]"


def _critical_path(nodes: list[Node]) -> list[Node]:
    """From the node that was up last back along whatever each one waited for longest."""
    if not nodes:
        return []
    inside = set(nodes)
    node = max(nodes, key=lambda n: n.life.entered_at)
    path = [node]
    while True:
        before = [n for n in path[0].before if n in inside]
        if not before:
            return path
        path.insert(0, max(before, key=lambda n: n.life.entered_at))
