"""What a plugin's settings class says: its options, their types and their environment variables."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final, TypeVar, get_args, overload
from weakref import WeakKeyDictionary

import attrs

from objectkernel.secret import Secret

T = TypeVar("T")

ENV_PREFIX: Final = "OBJECTKERNEL_PLUGINS__"

if TYPE_CHECKING:
    Validator = Callable[[Any, "attrs.Attribute[T]", T], Any]

    @overload
    def setting(*, default: T, env: str | None = None, help: str = "", validator: Validator[T] | None = None) -> T: ...
    @overload
    def setting(
        *,
        factory: Callable[[], T],
        env: str | None = None,
        help: str = "",
        validator: Validator[T] | None = None,
    ) -> T: ...
    @overload
    def setting(*, env: str | None = None, help: str = "", validator: Validator[Any] | None = None) -> Any: ...
    def setting(**arguments: Any) -> Any: ...

else:

    def setting(*, env=None, help="", **arguments):
        """A field of a settings class, as `attrs.field` makes it.

        Args:
            env: a variable the option is also read from; with ``MOSTA_ENV=TEST``, ``TEST_<env>`` wins.
            help: one sentence about the option, with its unit; error messages show it.
        """
        told = {"env": env, "help": help}
        return attrs.field(metadata={name: text for name, text in told.items() if text}, **arguments)


@attrs.frozen
class Option:
    """One setting of a plugin.

    Attributes:
        path: the fields' names from the settings class down; more than one where settings classes are nested.
        type: the declared type.
        field: the attrs field.
        owner: the settings class that has the field.
        secret: a `Secret` is part of the type.
    """

    path: tuple[str, ...]
    type: Any
    field: attrs.Attribute[Any] = attrs.field(repr=False)
    owner: type = attrs.field(repr=False)
    secret: bool

    @property
    def name(self) -> str:
        """The option's name in messages: dotted where it is nested."""
        return ".".join(self.path)

    @property
    def env(self) -> str | None:
        """The environment variable named in the field's metadata."""
        return self.field.metadata.get("env")

    @property
    def help(self) -> str:
        """What the field's metadata says about it."""
        return str(self.field.metadata.get("help", ""))

    def variable(self, plugin: str) -> str:
        """The environment variable of this option of `plugin`: upper case, nested names joined by ``__``."""
        return variable_prefix(plugin) + "__".join(self.path).upper()


def variable_prefix(plugin: str) -> str:
    """What the environment variables of a plugin's options begin with."""
    return f"{ENV_PREFIX}{plugin.upper().replace('-', '_').replace('.', '_')}__"


def fields_of(settings: type) -> list[Any]:
    """The attrs fields of a settings class that can be set, their types resolved.

    Raises:
        NameError: an annotation names something that its module does not have at run time.
    """
    return [field for field in attrs.fields(attrs.resolve_types(settings)) if field.init]


_known: WeakKeyDictionary[type, tuple[Option, ...]] = WeakKeyDictionary()


def options_of(settings: type) -> tuple[Option, ...]:
    """The options of a settings class, those of nested settings classes in their place."""
    options = _known.get(settings)
    if options is None:
        options = _known[settings] = tuple(_walk(settings, (), ()))
    return options


def _walk(settings: type, path: tuple[str, ...], above: tuple[type, ...]) -> Iterator[Option]:
    for field in fields_of(settings):
        here = (*path, field.alias)
        if is_settings(field.type) and field.type not in above:
            yield from _walk(field.type, here, (*above, settings))
        else:
            yield Option(here, field.type, field, settings, holds_secret(field.type))


def is_settings(kind: Any) -> bool:
    """Whether a type is a settings class, whose options are read one by one."""
    return isinstance(kind, type) and attrs.has(kind)


def holds_secret(kind: Any, above: tuple[Any, ...] = ()) -> bool:
    """Whether a value of the type has a `Secret` in it."""
    if kind is Secret or getattr(kind, "__origin__", None) is Secret:
        return True
    if is_settings(kind) and kind not in above:
        return any(holds_secret(field.type, (*above, kind)) for field in fields_of(kind))
    parts = (*get_args(kind), getattr(kind, "__supertype__", None), getattr(kind, "__value__", None))
    return any(holds_secret(part, above) for part in parts if part is not None)
