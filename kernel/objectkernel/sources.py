"""Where settings come from, as loaders of typed-settings: the file's section, the environment, arguments.

Only a plugin for which something is given needs this module, and typed-settings with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Literal

import attrs
from typed_settings.dict_utils import merge_settings, set_path
from typed_settings.loaders import EnvLoader, Loader
from typed_settings.types import LoadedSettings, LoaderMeta, OptionInfo, OptionList, SettingsDict

from objectkernel.settings import Option, variable_prefix

Kind = Literal["file", "environment", "argument"]

STAGES: Final = ("DEV", "TEST", "PROD")


@attrs.frozen
class Given:
    """A raw value and where it was given.

    Attributes:
        place: the keys below the plugin's section, as they are written; or the environment variable.
    """

    value: Any = attrs.field(repr=False)
    kind: Kind
    place: tuple[str | int, ...]


class SectionLoader:
    """The options of one table that exist in the settings class: of the file, or given as arguments."""

    def __init__(self, found: Mapping[str, Given], kind: Kind) -> None:
        self._found = found
        self._kind = kind

    def __call__(self, settings_cls: type, options: OptionList) -> LoadedSettings:
        values: SettingsDict = {}
        for path, given in self._found.items():
            set_path(values, path, given)
        return LoadedSettings(values, LoaderMeta(self._kind))


class CascadeLoader(EnvLoader):
    """The environment: an option's own variable wins over the one that its field's metadata names.

    Of the latter, the one of the stage wins: with the stage TEST, ``TEST_SGBD_URI`` over ``SGBD_URI``.
    """

    def __init__(self, plugin: str, options: Iterable[Option], environ: Mapping[str, str], stage: str) -> None:
        super().__init__(variable_prefix(plugin), "__")
        self._options = {option.name: option for option in options}
        self._environ = environ
        self._stage = stage

    def __call__(self, settings_cls: type, options: OptionList) -> LoadedSettings:
        values: SettingsDict = {}
        for info in options:
            name = self.get_envvar(info)
            if name in self._environ:
                set_path(values, info.path, Given(self._environ[name], "environment", (name,)))
        return LoadedSettings(values, LoaderMeta("environment"))

    def get_envvar(self, option: OptionInfo) -> str:
        """The variable that counts: the first that is set, or the option's own."""
        own = super().get_envvar(option)
        names = (own, *cascade(self._options[option.path].env, self._stage))
        return next((name for name in names if name in self._environ), own)


def cascade(env: str | None, stage: str) -> tuple[str, ...]:
    """The variables that a name in a field's metadata stands for, the winner first."""
    if env is None:
        return ()
    return (f"{stage}_{env}", env) if stage else (env,)


def merge(settings: type, options: Sequence[Option], loaders: Sequence[Loader]) -> dict[str, Given]:
    """For each option that has one, the value that wins; later loaders win."""
    infos = tuple(
        OptionInfo(
            parent_cls=option.owner,
            path=option.name,
            cls=option.type,
            default=option.field.default,
            has_no_default=option.field.default is attrs.NOTHING,
            default_is_factory=hasattr(option.field.default, "takes_self"),
            is_secret=option.secret,
        )
        for option in options
    )
    loaded: list[LoadedSettings] = []
    for loader in loaders:
        result = loader(settings, infos)
        loaded += [result] if isinstance(result, LoadedSettings) else result
    return {path: merged.value for path, merged in merge_settings(infos, loaded).items()}
