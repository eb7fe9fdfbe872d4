"""Schemas from JSON files: what they mean, and every problem with its place."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from objectkernel_system_dialect.contracts import (
    Discriminator,
    EntitySchema,
    Field,
    Index,
    Relation,
    SchemaInvalid,
)
from objectkernel_system_dialect.registry import validate_schemas
from objectkernel_system_dialect.schema_files import LONGEST, read_schemas

ORDER = {
    "name": "Order",
    "collection": "orders",
    "fields": {
        "total": {"type": "decimal", "precision": 8, "scale": 2, "default": "0.50", "min": 0, "max": "99.99"},
        "placed": {"type": "datetime", "default": "2026-01-02T03:04:05Z"},
        "batch": {"type": "uuid", "default": "7c9a86a8-1f6f-4b1e-9d7b-3d8a0d5c2f10"},
        "state": {"type": "enum", "enum": ["open", "paid"], "default": "open", "required": True},
        "amount": {"type": "integer", "min": 1, "max": 9},
    },
    "relations": {"customer": {"target": "Order", "kind": "many-to-one", "on_delete": "set-null"}},
    "indexes": [{"fields": {"total": -1, "state": 1}}, {"fields": ["amount"], "unique": True}],
    "key": "batch",
    "timestamps": True,
    "discriminator": {"field": "kind", "value": "order"},
}


def problems(tmp_path: Path, document: Any) -> list[str]:
    """The problems of one file, without its name."""
    file = tmp_path / "schema.json"
    file.write_text(document if isinstance(document, str) else json.dumps(document))
    with pytest.raises(SchemaInvalid) as caught:
        read_schemas([file])
    told: tuple[str, ...] = caught.value.facts["problems"]
    assert all(one.startswith(f"{file}: ") for one in told)
    return [one.removeprefix(f"{file}: ") for one in told]


def test_a_file_means_what_the_class_means(tmp_path: Path) -> None:
    """Each key is an attribute of its class; decimals, times and UUIDs are text."""
    (tmp_path / "order.json").write_text(json.dumps(ORDER))
    (schema,) = read_schemas([tmp_path])
    assert schema == EntitySchema(
        name="Order",
        collection="orders",
        fields={
            "total": Field(
                "decimal", precision=8, scale=2, default=Decimal("0.50"), min=Decimal(0), max=Decimal("99.99")
            ),
            "placed": Field("datetime", default=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
            "batch": Field("uuid", default=UUID("7c9a86a8-1f6f-4b1e-9d7b-3d8a0d5c2f10")),
            "state": Field("enum", enum=("open", "paid"), default="open", required=True),
            "amount": Field("integer", min=1, max=9),
        },
        relations={"customer": Relation("Order", on_delete="set-null")},
        indexes=(Index({"total": -1, "state": 1}), Index("amount", unique=True)),
        key=("batch",),
        timestamps=True,
        discriminator=Discriminator("kind", "order"),
    )
    assert validate_schemas([schema]) == ()


def test_files_and_folders_are_read_in_order(tmp_path: Path) -> None:
    """A folder gives its .json files by name; a file may hold several schemas."""
    folder = tmp_path / "schemas"
    folder.mkdir()
    names = [dict(ORDER, name=name) for name in "abcd"]
    (folder / "two.json").write_text(json.dumps(names[2]))
    (folder / "one.json").write_text(json.dumps(names[:2]))
    (folder / "notes.txt").write_text("no schema")
    (tmp_path / "last.json").write_text(json.dumps(names[3]))
    assert [schema.name for schema in read_schemas([folder, tmp_path / "last.json"])] == ["a", "b", "c", "d"]


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"timestamp": True}, "'timestamp' is unknown; did you mean 'timestamps'? @ $"),
        ({"name": 3}, "text is expected, not a number @ $.name"),
        ({"timestamps": 1}, "true or false is expected, not a number @ $.timestamps"),
        ({"fields": {"a": {}}}, "'type' is missing @ $.fields['a'].type"),
        ({"fields": {"a": {"type": "string", "length": "9"}}}, "a whole number is expected, not text"),
        ({"fields": {"a": {"type": "string", "length": True}}}, "a whole number is expected, not true or false"),
        ({"fields": {"a": {"type": "sting"}}}, "one of string, text, integer"),
        ({"fields": {"a": {"type": "decimal", "default": 0.1}}}, "`default` is no decimal, which is written as text"),
        ({"fields": {"a": {"type": "datetime", "default": "soon"}}}, "`default` is no datetime"),
        ({"fields": {"a": {"type": "enum", "enum": [1]}}}, "a name or a list of names is expected"),
        ({"fields": {"a": "string"}}, "an object is expected, not text @ $.fields['a']"),
        ({"relations": {"a": {"target": "B", "ondelete": "x"}}}, "did you mean 'on_delete'? @ $.relations['a']"),
        ({"indexes": [{"fields": {"a": "up"}}]}, "a direction is 1 or -1 @ $.indexes[0].fields"),
    ],
)
def test_a_problem_is_told_with_its_place(tmp_path: Path, wrong: dict[str, Any], told: str) -> None:
    """Nothing is converted, dropped or guessed: unknown keys, wrong kinds of values, missing ones."""
    (problem,) = problems(tmp_path, ORDER | wrong)
    assert told in problem


def test_every_problem_of_every_file_is_told_together(tmp_path: Path) -> None:
    """One error has them all, also those of files that are no JSON or cannot be read."""
    (tmp_path / "a.json").write_text("{")
    (tmp_path / "b.json").write_text(json.dumps([ORDER, dict(ORDER, name=1, key=[2])]))
    (tmp_path / "c").mkdir()
    with pytest.raises(SchemaInvalid) as caught:
        read_schemas([tmp_path, tmp_path / "missing.json", tmp_path / "c"])
    found = caught.value.facts["problems"]
    assert len(found) == 5
    for words in ("it is no JSON", "@ $[1].name", "@ $[1].key", "(FileNotFoundError)", "holds no .json file"):
        assert any(words in one for one in found), words


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"name": "A", "name": "B", "collection": "a", "fields": {}}', "an object has the key 'name' twice"),
        ('{"fields": {"a": {"type": "text"}, "a": {"type": "json"}}}', "an object has the key 'a' twice"),
        ('{"fields": {"a": {"type": "number", "max": Infinity}}}', "Infinity is no JSON"),
        ("[" * 100_000, "nested too deeply"),
        (" " * LONGEST + "1", "longer than"),
    ],
    ids=["key", "field", "number", "nesting", "length"],
)
def test_what_readers_would_not_agree_on_is_refused(tmp_path: Path, text: str, told: str) -> None:
    """A key that is there twice, numbers that JSON has not, more than anybody would write."""
    (problem,) = problems(tmp_path, text)
    assert told in problem


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    """What is no file is told, and not read."""
    os.mkfifo(tmp_path / "pipe.json")
    with pytest.raises(SchemaInvalid, match="it is no file"):
        read_schemas([tmp_path])


def test_a_document_that_is_no_object_is_one_problem(tmp_path: Path) -> None:
    """A number, a text or null is no schema."""
    for document in ("3", '"Order"', "null", "[3]"):
        (problem,) = problems(tmp_path, document)
        assert "an object is expected" in problem
