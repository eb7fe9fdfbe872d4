"""The settings of all plugins: read from file, environment and arguments, checked, and told where from.

Of an option's sources the later wins: the class's default, the file, the environment, an argument. A
configuration that was given as a mapping counts as arguments.
"""

from __future__ import annotations

import enum
import logging
from collections.abc import Collection, Mapping
from pathlib import PurePath
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

import attrs

from objectkernel.document import Document
from objectkernel.errors import (
    ConfigInvalid,
    ConfigUnknownSection,
    DeclarationInvalid,
    KernelError,
    nearest,
)
from objectkernel.options import KernelOptions, kernel_options
from objectkernel.reading import ABSENT, Reading
from objectkernel.secret import SHOWN, Secret
from objectkernel.settings import ENV_PREFIX, fields_of, is_settings, setting

if TYPE_CHECKING:
    from objectkernel.sources import Kind

log = logging.getLogger("objectkernel.config")

STAGE: Final = "MOSTA_ENV"
"""The variable that makes ``TEST_NAME`` win over ``NAME``, for every variable named in a field's metadata."""


@attrs.frozen
class Row:
    """One setting and where its value comes from.

    Attributes:
        value: in terms of JSON; secrets are ``***``, a value that was refused or is missing is None.
        source: ``file:line``, ``environment NAME``, ``argument`` or ``default``.
    """

    plugin: str
    option: str
    value: Any
    source: str


@attrs.frozen
class Configuration:
    """The settings of all plugins.

    Attributes:
        instances: plugin → an instance of its settings class; there is none where there are problems.
        seconds: plugin → what reading its settings took.
        problems: all that is wrong; a problem of one plugin's settings has its name as `plugin`.
    """

    instances: dict[str, Any]
    problems: tuple[KernelError, ...]
    seconds: dict[str, float]
    _readings: tuple[Reading, ...] = attrs.field(repr=False, eq=False)

    def rows(self) -> list[Row]:
        """Every option of every plugin, by plugin and in the order of the settings class."""
        return [
            Row(reading.plugin, name, shown(_value(reading, name)), reading.source(name))
            for reading in sorted(self._readings, key=lambda r: r.plugin)
            for name in reading.options
        ]


def resolve(
    specs: Mapping[str, type | None],
    document: Document | None,
    environ: Mapping[str, str],
    overrides: Mapping[str, Mapping[str, Any]] | None = None,
    *,
    installed: Collection[str] = (),
) -> Configuration:
    """Read and check the settings of all plugins; nothing is raised, all problems are in the result.

    Args:
        specs: plugin → its settings class (attrs), or None where it takes no settings.
        overrides: plugin → arguments, which win over everything.
        installed: plugins that are known but not selected: their sections are left alone.
    """
    document = document or Document()
    overrides = overrides or {}
    problems = list(document.problems)
    _unknown_sections(document, overrides, {*specs, *installed}, problems)
    mentioned = _mentioned(environ)
    _warn_of_unknown_variables(mentioned, {*specs, *installed})
    stage = environ.get(STAGE, "").strip().upper()
    instances: dict[str, Any] = {}
    readings: list[Reading] = []
    staged = False
    seconds: dict[str, float] = {}
    clock = perf_counter()
    for plugin, settings in specs.items():
        tables = _tables(document, overrides, plugin)
        own = mentioned.get(_folded(plugin))
        try:
            reading = Reading(plugin, settings or _Nothing, document)
        except (NameError, TypeError, attrs.exceptions.NotAnAttrsClassError) as error:
            problems.append(_unreadable(plugin, settings, error))
            continue
        readings.append(reading)
        names = [option.env for option in reading.options.values() if option.env]
        staged = staged or bool(names)
        if tables or own or any(name in environ or (stage and f"{stage}_{name}" in environ) for name in names):
            reading.read(tables, environ, stage)
        reading.build()
        problems += reading.problems
        if settings is not None and reading.instance is not ABSENT and not reading.problems:
            instances[plugin] = reading.instance
        began, clock = clock, perf_counter()
        seconds[plugin] = clock - began if settings is not None else 0.0
    if staged and stage:
        _check_stage(stage, problems)
    return Configuration(instances, tuple(problems), seconds, tuple(readings))


@attrs.frozen
class _Nothing:
    """The settings of a plugin that takes none."""


def _tables(
    document: Document, overrides: Mapping[str, Mapping[str, Any]], plugin: str
) -> list[tuple[Kind, Mapping[str, Any]]]:
    """The tables for a plugin that have something in them; one that is given both ways is taken once."""
    section, arguments = document.plugins.get(plugin), overrides.get(plugin)
    tables: list[tuple[Kind, Mapping[str, Any]]] = []
    if section and section is not arguments:
        tables.append(("file" if document.path else "argument", section))
    if arguments:
        tables.append(("argument", arguments))
    return tables


