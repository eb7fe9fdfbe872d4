"""The way of calls to the executor."""

from __future__ import annotations

import anyio
import pytest
from objectkernel_system_dialect.contracts import EntitySchema, Field, OperationUnsupported
from objectkernel_system_dialect.sql_dialect import SqlDialect

LATE = EntitySchema(name="Late", collection="late", fields={"word": Field("string")})


@pytest.mark.anyio
async def test_no_schema_is_registered_within_a_transaction(dialect: SqlDialect) -> None:
    """It would wait for the very block that waits for it; registered behind the block it is there."""
    with anyio.fail_after(10):
        with pytest.raises(OperationUnsupported) as caught:
            async with dialect.transaction():
                await dialect.register(LATE)
        assert caught.value.facts["capability"] == "transaction"
        await dialect.register(LATE)
        assert await dialect.create(LATE, {"word": "here"})
