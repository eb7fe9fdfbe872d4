"""The pytest plugin: fixtures `kernel_factory` and `kernel`, and a check for kernels that a test left running.

Nothing of the kernel is imported before a test uses it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from objectkernel.testing.factory import KernelFactory


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "objectkernel(plugins, overrides, config, ...): what the `kernel` fixture of this test is composed of",
    )


@pytest.fixture
def kernel_factory(request: pytest.FixtureRequest) -> Iterator[KernelFactory]:
    """Make started kernels: ``await kernel_factory(plugins=[...], overrides={KEY: obj}, config={...})``.

    In a synchronous test it is called plainly and returns the kernel's portal. Entry points are not looked at unless
    ``discover=True`` is given. What it made is shut down when the test function returns.
    """
    from objectkernel.testing.factory import KernelFactory

    factory = KernelFactory()
    factory.wrap(request.node)
    yield factory
    factory.finish()


@pytest.fixture
def kernel(request: pytest.FixtureRequest, kernel_factory: KernelFactory) -> Any:
    """One kernel, composed by ``@pytest.mark.objectkernel(plugins=[...], ...)`` and started for the test function."""
    marker = request.node.get_closest_marker("objectkernel")
    options = dict(marker.kwargs) if marker is not None else {}
    return kernel_factory.start_with_test(request.node, options)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Fail a test whose body started a kernel and left it running, with the line that made it."""
    module = sys.modules.get("objectkernel.run")
    if module is None:
        return (yield)
    from objectkernel.testing.leaks import watch_for_leaks

    with watch_for_leaks(module):
        return (yield)
