"""Measuring several ways to do one piece of work in one run: interleaved, the best of several, on equal terms.

Before each measurement the garbage collector runs and what is left is frozen, for every contender alike: otherwise
one would pay for walking through the objects of the others.
"""

from __future__ import annotations

import asyncio
import gc
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from time import perf_counter
from typing import Any

import attrs

LIMIT = "limit"
OURS = "objectkernel"
UNITS = {"ns": 1e9, "µs": 1e6, "ms": 1e3}
UNROLLED = 10

Contender = Callable[[], float]
"""Does the work and returns the seconds that it took."""


def best_of(rounds: int, contenders: Mapping[str, Contender]) -> dict[str, float | str]:
    """Contender → its best time in seconds, or the name of the error that it raised.

    Every round runs all of them once, so that a busy moment of the machine meets all.
    """
    best: dict[str, float | str] = {}
    for _ in range(rounds):
        for name, contender in contenders.items():
            known = best.get(name, math.inf)
            if isinstance(known, str):
                continue
            gc.collect()
            gc.freeze()
            try:
                best[name] = min(known, contender())
            except Exception as error:
                best[name] = type(error).__name__
            finally:
                gc.unfreeze()
    return best


def timed(work: Callable[[], object]) -> Contender:
    """A contender that calls `work` once."""

    def contender() -> float:
        start = perf_counter()
        work()
        return perf_counter() - start

    return contender


def timed_async(runner: asyncio.Runner, work: Callable[[], Awaitable[object]]) -> Contender:
    """A contender that awaits `work` once on the loop of `runner`; starting the loop is no part of it."""

    async def measured() -> float:
        start = perf_counter()
        await work()
        return perf_counter() - start

    return lambda: runner.run(measured())


