"""One task for each provider: it enters, holds and leaves what the provider opens, and never changes tasks.

Cancel scopes and task groups belong to the task that opened them. A provider may therefore keep one open across its
``yield``; if it is cancelled there, by a child of the group that crashed, the host throws the cancellation into the
generator, where the group expects it.
"""

from __future__ import annotations

import gc
import sys
import traceback
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Protocol

import anyio

from objectkernel.errors import KernelError, PluginExited, ProviderInvalid, ServiceTypeMismatch

if TYPE_CHECKING:
    from objectkernel.declaration import Step
    from objectkernel.graph import Node
    from objectkernel.spawn import Gate

current_host: ContextVar[Host | None] = ContextVar("objectkernel_host", default=None)
"""The host in whose task (or a task started from it) code runs, None outside of the kernel's tasks."""


class Owner(Protocol):
    """Who calls a host's step, and is told what becomes of it."""

    @property
    def engine(self) -> Any:
        """The lifecycle that the host belongs to."""

    def call(self, host: Host) -> Any: ...
    def begun(self, host: Host) -> None:
        """The first line of the step, or of its teardown, is about to run."""

    def entered(self, host: Host, value: Any) -> None: ...
    def left(self, host: Host, error: BaseException | None) -> None: ...
    def gave_up(self, host: Host, error: BaseException) -> None: ...


