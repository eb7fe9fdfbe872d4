"""`Program`: what every command shares, and what a plugin's command finds in ``ctx.obj``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import attrs
from objectkernel.errors import KernelError

from objectkernel_cli.output import aside

if TYPE_CHECKING:
    from objectkernel.kernel import ObjectKernel

    from objectkernel_cli.host import Host

T = TypeVar("T")


@attrs.frozen(kw_only=True)
class Subject:
    """The kernel that a diagnosis is about.

    Attributes:
        host: the name of the host.
        kernel: composed; where the host could not be had, of the installed plugins.
        problem: why the host could not be had, None if it could.
    """

    host: str
    kernel: ObjectKernel
    problem: KernelError | None


@attrs.define
class Program:
    """The options of the program, and the kernel they lead to.

    Attributes:
        json: print JSON on standard output, and errors as JSON on standard error.
        app, config: the host as the command line names it, None where it does not.
        verbose: how many ``-v`` were given.
    """

    json: bool = False
    app: str | None = None
    config: str | None = None
    safe_mode: bool = False
    verbose: int = 0
    no_color: bool = False
    _host: Host | None = None
    _kernel: ObjectKernel | None = None

    @property
    def host(self) -> Host:
        """Where the kernel comes from.

        Raises:
            HostInvalid: what should name it cannot be read.
        """
        if self._host is None:
            from objectkernel_cli.host import find_host

            self._host = find_host(self.app, self.config, Path.cwd(), safe_mode=self.safe_mode)
        return self._host

    def kernel(self) -> ObjectKernel:
        """The host's kernel, not started; the same one until `run` has used it.

        Raises:
            HostError: the host cannot be found, imported or read.
        """
        if self._kernel is None:
            with aside():
                kernel = self.host.make()
                try:
                    kernel.compose()
                except KernelError as error:
                    from objectkernel_cli.host import unreadable

                    raise unreadable(error) from error
            self._kernel = kernel
        return self._kernel

    def take_kernel(self) -> ObjectKernel:
        """`kernel`, to be started by the caller: a kernel runs once."""
        kernel = self.kernel()
        self._kernel = None
        return kernel

    def subject(self) -> Subject:
        """What a diagnosis looks at: a host that cannot be had is a finding, and no end of it."""
        from objectkernel_cli.host import installed_plugins

        try:
            kernel = self.kernel()
            return Subject(host=self.host.name, kernel=kernel, problem=None)
        except KernelError as error:
            host = installed_plugins(safe_mode=self.safe_mode)
            with aside():
                kernel = host.make()
                kernel.compose()
            return Subject(host=host.name, kernel=kernel, problem=error)

    def run(self, job: Callable[[ObjectKernel], Awaitable[T]]) -> T:
        """Boot the host's kernel, await `job` with it, shut it down, and return what the job returned.

        Raises:
            HostError, BootError, ShutdownError
        """
        from objectkernel_cli.life import run_job

        return run_job(self.take_kernel(), job, self.status)

    def progress(self, items: Iterable[T], label: str, total: int | None = None) -> Iterator[T]:
        """Iterate over `items` with a bar on the terminal's standard error; without a terminal, silently.

        Args:
            total: how many there are, where `len` cannot tell.
        """
        from objectkernel_cli.output import progress

        return progress(items, label, total, no_color=self.no_color)

    def status(self, text: str) -> AbstractContextManager[object]:
        """Around a wait: tells a terminal that something goes on; without one, nothing."""
        from objectkernel_cli.output import status

        return status(text, no_color=self.no_color)
