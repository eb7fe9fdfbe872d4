"""Strict conversion of configured values to the declared types of settings."""

from __future__ import annotations

import enum
import types
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence, Set
from datetime import date, datetime, time
from pathlib import Path, PurePath
from typing import (
    Annotated,
    Any,
    Final,
    Literal,
    NewType,
    NoReturn,
    TypeVar,
    Union,
    get_args,
    get_origin,
)

import attrs

from objectkernel.errors import nearest
from objectkernel.secret import Secret
from objectkernel.settings import fields_of, holds_secret, is_settings


class Refused(ValueError):
    """A value is not of its type.

    Attributes:
        expected: the type, in words.
        given: what was given instead, in words; says nothing of the value itself.
        path: keys and indices from the option down to the part that is wrong.
        hint: the nearest name, or "".
    """

    def __init__(self, expected: str, given: str, path: tuple[str | int, ...] = (), hint: str = "") -> None:
        super().__init__(f"expected {expected}, not {given}")
        self.expected = expected
        self.given = given
        self.path = path
        self.hint = hint


_TRUE: Final = frozenset({"true", "1", "yes", "on"})
_FALSE: Final = frozenset({"false", "0", "no", "off"})


def convert(value: Any, kind: Any, *, text: bool = False) -> Any:
    """Give `value` as the type `kind`.

    Args:
        text: the value is a string from the environment, and so may spell a number, a switch, or a list or
            table as JSON (a list also with commas between). Otherwise a string is a string: ``"5"`` is no 5,
            and True no 1; an integer passes for a float, an array for any collection, a string for a path.

    Raises:
        Refused: the value is not of the type. The raw value is in neither its text nor its context.
    """
    kind = _plain(kind)
    if kind is Any or kind is object or isinstance(kind, TypeVar):
        return value
    origin = get_origin(kind) or kind
    if origin is Secret:
        return _secret(value, kind, text)
    if origin in (Union, types.UnionType):
        return _union(value, kind, text)
    if origin is Literal:
        return _one_of(value, get_args(kind), kind, text)
    if kind is None or kind is types.NoneType:
        return None if value is None or (text and value == "") else _refuse(kind, value)
    if not isinstance(origin, type):
        return _refuse(kind, value)
    if origin in _SCALARS:
        return _SCALARS[origin](value, text)
    if issubclass(origin, enum.Enum):
        return value if isinstance(value, origin) else _member(value, origin, text)
    if issubclass(origin, str | bytes):
        return _instance(value, origin)
    if issubclass(origin, PurePath):
        return origin(value) if isinstance(value, str) else _instance(value, origin)
    if is_settings(origin):
        return _settings(value, origin, text)
    if issubclass(origin, Mapping):
        return _mapping(value, kind, text)
    if issubclass(origin, Sequence | Set) or origin in _COLLECTIONS:
        return _collection(value, kind, origin, text)
    return _instance(value, origin)


def _plain(kind: Any) -> Any:
    """The type behind an alias, an annotation or a NewType."""
    while True:
        if get_origin(kind) is Annotated:
            kind = get_args(kind)[0]
        elif isinstance(kind, NewType):
            kind = kind.__supertype__
        elif type(kind).__name__ == "TypeAliasType":
            kind = kind.__value__
        else:
            return kind


# -- words


def spelled(kind: Any) -> str:
    """A type in words, for messages."""
    kind = _plain(kind)
    origin, args = get_origin(kind) or kind, get_args(kind)
    if origin in _WORDS:
        return _WORDS[origin]
    if origin in (Union, types.UnionType):
        return " or ".join(spelled(arg) for arg in args)
    if origin is Literal:
        return f"one of {', '.join(repr(arg) for arg in args)}"
    if origin is Secret:
        return f"a secret ({spelled(args[0])})" if args else "a secret (a string)"
    if isinstance(origin, type) and issubclass(origin, enum.Enum):
        return f"one of {', '.join(repr(member.value) for member in origin)}"
    if isinstance(origin, type) and issubclass(origin, PurePath):
        return "a path"
    if is_settings(origin) or (isinstance(origin, type) and issubclass(origin, Mapping)):
        return "a table"
    if isinstance(origin, type) and (issubclass(origin, Sequence | Set) or origin in _COLLECTIONS):
        return f"a list of {spelled(args[0])}" if args and args[-1] in (..., args[0]) else "a list"
    return f"a {getattr(kind, '__qualname__', kind)}"


