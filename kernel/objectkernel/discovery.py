"""Entry points of installed distributions, found without importing a plugin or `importlib.metadata`."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import attrs

from objectkernel.discovery_cache import CacheFile, cache_folder
from objectkernel.distributions import PLUGINS, PROVIDES, EntryPoint, absolute, scan
from objectkernel.errors import (
    EntryPointConflict,
    EntryPointInvalid,
    PluginImportFailed,
    nearest,
)

_REFERENCE: Final = re.compile(r"(?P<module>\w+(?:\.\w+)*)\s*(?::\s*(?P<attr>\w+(?:\.\w+)*))?\Z")


@attrs.frozen
class Discovery:
    """What the installed distributions offer.

    Attributes:
        entry_points: of the group ``objectkernel.plugins.v1``, by name; two of one name are two.
        provides: service → references of the plugins that would provide it (``objectkernel.provides.v1``).
    """

    entry_points: tuple[EntryPoint, ...]
    provides: Mapping[str, tuple[str, ...]]


def discover(path: Sequence[str] | None = None, cache: Path | bool | None = True) -> Discovery:
    """Find the entry points of all distributions on `path`.

    Of two distributions of one name the first on the path counts, as for `importlib.metadata`.

    Args:
        path: folders and archives, by default ``sys.path``.
        cache: the folder of the cache files; True for the one of `cache_folder`, None or False for none.
    """
    folders = tuple(dict.fromkeys(absolute(entry) for entry in (sys.path if path is None else path)))
    folder = cache_folder() if cache is True else cache or None
    if folder is None:
        return _assembled(scan(folders).rows)
    file = CacheFile(folder, folders)
    rows = file.read()
    if rows is None:
        found = scan(folders)
        file.write(found)
        rows = found.rows
    return _assembled(rows)


def _assembled(rows: Sequence[tuple[str, str, str, str, str, str]]) -> Discovery:
    """Rows are: group, name, reference, distribution, version, where."""
    plugins = dict.fromkeys(EntryPoint(*row) for group, *row in rows if group == PLUGINS)
    provides: dict[str, dict[str, None]] = {}
    for group, name, reference, *_ in rows:
        if group == PROVIDES:
            provides.setdefault(name, {})[reference] = None
    return Discovery(
        tuple(sorted(plugins, key=lambda e: (e.name, e.distribution, e.reference))),
        {service: tuple(references) for service, references in sorted(provides.items())},
    )


def conflict(name: str, entries: Sequence[EntryPoint]) -> EntryPointConflict:
    """The error about several entry points of one name."""
    return EntryPointConflict(
        f"{len(entries)} different entry points have the name {name!r}",
        where=entries[0].where,
        why=[f"{e.distribution} {e.version} leads to {e.reference} ({e.where})" for e in entries],
        fix=f'pick one: [kernel.distributions] {name} = "{entries[0].distribution}"; or uninstall the others',
        name=name,
        distributions=tuple(entry.distribution for entry in entries),
    )


# -- importing


def load(entry_point: EntryPoint) -> Any:
    """Import what an entry point leads to.

    Raises:
        PluginImportFailed: importing raised something, `SystemExit` too; it is the cause, and `traceback` its
            text. KeyboardInterrupt passes.
        EntryPointInvalid: the reference is malformed, or the module has no such name.
    """
    found = _REFERENCE.match(entry_point.reference)
    if found is None:
        raise EntryPointInvalid(
            f"entry point {entry_point.name!r} has the malformed reference {entry_point.reference!r}",
            where=entry_point.where,
            why="a reference is module.path:name",
            fix=f"correct the metadata of {entry_point.distribution}, and install it again",
            name=entry_point.name,
        )
    from importlib import import_module

    target: Any = _guarded(entry_point, lambda: import_module(found["module"]))
    for part in (found["attr"] or "").split("."):
        if part:
            target = _attribute(entry_point, target, part)
    return target


def _attribute(entry_point: EntryPoint, holder: Any, name: str) -> Any:
    absent = object()
    value = _guarded(entry_point, lambda: getattr(holder, name, absent))
    if value is not absent:
        return value
    holder_name = getattr(holder, "__name__", holder)
    close = nearest(name, [known for known in dir(holder) if not known.startswith("_")])
    raise EntryPointInvalid(
        f"entry point {entry_point.name!r} leads to {entry_point.reference}, which does not exist",
        where=entry_point.where,
        why=f"{holder_name} ({getattr(holder, '__file__', type(holder).__name__)}) has no {name!r}",
        fix=f"did you mean {close[0]!r}?" if close else f"install {entry_point.distribution} again",
        name=entry_point.name,
        known=close,
    )


def _guarded(entry_point: EntryPoint, step: Callable[[], Any]) -> Any:
    """Run code of the plugin's module; whatever it raises is the plugin's failure, not the host's end."""
    try:
        return step()
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise _import_failed(entry_point, error) from error


def _import_failed(entry_point: EntryPoint, error: BaseException) -> PluginImportFailed:
    import traceback

    lines = traceback.format_exception(error)
    module = entry_point.reference.partition(":")[0].strip()
    fix = f"python -c 'import {module}' shows it alone"
    if isinstance(error, ModuleNotFoundError) and error.name:
        own = module == error.name or module.startswith(f"{error.name}.")
        lacking = f"install {entry_point.distribution} again" if own else f"install what has the module {error.name}"
        fix = f"{lacking}; {fix}"
    return PluginImportFailed(
        f"plugin {entry_point.name!r} could not be imported",
        where=_last_place(error) or entry_point.where,
        why=(
            f"{type(error).__name__}: {error}",
            f"it is {entry_point.reference} of {entry_point.distribution} {entry_point.version}",
        ),
        fix=f"{fix}, or leave the plugin out: [kernel] without = [{entry_point.name!r}]",
        name=entry_point.name,
        reference=entry_point.reference,
        distribution=entry_point.distribution,
        traceback="".join(lines),
    )


def _last_place(error: BaseException) -> str:
    """``file:line`` of the innermost frame that is not of the import machinery or of this module."""
    place, frame = "", error.__traceback__
    while frame is not None:
        file = frame.tb_frame.f_code.co_filename
        if file != __file__ and not file.startswith("<frozen") and "importlib" not in Path(file).parts:
            place = f"{file}:{frame.tb_lineno}"
        frame = frame.tb_next
    return place


__all__ = ["Discovery", "EntryPoint", "cache_folder", "conflict", "discover", "load"]
