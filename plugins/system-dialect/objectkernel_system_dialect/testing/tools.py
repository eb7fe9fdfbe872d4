"""What the parts of the behaviour suite have in common."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import anyio
import pytest

from objectkernel_system_dialect.dialect import Capability, Dialect, Filter
from objectkernel_system_dialect.errors import DataError, DuplicateKey
from objectkernel_system_dialect.repository import Repository
from objectkernel_system_dialect.schema import EntitySchema
from objectkernel_system_dialect.testing.dialects import Dialects
from objectkernel_system_dialect.testing.schemas import ITEM

T = TypeVar("T")
E = TypeVar("E", bound=DataError)


class Suite:
    """What all parts share. They become one class, so each name of a fixture means the same in all of them."""

    tells_fields = True
    """Whether `DuplicateKey` names its fields; False only where the database itself does not tell."""

    def assert_duplicate(self, error: DuplicateKey, entity: str, *fields: str) -> None:
        """Hold the facts of an error against what they should be."""
        assert error.facts["entity"] == entity
        assert sorted(error.facts["fields"]) == (sorted(fields) if self.tells_fields else [])

    @pytest.fixture
    async def dialect(self, dialects: Dialects) -> Dialect:
        """An open dialect with the suite's schemas."""
        return await dialects.shared()

    @pytest.fixture
    async def items(self, dialect: Dialect) -> Repository:
        """Items, of which there are none."""
        (items,) = await emptied(dialect, ITEM)
        return items


def odd(value: object) -> Any:
    """A value that no type checker would let through."""
    return value


async def emptied(dialect: Dialect, *schemas: EntitySchema) -> list[Repository]:
    """Repositories of these entities, from which every row was deleted, in this order."""
    for schema in schemas:
        everything: Filter = {"deleted_at": {"$not": {"$in": []}}} if schema.soft_delete else {}
        await dialect.delete_many(schema, everything, all=True, hard=True)
    return [Repository(dialect, schema) for schema in schemas]


async def together(*calls: Callable[[], Awaitable[T]]) -> list[T]:
    """What the calls answer, made at the same time, in their order."""
    answers: dict[int, T] = {}

    async def answer(number: int, call: Callable[[], Awaitable[T]]) -> None:
        answers[number] = await call()

    async with anyio.create_task_group() as tasks:
        for number, call in enumerate(calls):
            tasks.start_soon(answer, number, call)
    return [answers[number] for number in range(len(calls))]


def needs(dialect: Dialect, capability: Capability) -> None:
    """Skip the test where the dialect does not say that it can do this."""
    if capability not in dialect.capabilities:
        pytest.skip(f"the dialect {dialect.name!r} has not the capability {capability!r}")


async def refused(kind: type[E], *calls: Coroutine[Any, Any, Any], match: str = "") -> list[E]:
    """The errors that the calls, made one after another, raise; each is of this kind and says `match`."""
    errors: list[E] = []
    try:
        for number, call in enumerate(calls, start=1):
            name = f"call {number}, {getattr(call, '__qualname__', '')},"
            try:
                answer = await call
            except kind as error:
                assert match in str(error), f"{name} was to say {match!r}"
                errors.append(error)
            else:
                pytest.fail(f"{name} was to raise {kind.__name__} and answered {answer!r}")
    finally:
        for call in calls:
            call.close()
    return errors