def given(value: Any) -> str:
    """A value in words that do not tell it."""
    if isinstance(value, Secret):
        return "a secret"
    if isinstance(value, Mapping):
        return "a table"
    if isinstance(value, list | tuple | set | frozenset):
        return "a list"
    return _WORDS.get(type(value), f"a {type(value).__qualname__}")


def _refuse(kind: Any, value: Any, hint: str = "") -> NoReturn:
    raise Refused(spelled(kind), given(value), hint=hint)


def _inside(key: str | int, value: Any, kind: Any, text: bool) -> Any:
    """Convert a part; the path of a refusal begins with its key."""
    try:
        return convert(value, kind, text=text)
    except Refused as error:
        refused = error
    raise Refused(refused.expected, refused.given, (key, *refused.path), refused.hint)


# -- single values


def _bool(value: Any, text: bool) -> bool:
    if text and isinstance(value, str) and value.strip().lower() in _TRUE | _FALSE:
        return value.strip().lower() in _TRUE
    return value if isinstance(value, bool) else _refuse(bool, value)


def _int(value: Any, text: bool) -> int:
    if text and isinstance(value, str):
        value = _parsed(int, value, int)
    return value if isinstance(value, int) and not isinstance(value, bool) else _refuse(int, value)


def _float(value: Any, text: bool) -> float:
    if text and isinstance(value, str):
        value = _parsed(float, value, float)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else _refuse(float, value)


def _str(value: Any, text: bool) -> str:
    return value if isinstance(value, str) else _refuse(str, value)


def _dated(kind: Any) -> Callable[[Any, bool], Any]:
    def read(value: Any, text: bool) -> Any:
        if text and isinstance(value, str):
            return _parsed(kind.fromisoformat, value, kind)
        return value if type(value) is kind or (kind is not date and isinstance(value, kind)) else _refuse(kind, value)

    return read


def _parsed(parse: Callable[[str], Any], text: str, kind: Any) -> Any:
    try:
        return parse(text.strip())
    except (ValueError, RecursionError):
        pass
    _refuse(kind, text)  # outside the except: the parser's error quotes the text


_SCALARS: Final[Mapping[Any, Callable[[Any, bool], Any]]] = {
    bool: _bool,
    int: _int,
    float: _float,
    str: _str,
    datetime: _dated(datetime),
    date: _dated(date),
    time: _dated(time),
}
_COLLECTIONS: Final = (list, tuple, set, frozenset, Collection, Iterable)
_WORDS: Final[Mapping[Any, str]] = {
    bool: "true or false",
    int: "an integer",
    float: "a number",
    str: "a string",
    bytes: "bytes",
    datetime: "a date and time",
    date: "a date",
    time: "a time",
    Path: "a path",
    None: "nothing",
    types.NoneType: "nothing",
    Any: "anything",
}


def _instance(value: Any, kind: type) -> Any:
    return value if isinstance(value, kind) else _refuse(kind, value)


def _secret(value: Any, kind: Any, text: bool) -> Secret[Any]:
    raw = value.reveal() if isinstance(value, Secret) else value
    try:
        return Secret(convert(raw, (get_args(kind) or (str,))[0], text=text and not isinstance(value, Secret)))
    except Refused as error:
        refused = error
    raise Refused(spelled(kind), refused.given, refused.path)  # without the hint: it may tell of the value


