"""One plugin's settings: from what is given to an instance of its settings class, or to all problems."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import attrs

from objectkernel.document import Document
from objectkernel.errors import (
    ConfigInvalid,
    ConfigMissing,
    ConfigTypeInvalid,
    ConfigUnknownKey,
    KernelError,
    nearest,
)
from objectkernel.settings import Option, fields_of, holds_secret, is_settings, options_of, variable_prefix
from objectkernel.values import Refused, convert, given, reason_of, spelled

if TYPE_CHECKING:
    from objectkernel.sources import Given, Kind, SectionLoader

ABSENT: Final[Any] = object()


class Reading:
    """The settings of one plugin while they are read.

    Attributes:
        given: option → the raw value that counts, and where it was given.
        values: option → its converted value, where that is valid.
        instance: the instance of the settings class, or ABSENT where there are problems.
    """

    def __init__(self, plugin: str, settings: type, document: Document) -> None:
        self.plugin = plugin
        self.settings = settings
        self.document = document
        self.options = {option.name: option for option in options_of(settings)}
        self.given: dict[str, Given] = {}
        self.values: dict[str, Any] = {}
        self.problems: list[KernelError] = []
        self.instance: Any = ABSENT

    # -- from sources to raw values

    def read(self, tables: list[tuple[Kind, Mapping[str, Any]]], environ: Mapping[str, str], stage: str) -> None:
        """Hold each source against the settings class, and take the winning value of each option."""
        from objectkernel.sources import CascadeLoader, SectionLoader, merge

        self._unknown_variables(environ)
        found: dict[str, list[SectionLoader]] = {"file": [], "argument": []}
        for kind, table in tables:
            found[kind].append(SectionLoader(self._flatten(table, kind, (), ()), kind))
        environment = CascadeLoader(self.plugin, self.options.values(), environ, stage)
        self.given = merge(
            self.settings, tuple(self.options.values()), [*found["file"], environment, *found["argument"]]
        )

    def _flatten(
        self, table: Mapping[str, Any], kind: Kind, path: tuple[str, ...], place: tuple[str, ...]
    ) -> dict[str, Given]:
        """Option → value of one table; `path` has the fields' names, `place` the keys as they are written."""
        from objectkernel.sources import Given

        known = {option.path[len(path)] for option in self.options.values() if option.path[: len(path)] == path}
        found: dict[str, Given] = {}
        seen: dict[str, str] = {}
        for key, value in table.items():
            name = str(key).replace("-", "_")
            here, there = (*path, name), (*place, str(key))
            if name not in known:
                self._unknown_key(there, known, self._where(kind, there))
            elif name in seen:
                self._problem(
                    ConfigInvalid,
                    here,
                    f"is given twice: as {seen[name]!r} and as {key!r}",
                    self._where(kind, there),
                    fix="keep one of them",
                )
            elif ".".join(here) in self.options:
                found[".".join(here)] = Given(value, kind, there)
            elif isinstance(value, Mapping):
                found |= self._flatten(value, kind, here, there)
            elif is_settings(type(value)):
                found |= self._flatten(_by_name(value), kind, here, there)
            else:
                self._problem(
                    ConfigTypeInvalid,
                    here,
                    f"is {given(value)}, but a table of settings is expected",
                    self._where(kind, there),
                    fix=f"write [plugins.{self.plugin}.{'.'.join(here)}]",
                )
            seen[name] = str(key)
        return found

    def _unknown_key(self, place: tuple[str, ...], known: set[str], where: str) -> None:
        close = nearest(place[-1], sorted(known))
        self._problem(
            ConfigUnknownKey,
            place,
            "does not exist",
            where,
            why=f"there are {', '.join(sorted(known))}" if known else "it takes no settings",
            fix=f"did you mean {close[0]!r}?" if close else "take it out",
            known=close,
        )

    def _unknown_variables(self, environ: Mapping[str, str]) -> None:
        prefix = variable_prefix(self.plugin)
        known = {option.variable(self.plugin) for option in self.options.values()}
        for name in environ:
            if name.startswith(prefix) and name not in known:
                close = nearest(name.removeprefix(prefix), [k.removeprefix(prefix) for k in known])
                self._problem(
                    ConfigUnknownKey,
                    (name.removeprefix(prefix).lower(),),
                    "does not exist",
                    f"environment {name}",
                    why=f"the variables are {', '.join(sorted(known))}" if known else "it takes no settings",
                    fix=f"did you mean {prefix}{close[0]}?" if close else "unset the variable",
                    known=tuple(k.lower() for k in close),
                )

    # -- from raw values to the instance

    def build(self) -> None:
        """Convert every value, then make the instance; every value that is refused is a problem."""
        for name, raw in self.given.items():
            option = self.options[name]
            try:
                self.values[name] = convert(raw.value, option.type, text=raw.kind == "environment")
                continue
            except Refused as error:
                refused = error
            if option.field.converter is not None:  # it is there to take what the type does not
                self.values[name] = raw.value
            else:
                self._refused(option, raw, refused)
        self.instance = self._make(self.settings, (), ABSENT)

    def _refused(self, option: Option, raw: Given, refused: Refused) -> None:
        where = self._where(raw.kind, (*raw.place, *refused.path))
        inner = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in refused.path)
        shown = ""
        if not option.secret and not refused.path and isinstance(raw.value, str | int | float):
            shown = f" {raw.value!r}" if len(repr(raw.value)) < 80 else ""
        fix = f"did you mean {refused.hint!r}?" if refused.hint else f"give {spelled(option.type)}"
        self._problem(
            ConfigTypeInvalid,
            option.path,
            f"is {refused.given}{shown}, but {refused.expected} is expected",
            where,
            why=_about(option),
            fix=fix,
            part=inner,
            expected=refused.expected,
        )

    def _make(self, settings: type, path: tuple[str, ...], base: Any) -> Any:
        """An instance of `settings`, or ABSENT; what is not given comes from `base`, if there is one."""
        values: dict[str, Any] = {}
        complete = True
        for field in fields_of(settings):
            value = self._field(field, (*path, field.alias), base)
            if value is not ABSENT:
                values[field.alias] = value
            elif field.default is attrs.NOTHING or self._is_touched((*path, field.alias)):
                complete = False
        if complete:
            try:
                return settings(**values)
            except Exception as error:
                failure: Exception | None = error
        else:
            failure = None
        self._diagnose(settings, path, values, failure)
        return ABSENT

    def _field(self, field: Any, here: tuple[str, ...], base: Any) -> Any:
        name = ".".join(here)
        if name in self.values:
            return self.values[name]
        if base is not ABSENT and not self._is_touched(here):
            return getattr(base, field.name)
        if name in self.options:
            if field.default is attrs.NOTHING and name not in self.given:
                self._missing(self.options[name])
            return ABSENT
        if not self._is_touched(here) and field.default is not attrs.NOTHING:
            return ABSENT
        return self._make(field.type, here, getattr(base, field.name) if base is not ABSENT else _default(field))

    def _is_touched(self, path: tuple[str, ...]) -> bool:
        """Whether something is given for the option, or for one below it."""
        return any(self.options[name].path[: len(path)] == path for name in self.given)

    def _missing(self, option: Option) -> None:
        section = "plugins", self.plugin
        where = self.document.where(*section) if self.plugin in self.document.plugins else ""
        variable = option.env or option.variable(self.plugin)
        self._problem(
            ConfigMissing,
            option.path,
            "has no value, and no default",
            where or f"{option.owner.__module__}.{option.owner.__qualname__}.{option.path[-1]}",
            why=(f"{spelled(option.type)} is expected", *_about(option)),
            fix=f"set {option.name} in [plugins.{self.plugin}], or the environment variable {variable}",
            expected=spelled(option.type),
        )

    # -- which value the settings class refuses

    def _diagnose(
        self, settings: type, path: tuple[str, ...], values: Mapping[str, Any], failure: Exception | None
    ) -> None:
        """Ask converters and validators one by one; a failure that none of them repeats is the class's."""
        before = len(self.problems)
        probe: Any = object.__new__(settings)
        fields = fields_of(settings)
        refused = set()
        for field in fields:
            value = values.get(field.alias, ABSENT)
            value = _default(field) if value is ABSENT and failure is not None else value
            if value is ABSENT:
                continue
            if callable(field.converter):
                try:
                    value = field.converter(value)
                except Exception as error:
                    self._invalid(field, path, error)
                    refused.add(field.alias)
                    continue
            object.__setattr__(probe, field.name, value)
        for field in fields:
            value = getattr(probe, field.name, ABSENT)
            if field.validator is None or value is ABSENT or field.alias in refused:
                continue
            try:
                field.validator(probe, field, value)
            except Exception as error:
                if failure is None and isinstance(error, AttributeError):
                    continue  # it looks at a field that has no value
                self._invalid(field, path, error)
        if failure is not None and len(self.problems) == before:
            self._invalid(None, path, failure)

    def _invalid(self, field: Any, path: tuple[str, ...], error: Exception) -> None:
        here = (*path, field.alias) if field is not None else path
        name = ".".join(here)
        option = self.options.get(name)
        secret = option.secret if option is not None else holds_secret(self.settings)
        raw = self.given.get(name)
        reason = reason_of(error)
        if secret:  # the validator has seen the value and may have put it anywhere
            reason = f"{type(error).__name__}; what it says is withheld, since a secret is concerned"
        problem = self._problem(
            ConfigInvalid,
            here,
            "is refused" if here else "are refused as a whole",
            self._where(raw.kind, raw.place) if raw else self._section(),
            why=(reason, *(_about(option) if option else ())),
            fix="give a value that the settings class accepts"
            + ("" if raw or not here else ", for its default is not one"),
        )
        if not secret:
            problem.__cause__ = error

    # -- messages

    def _where(self, kind: Kind, place: tuple[str | int, ...]) -> str:
        if kind == "file":
            return self.document.where("plugins", self.plugin, *place)
        return f"environment {place[0]}" if kind == "environment" else "argument"

    def _section(self) -> str:
        if self.plugin in self.document.plugins and self.document.path:
            return self.document.where("plugins", self.plugin)
        return f"{self.settings.__module__}.{self.settings.__qualname__}"

    def source(self, name: str) -> str:
        """Where a value comes from: ``file:line``, ``environment NAME``, ``argument`` or ``default``."""
        raw = self.given.get(name)
        return self._where(raw.kind, raw.place) if raw is not None else "default"

    def _problem(
        self,
        kind: type[KernelError],
        path: tuple[str, ...],
        what: str,
        where: str,
        *,
        part: str = "",
        **told: Any,
    ) -> KernelError:
        """Note a problem of an option, of a part of its value, or without a path of all settings."""
        option = ".".join(path)
        subject = f"setting {option + part!r} of {self.plugin}" if option else f"the settings of {self.plugin}"
        problem = kind(f"{subject} {what}", where=where, plugin=self.plugin, option=option, **told)
        self.problems.append(problem)
        return problem


def _about(option: Option) -> tuple[str, ...]:
    return (f"{option.name}: {option.help}",) if option.help else ()


def _by_name(instance: Any) -> dict[str, Any]:
    return {field.alias: getattr(instance, field.name) for field in fields_of(type(instance))}


def _default(field: Any) -> Any:
    """The field's default, ABSENT where it has none, or one that only the class itself can make."""
    default = field.default
    if default is attrs.NOTHING:
        return ABSENT
    if not hasattr(default, "takes_self"):
        return default
    try:
        return ABSENT if default.takes_self else default.factory()
    except Exception:
        return ABSENT  # making the instance fails in the same way, and tells
