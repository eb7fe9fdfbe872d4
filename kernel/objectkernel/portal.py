"""A kernel for blocking code: Flask, Django, scripts."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar, cast

from anyio.from_thread import BlockingPortal, start_blocking_portal

from objectkernel.errors import ShutdownError

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from objectkernel.kernel import ObjectKernel
    from objectkernel.keys import Key, Service
    from objectkernel.scopes import Scope

T = TypeVar("T")


class KernelPortal:
    """A running kernel, seen from threads that have no event loop."""

    def __init__(self, kernel: ObjectKernel, portal: BlockingPortal) -> None:
        self.kernel = kernel
        self._portal = portal

    def get(self, key: Service[T]) -> T:
        """The object of a service that is up."""
        return self.kernel.get(key)

    def aget(self, key: Service[T]) -> T:
        """The object of a service; a lazy or transient one is made."""
        value: Any = self._portal.call(self.kernel.aget, key)
        return cast(T, value)

    def call(self, function: Callable[..., Coroutine[Any, Any, T]], *args: Any) -> T:
        """Run ``await function(*args)`` in the kernel's event loop and return its result."""
        value: T = self._portal.call(function, *args)
        return value

    def scope(self, name: str, given: Mapping[Key[Any], Any] | None = None) -> AbstractContextManager[Scope]:
        """Open a scope around blocking code; take services from it with `call(scope.aget, KEY)`."""
        return self._portal.wrap_async_context_manager(self.kernel.scope(name, given))

    def lease(self, key: Service[T]) -> AbstractContextManager[T]:
        """Keep a service from being stopped while blocking code uses it."""
        return self._portal.wrap_async_context_manager(self.kernel.lease(key))


@contextmanager
def open_portal(kernel: ObjectKernel) -> Iterator[KernelPortal]:
    """Boot `kernel` in a thread with an event loop of its own; shut it down at the end of the block."""
    with start_blocking_portal() as portal:
        portal.call(kernel.bootstrap)
        try:
            yield KernelPortal(kernel, portal)
        except BaseException as error:
            try:
                portal.call(kernel.shutdown)
            except ShutdownError as failure:
                if isinstance(error, Exception):
                    raise ShutdownError([error, *failure.exceptions]) from None
                error.add_note(str(failure))
            raise
        portal.call(kernel.shutdown)