class Host:
    """The life of one step, from its first line to the end of its teardown.

    Attributes:
        owner: its `call` makes the coroutine, generator or object of the step.
        prepare: awaited in the host's task before that, or None.
        scope: the cancel scope around the whole life.
        stop: set to ask for the teardown.
        open: the generator or coroutine that is suspended, for the stack of a step that hangs.
    """

    __slots__ = (
        "deadline",
        "entry",
        "node",
        "open",
        "owner",
        "prepare",
        "scope",
        "seconds",
        "step",
        "stop",
        "stopping",
        "task",
        "timeout",
    )

    def __init__(self, node: Node, owner: Owner, stop: Gate, prepare: Any = None, step: Step | None = None) -> None:
        found = step or node.step
        assert found is not None
        self.step = found
        self.node = node
        self.owner = owner
        self.prepare = prepare
        self.scope = anyio.CancelScope()
        self.stop = stop
        self.stopping = False
        self.task: Any = None
        self.open: Any = None
        self.timeout: KernelError | None = None
        self.deadline = 0.0
        self.seconds = 0.0

    async def run(self) -> None:
        """The host's task. Reports to the owner exactly once that it has left, however it ends."""
        current_host.set(self)
        error: BaseException | None = None
        told = False
        try:
            with self.scope:
                self.owner.begun(self)
                try:
                    if self.prepare is not None:
                        await self.prepare()
                    if not self.scope.cancel_called:  # else it was, before the first line of the step
                        told = await _FORMS[self.step.form](self)
                except (Exception, SystemExit, KeyboardInterrupt) as caught:
                    error = as_error(caught, self.step)
        except BaseException as caught:  # not the cancellation of this scope, which takes its own
            if is_cancellation(caught):
                raise
            error = as_error(caught, self.step)
        finally:
            if not told:
                self.owner.left(self, self._outcome(error))

    def _outcome(self, error: BaseException | None) -> BaseException | None:
        """What to report: the timeout that cancelled the step, with what its cleanup raised as a note."""
        if self.timeout is None:
            return error
        if error is not None:
            self.timeout.add_note(f"and its cleanup raised {type(error).__name__}: {error}")
        return self.timeout

    def enter(self, value: Any) -> KernelError | None:
        """Hand the object over, unless it is not of its key's type: then the error, to be raised after leaving."""
        self.open = None
        problem = wrong_type(value, self.node)
        if problem is None:
            self.owner.entered(self, value)
        return problem

    async def _stopped(self) -> None:
        """Wait until the teardown is asked for; tell the owner before its first line runs."""
        try:
            await self.stop.wait()
        finally:
            self.owner.begun(self)

    async def _awaited(self) -> bool:
        self.open = self.owner.call(self)
        problem = self.enter(await self.open)
        if problem is not None:
            raise problem
        return True

    async def _yielded_async(self) -> bool:
        generator = self.open = self.owner.call(self)
        try:
            value = await generator.__anext__()
        except StopAsyncIteration:
            raise never_yielded(self.step) from None
        if self.scope.cancel_called:
            await self._leave_at_once(lambda: self._leave_async(generator))
            return False
        problem = self.enter(value)
        if problem is None:
            try:
                await self._stopped()
            except BaseException as cancelled:
                self.open = generator
                try:
                    await generator.athrow(cancelled)
                except StopAsyncIteration:
                    self._ended_by_itself()
                    return False
                await generator.aclose()
                raise yielded_twice(self.step) from None
        await self._leave_async(generator)
        if problem is not None:
            raise problem
        return False

    async def _leave_async(self, generator: Any) -> None:
        """Run what stands after the yield."""
        self.open = generator
        try:
            await generator.__anext__()
        except StopAsyncIteration:
            return
        await generator.aclose()
        raise yielded_twice(self.step)

    async def _yielded(self) -> bool:
        generator = self.owner.call(self)
        try:
            value = next(generator)
        except StopIteration:
            raise never_yielded(self.step) from None
        problem = self.enter(value)
        if problem is None:
            try:
                await self._stopped()
            except BaseException as cancelled:
                try:
                    generator.throw(cancelled)
                except StopIteration:
                    self._ended_by_itself()
                    return False
                generator.close()
                raise yielded_twice(self.step) from None
        self._leave(generator)
        if problem is not None:
            raise problem
        return False

    def _leave(self, generator: Any) -> None:
        """Run what stands after the yield."""
        try:
            next(generator)
        except StopIteration:
            return
        generator.close()
        raise yielded_twice(self.step)

    async def _leave_at_once(self, leave: Callable[[], Awaitable[None]]) -> None:
        """The step reached its yield although it had been cancelled: nobody got the object, and the teardown runs
        as for any other stop, in a scope of its own that the cancellation does not reach."""
        self.stopping = True
        engine = self.owner.engine
        with anyio.CancelScope(shield=True) as self.scope:
            engine.deadlines.watch(self, engine.stop_timeout(self.step.plugin))
            await leave()

    def _ended_by_itself(self) -> None:
        if not self.scope.cancel_called:
            raise ProviderInvalid(
                f"{self.step.plugin}.{self.step.name} ended while its service was up",
                where=self.step.where,
                why="a cancel scope or task group that it keeps open across its yield was cancelled from inside",
                fix="let the error that ended it pass, or run the work as a @background task",
                plugin=self.step.plugin,
            ) from None

    async def _returned(self) -> bool:
        problem = self.enter(self.owner.call(self))
        if problem is not None:
            raise problem
        return True

    def stack(self) -> str:
        """The frames in which the step is suspended, outermost first; "" where it is not."""
        return "".join(traceback.format_list(traceback.StackSummary.from_list(suspended_frames(self.open))))


_FORMS: dict[str, Callable[[Host], Any]] = {
    "value": Host._returned,
    "async": Host._awaited,
    "generator": Host._yielded,
    "async_generator": Host._yielded_async,
}


