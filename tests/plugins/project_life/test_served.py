"""`Served`: the schemas of projects are read once for each text, and kept while somebody has them."""

from __future__ import annotations

import gc
import weakref
from typing import Any

from objectkernel_project_life.encryption import UriCipher
from objectkernel_project_life.served import Reading
from objectkernel_system_dialect.schema_files import read_schema


def contact(**fields: Any) -> dict[str, Any]:
    """The document of an entity that has the same name each time."""
    return {"name": "Contact", "collection": "contacts", "fields": fields}


def test_same_text_is_the_same_schema() -> None:
    """So projects with the same entities share what is made of them."""
    reading = Reading(UriCipher(()), read_schema)
    first = reading.schema(contact(name={"type": "string"}, age={"type": "integer"}))
    assert reading.schema(contact(name={"type": "string"}, age={"type": "integer"})) is first


def test_entities_of_one_name_stay_apart() -> None:
    """Where their fields differ, and where what differs is equal in Python."""
    reading = Reading(UriCipher(()), read_schema)
    defaults = [1, 1.0]
    schemas = [reading.schema(contact(stars={"type": "number", "default": one})) for one in defaults]
    assert [type(schema.fields["stars"].default) for schema in schemas] == [int, float]
    other = reading.schema(contact(name={"type": "string"}))
    assert set(other.fields) == {"name"}


def test_schema_goes_with_the_last_project_that_has_it() -> None:
    """However many texts were read, no more is kept than what is in use."""
    reading = Reading(UriCipher(()), read_schema)
    kept = reading.schema(contact(name={"type": "string"}))
    seen = weakref.ref(kept)
    del kept
    gc.collect()
    assert seen() is None