def repeated(statement: str, count: int, runner: asyncio.Runner | None = None, **names: Any) -> Contender:
    """A contender that runs `statement` `count` times and returns the seconds for one.

    The statement is compiled as it stands into a loop, ten times a turn, with `names` as local variables: neither a
    call nor the loop is counted to what it does. With an ``await`` in it, it runs on `runner`.
    """
    keyword = "async def" if "await " in statement else "def"
    lines = [f"{keyword} loop(turns, {', '.join(names)}):", " for _ in range(turns):", *[f"  {statement}"] * UNROLLED]
    space: dict[str, Any] = {}
    exec("\n".join(lines), space)
    loop = space["loop"]
    turns = max(1, count // UNROLLED)

    def contender() -> float:
        start = perf_counter()
        loop(turns, **names)
        return (perf_counter() - start) / (turns * UNROLLED)

    async def measured() -> float:
        start = perf_counter()
        await loop(turns, **names)
        return (perf_counter() - start) / (turns * UNROLLED)

    return contender if runner is None else lambda: runner.run(measured())


@attrs.frozen(kw_only=True)
class Target:
    """What ours must reach; every part that is given counts.

    Attributes:
        of_limit: times the limit.
        at_most: in the unit of the row.
        of_peer: (peer, times its time).
        ahead: of every peer.
    """

    of_limit: float | None = None
    at_most: float | None = None
    of_peer: tuple[str, float] | None = None
    ahead: bool = False

    def text(self, unit: str) -> str:
        parts = []
        if self.of_limit is not None:
            parts.append(f"<= {self.of_limit:g}x limit")
        if self.at_most is not None:
            parts.append(f"<= {self.at_most:g}{' ' if unit else ''}{unit}")
        if self.of_peer is not None:
            peer, times = self.of_peer
            parts.append(f"<= {'' if times == 1 else f'{times:g}x '}{peer}")
        if self.ahead:
            parts.append("ahead of all peers")
        return ", ".join(parts)


@attrs.frozen(kw_only=True)
class Row:
    """The outcome of one piece of work.

    Attributes:
        unit: of all times: ns, µs or ms, or "" for a plain number.
        limit, ours, peers: in that unit; a text is the name of the error that ended it.
    """

    work: str
    unit: str
    limit: float | None
    ours: float | str
    peers: Mapping[str, float | str] = attrs.field(factory=dict)
    target: Target = attrs.field(factory=Target)

    @classmethod
    def of(
        cls, work: str, unit: str, results: Mapping[str, float | str], target: Target | None = None, per: int = 1
    ) -> Row:
        """A row from what `best_of` returned, each time divided by `per`."""
        scale = UNITS[unit] / per
        scaled = {n: r if isinstance(r, str) else r * scale for n, r in results.items()}
        limit = scaled.pop(LIMIT, None)
        ours = scaled.pop(OURS)
        assert not isinstance(limit, str), f"the limit of {work!r} raised {limit}"
        return cls(work=work, unit=unit, limit=limit, ours=ours, peers=scaled, target=target or Target())

    @property
    def best_peer(self) -> tuple[str, float] | None:
        able = [(name, time) for name, time in self.peers.items() if not isinstance(time, str)]
        return min(able, key=lambda item: item[1], default=None)

    @property
    def of_limit(self) -> float | None:
        return None if self.limit is None or isinstance(self.ours, str) else self.ours / self.limit

    @property
    def of_best_peer(self) -> float | None:
        best = self.best_peer
        return None if best is None or isinstance(self.ours, str) else self.ours / best[1]

    @property
    def met(self) -> bool | None:
        """Whether the target is reached; None where there is none."""
        target = self.target
        if target == Target():
            return None
        if isinstance(self.ours, str):
            return False
        reached = []
        if target.of_limit is not None:
            reached.append(self.of_limit is not None and self.of_limit <= target.of_limit)
        if target.at_most is not None:
            reached.append(self.ours <= target.at_most)
        if target.of_peer is not None:
            peer, times = target.of_peer
            theirs = self.peers[peer]
            reached.append(isinstance(theirs, str) or self.ours <= theirs * times)
        if target.ahead:
            reached.append(self.best_peer is None or self.ours < self.best_peer[1])
        return all(reached)

    def as_dict(self) -> dict[str, Any]:
        """All of it as plain values."""
        return {
            "work": self.work,
            "unit": self.unit,
            "limit": self.limit,
            "ours": self.ours,
            "peers": dict(self.peers),
            "ours/limit": self.of_limit,
            "ours/best peer": self.of_best_peer,
            "target": self.target.text(self.unit),
            "met": self.met,
        }


def table(rows: Sequence[Row]) -> str:
    """The rows for people; below each the peers that are not the best."""
    head = ("work", "limit", "ours", "/limit", "best peer", "/peer", "target", "met")
    lines: list[tuple[str, ...]] = [head]
    below: list[str] = [""]
    for row in rows:
        best = row.best_peer
        lines.append(
            (
                f"{row.work}{f', {row.unit}' if row.unit else ''}",
                _number(row.limit),
                _number(row.ours),
                _ratio(row.of_limit),
                f"{best[0]} {_number(best[1])}" if best else "",
                _ratio(row.of_best_peer),
                row.target.text(row.unit),
                {True: "yes", False: "NO", None: ""}[row.met],
            )
        )
        others = [f"{name} {_number(time)}" for name, time in row.peers.items() if not best or name != best[0]]
        below.append(", ".join(others))
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    text = []
    for line, others in zip(lines, below, strict=True):
        cells = [
            cell.rjust(width) if column in (1, 2, 3, 5) else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        text.append("  ".join(cells).rstrip())
        if others:
            text.append(f"    others: {others}")
    return "\n".join(text)


def _number(value: float | str | None) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _ratio(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}x"


def growth(times: Mapping[int, float]) -> float:
    """The exponent b of the least-squares fit of ``seconds = a * size ** b``."""
    points = [(math.log(size), math.log(seconds)) for size, seconds in times.items()]
    mean_x = sum(x for x, _ in points) / len(points)
    mean_y = sum(y for _, y in points) / len(points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / sum((x - mean_x) ** 2 for x, _ in points)
