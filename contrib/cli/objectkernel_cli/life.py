"""Running a kernel from a command line: for one job, or until a signal says stop."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, redirect_stdout, suppress
from typing import TYPE_CHECKING, TypeVar

import anyio
from objectkernel.errors import KernelError, KernelStateInvalid

from objectkernel_cli.output import aside

if TYPE_CHECKING:
    from types import FrameType

    from anyio.abc import TaskStatus
    from objectkernel.kernel import ObjectKernel

T = TypeVar("T")


def run_job(
    kernel: ObjectKernel,
    job: Callable[[ObjectKernel], Awaitable[T]],
    show: Callable[[str], AbstractContextManager[object]],
) -> T:
    """Boot `kernel`, await `job` with it, shut it down; SIGTERM interrupts as SIGINT does.

    What is printed while the kernel starts and stops goes to standard error; what the job prints does not.

    Raises:
        BootError, ShutdownError, whatever the job raises
        KeyboardInterrupt: after the kernel was stopped in order.
    """

    async def main() -> T:
        stdout = sys.stdout
        with _sigterm_as_sigint(), aside(), ExitStack() as progress:
            progress.enter_context(show("starting"))
            async with kernel:
                progress.close()
                with redirect_stdout(stdout):
                    return await job(kernel)
        raise KernelStateInvalid(
            "the kernel stopped before the job was done",
            where=kernel.where,
            why="something in it called for its shutdown",
            fix="-v shows what happened",
            state=kernel.state,
        )

    return anyio.run(main)


@contextmanager
def _sigterm_as_sigint() -> Iterator[None]:
    """Entered in an event loop: SIGTERM cancels the main task, as asyncio lets SIGINT do where it is not ignored."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    told = False

    def cancel(number: int, frame: FrameType | None) -> None:
        nonlocal told
        told = True
        if task is not None:
            loop.call_soon_threadsafe(task.cancel)

    before = signal.signal(signal.SIGTERM, cancel)
    try:
        yield
    except asyncio.CancelledError:
        if told:
            raise KeyboardInterrupt from None
        raise
    finally:
        signal.signal(signal.SIGTERM, before)


def serve(kernel: ObjectKernel, booted: Callable[[], None]) -> None:
    """Boot `kernel`, call `booted`, and run until SIGINT or SIGTERM, or until the kernel stops by itself.

    The first signal stops it in order, or ends its boot; a second one cancels what still stops; a third
    one is left to Python.

    Raises:
        BootError, ShutdownError
        KeyboardInterrupt: a signal ended the boot, or a second one the stop.
    """

    async def main() -> None:
        await _Service(kernel, booted).run()

    anyio.run(main)


class _Service:
    """A kernel that runs until a signal comes."""

    def __init__(self, kernel: ObjectKernel, booted: Callable[[], None]) -> None:
        self.kernel = kernel
        self.booted = booted
        self.running = anyio.CancelScope()
        self.cut_short = False

    async def run(self) -> None:
        failure: BaseException | None = None
        async with anyio.create_task_group() as tasks:
            await tasks.start(self._listen)
            try:
                await self._live()
            except (Exception, KeyboardInterrupt) as error:
                failure = error  # raised outside the group, which would wrap it
            tasks.cancel_scope.cancel()
        if self.cut_short:
            raise KeyboardInterrupt from failure
        if failure is not None:
            raise failure

    async def _live(self) -> None:
        up = False
        with self.running:
            await self.kernel.bootstrap()
            up = True
            self.booted()
            await self.kernel.wait_stopped()
        self.cut_short = self.cut_short or not up
        await self.kernel.shutdown()

    async def _listen(self, *, task_status: TaskStatus[None]) -> None:
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            task_status.started()
            async for _ in signals:
                if self.running.cancel_called:
                    self.cut_short = True
                    break
                self.running.cancel()
        with suppress(KernelError):  # `_live` reports it
            await self.kernel.shutdown(timeout=0)
