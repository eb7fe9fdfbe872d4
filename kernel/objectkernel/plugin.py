"""How a plugin is written: a class whose attributes are its whole declaration, or a `PluginDef`."""

from __future__ import annotations

import logging
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from copy import copy
from typing import (
    TYPE_CHECKING,
    Any,
    ClassVar,
    Concatenate,
    Generic,
    Literal,
    ParamSpec,
    Protocol,
    Self,
    TypeVar,
    overload,
)

from objectkernel.errors import (
    DeclarationInvalid,
    EventUndeclared,
    KeyInvalid,
    ServiceUndeclared,
    ServiceUnset,
    nearest,
)
from objectkernel.keys import Extension, Key, Service
from objectkernel.versions import clauses

if TYPE_CHECKING:
    from objectkernel.context import PluginContext

T = TypeVar("T")
S = TypeVar("S")
R = TypeVar("R")
P = ParamSpec("P")
C = TypeVar("C")
F = TypeVar("F", bound=Callable[..., Any])
Lifespan = TypeVar("Lifespan", bound=Callable[..., AsyncIterator[None] | Iterator[None]])
Background = TypeVar("Background", bound=Callable[..., Awaitable[object]])

Lifetime = Literal["singleton", "lazy", "transient", "scoped"]
CrashPolicy = Literal["fail", "degrade", "restart"]
MARK = "__objectkernel__"
BINDING = "__binding__"


def caller(depth: int = 2) -> str:
    """``file:line`` of the code `depth` calls up."""
    frame = sys._getframe(depth)
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


def code_place(function: Any) -> str:
    """``file:line`` of a function's definition, "" where it has none."""
    code = getattr(function, "__code__", None)
    return f"{code.co_filename}:{code.co_firstlineno}" if code is not None else ""


def expect_key(key: Any, kind: type[Key[Any]], spelling: str, where: str) -> None:
    """Raise KeyInvalid unless `key` is of the kind that `spelling` takes."""
    if isinstance(key, kind):
        return
    other = "extension" if isinstance(key, Extension) else "service" if isinstance(key, Service) else None
    raise KeyInvalid(
        f"{spelling}(...) takes {'an extension' if kind is Extension else 'a service'} key, not {key!r}",
        where=where,
        why=f"{key!r} is {f'the key of {other!r} kind' if other else f'of type {type(key).__name__}'}",
        fix=f'declare one: KEY = {kind.__name__}[Type]("vendor.name"), and write {spelling}(KEY)',
        key=key,
    )


def expect_event(event: Any, where: str) -> None:
    """Raise EventUndeclared unless `event` is a class."""
    if not isinstance(event, type):
        raise EventUndeclared(
            f"on({event!r}): not an event class",
            where=where,
            why="handlers are found by the exact class of the event",
            fix="write @on(EventClass), and emit its instances",
        )


# --- what a plugin reads --------------------------------------------------------------------------


class Edge(Generic[T]):
    """One attribute through which a plugin reads a service or an extension.

    The kernel puts the value into the instance's ``__dict__``, so that a ready need is a plain attribute read;
    `__get__` is only reached while there is none.
    """

    kind: ClassVar[str] = "edge"
    hard: ClassVar[bool] = False

    def __init__(self, key: Key[Any], where: str, *, version: str = "", late: bool = False) -> None:
        self.key = key
        self.target = str(key)  # an exact str: a copy for each look-up would cost more than the look-up
        self.where = where
        self.version = version
        self.late = late
        self.name = ""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"{self.kind}({self.key!s})"

    def _read(self, instance: Any) -> Any:
        binding = instance.__dict__.get(BINDING)
        if binding is not None:
            return binding.read(self)
        owner = type(instance).__name__
        raise ServiceUnset(
            f"{owner}.{self.name} ({self.key}) was read outside of the plugin's life",
            where=self.where,
            why="services are set after __init__, before the first provider runs, and taken back when the kernel stops",
            fix=f"read self.{self.name} in a provider, a lifespan or later; in a test {owner}.fake({self.name}=...)",
            name=str(self.key),
        )