def is_cancellation(caught: BaseException) -> bool:
    """Whether `caught` is the event loop's wish that this task ends.

    On asyncio a CancelledError may also come from awaiting something that was cancelled by somebody else: that one is
    an error of the step like any other.
    """
    if not isinstance(caught, anyio.get_cancelled_exc_class()):
        return False
    asyncio = sys.modules.get("asyncio")
    if asyncio is None or not isinstance(caught, asyncio.CancelledError):
        return True
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def as_error(caught: BaseException, step: Step) -> BaseException:
    """The error of a step for what came out of it.

    An exception is kept as it is, and KeyboardInterrupt too, also out of a group; anything else that would pass every
    ``except Exception``, such as SystemExit, becomes an error with it as the cause.
    """
    if isinstance(caught, Exception | KeyboardInterrupt):
        note = f"raised by {step.plugin}.{step.name} ({step.where})"
        if not isinstance(caught, KernelError) and note not in getattr(caught, "__notes__", ()):
            caught.add_note(note)
        return caught
    if isinstance(caught, BaseExceptionGroup) and caught.subgroup(KeyboardInterrupt) is not None:
        interrupt = KeyboardInterrupt()
        interrupt.__cause__ = caught
        return interrupt
    cancelled = isinstance(caught, anyio.get_cancelled_exc_class())
    error = PluginExited(
        f"{step.plugin}.{step.name} ended with {caught!r}" + (", which nobody asked for" if cancelled else ""),
        where=step.where,
        why="something it awaited was cancelled" if cancelled else "a plugin may not end the host's process",
        fix="catch it where it is awaited" if cancelled else "raise an error that says what is wrong",
        plugin=step.plugin,
    )
    error.__cause__ = caught
    return error


_NUMBERS: dict[type, tuple[type, ...]] = {float: (int,), complex: (int, float)}
"""Types that type checkers accept for another (PEP 484, the numeric tower)."""


def wrong_type(value: Any, node: Node) -> KernelError | None:
    """The error for an object that is not of its key's type, where that can be told at run time."""
    expected = node.key.type if node.key is not None else None
    if expected is None or value is None:
        return None
    origin = getattr(expected, "__origin__", expected)
    if not isinstance(origin, type):
        return None
    try:
        if isinstance(value, origin):
            return None
    except TypeError:  # a Protocol that is not runtime_checkable
        return None
    if origin in _NUMBERS and isinstance(value, _NUMBERS[origin]):
        return None
    return ServiceTypeMismatch(
        f"{node.plugin} provides {node.id!r} with {type(value).__qualname__}, not {origin.__qualname__}",
        where=node.where,
        why=f"the key is {node.key!r}, declared at {node.key.where if node.key else ''}",
        fix=f"return an object that is a {origin.__qualname__}, or correct the subscript of the key",
        name=node.id,
        plugin=node.plugin,
    )


def never_yielded(step: Step) -> ProviderInvalid:
    return ProviderInvalid(
        f"{step.plugin}.{step.name} returned without a yield",
        where=step.where,
        why="what stands before the yield is start, after it stop; this run reached no yield",
        fix="yield the object on every path, or raise",
        plugin=step.plugin,
    )


def yielded_twice(step: Step) -> ProviderInvalid:
    return ProviderInvalid(
        f"{step.plugin}.{step.name} yielded twice",
        where=step.where,
        why="a provider yields its one object once; the code after the yield is its teardown",
        fix="remove the second yield",
        plugin=step.plugin,
    )


def suspended_frames(thing: Any) -> list[traceback.FrameSummary]:
    """Where a coroutine or generator is suspended, following what it awaits, outermost frame first."""
    frames: list[traceback.FrameSummary] = []
    seen: set[int] = set()
    while thing is not None and id(thing) not in seen and len(frames) < 100:
        seen.add(id(thing))
        frame = getattr(thing, "cr_frame", None) or getattr(thing, "ag_frame", None) or getattr(thing, "gi_frame", None)
        if frame is not None:
            frames.append(traceback.FrameSummary(frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name))
        for attribute in ("cr_await", "ag_await", "gi_yieldfrom"):
            if hasattr(thing, attribute):
                thing = getattr(thing, attribute)
                break
        else:  # the awaitable of an async generator's step hides the generator
            inner = [r for r in gc.get_referents(thing) if hasattr(r, "ag_frame") or hasattr(r, "cr_frame")]
            thing = inner[0] if inner else None
    return frames
