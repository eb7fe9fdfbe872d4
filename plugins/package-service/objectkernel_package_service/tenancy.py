"""Whose the rows of an object are: an account's each, unless the object says that all accounts share them.

ObjectStack's objects say so in ``tenancy``: ``{"enabled": false}`` for rows that are everybody's, in ``tenantField``
what the field with the tenant is called. What an object says nothing of belongs to accounts.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, Final

import attrs
from objectkernel_system_dialect.contracts import EntitySchema, Field, Index, Relation

from objectkernel_package_service.column_names import column_name
from objectkernel_package_service.given_field import plain

TENANT: Final = "tenant_id"
"""The field with the account, where an object names none. One name for all, whatever else an object has: if it depended
on that, a later version with another field would let the rows belong to somebody else."""
LONGEST_TENANT: Final = 64
"""Characters of an account's id. MariaDB takes an index of it and a key as long as `field_mapping.LONGEST_KEY`."""
TENANCY: Final = "tenancy"

ONE_TABLE: Final = "shared"
"""A `strategy` that older versions of the format have: one table for all tenants, whose rows are kept apart."""


@attrs.frozen
class Tenancy:
    """What an object says of its rows.

    Attributes:
        field: the name of the field with the account; None: all accounts share the rows.
        named: how the object itself calls that field; None where it does not.
    """

    field: str | None
    named: str | None = None


def tenancy_of(item: Mapping[str, Any], unfit: Collection[str], note: Callable[[Sequence[str], str], None]) -> Tenancy:
    """Whose the rows of an object are.

    Args:
        unfit: names of fields that have another meaning, in lower case.
        note: is told what cannot be kept, with its place in the object.
    """
    raw = item.get(TENANCY)
    if raw is None:
        return Tenancy(TENANT)
    if not isinstance(raw, dict):
        note((TENANCY,), "is no object, and says nothing: the rows belong to accounts")
        return Tenancy(TENANT)
    said = {plain(key): (key, value) for key, value in raw.items()}
    key, enabled = said.get("enabled", ("", None))
    if enabled is False:
        return Tenancy(None)
    if enabled not in (None, True):
        note((TENANCY, key), "is neither true nor false: the rows belong to accounts")
    key, strategy = said.get("strategy", ("", None))
    if strategy not in (None, ONE_TABLE):
        note((TENANCY, key), "is not done: the rows of all accounts lie in one table, and each account sees its own")
    key, named = said.get("tenantfield", ("", None))
    if named is None:
        return Tenancy(TENANT)
    made = column_name(named, ()) if isinstance(named, str) else ""
    if not made or made.lower() in unfit:
        note((TENANCY, key), f"is no name that this field can have: it is called {TENANT!r}")
        return Tenancy(TENANT)
    if made != named:
        note((TENANCY, key), f"is no name of a field: it is called {made!r}")
    return Tenancy(made, named)


def belonging(schema: EntitySchema, tenant: str) -> EntitySchema:
    """The entity with its rows kept apart by `tenant`, which is one of its fields.

    What was unique is so among the rows of one account, and every index begins with the account.
    """
    unique = [name for name, field in schema.fields.items() if field.unique]
    unique += [name for name, relation in schema.relations.items() if relation.kind == "one-to-one"]
    fields = {name: attrs.evolve(field, unique=False) for name, field in schema.fields.items()}
    relations = {name: _many(relation) for name, relation in schema.relations.items()}
    indexes = {index.fields: index for index in _scoped(schema, tenant, unique)}
    return attrs.evolve(schema, tenant=tenant, fields=fields, relations=relations, indexes=tuple(indexes.values()))


def _scoped(schema: EntitySchema, tenant: str, unique: Collection[str]) -> Iterator[Index]:
    """The indexes of an entity whose rows belong to accounts; of two over the same fields the later one counts."""
    yield Index((tenant, *schema.key))  # which lists an account's rows page by page
    for index in schema.indexes:
        fields = tuple(one for one in index.fields if one[0] != tenant)
        if fields:
            yield attrs.evolve(index, fields=dict([(tenant, 1), *fields]))
    for name in unique:
        yield Index((tenant, name), unique=True)


def _many(relation: Relation) -> Relation:
    """A row that is everybody's may be led to by a row of each account."""
    return attrs.evolve(relation, kind="many-to-one") if relation.kind == "one-to-one" else relation


def tenant_field() -> Field:
    """The field with the account of a row."""
    return Field("string", length=LONGEST_TENANT, required=True)


def given_to(schema: EntitySchema, account: str) -> EntitySchema:
    """The entity with an account for rows that have none, to bring a table up that was made without."""
    if schema.tenant is None:
        return schema
    tenant = attrs.evolve(schema.fields[schema.tenant], default=account)
    return attrs.evolve(schema, fields={**schema.fields, schema.tenant: tenant})