class Need(Edge[T]):
    kind = "needs"
    hard = True

    if TYPE_CHECKING:

        @overload
        def __get__(self, instance: None, owner: type) -> Self: ...
        @overload
        def __get__(self, instance: object, owner: type) -> T: ...
        def __get__(self, instance: object | None, owner: type) -> Self | T: ...

    else:

        def __get__(self, instance, owner):
            return self if instance is None else self._read(instance)


class Want(Edge[T]):
    kind = "wants"

    if TYPE_CHECKING:

        @overload
        def __get__(self, instance: None, owner: type) -> Self: ...
        @overload
        def __get__(self, instance: object, owner: type) -> T | None: ...
        def __get__(self, instance: object | None, owner: type) -> Self | T | None: ...

    else:

        def __get__(self, instance, owner):
            return self if instance is None else self._read(instance)


class Collect(Edge[T]):
    kind = "collects"

    if TYPE_CHECKING:

        @overload
        def __get__(self, instance: None, owner: type) -> Self: ...
        @overload
        def __get__(self, instance: object, owner: type) -> tuple[T, ...]: ...
        def __get__(self, instance: object | None, owner: type) -> Self | tuple[T, ...]: ...

    else:

        def __get__(self, instance, owner):
            return self if instance is None else self._read(instance)


class Configured(Generic[C]):
    """The settings of a plugin, as an instance of its attrs class."""

    def __init__(self, settings: type[C], where: str) -> None:
        self.settings = settings
        self.where = where
        self.name = ""

    @property
    def has_defaults(self) -> bool:
        """Whether every setting has one."""
        from attrs import NOTHING, fields

        return all(f.default is not NOTHING for f in fields(self.settings) if f.init)  # type: ignore[arg-type]

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    if TYPE_CHECKING:

        @overload
        def __get__(self, instance: None, owner: type) -> Self: ...
        @overload
        def __get__(self, instance: object, owner: type) -> C: ...
        def __get__(self, instance: object | None, owner: type) -> Self | C: ...

    else:

        def __get__(self, instance, owner):
            if instance is None:
                return self
            raise ServiceUnset(
                f"{owner.__name__}.{self.name} was read before the kernel set it",
                where=self.where,
                why="the configuration of all plugins is read and checked before any plugin code runs",
                fix=f"read self.{self.name} in a provider, not in __init__; in a test use "
                f"{owner.__name__}.fake({self.name}=...)",
            )


def needs(key: Service[T], *, version: str = "") -> Need[T]:
    """Declare a hard edge: the plugin does not start without the service, and stops before it.

    Args:
        version: a specifier such as ``>=1.2`` that the provided key's version must meet.
    """
    where = caller()
    expect_key(key, Service, "needs", where)
    _expect_specifier(version, where)
    return Need(key, where, version=version)


def wants(key: Service[T], *, version: str = "", late: bool = False) -> Want[T]:
    """Declare a soft edge: an order where the service is present, None where it is absent.

    Args:
        late: give no order; the attribute reads None until the service is up.
    """
    where = caller()
    expect_key(key, Service, "wants", where)
    _expect_specifier(version, where)
    return Want(key, where, version=version, late=late)


def _expect_specifier(version: str, where: str) -> None:
    if version != "":
        clauses(version, where)


def collects(key: Extension[T]) -> Collect[T]:
    """Declare the attribute that holds all contributions to an extension, in plugin order."""
    where = caller()
    expect_key(key, Extension, "collects", where)
    return Collect(key, where)