# -- what belongs to nobody


def _unknown_sections(
    document: Document,
    overrides: Mapping[str, Mapping[str, Any]],
    known: set[str],
    problems: list[KernelError],
) -> None:
    for plugin in document.plugins:
        if plugin not in known:
            problems.append(_unknown_section(plugin, known, document.where("plugins", plugin), document))
    for plugin in overrides:
        if plugin not in known and plugin not in document.plugins:
            problems.append(_unknown_section(plugin, known, "argument", document))


def _unknown_section(plugin: str, known: set[str], where: str, document: Document) -> ConfigUnknownSection:
    close = nearest(plugin, sorted(known))
    dotted = [f"{plugin}.{key}" for key in document.plugins.get(plugin, {}) if f"{plugin}.{key}" in known]
    fix = f"did you mean [plugins.{close[0]}]?" if close else "install the plugin, or take the section out"
    return ConfigUnknownSection(
        f"the section [plugins.{plugin}] belongs to nobody",
        where=where,
        why=f"no plugin {plugin!r} is installed; there are {', '.join(sorted(known)) or 'no plugins'}",
        fix=f'a name with a dot stands in quotes: [plugins."{dotted[0]}"]' if dotted else fix,
        section=f"plugins.{plugin}",
        known=close,
    )


def _folded(plugin: str) -> str:
    return plugin.upper().replace("-", "_").replace(".", "_")


def _mentioned(environ: Mapping[str, str]) -> dict[str, list[str]]:
    """Plugin, as environment variables spell it → the variables of its options."""
    found: dict[str, list[str]] = {}
    for name in environ:
        if name.startswith(ENV_PREFIX):
            found.setdefault(name.removeprefix(ENV_PREFIX).partition("__")[0], []).append(name)
    return found


def _warn_of_unknown_variables(mentioned: Mapping[str, list[str]], known: set[str]) -> None:
    """No error: one environment may serve several hosts, with other plugins."""
    if not mentioned:
        return
    folded = {_folded(plugin) for plugin in known}
    for plugin, names in mentioned.items():
        if plugin not in folded:
            close = nearest(plugin, folded)
            hint = f"; did you mean {ENV_PREFIX}{close[0]}?" if close else ""
            log.warning("%s: no such plugin is installed%s", ", ".join(sorted(names)), hint)


def _check_stage(stage: str, problems: list[KernelError]) -> None:
    from objectkernel.sources import STAGES

    if stage in STAGES:
        return
    close = nearest(stage, STAGES)
    problems.append(
        ConfigInvalid(
            f"the stage {stage!r} does not exist",
            where=f"environment {STAGE}",
            why=f"there are {', '.join(STAGES)}",
            fix=f"did you mean {close[0]}?" if close else f"set one of them, or unset {STAGE}",
            option=STAGE,
            known=close,
        )
    )


def _unreadable(plugin: str, settings: type | None, error: Exception) -> DeclarationInvalid:
    problem = DeclarationInvalid(
        f"the settings class of {plugin} cannot be read",
        where=f"{getattr(settings, '__module__', '')}.{getattr(settings, '__qualname__', settings)}",
        why=f"{type(error).__name__}: {error}",
        fix="give an attrs class whose annotations name what its module imports at run time, "
        "not under TYPE_CHECKING only",
        plugin=plugin,
    )
    problem.__cause__ = error
    return problem


# -- for display


def _value(reading: Reading, name: str) -> Any:
    if reading.instance is ABSENT:
        if reading.options[name].secret:  # what a converter of the field refused is not wrapped
            return SHOWN if name in reading.given else None
        return reading.values.get(name)
    value = reading.instance
    for part in reading.options[name].path:
        value = getattr(value, _attribute(type(value), part))
    return value


def _attribute(settings: type, alias: str) -> str:
    """The attribute that a field's argument sets; they differ for private ones."""
    return str(next(field.name for field in fields_of(settings) if field.alias == alias))


def shown(value: Any) -> Any:
    """A setting's value in terms of JSON, each secret as ``***``."""
    if isinstance(value, Secret):
        return SHOWN
    if isinstance(value, enum.Enum):
        return shown(value.value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, Mapping):
        return {str(k): shown(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [shown(v) for v in value]
    if isinstance(value, set | frozenset):
        return sorted((shown(v) for v in value), key=repr)
    if is_settings(type(value)):
        return {field.alias: shown(getattr(value, field.name)) for field in fields_of(type(value))}
    return str(value)


__all__ = [
    "STAGE",
    "Configuration",
    "Document",
    "KernelOptions",
    "Row",
    "kernel_options",
    "resolve",
    "setting",
    "shown",
]
