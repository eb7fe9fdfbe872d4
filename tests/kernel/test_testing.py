"""The fixtures for test writers, used here as they would use them, and in test files of their own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import attrs
import pytest
from objectkernel import BootError, ObjectKernel, Plugin, Service, configured_by, needs, provides
from objectkernel.errors import KernelLeaked
from objectkernel.testing import KernelFactory

from tests.children import lean_pytest

GREETING = Service[str]("test.greeting")
LETTER = Service[str]("test.letter")


@attrs.frozen
class Tone:
    mark: str = "."


class Greeter(Plugin):
    name = "test-greeter"
    config = configured_by(Tone)

    @provides(GREETING)
    async def greeting(self) -> AsyncIterator[str]:
        yield f"hello{self.config.mark}"


class Writer(Plugin):
    name = "test-writer"
    greeting = needs(GREETING)

    @provides(LETTER)
    def letter(self) -> str:
        return f"{self.greeting} world"


@pytest.mark.anyio
async def test_factory_is_awaited_in_an_asynchronous_test(kernel_factory: KernelFactory) -> None:
    """The kernel runs in the test's own event loop."""
    kernel = await kernel_factory([Writer, Greeter])
    assert kernel.get(LETTER) == "hello. world"


@pytest.mark.asyncio
async def test_factory_works_under_pytest_asyncio(kernel_factory: KernelFactory) -> None:
    """Another runner, the same spelling."""
    kernel = await kernel_factory([Writer], overrides={GREETING: "salut"})
    assert kernel.get(LETTER) == "salut world"


def test_factory_is_called_plainly_in_a_synchronous_test(kernel_factory: KernelFactory) -> None:
    """It returns the portal of a kernel in a thread of its own."""
    kernel = kernel_factory([Writer, Greeter], config={"test-greeter": {"mark": "!"}})
    assert kernel.get(LETTER) == "hello! world"
    assert kernel.aget(LETTER) == "hello! world"


def test_configuration_may_stand_under_plugins(kernel_factory: KernelFactory) -> None:
    """A mapping of the shape of a configuration file is taken as it is."""
    kernel = kernel_factory(
        [Greeter], config={"plugins": {"test-greeter": {"mark": "?"}}, "kernel": {"start_timeout": 5}}
    )
    assert kernel.get(GREETING) == "hello?"


def test_factory_looks_at_no_entry_point_and_no_environment(kernel_factory: KernelFactory, monkeypatch: Any) -> None:
    """What is installed, and what the environment says, surprises no test."""
    monkeypatch.setenv("OBJECTKERNEL_PLUGINS__TEST_GREETER__MARK", "#")
    kernel = kernel_factory([Greeter])
    assert kernel.get(GREETING) == "hello."
    assert [p.name for p in kernel.kernel.plugins()] == ["test-greeter"]


@pytest.mark.anyio
async def test_what_does_not_boot_raises_where_it_is_made(kernel_factory: KernelFactory) -> None:
    """A missing service is the test's own BootError."""
    with pytest.raises(BootError):
        await kernel_factory([Writer])


@pytest.mark.anyio
@pytest.mark.objectkernel(plugins=[Writer, Greeter])
async def test_kernel_by_marker_is_started_for_the_test(kernel: ObjectKernel) -> None:
    """The marker composes it; an override lasts for its block."""
    async with kernel.override(GREETING, "hi"):
        assert kernel.get(LETTER) == "hi world"
    assert kernel.get(LETTER) == "hello. world"


@pytest.mark.objectkernel(plugins=[Writer], overrides={GREETING: "bonjour"})
def test_kernel_by_marker_in_a_synchronous_test(kernel: Any) -> None:
    """It is a portal there."""
    assert kernel.get(LETTER) == "bonjour world"


TEST_FILE = """
import anyio
import pytest
from objectkernel import ObjectKernel, Plugin, Service, provides

A = Service[str]("test.a")
STOPPED = []

class P(Plugin):
    name = "p"

    @provides(A)
    async def a(self):
        yield "a"
        STOPPED.append("a")

@pytest.mark.anyio
async def test_leaks(anyio_backend_name):
    kernel = ObjectKernel(plugins=[P], discover=False)  # the line
    await kernel.bootstrap()

@pytest.mark.anyio
async def test_is_clean(kernel_factory):
    await kernel_factory([P])

def test_was_stopped():
    assert STOPPED

class Bad(Plugin):
    name = "bad"

    @provides(A)
    async def a(self):
        yield "a"
        raise ValueError("teardown")

@pytest.mark.anyio
async def test_teardown_fails(kernel_factory):
    await kernel_factory([Bad])

@pytest.fixture
async def started(kernel_factory):
    return await kernel_factory([P])

@pytest.mark.anyio
def test_synchronous_with_a_kernel_of_an_asynchronous_fixture(started, anyio_backend):
    assert started.get(A) == "a"
"""


def run_pytest(folder: Path, *arguments: str) -> str:
    (folder / "test_it.py").write_text(TEST_FILE)
    (folder / "pytest.ini").write_text("[pytest]\nasyncio_default_fixture_loop_scope = function\n")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    options = {"cwd": folder, "env": lean_pytest(), "capture_output": True, "text": True}
    return subprocess.run(command, timeout=100, check=False, **options).stdout


def test_kernel_left_running_fails_its_test_with_the_line_that_made_it(tmp_path: Path) -> None:
    """Others pass, what the factory made has been stopped, and a teardown that raises fails the test it belongs to."""
    told = run_pytest(tmp_path, "-k", "leaks or clean or stopped or teardown")
    assert "test_it.py:19" in told
    assert "[K508] KernelLeaked: the test left 1 kernel(s) running" in told
    assert "ValueError: teardown" in told
    assert "4 failed, 3 passed" in told  # two event loops each


def test_kernel_that_can_no_longer_be_stopped_is_told(tmp_path: Path) -> None:
    """A synchronous test cannot stop what an asynchronous fixture started: that is an error, not silence."""
    told = run_pytest(tmp_path, "-k", "asynchronous_fixture")
    assert "KernelLeaked" in told
    assert "error" in told


def test_pytest_starts_without_the_kernel() -> None:
    """The plugin is inert: nothing of the kernel is imported before a test uses it."""
    code = (
        "import sys, objectkernel.testing.pytest_plugin\n"
        "assert 'objectkernel.kernel' not in sys.modules\n"
        "import objectkernel.testing\n"
        "assert objectkernel.testing.KernelFactory.__name__ == 'KernelFactory'\n"
        "try:\n    objectkernel.testing.Nothing\nexcept AttributeError as error:\n    assert 'Nothing' in str(error)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.anyio
async def test_a_factory_that_is_finished_with_a_kernel_running_says_so() -> None:
    """`finish` names the kernel that its test could not stop."""
    factory = KernelFactory()
    kernel = await factory([Greeter])
    with pytest.raises(KernelLeaked):
        factory.finish()
    await kernel.shutdown()
