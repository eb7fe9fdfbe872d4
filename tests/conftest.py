"""What every test shares: both event loops, and hypothesis without deadlines."""

from __future__ import annotations

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

KERNEL_TESTS = Path(__file__).parent / "kernel"


@pytest.fixture(scope="module", params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """The event loop that `pytest.mark.anyio` tests run on: each test runs on both."""
    return str(request.param)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The second event loop is slow but for the kernel: the plugins reach both by way of it and of anyio."""
    for item in items:
        if (
            getattr(item, "callspec", None)
            and item.callspec.params.get("anyio_backend") == "trio"  # type: ignore[attr-defined]
            and KERNEL_TESTS not in item.path.parents
        ):
            item.add_marker(pytest.mark.slow)