def configured_by(settings: type[C]) -> Configured[C]:
    """Declare the attrs class that holds the plugin's settings: their types, defaults and validators."""
    where = caller()
    given: Any = settings
    if not (isinstance(given, type) and hasattr(given, "__attrs_attrs__")):
        raise DeclarationInvalid(
            f"configured_by({settings!r}): not an attrs class",
            where=where,
            why="fields, defaults, types and validators are read from an attrs class",
            fix="decorate the settings class with @attrs.frozen",
        )
    return Configured(settings, where)


# --- what a plugin does ---------------------------------------------------------------------------


class Mark:
    """What a decorator leaves on a function; `declaration` compiles it."""

    __slots__ = ("event", "key", "kind", "lifetime", "needs", "on_crash", "uses", "where")

    def __init__(
        self,
        kind: str,
        where: str,
        *,
        key: Any = None,
        lifetime: str = "singleton",
        uses: Sequence[str] | None = None,
        needs: Mapping[str, Edge[Any]] | None = None,
        on_crash: str = "fail",
        event: Any = None,
    ) -> None:
        self.kind = kind
        self.where = where
        self.key = key
        self.lifetime = lifetime
        self.uses = uses
        self.needs = needs
        self.on_crash = on_crash
        self.event = event


def put_mark(function: Any, mark: Mark) -> None:
    """Leave `mark` on `function`; a second one is an error, since one function does one thing."""
    earlier = getattr(function, MARK, None)
    if earlier is not None:
        raise DeclarationInvalid(
            f"{function.__qualname__} is marked twice: {earlier.kind} and {mark.kind}",
            where=code_place(function),
            why="each provider, contribution, lifespan, background task and handler is a function of its own",
            fix="write a second method",
        )
    markable = callable(function) and hasattr(function, "__dict__")  # a built-in function takes no mark
    if not markable or isinstance(function, type | staticmethod | classmethod):
        raise DeclarationInvalid(
            f"@{mark.kind} marks a function, not {function!r}",
            where=mark.where,
            fix="put the decorator directly above the def",
        )
    setattr(function, MARK, mark)


class ProvidesDecorator(Protocol[T]):
    """Accepts a function that returns or yields a `T`, synchronously or not."""

    @overload
    def __call__(self, function: Callable[P, AsyncIterator[T]], /) -> Callable[P, AsyncIterator[T]]: ...
    @overload
    def __call__(self, function: Callable[P, Iterator[T]], /) -> Callable[P, Iterator[T]]: ...
    @overload
    def __call__(self, function: Callable[P, Awaitable[T]], /) -> Callable[P, Awaitable[T]]: ...
    @overload
    def __call__(self, function: Callable[P, T], /) -> Callable[P, T]: ...


def provides(
    key: Service[T], *, lifetime: Lifetime = "singleton", uses: Sequence[str] | None = None
) -> ProvidesDecorator[T]:
    """Declare the function that provides a service; what stands after its ``yield`` is the teardown.

    Args:
        lifetime: ``singleton`` is made at boot; ``lazy`` at the first ``await kernel.aget(KEY)``; ``transient``
            anew for everyone who asks (no generator); ``scoped`` once in each scope.
        uses: the attributes this provider reads; by default all that the plugin needs, wants and collects.
    """
    where = caller()
    expect_key(key, Service, "provides", where)

    def decorate(function: Any) -> Any:
        put_mark(function, Mark("provides", where, key=key, lifetime=lifetime, uses=uses))
        return function

    return decorate


def contributes(key: Extension[T], *, uses: Sequence[str] | None = None) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Declare the function that makes one item of an extension.

    Args:
        uses: the attributes it reads; by default all that the plugin needs and wants. With ``uses=()`` the item is
            there before any service, and to be had from a kernel that has not booted.
    """
    where = caller()
    expect_key(key, Extension, "contributes", where)

    def decorate(function: Any) -> Any:
        put_mark(function, Mark("contributes", where, key=key, uses=uses))
        return function

    return decorate


@overload
def lifespan(function: Lifespan, /) -> Lifespan: ...
@overload
def lifespan(*, uses: Sequence[str] | None = None) -> Callable[[Lifespan], Lifespan]: ...
def lifespan(function: Any = None, /, *, uses: Sequence[str] | None = None) -> Any:
    """Declare start and stop code without a service: up after the plugin's own services, down before them."""
    return _bare_or_called(function, Mark("lifespan", caller(), uses=uses))


