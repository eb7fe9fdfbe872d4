"""What every test shares: both event loops, hypothesis without deadlines, and what keeps a run short."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import certifi
import pytest
from anyio._backends import _asyncio
from hypothesis import is_hypothesis_test, settings

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


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what trio cannot run, and mark as slow what repeats, elsewhere, what another test of the same name has
    shown.

    The second event loop is for `make check`, but in the kernel: plugins reach both by way of it and of anyio. So are
    the servers' databases: `make test` is for every change, and says the same on a machine that has none.
    """
    there_is_none = [item for item in items if is_on_trio(item) and item.get_closest_marker("asyncio_only")]
    config.hook.pytest_deselected(items=there_is_none)
    items[:] = [item for item in items if item not in there_is_none]
    for item in items:
        needs_server = item.get_closest_marker("postgres") or item.get_closest_marker("mariadb")
        is_second_loop = is_on_trio(item) and KERNEL_TESTS not in item.path.parents
        if needs_server or is_second_loop:
            item.add_marker(pytest.mark.slow)
    if config.option.markexpr == "not slow":
        shorten({item.function for item in items if isinstance(item, pytest.Function)})


def is_on_trio(item: pytest.Item) -> bool:
    """Whether a test runs on the second event loop."""
    return hasattr(item, "callspec") and item.callspec.params.get("anyio_backend") == "trio"


def shorten(functions: set[Any]) -> None:
    """A quarter of the random examples, ten at least, where slow tests are left out; `make check` runs all of them."""
    for function in filter(is_hypothesis_test, functions):
        whole = function._hypothesis_internal_use_settings
        count = min(whole.max_examples, max(10, whole.max_examples // 4))
        function._hypothesis_internal_use_settings = settings(whole, max_examples=count)


def pytest_collection_finish() -> None:
    """Keep the collected tests, a million objects, out of the garbage collector's way; and let servers stop at once."""
    gc.enable()
    gc.collect()
    gc.freeze()
    if server := sys.modules.get("uvicorn.server"):  # whoever serves has imported it by now
        vars(server)["asyncio"] = Brisk("asyncio")


def pytest_runtest_logfinish() -> None:
    """The same for what libraries keep for good, such as a schema for each route: looked over once, between tests.

    What tests have left lies there too, and is collected now and then.
    """
    counts.tests += 1
    collections = gc.get_stats()[2]["collections"]
    if counts.tests % 1500 == 0:
        gc.unfreeze()
        gc.collect()
    elif collections == counts.collections:
        return
    counts.collections = collections
    gc.freeze()


class Counts:
    """How many tests have run, and how often everything had been looked over when it was last kept out of the way."""

    tests = 0
    collections = 0


counts = Counts()


class Brisk(ModuleType):
    """asyncio as uvicorn's server sees it: the pauses of a tenth of a second after which it looks are shorter."""

    @staticmethod
    async def sleep(seconds: float) -> None:
        await asyncio.sleep(seconds / 20)

    def __getattr__(self, name: str) -> Any:
        return getattr(asyncio, name)


class ForgetfulRunner(_asyncio.TestRunner):
    """anyio's, without the cycle in which Python 3.11 loses what the fixtures of a test have made.

    A task keeps the `CancelledError` that ended it where the garbage collector does not look, and that one leads back
    to the task by way of the runner: all applications and databases would stay in memory until the end.
    """

    def __exit__(self, *error: Any) -> None:
        try:
            super().__exit__(*error)
        finally:
            self._runner_task = None


_asyncio.TestRunner = ForgetfulRunner


@pytest.fixture(scope="session", autouse=True)
def few_authorities(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """One certificate of an authority in place of them all: each HTTP client reads them, and no test needs any."""
    where = certifi.where
    first, mark, _ = Path(where()).read_text().partition("-----END CERTIFICATE-----\n")
    path = tmp_path_factory.mktemp("authorities") / "one.pem"
    path.write_text(first + mark)
    certifi.where = lambda: str(path)
    yield
    certifi.where = where
