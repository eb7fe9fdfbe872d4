"""What every test shares: both event loops, and hypothesis without deadlines."""

from __future__ import annotations

import gc
import os
import signal
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("local", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "local")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell does that to what it runs in the background
    signal.signal(signal.SIGINT, signal.default_int_handler)

gc.disable()  # until all tests are collected: it takes a third of that time

KERNEL_TESTS = Path(__file__).parent / "kernel"


@pytest.fixture(scope="module", params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """The event loop that `pytest.mark.anyio` tests run on: each test runs on both."""
    return str(request.param)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark as slow what repeats, elsewhere, what another test of the same name has shown.

    The second event loop is for `make check`, but in the kernel: plugins reach both by way of it and of anyio. So are
    the servers' databases: `make test` is for every change, and says the same on a machine that has none.
    """
    for item in items:
        parameters = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
        needs_server = item.get_closest_marker("postgres") or item.get_closest_marker("mariadb")
        is_second_loop = parameters.get("anyio_backend") == "trio" and KERNEL_TESTS not in item.path.parents
        if needs_server or is_second_loop:
            item.add_marker(pytest.mark.slow)


def pytest_collection_finish() -> None:
    """Keep the collected tests, a million objects, out of the garbage collector's way."""
    gc.enable()
    gc.collect()
    gc.freeze()