@overload
def background(function: Background, /) -> Background: ...
@overload
def background(*, on_crash: CrashPolicy = "fail") -> Callable[[Background], Background]: ...
def background(function: Any = None, /, *, on_crash: CrashPolicy = "fail") -> Any:
    """Declare an ``async def`` that runs beside the application, from the ready phase until the plugin stops.

    Args:
        on_crash: ``fail`` stops the plugin (and the kernel, if the plugin is critical); ``degrade`` lets it run on
            without the task; ``restart`` calls it again after 0.1 s, doubling to 30 s, with jitter.
    """
    return _bare_or_called(function, Mark("background", caller(), on_crash=on_crash))


def on(event: type[T]) -> Callable[[Callable[[S, T], R]], Callable[[S, T], R]]:
    """Declare the handler of an event class, called for events of exactly that class while the plugin runs."""
    where = caller()
    expect_event(event, where)

    def decorate(function: Any) -> Any:
        put_mark(function, Mark("on", where, event=event))
        return function

    return decorate


def _bare_or_called(function: Any, mark: Mark) -> Any:
    if function is not None:
        put_mark(function, mark)
        return function

    def decorate(function: Any) -> Any:
        put_mark(function, mark)
        return function

    return decorate


# --- the plugin itself -----------------------------------------------------------------------------


class Plugin:
    """The base of all plugins. A subclass is a declaration; the kernel makes the instance, or the host does.

    Class attributes:
        name: the plugin's name in messages, configuration and command line.
        version: defaults to the version of the distribution that carries the plugin.
        requires_kernel: a specifier such as ``>=1,<2``.
        start_timeout, stop_timeout: seconds for each of its providers; None takes the host's.
        hookspecs: a module of pluggy specifications that this plugin calls and others implement.
    """

    name: ClassVar[str] = ""
    version: ClassVar[str] = ""
    requires_kernel: ClassVar[str] = ""
    start_timeout: ClassVar[float | None] = None
    stop_timeout: ClassVar[float | None] = None
    hookspecs: ClassVar[Any] = None

    @property
    def log(self) -> logging.Logger:
        """The logger ``objectkernel.plugin.<name>``."""
        return logging.getLogger(f"objectkernel.plugin.{self.name}")

    @property
    def context(self) -> PluginContext:
        """The kernel as this plugin may see it: `get`, `emit`, `notify` of what the class declares."""
        binding = self.__dict__.get(BINDING)
        if binding is None:
            raise ServiceUnset(
                f"{type(self).__name__}.context was read before the kernel set it",
                why="a plugin gets its context when the kernel starts it",
                fix="read self.context in a provider, a lifespan or later",
            )
        context: PluginContext = binding.context
        return context

    @classmethod
    def fake(cls, **values: Any) -> Self:
        """An instance with its attributes given, for a unit test without a kernel.

        An unset ``wants`` is None, an unset ``collects`` empty, an unset need an error when it is read. The
        configuration, unless given, has its class's defaults; where one is lacking, reading it is an error too.
        """
        from objectkernel.declaration import declare

        declaration = declare(cls)
        settings = {declaration.config.name: declaration.config} if declaration.config else {}
        known = (*declaration.edges, *settings)
        for name in values:
            if name not in known:
                close = nearest(name, known)
                raise ServiceUndeclared(
                    f"{cls.__name__}.fake() got {name!r}, which the class does not declare",
                    where=declaration.where,
                    why=f"it declares {', '.join(known) or 'nothing'}",
                    fix=f"did you mean {close[0]!r}?" if close else f"declare it: {name} = needs(KEY)",
                    name=name,
                    known=close,
                )
        self = cls()
        empty = {n: None if e.kind == "wants" else () for n, e in declaration.edges.items() if not e.hard}
        if declaration.config and declaration.config.name not in values and declaration.config.has_defaults:
            empty[declaration.config.name] = declaration.config.settings()
        self.__dict__.update(empty | values)
        return self


