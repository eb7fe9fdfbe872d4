"""The behaviour suite of `Dialect`: whoever implements one runs it with pytest and knows what is still wrong.

A test module of yours is a dozen lines; the suite asks for one fixture, `dialects`, on a database of its own::

    import pytest
    from objectkernel_system_dialect.testing import Dialects, DialectSuite, SharedDatabaseSuite

    @pytest.fixture(scope="module", params=["asyncio", "trio"])  # the event loops that your driver knows
    def anyio_backend(request):
        return request.param

    @pytest.fixture(scope="module")
    async def dialects(anyio_backend):
        async with Dialects(lambda: MongoDialect.open("mongodb://127.0.0.1/suite")) as dialects:
            yield dialects

    class TestMongoDialect(DialectSuite): ...

    class TestMongoDatabase(SharedDatabaseSuite): ...  # where two dialects can see one database

Both fixtures have the scope of the module: the dialect is opened once for each event loop, and a narrower
`anyio_backend` is a ``ScopeMismatch`` in every test. `contracts.BaseDialect` gives the operations that follow from the
others. A dialect that lacks members of `Dialect` fails one test, which names them all; the others are skipped.

Else what a dialect says it has not in its `capabilities` is skipped, and nothing more. The suite's collections begin
with ``suite_``, its entities are `SCHEMAS`; where a database does not tell what was a duplicate of what, the class says
``tells_fields = False``. Needs pytest and anyio's plugin.
"""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite(f"{__name__}.parts", f"{__name__}.tools")  # a failure says what there was instead

from objectkernel_system_dialect.testing.dialects import Dialects  # noqa: E402
from objectkernel_system_dialect.testing.schemas import SCHEMAS  # noqa: E402
from objectkernel_system_dialect.testing.suites import DialectSuite, SharedDatabaseSuite  # noqa: E402

__all__ = ["SCHEMAS", "DialectSuite", "Dialects", "SharedDatabaseSuite"]
