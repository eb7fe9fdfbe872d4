"""Finding the plugins among many installed distributions, ours and the peers'.

The distributions are folders of metadata as an installer leaves them, an hour old. Each has a console script, one
in ten a plugin.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import itertools
import json
import os
import sys
import tempfile
import time
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pluggy
from measuring import LIMIT, OURS, Row, Target, best_of, timed
from objectkernel.discovery import discover
from stevedore._cache import Cache

GROUP = "objectkernel.plugins.v1"
MODULE = "bench_discovered"
SIZES = (10, 100, 1_000)
ROUNDS = {10: 9, 100: 7, 1_000: 5}
METADATA = "Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\nSummary: One of many\n\n" + "It has a text.\n" * 100


class Found:
    """A plugin; pluggy takes two that are equal for one."""


def write_distributions(folder: Path, size: int) -> None:
    """As many metadata folders in `folder`."""
    for number in range(size):
        name = f"bench-{number:05}"
        info = folder / f"{name.replace('-', '_')}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(METADATA.format(name=name))
        (info / "RECORD").write_text("")
        text = f"[console_scripts]\n{name} = {MODULE}:main\n"
        if number % 10 == 0:
            text += f"\n[{GROUP}]\n{name} = {MODULE}:p{number}\n"
        (info / "entry_points.txt").write_text(text)
    hour_ago = time.time() - 3_600
    for path in (*folder.rglob("*"), folder):
        os.utime(path, (hour_ago, hour_ago))


@contextmanager
def installed(size: int) -> Iterator[tuple[Path, Path]]:
    """A folder of distributions that is the whole of ``sys.path``, with the module of their plugins, and a folder
    for caches."""
    module = types.ModuleType(MODULE)
    for number in range(0, size, 10):
        setattr(module, f"p{number}", Found())
    path = sys.path[:]
    with tempfile.TemporaryDirectory() as there, tempfile.TemporaryDirectory() as caches:
        write_distributions(Path(there), size)
        sys.modules[MODULE] = module
        sys.path[:] = [there]
        try:
            yield Path(there), Path(caches)
        finally:
            sys.path[:] = path
            del sys.modules[MODULE]


def cold_limit(folder: Path) -> Callable[[], object]:
    """List the folder, read every ``entry_points.txt``, split its lines."""

    def read() -> list[list[str]]:
        found = []
        for name in os.listdir(folder):
            try:
                with open(f"{folder}/{name}/entry_points.txt", encoding="utf-8") as file:
                    found.append(file.read().splitlines())
            except OSError:
                continue
        return found

    return read


def warm_limit(folder: Path, caches: Path) -> Callable[[], object]:
    """Look at the folder's time, read one file of JSON."""
    index = caches / "index.json"
    found = cold_limit(folder)()
    index.write_text(json.dumps(found))

    def read() -> object:
        os.stat(folder)
        return json.loads(index.read_text())

    return read


def with_metadata() -> object:
    """importlib.metadata without what it keeps in memory."""
    importlib.invalidate_caches()
    return importlib.metadata.entry_points(group=GROUP)


def with_pluggy() -> object:
    """pluggy's own loader, which imports and registers as well."""
    importlib.invalidate_caches()
    return pluggy.PluginManager("bench").load_setuptools_entrypoints(GROUP)


def discovered(size: int) -> list[Row]:
    """The first call of a process, without and with the files that earlier processes left."""
    with installed(size) as (folder, caches):
        own, theirs = caches / "ours", caches / "stevedore"
        fresh = (caches / f"fresh-{number}" for number in itertools.count())

        expected = size // 10
        assert len(discover([str(folder)], cache=own).entry_points) == expected
        assert len(Cache(str(theirs)).get_group_all(GROUP)) == expected
        assert len(tuple(importlib.metadata.entry_points(group=GROUP))) == expected
        assert any(own.iterdir())
        cold = {
            LIMIT: cold_limit(folder),
            OURS: lambda: discover([str(folder)], cache=next(fresh)),
            "importlib.metadata": with_metadata,
            "pluggy": with_pluggy,
        }
        warm = {
            LIMIT: warm_limit(folder, caches),
            OURS: lambda: discover([str(folder)], cache=own),
            "stevedore": lambda: Cache(str(theirs)).get_group_all(GROUP),
        }
        rounds = ROUNDS[size]
        return [
            Row.of(
                f"discover among {size:,}, cold",
                "ms",
                best_of(rounds, {name: timed(work) for name, work in cold.items()}),
                Target(of_peer=("importlib.metadata", 1)),
            ),
            Row.of(
                f"discover among {size:,}, warm",
                "ms",
                best_of(rounds, {name: timed(work) for name, work in warm.items()}),
                Target(at_most=2.0 if size == 1_000 else None, ahead=True),
            ),
        ]


def rows() -> list[Row]:
    """The discoveries."""
    return [row for size in SIZES for row in discovered(size)]
