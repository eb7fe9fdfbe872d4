"""A repository and a store in memory, and the behaviour suites of `MediaRepository`, `Storage` and its powers.

A test module of yours is a dozen lines; the suite of repositories asks for one fixture, the others for `stores`, as
`storage_suite` tells::

    import pytest
    from objectkernel_media_server.testing import RepositorySuite

    @pytest.fixture(scope="module", params=["asyncio", "trio"])  # the event loops that your driver knows
    def anyio_backend(request):
        return request.param

    @pytest.fixture
    async def repository(anyio_backend):
        yield MyRepository("somewhere")  # it may have rows of accounts that the suite does not know

    class TestMyRepository(RepositorySuite): ...

Needs pytest and anyio's plugin.
"""

from __future__ import annotations

import pytest

_SUITES = ("files_suite", "repository_suite", "resumable_suite", "signs_suite", "storage_suite", "stores")
pytest.register_assert_rewrite(*(f"{__name__}.{name}" for name in _SUITES))  # a failure says what there was instead

from objectkernel_media_server.memory_store import MemoryDriver  # noqa: E402
from objectkernel_media_server.testing.files_suite import FilesSuite  # noqa: E402
from objectkernel_media_server.testing.memory_repository import MemoryMediaRepository  # noqa: E402
from objectkernel_media_server.testing.repository_suite import RepositorySuite  # noqa: E402
from objectkernel_media_server.testing.resumable_suite import ResumableSuite  # noqa: E402
from objectkernel_media_server.testing.signs_suite import SignsSuite  # noqa: E402
from objectkernel_media_server.testing.storage_suite import StorageSuite  # noqa: E402
from objectkernel_media_server.testing.stores import Stores  # noqa: E402

__all__ = [
    "FilesSuite",
    "MemoryDriver",
    "MemoryMediaRepository",
    "RepositorySuite",
    "ResumableSuite",
    "SignsSuite",
    "StorageSuite",
    "Stores",
]