def _union(value: Any, kind: Any, text: bool) -> Any:
    """By the member of the value's own type, else the first that takes it, strings last."""
    members = get_args(kind)
    if text and value == "" and types.NoneType in members:
        return None
    hints = []
    own = None if text else type(value)
    for member in sorted(members, key=lambda m: (_plain(m) is not own, _plain(m) is str, m is types.NoneType)):
        try:
            return convert(value, member, text=text)
        except Refused as error:
            hints.append(error)
    inner = [h for h in hints if h.path or h.hint]
    if len(inner) == 1:
        raise Refused(inner[0].expected, inner[0].given, inner[0].path, inner[0].hint)
    _refuse(kind, value)


def _one_of(value: Any, choices: tuple[Any, ...], kind: Any, text: bool) -> Any:
    for choice in choices:
        if (type(value) is type(choice) and value == choice) or (text and _as_text(choice) == value):
            return choice
    _refuse(kind, value, _close(value, choices))


def _member(value: Any, kind: type[enum.Enum], text: bool) -> enum.Enum:
    """The member of that value, else of that name."""
    for member in kind:
        raw = member.value
        if (type(value) is type(raw) and value == raw) or (text and _as_text(raw) == value):
            return member
    if isinstance(value, str) and value in kind.__members__:
        return kind[value]
    _refuse(kind, value, _close(value, [m.value for m in kind]))


def _as_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _close(value: Any, choices: Sequence[Any]) -> str:
    close = nearest(value, [c for c in choices if isinstance(c, str)], 1) if isinstance(value, str) else ()
    return close[0] if close else ""


# -- values with parts


def _json(value: Any, kind: Any) -> Any:
    import json

    return _parsed(json.loads, value, kind)


def _collection(value: Any, kind: Any, origin: type, text: bool) -> Any:
    if text and isinstance(value, str):
        is_json = value.lstrip().startswith("[")
        value = _json(value, kind) if is_json else [part.strip() for part in value.split(",") if part.strip()]
        text = not is_json
    if not isinstance(value, list | tuple | set | frozenset):
        _refuse(kind, value)
    items, args = list(value), get_args(kind)
    if origin is tuple and args and args[-1] is not ...:
        if len(items) != len(args):
            raise Refused(f"a list of {len(args)} items", f"one of {len(items)}")
        return tuple(_inside(i, item, arg, text) for i, (item, arg) in enumerate(zip(items, args, strict=True)))
    made = [_inside(i, item, args[0] if args else Any, text) for i, item in enumerate(items)]
    if issubclass(origin, Set):
        return set(made) if origin is set else frozenset(made)
    return made if origin is list else tuple(made)


def _mapping(value: Any, kind: Any, text: bool) -> Any:
    if text and isinstance(value, str):
        value = _json(value, kind)
    if not isinstance(value, Mapping):
        _refuse(kind, value)
    key_kind, item_kind = get_args(kind) or (Any, Any)
    return {
        _inside(str(k), k, key_kind, isinstance(k, str)): _inside(str(k), v, item_kind, False) for k, v in value.items()
    }


def _settings(value: Any, kind: type, text: bool) -> Any:
    """An instance of a settings class that stands in a list, a table or a union."""
    if isinstance(value, kind):
        return value
    if text and isinstance(value, str):
        value = _json(value, kind)
    if not isinstance(value, Mapping):
        _refuse(kind, value)
    fields = {field.alias: field for field in fields_of(kind)}
    values: dict[str, Any] = {}
    for key, part in value.items():
        name = str(key).replace("-", "_")
        if name not in fields:
            close = nearest(str(key), fields, 1)
            raise Refused(f"a key among {', '.join(fields)}", "another", (str(key),), close[0] if close else "")
        values[name] = _inside(str(key), part, fields[name].type, False)
    for name, field in fields.items():
        if field.default is attrs.NOTHING and name not in values:
            raise Refused(spelled(field.type), "nothing", (name,))
    try:
        return kind(**values)
    except Exception as error:
        reason = type(error).__name__ if holds_secret(kind) else reason_of(error)
    raise Refused(f"a {kind.__qualname__}", f"what it refuses ({reason})")


def reason_of(error: BaseException) -> str:
    """What a validator or converter says; attrs' own put more arguments behind their text."""
    return str(error.args[0]) if error.args and isinstance(error.args[0], str) else str(error) or type(error).__name__
