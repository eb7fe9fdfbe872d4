"""What both ends of the data plane know alike: names in paths, keys in paths, and the look of an entity."""

from __future__ import annotations

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from objectkernel_system_dialect.contracts import Discriminator, EntitySchema, Field, Relation
from objectkernel_system_dialect.rest_api import described, key_parts, key_path, path_name

from tests.plugins.system_dialect.net_entities import BUSINESS, NOTE, TAG, VISIT

BY_NAME = {schema.name: schema for schema in BUSINESS}


@given(st.lists(st.text(st.characters(codec="utf-8")), min_size=1))
def test_keys_there_and_back(parts: list[str]) -> None:
    """A key is one segment of a path, from which its parts are read again; none is a step up the path."""
    segment = key_path(parts)
    assert key_parts(segment) == tuple(parts)
    assert not set(segment) & set("/?# ")
    assert segment not in (".", "..")


def test_no_text() -> None:
    """Bytes that are no UTF-8 are no key."""
    with pytest.raises(ValueError):
        key_parts("%FF")


def test_path_names() -> None:
    """An entity goes by its collection; where several share that, by both names."""
    dog = EntitySchema(name="Dog", collection="pets", fields={}, discriminator=Discriminator("kind", "dog"))
    assert (path_name(TAG), path_name(dog)) == ("tags", "pets.Dog")


def test_description() -> None:
    """It says the type of each name, and what else changes the meaning of rows."""
    note = described(NOTE, BY_NAME)
    assert note == {
        "id": "string key",
        "owner": "string tenant",
        "text": "text",
        "stars": "integer",
        "version": "integer kept",
        "folder": "string many-to-one Folder",
        "tags": "list many-to-many Tag",
    }
    assert described(VISIT, BY_NAME)["at"] == "datetime key"


@pytest.mark.parametrize(
    "change",
    [
        {"fields": {**NOTE.fields, "stars": Field("number")}},
        {"fields": {**NOTE.fields, "text": Field("array", items="integer")}},
        {"tenant": None},
        {"version": False},
        {"timestamps": True},
        {"soft_delete": True},
        {"discriminator": Discriminator("kind", "note")},
        {"relations": {**NOTE.relations, "tags": Relation("Tag")}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_matters_is_described(change: dict[str, object]) -> None:
    """Schemas that mean different rows do not look alike; an index or a default makes no difference."""
    assert described(attrs.evolve(NOTE, **change), BY_NAME) != described(NOTE, BY_NAME)
    other = attrs.evolve(NOTE, fields={**NOTE.fields, "stars": Field("integer", default=5, min=0)}, indexes=())
    assert described(other, BY_NAME) == described(NOTE, BY_NAME)
