"""`KernelFactory`: kernels for one test, started where the test runs and stopped when it returns."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import anyio

from objectkernel.errors import KernelLeaked
from objectkernel.kernel import ObjectKernel
from objectkernel.plugin import caller

if TYPE_CHECKING:
    from objectkernel.portal import KernelPortal


class KernelFactory:
    """Makes kernels: awaited in an asynchronous test, called plainly in a synchronous one."""

    def __init__(self) -> None:
        self._kernels: list[ObjectKernel] = []
        self._first: list[ObjectKernel] = []
        self._portals = ExitStack()

    def __call__(
        self,
        plugins: Iterable[Any] = (),
        *,
        overrides: Mapping[Any, Any] | None = None,
        config: Mapping[str, Any] | None = None,
        environ: Mapping[str, str] | None = None,
        discover: bool = False,
        **options: Any,
    ) -> Any:
        """A started kernel of `plugins`.

        Args:
            overrides: service key → object that takes the place of its provider.
            config: what the configuration file would hold, as a mapping; plugin sections may stand at the top
                (``{"acme-billing": {...}}``) or under ``plugins``.
            environ: the environment that settings are read from; by default an empty one.
            discover: also take the installed plugins.
            options: host options, see `ObjectKernel`.

        Returns:
            in an asynchronous test an awaitable of the kernel, else its `KernelPortal`.
        """
        kernel = self.compose(
            plugins, overrides=overrides, config=config, environ=environ, discover=discover, **options
        )
        kernel.where = caller()
        if not _in_event_loop():
            return self._open(kernel)
        return self._boot(kernel)

    def compose(
        self,
        plugins: Iterable[Any] = (),
        *,
        overrides: Mapping[Any, Any] | None = None,
        config: Mapping[str, Any] | None = None,
        environ: Mapping[str, str] | None = None,
        discover: bool = False,
        **options: Any,
    ) -> ObjectKernel:
        """The kernel that a call would start, not started."""
        kernel = ObjectKernel(
            plugins=plugins, config=_document(config), environ=environ or {}, discover=discover, **options
        )
        for key, value in (overrides or {}).items():
            kernel.provide(key, value)
        return kernel

    def _open(self, kernel: ObjectKernel) -> KernelPortal:
        return self._portals.enter_context(kernel.portal())

    async def _boot(self, kernel: ObjectKernel) -> ObjectKernel:
        await kernel.bootstrap()
        self._kernels.append(kernel)
        return kernel

    # -- with the life of a test

    def wrap(self, item: Any) -> None:
        """Let the test function of `item` stop the kernels itself when it returns, in its own event loop."""
        function: Any = getattr(item, "obj", None)
        item.obj = self._asynchronous(function) if inspect.iscoroutinefunction(function) else self._blocking(function)

    def _blocking(self, function: Any) -> Any:
        @functools.wraps(function)
        def test(*args: Any, **kwargs: Any) -> Any:
            with self._portals:
                return function(*args, **kwargs)

        return test

    def _asynchronous(self, function: Any) -> Any:
        @functools.wraps(function)
        async def test(*args: Any, **kwargs: Any) -> Any:
            try:
                for kernel in self._first:
                    await self._boot(kernel)
                return await function(*args, **kwargs)
            finally:
                with anyio.CancelScope(shield=True):
                    await self._stop()

        return test

    def start_with_test(self, item: Any, options: Mapping[str, Any]) -> Any:
        """A kernel that is started right before the test function runs (at once, for a synchronous one)."""
        kernel = self.compose(**options)
        code = getattr(getattr(item, "function", None), "__code__", None)
        if code is not None:
            kernel.where = f"{code.co_filename}:{code.co_firstlineno}"
        if inspect.iscoroutinefunction(getattr(item, "obj", None)):
            self._first.append(kernel)
            return kernel
        return self._open(kernel)

    async def _stop(self) -> None:
        errors: list[Exception] = []
        while self._kernels:
            try:
                await self._kernels.pop().shutdown()
            except Exception as error:
                errors.append(error)
        if errors:
            raise errors[0] if len(errors) == 1 else ExceptionGroup("stopping the test's kernels", errors)

    def finish(self) -> None:
        """After the test: close portals; a kernel that still runs can no longer be stopped, and is an error."""
        self._portals.close()
        left = [k for k in self._kernels if k._run is not None and not k._run.ended_in_order]
        if left:
            raise KernelLeaked(
                "a kernel of this test was left running",
                where=left[0].where,
                why="it was started in a fixture's event loop, and the test function was not asynchronous",
                fix="write the test as async def, or shut the kernel down in the fixture that started it",
            )


def _document(config: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """`config` with plugin sections under ``plugins``."""
    if config is None:
        return None
    sections = {k: v for k, v in config.items() if k not in ("kernel", "plugins")}
    document = {k: v for k, v in config.items() if k in ("kernel", "plugins")}
    return {**document, "plugins": {**document.get("plugins", {}), **sections}}


def _in_event_loop() -> bool:
    try:
        anyio.get_current_task()
    except Exception:  # anyio's NoEventLoopError, sniffio's AsyncLibraryNotFoundError
        return False
    return True