class PluginDef:
    """A plugin written as functions, for fixtures and one-service plugins.

    It compiles to the same declaration as a class: each function receives what its ``needs`` names as keywords.
    """

    def __init__(self, name: str, *, version: str = "", requires_kernel: str = "") -> None:
        self.name = name
        self.version = version
        self.requires_kernel = requires_kernel
        self.where = caller()
        self.functions: list[Any] = []

    def __repr__(self) -> str:
        return f"PluginDef({self.name!r})"

    def _edges(self, needs: Mapping[str, Any] | None, where: str) -> dict[str, Edge[Any]]:
        edges: dict[str, Edge[Any]] = {}
        given: Any = needs or {}
        if not isinstance(given, Mapping):
            raise DeclarationInvalid(
                f"{self!r}: needs={needs!r} is no mapping",
                where=where,
                why="the function receives each service as a keyword, and the mapping gives it its name",
                fix='write needs={"ledger": LEDGER}',
            )
        for name, key in given.items():
            if isinstance(key, Edge):
                edges[name] = copy(key)
            elif isinstance(key, Extension):
                edges[name] = Collect(key, where)
            else:
                expect_key(key, Service, "needs", where)
                edges[name] = Need(key, where)
            edges[name].name = name
        return edges

    def _add(self, mark: Mark) -> Callable[[F], F]:
        def decorate(function: F) -> F:
            put_mark(function, mark)
            self.functions.append(function)
            return function

        return decorate

    def provides(
        self, key: Service[T], *, lifetime: Lifetime = "singleton", needs: Mapping[str, Any] | None = None
    ) -> ProvidesDecorator[T]:
        """Declare the function that provides `key`.

        Args:
            needs: parameter name → service key (a hard edge), ``wants(KEY)`` or an extension key.
        """
        where = caller()
        expect_key(key, Service, "provides", where)
        mark = Mark("provides", where, key=key, lifetime=lifetime, needs=self._edges(needs, where))
        decorate: Any = self._add(mark)
        return decorate  # type: ignore[no-any-return]

    def contributes(
        self, key: Extension[T], *, needs: Mapping[str, Any] | None = None
    ) -> Callable[[Callable[P, T]], Callable[P, T]]:
        """Declare the function that makes one item of the extension `key`."""
        where = caller()
        expect_key(key, Extension, "contributes", where)
        return self._add(Mark("contributes", where, key=key, needs=self._edges(needs, where)))

    def lifespan(self, *, needs: Mapping[str, Any] | None = None) -> Callable[[Lifespan], Lifespan]:
        """Declare start and stop code without a service."""
        where = caller()
        return self._add(Mark("lifespan", where, needs=self._edges(needs, where)))

    def background(
        self, *, on_crash: CrashPolicy = "fail", needs: Mapping[str, Any] | None = None
    ) -> Callable[[Background], Background]:
        """Declare an ``async def`` that runs beside the application."""
        where = caller()
        return self._add(Mark("background", where, on_crash=on_crash, needs=self._edges(needs, where)))

    def on(
        self, event: type[T], *, needs: Mapping[str, Any] | None = None
    ) -> Callable[[Callable[Concatenate[T, P], R]], Callable[Concatenate[T, P], R]]:
        """Declare the handler of an event class; it receives the event, then what `needs` names."""
        where = caller()
        expect_event(event, where)
        return self._add(Mark("on", where, event=event, needs=self._edges(needs, where)))
