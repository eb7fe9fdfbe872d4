"""Entity schemas from JSON files: what `EntitySchema` takes, with every problem told at its place in the file.

A file holds one schema, an object, or several, a list of them::

    {
        "name": "Order",
        "collection": "orders",
        "fields": {"total": {"type": "decimal", "scale": 2, "required": true, "default": "0.00"}},
        "relations": {"customer": {"target": "Customer", "on_delete": "cascade"}},
        "indexes": [{"fields": {"total": -1}}],
        "timestamps": true
    }

Decimals, times and UUIDs are text, as anywhere in JSON.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from functools import cache
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import attrs
from cattrs import BaseValidationError, Converter, ForbiddenExtraKeysError, IterableValidationError, transform_error
from cattrs.gen import make_dict_structure_fn, override
from objectkernel.errors import nearest

from objectkernel_system_dialect.errors import SchemaInvalid
from objectkernel_system_dialect.schema import Discriminator, EntitySchema, Field, Index, Relation

LONGEST: Final = 16 * 1024 * 1024
"""Bytes of a file; what is longer is no description of entities."""
READ: Final[Mapping[str, Callable[[str], Any]]] = {"decimal": Decimal, "datetime": datetime.fromisoformat, "uuid": UUID}
"""How text becomes the value of a field, for types that JSON has not."""


def read_schemas(paths: Iterable[Path]) -> tuple[EntitySchema, ...]:
    """The schemas of JSON files, and of all ``*.json`` in folders, in the order of the names.

    Whether they make sense is checked on registration.

    Raises:
        SchemaInvalid: with every problem of every file.
    """
    schemas: list[EntitySchema] = []
    problems: list[str] = []
    for file in _files(paths, problems):
        try:
            schemas += _schemas(_document(file))
        except _Misfit as error:
            problems.append(f"{file}: {error}")
        except OSError as error:
            problems.append(f"{file}: it cannot be read ({type(error).__name__})")
        except RecursionError:
            problems.append(f"{file}: it is nested too deeply")
        except ValueError as error:
            problems.append(f"{file}: it is no JSON ({error})")
        except BaseValidationError as error:
            problems += [f"{file}: {told}" for told in transform_error(error, format_exception=_told)]
    if problems:
        raise SchemaInvalid(
            f"the schema files have {len(problems)} problem{'s' if len(problems) > 1 else ''}",
            why=problems,
            fix="correct them; no schema was taken from any file",
            problems=tuple(problems),
        )
    return tuple(schemas)


def read_schema(document: Any) -> EntitySchema:
    """The schema that a JSON value describes; whether it makes sense is checked on registration.

    Raises:
        SchemaInvalid: `problems` has each with its JSON path behind an @.
    """
    try:
        return _converter().structure(document, EntitySchema)
    except _Misfit as error:
        problems = [f"{error} @ $"]
    except BaseValidationError as error:
        problems = transform_error(error, format_exception=_told)
    raise SchemaInvalid(
        "this is no entity schema", why=problems, fix="correct every place named above", problems=tuple(problems)
    )


def _files(paths: Iterable[Path], problems: list[str]) -> Iterator[Path]:
    for path in paths:
        if not path.is_dir():
            yield path
        elif found := sorted(path.glob("*.json")):
            yield from found
        else:
            problems.append(f"{path}: the folder holds no .json file")


def _document(file: Path) -> Any:
    """What a file holds, if every reader takes it for the same."""
    if file.exists() and not file.is_file():  # a pipe would wait for somebody who writes
        raise _Misfit("it is no file")
    if file.stat().st_size > LONGEST:
        raise _Misfit(f"it is longer than {LONGEST} bytes")
    return json.loads(file.read_bytes(), object_pairs_hook=_once, parse_constant=_no_number)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = next(name for name, count in Counter(name for name, _ in pairs).items() if count > 1)
        raise _Misfit(f"an object has the key {twice!r} twice")
    return found


def _no_number(text: str) -> Any:
    raise _Misfit(f"{text} is no JSON")


def _schemas(document: Any) -> list[EntitySchema]:
    if isinstance(document, list):
        return _converter().structure(document, list[EntitySchema])
    return [_converter().structure(document, EntitySchema)]


class _Misfit(ValueError):
    """What is wrong with a value; its text is for people."""


@cache
def _converter() -> Converter:
    converter = Converter(forbid_extra_keys=True, detailed_validation=True)
    for type_, told in ((str, "text"), (bool, "true or false"), (int, "a whole number")):
        converter.register_structure_hook(type_, _exactly(type_, told))
    converter.register_structure_hook_func(lambda type_: type_ == tuple[str, ...], _names)
    converter.register_structure_hook_func(lambda type_: type_ == tuple[tuple[str, int], ...], _directions)
    raw = override(struct_hook=lambda value, _: value)
    field = make_dict_structure_fn(Field, converter, _cattrs_forbid_extra_keys=True, default=raw, min=raw, max=raw)
    converter.register_structure_hook(Field, _object(field, _field))
    for made in (Relation, Discriminator, Index, EntitySchema):  # the last is made of the others
        structure = make_dict_structure_fn(made, converter, _cattrs_forbid_extra_keys=True)
        converter.register_structure_hook(made, _object(structure, None))
    return converter


def _exactly(wanted: type, told: str) -> Callable[[Any, type], Any]:
    def check(value: Any, _: type) -> Any:
        if type(value) is not wanted:
            raise _Misfit(f"{told} is expected, not {_kind(value)}")
        return value

    return check


def _object(structure: Callable[[Any, Any], Any], then: Callable[[Any], Any] | None) -> Callable[[Any, Any], Any]:
    def check(value: Any, type_: Any) -> Any:
        if not isinstance(value, dict):
            raise _Misfit(f"an object is expected, not {_kind(value)}")
        made = structure(value, type_)
        return made if then is None else then(made)

    return check


def _names(value: Any, _: Any) -> tuple[str, ...]:
    names = (value,) if isinstance(value, str) else value
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
        raise _Misfit("a name or a list of names is expected")
    return tuple(names)


def _directions(value: Any, type_: Any) -> Any:
    if not isinstance(value, dict):
        return _names(value, type_)
    if not all(type(direction) is int for direction in value.values()):
        raise _Misfit("a direction is 1 or -1")
    return value


def _field(field: Field) -> Field:
    """The field with its default and bounds as Python values."""
    read = READ.get(field.type)
    if read is None:
        return field
    values = {}
    for name in ("default", "min", "max"):
        value = getattr(field, name)
        if value is None:
            continue
        try:
            if type(value) not in (str, int):
                raise ValueError
            values[name] = read(str(value))
        except (ValueError, InvalidOperation):
            raise _Misfit(f"`{name}` is no {field.type}, which is written as text") from None
    return attrs.evolve(field, **values)


def _told(error: BaseException, type_: Any) -> str:
    """One problem, for people; cattrs appends where it is."""
    if isinstance(error, ForbiddenExtraKeysError):
        known = [field.name for field in attrs.fields(error.cl)]
        return "; ".join(_unknown(name, known) for name in sorted(error.extra_fields))
    if isinstance(error, KeyError):
        return f"{error.args[0]!r} is missing"
    if isinstance(error, _Misfit):
        return str(error)
    if isinstance(error, IterableValidationError | BaseValidationError):
        return error.message
    choices = getattr(type_, "__args__", ())
    if choices and all(isinstance(one, str) for one in choices):
        return f"one of {', '.join(choices)} is expected"
    return "it is of the wrong kind"


def _unknown(name: str, known: list[str]) -> str:
    near = nearest(name, known, 1)
    return f"{name!r} is unknown" + (f"; did you mean {near[0]!r}?" if near else "")


def _kind(value: Any) -> str:
    kinds = {dict: "an object", list: "a list", str: "text", bool: "true or false", int: "a number", float: "a number"}
    return kinds.get(type(value), "null")
