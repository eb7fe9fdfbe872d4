"""What is made on demand: lazy and transient services, scopes and what is scoped to them, and leases."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Self, TypeVar

import anyio

from objectkernel.errors import (
    KernelError,
    ScopeInvalid,
    ServiceMissing,
    ServiceNotReady,
    ServiceUnavailable,
    nearest,
)
from objectkernel.graph import HOST, Node
from objectkernel.host import Host, as_error, is_cancellation, wrong_type
from objectkernel.keys import Key, Service
from objectkernel.leases import Lease
from objectkernel.plugin import BINDING, Edge, caller, expect_key

if TYPE_CHECKING:
    from objectkernel.context import PluginContext
    from objectkernel.kernel import ObjectKernel
    from objectkernel.records import Record
    from objectkernel.run import Run

T = TypeVar("T")


async def make(run: Run, node: Node) -> Any:
    """The object of a lazy or transient node; a lazy one is made once, however many ask at once."""
    if node.lifetime == "scoped" or node.bound:
        raise _needs_scope(node)
    if node.life.replacement is not None:
        return node.life.replacement[0]
    _expect_alive(run, node)
    await _up(run, node)
    if node.lifetime == "transient":
        return await _call_once(run, node, lambda: run.lifecycle.invoke(node))
    return node.value


async def _call_once(run: Run, node: Node, call: Callable[[], Any]) -> Any:
    """Call the provider of a transient."""
    assert node.step is not None
    try:
        value = call()
        if node.step.form == "async":
            value = await value
    except SystemExit as caught:
        raise as_error(caught, node.step) from caught
    return run.lifecycle.check(value, node)


async def _up(run: Run, node: Node) -> None:
    """Bring up a node and what it needs. The work is done in tasks of the kernel, so an asker that is cancelled
    leaves the others waiting for the same object."""
    if node.life.state == "up":
        return
    todo = [node]
    for one in todo:
        todo += [n for n in one.before if n.life.state == "idle" and n.lifetime == "lazy" and n not in todo]
    if node.life.state in ("idle", "failed", "skipped"):
        run.lifecycle.begin(todo)
    while node.life.state in ("waiting", "starting") and node.life.batch is not None:
        await node.life.batch.done.wait()
    if node.life.state == "up":
        return
    error = node.life.error
    if isinstance(error, Exception):
        raise error
    raise _unavailable(run, node)


def _expect_alive(run: Run, node: Node) -> None:
    record = run.records[node.plugin]
    if record.state not in ("running", "degraded", "starting", "discovered"):
        raise _unavailable(run, node)


def _unavailable(run: Run, node: Node) -> ServiceUnavailable:
    record = run.records[node.plugin]
    return ServiceUnavailable(
        f"{node.id!r} is not up: it is {node.life.state}",
        where=node.where,
        why=f"{record.name} is {record.state}" + (f": {record.reason}" if record.reason else ""),
        fix="wait until the plugin runs again; `objectkernel plugins` tells its state",
        name=node.id,
    )


def _needs_scope(node: Node) -> ServiceNotReady:
    return ServiceNotReady(
        f"{node.id!r} is made in a scope",
        where=node.where,
        why=f"it is {node.lifetime}" + (", and needs what is scoped" if node.lifetime != "scoped" else ""),
        fix='async with kernel.scope("request") as scope: await scope.aget(KEY)',
        name=node.id,
    )


@asynccontextmanager
async def lease(kernel: ObjectKernel, node: Node) -> AsyncIterator[Any]:
    """Hold a service: it is stopped when the lease is left, or its drain deadline has passed."""
    run = kernel._running("lease")
    if node.lifetime == "scoped" or node.bound:
        raise _needs_scope(node)
    if node.lifetime == "transient":
        raise ServiceNotReady(
            f"{node.id!r} is transient: there is nothing to lease",
            where=node.where,
            why="it is made anew for everyone who asks, and nobody stops it",
            fix="write `await kernel.aget(KEY)`",
            name=node.id,
        )
    if node.lifetime == "lazy":
        await make(run, node)
    held = take(run, node)
    try:
        yield node.value
    finally:
        held.end()


def take(run: Run, node: Node) -> Lease:
    """Count one more user of a node that is up."""
    if node.life.state != "up":
        raise _unavailable(run, node)
    return Lease(node)


class _Made:
    """One scoped object, or the making of it."""

    __slots__ = ("done", "error", "host", "left", "value")

    def __init__(self) -> None:
        self.done = anyio.Event()
        self.left = anyio.Event()
        self.host: Host | None = None
        self.error: BaseException | None = None
        self.value: Any = None


class Scope:
    """A stretch of time, such as a request, with services of its own.

    Every scoped service is made once in it, at its first `aget`, and torn down when the scope is left; it keeps the
    singletons that it used from being stopped meanwhile.
    """

    def __init__(
        self,
        run: Run,
        name: str,
        given: Mapping[Key[Any], Any],
        admit: Callable[[Key[Any]], None] | None = None,
    ) -> None:
        given_name: object = name
        if not (isinstance(given_name, str) and given_name):
            raise ScopeInvalid(
                f"{name!r} is no name of a scope", why="a scope has a name", fix='kernel.scope("request")'
            )
        for key in given:
            if not isinstance(key, Service) or key.scope != name:
                raise ScopeInvalid(
                    f"{str(key)!r} cannot be given to a scope {name!r}",
                    where=getattr(key, "where", ""),
                    why=f"the key is declared with scope={getattr(key, 'scope', None)!r}",
                    fix=f'declare it: KEY = Service[Type]("{key}", scope="{name}")',
                    name=str(key),
                )
            problem = wrong_type(given[key], Node(str(key), "given", HOST, key=key, where=key.where))
            if problem is not None:
                raise problem
        self.name = name
        self._run = run
        self._given = {str(k): v for k, v in given.items()}
        self._made: dict[Node, _Made] = {}
        self._order: list[_Made] = []
        self._leased: dict[Node, Lease] = {}
        self._admit = admit  # refuses what a plugin that opened the scope does not declare
        self._state = "new"
        self._errors: list[BaseException] = []
        self._closed = anyio.Event()

    def __repr__(self) -> str:
        return f"<scope {self.name!r} {self._state}>"

    async def __aenter__(self) -> Self:
        if self._state != "new":
            raise self._wrong_state("entered")
        self._state = "open"
        self._run.scopes[self] = None
        return self

    async def __aexit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        with anyio.CancelScope(shield=True):
            await self.close()
        errors = [e for e in self._errors if isinstance(e, Exception)]
        self._errors.clear()
        if errors:
            raise ExceptionGroup(f"closing the scope {self.name!r}", errors)

    async def close(self) -> None:
        """Tear down what the scope made, the last first. The kernel closes open scopes before it stops."""
        if self._state != "open":
            if self._state == "closing":
                await self._closed.wait()
            return
        self._state = "closing"
        for made in list(self._made.values()):
            if not made.done.is_set() and made.host is not None:
                made.host.scope.cancel()
                await made.done.wait()
        for made in reversed(self._order):
            host = made.host
            if host is not None and host.step.form in ("generator", "async_generator"):
                host.stopping = True
                self._run.lifecycle.deadlines.watch(host, self._run.lifecycle.stop_timeout(host.node.plugin))
                host.stop.set()
                await made.left.wait()
        for held in self._leased.values():
            held.end()
        self._run.scopes.pop(self, None)
        self._state = "closed"
        self._closed.set()

    def _wrong_state(self, what: str) -> ScopeInvalid:
        return ScopeInvalid(
            f"the scope {self.name!r} is {self._state} and cannot be {what}",
            why="a scope is entered once and used until it is left",
            fix="async with kernel.scope(...) as scope: ...",
        )

    async def aget(self, key: Service[T]) -> T:
        """The object of any service as seen from this scope; a scoped one is made at the first call.

        Raises:
            ScopeInvalid: the scope is not open, or a key that it must be given is missing.
        """
        expect_key(key, Service, "aget", caller())
        if self._state != "open":
            raise self._wrong_state("used")
        if self._admit is not None:
            self._admit(key)
        if key.scope is not None:
            value: T = self._given_value(key)
            return value
        node = self._run.graph.services.get(str(key))
        if node is None:
            raise self._run.graph.missing(str(key), "", "")
        found: T = await self._value_of(node)
        return found

    def get(self, key: Service[T]) -> T:
        """What this scope was given or has made, or a singleton that is up."""
        expect_key(key, Service, "get", caller())
        if self._state != "open":
            raise self._wrong_state("used")
        if self._admit is not None:
            self._admit(key)
        if key.scope is not None:
            value: T = self._given_value(key)
            return value
        node = self._run.graph.services.get(str(key))
        made = self._made.get(node) if node is not None else None
        if made is not None and made.done.is_set() and made.error is None:
            return made.value  # type: ignore[no-any-return]
        if node is not None and node.lifetime == "scoped":
            raise ServiceNotReady(
                f"{node.id!r} has not been made in this scope",
                where=node.where,
                why="get returns what is there; it cannot wait",
                fix="write `await scope.aget(KEY)`",
                name=node.id,
            )
        value = self._run.kernel.get(key)
        if node is not None:
            self._lease(node)
        return value

    def _given_value(self, key: Key[Any]) -> Any:
        try:
            return self._given[str(key)]
        except KeyError:
            pass
        close = nearest(str(key), self._given)
        raise ScopeInvalid(
            f"{str(key)!r} was not given to the scope {self.name!r}",
            where=key.where,
            why=f"it was given {', '.join(self._given) or 'nothing'}; the key lives in scopes {key.scope!r}",
            fix=f'kernel.scope("{key.scope}", {{KEY: value}})',
            name=str(key),
            known=close,
        )

    async def _value_of(self, node: Node) -> Any:
        if node.life.replacement is not None and node.lifetime in ("scoped", "transient"):
            return node.life.replacement[0]
        if node.lifetime == "scoped":
            return await self._single(node)
        if node.bound:  # a transient that needs what is scoped
            return await _call_once(self._run, node, await self._call(node))
        value = await make(self._run, node) if node.lifetime != "singleton" and node.step else None
        if node.lifetime == "transient":
            return value
        if self._state != "open":  # it was closed meanwhile, and would never give the lease back
            raise self._wrong_state("used")
        self._lease(node)
        return node.value

    def _lease(self, node: Node) -> None:
        """Keep a node up until the scope is left."""
        if node not in self._leased and node.kind != "given":
            self._leased[node] = take(self._run, node)

    async def _single(self, node: Node) -> Any:
        """Make a scoped object once; those who ask meanwhile wait for it."""
        made = self._made.get(node)
        if made is None:
            _expect_alive(self._run, node)
            whole = self._run.graph.plugins[node.plugin][-1]
            if whole.life.state == "up":  # else the plugin itself opened the scope, while it starts
                self._lease(whole)
            made = self._made[node] = _Made()
            self._run.lifecycle.spawner.start_guarded(self._make, node, made, name=f"{node.id} in {self.name}")
        await made.done.wait()
        if made.error is not None:
            raise made.error
        return made.value

    async def _make(self, node: Node, made: _Made) -> None:
        """In a task of the kernel: gather what the provider needs, then live its life."""
        try:
            call = await self._call(node)
        except BaseException as error:
            assert node.step is not None
            self._failed(node, made, as_error(error, node.step))
            if is_cancellation(error):
                raise
            return
        host = made.host = Host(node, _ScopedOwner(self, made, call), self._run.lifecycle.spawner.gate())
        if self._state != "open":
            self._failed(node, made, self._wrong_state("used"))
            return
        self._run.lifecycle.deadlines.watch(host, self._run.lifecycle.start_timeout(node.plugin))
        await host.run()

    def _failed(self, node: Node, made: _Made, error: BaseException) -> None:
        """The next `aget` tries again."""
        made.error = error
        made.host = None
        self._made.pop(node, None)
        made.done.set()
        made.left.set()

    async def _call(self, node: Node) -> Any:
        """The function of a scoped step with the values of this scope."""
        step = node.step
        assert step is not None
        values = {edge.name: await self._edge(edge) for edge in step.edges if not edge.late}
        record = self._run.records[node.plugin]
        if step.by_keyword:
            values.update({edge.name: self._read_late(edge) for edge in step.edges if edge.late})
            return lambda: step.function(**values)
        if record.instance is None:  # the kernel has not made it yet
            raise _unavailable(self._run, node)
        view = object.__new__(type(record.instance))  # its attributes, with the values of this scope
        view.__dict__.update(record.instance.__dict__)
        view.__dict__.update(values)
        view.__dict__[BINDING] = _ScopeBinding(self, record)
        return lambda: step.function(view)

    def _read_late(self, edge: Edge[Any]) -> Any:
        """What a late edge leads to at this moment, None where it is not there."""
        targets = self._run.graph.targets(edge)
        made = self._made.get(targets[0]) if targets else None
        if made is not None:
            return made.value if made.done.is_set() else None
        return targets[0].value if targets and targets[0].life.state == "up" else None

    async def _edge(self, edge: Edge[Any]) -> Any:
        if edge.key.scope is not None:
            return self._given_value(edge.key) if edge.hard else self._given.get(str(edge.key))
        targets = self._run.graph.targets(edge)
        if edge.kind == "collects":
            return tuple(n.value for n in targets if n.life.state == "up")
        if not targets:
            return None
        try:
            return await self._value_of(targets[0])
        except (ServiceUnavailable, ServiceMissing):
            if edge.hard:
                raise
            return None


class _ScopeBinding:
    """Through which a plugin's view in a scope reads what is not set on it."""

    __slots__ = ("_record", "_scope")

    def __init__(self, scope: Scope, record: Record) -> None:
        self._scope = scope
        self._record = record

    @property
    def context(self) -> PluginContext:
        return self._record.context

    def read(self, edge: Edge[Any]) -> Any:
        return self._scope._read_late(edge) if edge.late else self._record.read(edge)


class _ScopedOwner:
    """Who hears of a scoped host."""

    def __init__(self, scope: Scope, made: _Made, call: Callable[[], Any]) -> None:
        self._scope = scope
        self._made = made
        self._call = call

    @property
    def engine(self) -> Any:
        return self._scope._run.lifecycle

    def call(self, host: Host) -> Any:
        return self._call()

    def begun(self, host: Host) -> None:
        pass

    def entered(self, host: Host, value: Any) -> None:
        self._scope._run.lifecycle.deadlines.drop(host)
        self._made.value = value
        self._scope._order.append(self._made)
        self._made.done.set()

    def left(self, host: Host, error: BaseException | None) -> None:
        self._scope._run.lifecycle.deadlines.drop(host)
        made = self._made
        if not made.done.is_set():
            self._scope._failed(host.node, made, error or self._scope._wrong_state("used"))
        elif error is not None:
            self._scope._errors.append(error)
            if not host.stopping and isinstance(error, Exception):
                made.error = error
        made.left.set()

    def gave_up(self, host: Host, error: BaseException) -> None:
        self.left(host, error)


__all__ = ["KernelError", "Scope", "lease", "make", "take"]
