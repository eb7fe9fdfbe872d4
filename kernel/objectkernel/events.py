"""Events: objects that anyone may emit, handled by whoever subscribed to exactly their class.

A table from class to a tuple of handlers: emitting is a loop over it. The tuple is replaced, never changed, so a
handler that is subscribed during an emit is called from the next one on.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from operator import itemgetter
from typing import Any, TypeVar

from objectkernel.declaration import form_of
from objectkernel.errors import EventUndeclared, HandlerInvalid
from objectkernel.plugin import code_place

T = TypeVar("T")
log = logging.getLogger("objectkernel.events")

_Entry = tuple[Callable[[Any], Any], bool, float]  # handler, whether it is asynchronous, its place in the order


class Subscription:
    """One handler's subscription; `end` is idempotent."""

    __slots__ = ("_entry", "_event", "_events")

    def __init__(self, events: Events, event: type, entry: _Entry) -> None:
        self._events = events
        self._event = event
        self._entry = entry

    def end(self) -> None:
        """Call the handler no more."""
        entries = self._events._table.get(self._event, ())
        self._events._put(self._event, tuple(e for e in entries if e is not self._entry))


class Events:
    """The handlers of one kernel."""

    __slots__ = ("_plain", "_table")

    def __init__(self) -> None:
        self._table: dict[type, tuple[_Entry, ...]] = {}
        self._plain: dict[type, tuple[Callable[[Any], Any], ...]] = {}  # of events without an asynchronous handler

    def on(self, event: type[T], handler: Callable[[T], Any], place: float = math.inf) -> Subscription:
        """Subscribe `handler`, a function or coroutine function of one argument.

        Args:
            place: handlers are called in its order; those of equal place as they subscribed.

        Raises:
            EventUndeclared: `event` is no class.
        """
        if not isinstance(event, type):
            raise EventUndeclared(
                f"{event!r} is no event class",
                where=code_place(handler),
                why="handlers are found by the exact class of the event",
                fix="subscribe to a class and emit its instances",
            )
        if not callable(handler):
            raise HandlerInvalid(
                f"on({event.__name__}, {handler!r}): not a function",
                why=f"it is of type {type(handler).__name__}",
                fix="give a function or coroutine function of one argument",
                event=event,
            )
        entry = (handler, _is_async(handler), place)
        self._put(event, tuple(sorted((*self._table.get(event, ()), entry), key=itemgetter(2))))
        return Subscription(self, event, entry)

    def _put(self, event: type, entries: tuple[_Entry, ...]) -> None:
        """Let `entries` be the handlers of an event class."""
        if entries:
            self._table[event] = entries
        else:
            self._table.pop(event, None)
        if entries and not any(is_async for _, is_async, _ in entries):
            self._plain[event] = tuple(handler for handler, _, _ in entries)
        else:
            self._plain.pop(event, None)

    async def emit(self, event: object) -> None:
        """Await the handlers in turn; the first error ends it and comes to the caller."""
        for handler, is_async, _ in self._table.get(type(event)) or _nobody(event):
            if is_async:
                await handler(event)
            else:
                handler(event)

    async def notify(self, event: object) -> tuple[Exception, ...]:
        """Await the handlers in turn, whatever one raises; returns the errors, each of them logged."""
        errors: list[Exception] = []
        for handler, is_async, _ in self._table.get(type(event)) or _nobody(event):
            try:
                if is_async:
                    await handler(event)
                else:
                    handler(event)
            except Exception as error:
                log.error("handler %s of %s failed", _name(handler), type(event).__name__, exc_info=error)
                errors.append(error)
        return tuple(errors)

    def emit_sync(self, event: object) -> None:
        """Call the handlers in turn; the first error ends it and comes to the caller.

        Raises:
            HandlerInvalid: one of them is a coroutine function; none has been called then.
        """
        handlers = self._plain.get(type(event))
        if handlers is None:
            self._refuse_async(event)
            return
        for handler in handlers:
            handler(event)

    def _refuse_async(self, event: object) -> None:
        for handler, is_async, _ in self._table.get(type(event)) or _nobody(event):
            if is_async:
                raise HandlerInvalid(
                    f"emit_sync({type(event).__name__}) has an asynchronous handler, {_name(handler)}",
                    where=code_place(getattr(handler, "__func__", handler)),
                    why="nobody would await it",
                    fix="await kernel.emit(event) instead, or make the handler a plain function",
                    event=type(event),
                )


def _nobody(event: object) -> tuple[_Entry, ...]:
    """No handlers; an error where a class was emitted, which nobody could have subscribed to."""
    if isinstance(event, type):
        raise EventUndeclared(
            f"the class {event.__name__} was emitted, not an event",
            why="handlers are found by the class of the object that is emitted",
            fix=f"emit {event.__name__}(...)",
        )
    return ()


def _is_async(handler: Any) -> bool:
    """Whether calling `handler` gives something to await: it, what it wraps, or its ``__call__`` is an async def."""
    if form_of(getattr(handler, "__func__", handler)) == "async":
        return True
    return form_of(vars(type(handler)).get("__call__")) == "async"


def _name(handler: Any) -> str:
    return getattr(handler, "__qualname__", repr(handler))
