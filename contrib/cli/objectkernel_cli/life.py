"""Running a kernel from a command line: for one job, or until a signal says stop."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import anyio

if TYPE_CHECKING:
    from objectkernel.kernel import ObjectKernel

T = TypeVar("T")


def run_job(
    kernel: ObjectKernel,
    job: Callable[[ObjectKernel], Awaitable[T]],
    show: Callable[[str], AbstractContextManager[object]],
) -> T:
    """Boot `kernel`, await `job` with it, shut it down; SIGTERM interrupts as SIGINT does.

    Raises:
        BootError, ShutdownError, whatever the job raises
        KeyboardInterrupt: after the kernel was stopped in order.
    """

    async def main() -> T:
        with _sigterm_as_sigint(), ExitStack() as progress:
            progress.enter_context(show("starting"))
            async with kernel:
                progress.close()
                return await job(kernel)

    return anyio.run(main)


@contextmanager
def _sigterm_as_sigint() -> Iterator[None]:
    """Entered in the event loop: its own handler of SIGINT, which cancels the main task, takes SIGTERM too."""
    before = signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGINT))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def serve(kernel: ObjectKernel, booted: Callable[[], None]) -> None:
    """Boot `kernel`, call `booted`, and run until SIGINT or SIGTERM, or until the kernel stops by itself.

    The first signal stops it in order, or ends its boot; a second one cancels what still stops.

    Raises:
        BootError, ShutdownError
        KeyboardInterrupt: a signal ended the boot, or a second one the stop.
    """
    anyio.run(_serve, kernel, booted)


async def _serve(kernel: ObjectKernel, booted: Callable[[], None]) -> None:
    failure: BaseException | None = None
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with anyio.create_task_group() as tasks:
            life = anyio.CancelScope()
            tasks.start_soon(_listen, signals, life)
            try:
                await _live(kernel, booted, life)
            except (Exception, KeyboardInterrupt) as error:
                failure = error  # raised outside the group, which would wrap it
            tasks.cancel_scope.cancel()
    if failure is not None:
        raise failure


async def _live(kernel: ObjectKernel, booted: Callable[[], None], life: anyio.CancelScope) -> None:
    up = False
    with life:
        await kernel.bootstrap()
        up = True
        booted()
        await kernel.wait_stopped()
    await kernel.shutdown()
    if not up:
        raise KeyboardInterrupt


async def _listen(signals: AsyncIterator[Any], life: anyio.CancelScope) -> None:
    async for _ in signals:
        if life.cancel_called:
            raise KeyboardInterrupt  # ends the event loop, which cancels every task of the kernel
        life.cancel()
