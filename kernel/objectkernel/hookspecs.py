"""The hooks of a plugin: the contract, no logic.

The lifecycle hooks are coroutines (a plain function will do). The kernel awaits them plugin by plugin in start order;
the first failure fails the boot, and later implementations do not run. `kernel_findings` is a synchronous broadcast.
Mark an implementation with ``@hookimpl``; it may leave out the arguments that it does not use.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from objectkernel.context import PluginContext
    from objectkernel.errors import KernelError

hookspec = pluggy.HookspecMarker("objectkernel")
hookimpl = pluggy.HookimplMarker("objectkernel")


@hookspec
async def kernel_ready(kernel: PluginContext) -> None:
    """Every service is up. `kernel` is the kernel as this plugin may see it."""


@hookspec
async def kernel_bootstrapped(kernel: PluginContext) -> None:
    """Every `kernel_ready` has returned and the background tasks run."""


@hookspec
async def kernel_listening(kernel: PluginContext) -> None:
    """Last phase of the boot: the cue to open sockets to the outside."""


@hookspec
async def kernel_stopping(kernel: PluginContext) -> None:
    """The kernel is about to stop and every service is still up. Called in reverse order, and for every plugin
    whatever the others raise; the errors are reported together by `ShutdownError`."""


@hookspec
def kernel_findings(kernel: PluginContext) -> Iterable[KernelError]:  # type: ignore[empty-body]  # pyright: ignore[reportReturnType]
    """What this plugin finds worth saying about the running kernel (``objectkernel doctor`` shows it).

    Called synchronously, so no I/O here; a finding is a `KernelError` that is shown, never raised."""
