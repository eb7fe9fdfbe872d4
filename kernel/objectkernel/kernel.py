"""`ObjectKernel`: what a host composes, boots, asks for services and stops."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Self, TypeVar

import anyio

from objectkernel.compose import Composition, checked_key, environment
from objectkernel.errors import (
    BootError,
    ConfigError,
    HookInvalid,
    HostOptionInvalid,
    KernelError,
    KernelStateInvalid,
    PluginUnknown,
    ServiceNotReady,
    ServiceUnavailable,
    ShutdownError,
    nearest,
)
from objectkernel.graph import Graph, Node
from objectkernel.host import current_host
from objectkernel.keys import Extension, Key, Service
from objectkernel.options import KernelOptions, kernel_options
from objectkernel.plugin import Plugin, PluginDef, caller, code_place, expect_key
from objectkernel.records import PluginInfo
from objectkernel.run import Run

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager, AbstractContextManager

    from objectkernel.config import Configuration
    from objectkernel.document import Document
    from objectkernel.events import Events, Subscription
    from objectkernel.health import Health
    from objectkernel.portal import KernelPortal
    from objectkernel.records import Record
    from objectkernel.runtime import Runtime
    from objectkernel.scopes import Scope
    from objectkernel.timeline import Timeline

T = TypeVar("T")


class ObjectKernel:
    """A composition of plugins, and its one life.

    Args:
        plugins: what the host composes by hand: classes, instances, `PluginDef`s.
        config: path of a TOML file, or a mapping of the same shape, which wins over the environment.
        environ: the environment that settings are read from; by default the process's.
        options: the host options of ``[kernel]``, see `objectkernel.options.KernelOptions`; they win over the file.

    Raises:
        HostOptionInvalid: an argument cannot be meant. What is wrong with the composition is told by `check`, and by
            `bootstrap` in one `BootError`.
    """

    def __init__(
        self,
        *,
        plugins: Iterable[Plugin | type[Plugin] | PluginDef] = (),
        config: str | os.PathLike[str] | Mapping[str, Any] | None = None,
        environ: Mapping[str, str] | None = None,
        **options: Any,
    ) -> None:
        self.where = caller()
        _check_arguments(plugins, config, self.where)
        self._ready: dict[str, Any] = {}
        self._plugins: list[Plugin | type[Plugin] | PluginDef] = list(plugins)
        self._given: dict[Key[Any], Any] = {}
        self._config = config
        self._environ = environ
        self._options = options
        self._composition: Composition | None = None
        self._run: Run | None = None
        self._boot_error: BaseException | None = None
        self._events: Events | None = None
        self._runtime: Runtime | None = None
        self._body: tuple[anyio.CancelScope, Any] | None = None
        self._failure_told = False

    def __repr__(self) -> str:
        return f"<ObjectKernel {self.state} made at {self.where}>"

    # -- composing

    def use(self, *plugins: Plugin | type[Plugin] | PluginDef) -> Self:
        """Compose plugins by hand; one takes the place of the discovered plugin of its name.

        Raises:
            KernelStateInvalid: the kernel has been bootstrapped.
        """
        self._expect("idle", "use", "compose before bootstrap()")
        self._composition = None
        self._plugins += plugins
        return self

    def provide(self, key: Service[T], value: T) -> Self:
        """Give a service; it takes the place of the one that a plugin provides.

        Raises:
            KernelStateInvalid: the kernel has been bootstrapped; `replace` changes a running one.
        """
        checked_key(key, "provide")
        self._expect("idle", "provide", "compose before bootstrap(), or call `await kernel.replace(KEY, obj)`")
        self._composition = None
        self._given[key] = value
        return self

    def set_options(self, **options: Any) -> Self:
        """Host options in addition to those given to the constructor; for tools that are handed a kernel.

        Raises:
            KernelStateInvalid: the kernel has been bootstrapped.
        """
        self._expect("idle", "set_options", "set them before bootstrap()")
        self._composition = None
        self._options = {**self._options, **options}
        return self

    def compose(self) -> Composition:
        """Discover, declare, configure and connect everything, without running plugin code.

        The result tells all that is wrong; it is kept, and `bootstrap` boots it.
        """
        if self._composition is None:
            document, options = self._read_document()
            self._composition = Composition(
                self._plugins, self._given, options, document, self._environment(), self._arguments(document)
            )
        return self._composition

    def _read_document(self) -> tuple[Document | None, KernelOptions]:
        if self._config is None:
            return None, kernel_options(None, self._options) if self._options else KernelOptions()
        from objectkernel.document import Document

        document = Document.read(self._config)
        return document, kernel_options(document, self._options)

    def _environment(self) -> Mapping[str, str]:
        return environment() if self._environ is None else self._environ

    def _arguments(self, document: Document | None) -> Mapping[str, Mapping[str, Any]]:
        """Settings that were given as a mapping are arguments: they win over the environment."""
        return document.plugins if document is not None and isinstance(self._config, Mapping) else {}

    def _read_configuration(self, specs: Mapping[str, type | None]) -> Configuration:
        """The settings of some plugins as file and environment give them now."""
        from objectkernel.config import resolve

        document, _ = self._read_document()
        installed = tuple(self.compose().records)
        return resolve(specs, document, self._environment(), overrides=self._arguments(document), installed=installed)

    def _read_settings(self, record: Record) -> Any:
        """The settings of one plugin as file and environment give them now, None for one that takes none."""
        declaration = record.declaration
        if declaration is None or declaration.config is None:
            return None
        configuration = self._read_configuration({record.name: declaration.config.settings})
        problems = [p for p in configuration.problems if getattr(p, "plugin", record.name) == record.name]
        if problems:
            raise ConfigError(problems)
        return configuration.instances[record.name]

    def check(self) -> tuple[KernelError, ...]:
        """Every problem that would keep this composition from booting; no plugin code runs."""
        return tuple(self.compose().problems)

    # -- life

    @property
    def state(self) -> str:
        """idle, initializing, running, degraded, stopping, stopped or failed."""
        if self._run is not None:
            return self._run.state
        return "failed" if self._boot_error is not None else "idle"

    async def bootstrap(self) -> Self:
        """Check the composition and start everything.

        Raises:
            BootError: everything that is wrong; whatever had been entered has been exited.
            KernelStateInvalid: the kernel was bootstrapped before.
        """
        self._expect("idle", "bootstrap", "a kernel runs once; make a new one")
        try:
            problems = self.compose().problems
        except KernelError as error:
            problems = [error]
        if problems:
            self._boot_error = BootError(problems)
            raise self._boot_error
        composition = self.compose()
        run = self._run = Run(self, composition)
        run.start()
        try:
            await run.booted.wait()
        except BaseException:
            run.request_stop()
            with anyio.CancelScope(shield=True):
                await run.closed.wait()
            raise
        failure = run.boot_failure()
        if failure is not None:
            with anyio.CancelScope(shield=True):
                await run.closed.wait()
            self._failure_told = True
            raise failure
        return self

    def _use_services(self, ready: dict[str, Any]) -> None:
        """Look services up in `ready` from now on; called by the kernel's `Run`."""
        self._ready = ready

    async def shutdown(self, timeout: float | None = None) -> None:
        """Stop everything, in reverse, each after whatever used it. A second call waits for the first and returns.

        Args:
            timeout: seconds that the stop may take from now, if that is less than what it has: after them whatever
                still stops is cancelled. A second call may so hurry the first.

        The teardown is shielded from the caller's cancellation. Called from a plugin's own task it asks for the stop
        and waits, until the plugin is stopped itself.

        Raises:
            ShutdownError: every teardown ran, and these raised.
            KernelStateInvalid: the kernel never ran.
        """
        given: object = timeout
        if given is not None and (isinstance(given, bool) or not isinstance(given, int | float) or given < 0):
            raise HostOptionInvalid(
                f"shutdown(timeout={timeout!r})",
                where=caller(),
                why="it is a number of seconds, 0 or more",
                fix="timeout=5",
            )
        run = self._run
        if run is None:
            if self._boot_error is not None:
                return
            raise self._wrong_state("shutdown", "bootstrap it first")
        first = not self._failure_told
        self._failure_told = True
        run.request_stop(timeout)
        if self._called_from_inside(run):
            await run.closed.wait()
            return
        with anyio.CancelScope(shield=True):
            await run.closed.wait()
        failure = run.stop_failure()
        if first and failure is not None:
            raise failure

    async def wait_stopped(self) -> None:
        """Wait until the kernel has stopped, for whatever reason: the body of a host that only serves."""
        if self._run is None:
            raise self._wrong_state("wait_stopped", "bootstrap it first")
        await self._run.closed.wait()

    @staticmethod
    def _called_from_inside(run: Run) -> bool:
        host = current_host.get()
        return host is not None and host.owner.engine is run.lifecycle

    async def __aenter__(self) -> Self:
        await self.bootstrap()
        scope = anyio.CancelScope()
        scope.__enter__()
        self._body = (scope, anyio.get_current_task().coro)
        if self._run is not None and self._run.stop_asked:  # it crashed before this task went on
            scope.cancel()
        return self

    async def __aexit__(self, kind: Any, error: BaseException | None, trace: Any) -> bool:
        if self._body is None:
            raise self._wrong_state("__aexit__", "enter it with `async with kernel:`")
        scope, coroutine = self._body
        self._body = None
        crash: BaseException | None = None
        try:
            await self.shutdown()
        except BaseException as caught:
            crash = caught
        # An async generator fixture may be left in another task than it was entered in: there is no scope then.
        same = anyio.get_current_task().coro is coroutine
        swallowed = bool(same and scope.__exit__(kind, error, trace))
        if crash is None:
            return swallowed
        if error is None or swallowed or not isinstance(crash, ShutdownError):
            raise crash
        if isinstance(error, Exception):
            raise ShutdownError([error, *crash.exceptions]) from None
        error.add_note(str(crash))  # KeyboardInterrupt and cancellation pass; the errors have been logged
        return False

    def _cancel_body(self) -> None:
        """End the body of ``async with kernel``, because the kernel stops by itself."""
        if self._body is not None:
            scope, coroutine = self._body
            over = getattr(coroutine, "cr_frame", coroutine) is None  # the task that entered
            if not over and anyio.get_current_task().coro is not coroutine:  # nor is it the body itself that asked
                scope.cancel()

    def portal(self) -> AbstractContextManager[KernelPortal]:
        """``with kernel.portal() as k:`` boots in a thread with an event loop of its own, for blocking code."""
        from objectkernel.portal import open_portal

        return open_portal(self)

    # -- services

    def get(self, key: Service[T]) -> T:
        """The object of a service that is up: one dictionary look-up.

        Raises:
            ServiceMissing, ServiceNotReady, ServiceUnavailable, KernelStateInvalid, KeyInvalid
        """
        try:
            return self._ready[key]  # type: ignore[no-any-return]
        except (KeyError, TypeError):
            pass
        raise self._absent(key, "get")

    def get_service(self, name: str) -> Any:
        """The object of a service by its name, for tools and tests."""
        try:
            return self._ready[name]
        except (KeyError, TypeError):
            pass
        raise self._absent(name, "get_service")

    async def aget(self, key: Service[T]) -> T:
        """The object of a service; a lazy one is made at the first call, a transient one at every call."""
        try:
            return self._ready[key]  # type: ignore[no-any-return]
        except (KeyError, TypeError):
            pass
        from objectkernel.scopes import make

        node = self._node(key, "aget")
        made: T = await make(self._running("aget"), node)
        return made

    def lease(self, key: Service[T]) -> AbstractAsyncContextManager[T]:
        """``async with kernel.lease(KEY) as obj:`` keeps a service from being stopped while it is used.

        Raises:
            ServiceUnavailable: the service is draining or not up.
        """
        from objectkernel.scopes import lease

        return lease(self, self._node(key, "lease"))

    def scope(self, name: str, given: Mapping[Key[Any], Any] | None = None) -> Scope:
        """``async with kernel.scope("request", {TENANT: tenant}) as scope:`` makes scoped services once, in it.

        Args:
            given: the objects of the keys declared with ``scope=name``.
        """
        from objectkernel.scopes import Scope

        return Scope(self._running("scope"), name, given or {})

    def contributions(self, key: Extension[T]) -> tuple[T, ...]:
        """What plugins contribute to an extension, in plugin order.

        Before the boot these are the contributions that depend on nothing (``uses=()``): their functions are called
        on instances made for the purpose, so that a command line has its commands without starting anything.
        """
        expect_key(key, Extension, "contributions", caller())
        if self._run is not None and self._run.booted.is_set():
            nodes = self._run.graph.contributions.get(str(key), [])
            return tuple(n.value for n in nodes if n.life.state == "up")
        return tuple(make() for _, make in self.contributors(key))

    def contributors(self, key: Extension[T]) -> tuple[tuple[str, Callable[[], T]], ...]:
        """(plugin, function that makes its item) of each contribution that depends on nothing, before the boot.

        For tools that go on where one plugin's function raises.
        """
        expect_key(key, Extension, "contributors", caller())
        composition = self.compose()

        def maker(node: Node) -> Callable[[], T]:
            def make() -> T:
                step = node.step
                assert step is not None
                target = composition.target(node.plugin)
                if step.by_keyword:
                    return step.function()  # type: ignore[no-any-return]
                return step.function(target() if isinstance(target, type) else target)  # type: ignore[no-any-return]

            return make

        nodes = composition.graph.contributions.get(str(key), [])
        return tuple((n.plugin, maker(n)) for n in nodes if n.step is not None and not n.step.edges)

    @property
    def hook(self) -> Any:
        """pluggy's relay: ``kernel.hook.acme_prices(order=...)`` calls that hook of every plugin that is up.

        For synchronous hooks that a plugin specifies (`Plugin.hookspecs`); the last plugin that came up is asked first.
        """
        from objectkernel.hook_calls import HookCalls

        return HookCalls(self._running("hook").composition.hooks)

    def findings(self) -> tuple[KernelError, ...]:
        """What the plugins find worth saying about the running kernel: the answers to the hook `kernel_findings`."""
        from objectkernel.hook_calls import call_hook

        run = self._running("findings")
        found: list[KernelError] = []
        for record, function in run.hook_functions("kernel_findings"):
            try:
                found += call_hook(function, record.instance, record.context) or ()
            except Exception as error:
                broken = HookInvalid(
                    f"kernel_findings of {record.name} raised {type(error).__name__}",
                    where=code_place(function),
                    why="what it would have found is not known",
                    fix="let it return its findings, and raise none",
                    name="kernel_findings",
                )
                broken.__cause__ = error
                found.append(broken)
        return tuple(found)

    def services(self) -> tuple[str, ...]:
        """The names of the services that are up."""
        return tuple(str(key) for key in self._ready)

    def plugins(self) -> tuple[PluginInfo, ...]:
        """Every plugin that is installed or composed, with its state and the reason for it, in start order."""
        composition = self._run.composition if self._run is not None else self.compose()
        place = {name: index for index, name in enumerate(composition.graph.order)}
        records = sorted(composition.records.values(), key=lambda r: (place.get(r.name, len(place)), r.name))
        return tuple(record.info() for record in records)

    @property
    def graph(self) -> Graph:
        """The nodes of the composition and their edges."""
        return self.compose().graph if self._run is None else self._run.graph

    def _node(self, key: Any, asked: str) -> Node:
        checked_key(key, asked)
        run = self._running(asked)
        node = run.graph.services.get(str(key))
        if node is None:
            raise self._absent(key, asked)
        return node

    def _running(self, asked: str) -> Run:
        if self._run is None or self._run.state not in ("initializing", "running", "degraded", "stopping"):
            raise self._wrong_state(asked, "use it inside `async with kernel:`")
        return self._run

    def _absent(self, key: Any, asked: str) -> KernelError:
        """Why a service cannot be had, as precisely as it can be told."""
        if not isinstance(key, str) or isinstance(key, Extension):
            try:
                checked_key(key, asked)
            except KernelError as error:
                return error
        run = self._run
        if run is None or run.state in ("stopped", "failed"):
            return self._wrong_state(f"{asked}({str(key)!r})", "use services between bootstrap() and shutdown()")
        node = run.graph.services.get(str(key))
        if node is None:
            return run.graph.missing(str(key), "", caller(3))
        if node.lifetime == "scoped" or node.bound:
            return ServiceNotReady(
                f"{node.id!r} lives in a scope",
                where=node.where,
                why=f"{node.plugin} provides it with lifetime={node.lifetime!r}",
                fix='async with kernel.scope("request") as scope: await scope.aget(KEY)',
                name=node.id,
            )
        if node.lifetime in ("lazy", "transient"):
            return ServiceNotReady(
                f"{node.id!r} is {node.lifetime}" + (" and not made yet" if node.lifetime == "lazy" else ""),
                where=node.where,
                why="get returns what is there; it cannot wait",
                fix="write `await kernel.aget(KEY)`",
                name=node.id,
            )
        record = run.records[node.plugin]
        return ServiceUnavailable(
            f"{node.id!r} is not up: it is {node.life.state if node.life is not None else 'idle'}",
            where=node.where,
            why=f"{record.name} is {record.state}" + (f": {record.reason}" if record.reason else ""),
            fix="wait for the boot, or see `objectkernel plugins` for the plugin's state",
            name=node.id,
        )

    # -- modules beside the core, imported when they are used

    @property
    def events(self) -> Events:
        """The handlers of events."""
        if self._events is None:
            from objectkernel.events import Events

            self._events = Events()
        return self._events

    def _bus(self, asked: str) -> Events:
        """The events of a kernel that runs."""
        if self._run is None or self._run.closed_in is not None:
            raise self._wrong_state(asked, "emit between bootstrap() and the end of shutdown()")
        return self._events or self.events

    def on(self, event: type[T], handler: Callable[[T], Any]) -> Subscription:
        """Subscribe a handler to events of exactly this class; the subscription's `end()` ends it."""
        return self.events.on(event, handler)

    def emit(self, event: object) -> Awaitable[None]:
        """Await the handlers in turn; the first error ends it and comes to the caller."""
        return self._bus("emit").emit(event)

    def notify(self, event: object) -> Awaitable[tuple[Exception, ...]]:
        """Await the handlers in turn, whatever one raises; the errors are logged and returned."""
        return self._bus("notify").notify(event)

    def emit_sync(self, event: object) -> None:
        """Call the handlers in turn; one that is a coroutine function is an error before any is called."""
        self._bus("emit_sync").emit_sync(event)

    @property
    def timeline(self) -> Timeline:
        """What the start took, per plugin and service, with the critical path."""
        from objectkernel.timeline import Timeline

        if self._run is None:
            raise self._wrong_state("timeline", "bootstrap it first")
        return Timeline(self._run)

    async def health(self, timeout: float = 5.0) -> Health:
        """Live, ready or degraded, per service; asks each service's ``async ping()``, `timeout` seconds at most."""
        from objectkernel.health import check_health

        return await check_health(self, timeout)

    @property
    def _changes(self) -> Runtime:
        if self._runtime is None:
            from objectkernel.runtime import Runtime

            self._runtime = Runtime(self, self._running("a run-time change"))
        return self._runtime

    async def disable(self, name: str) -> None:
        """Stop a plugin: its hard dependents wait, its soft users are restarted and read None."""
        await self._changes.disable(self._known(name))

    async def enable(self, name: str) -> None:
        """Start a disabled or failed plugin again, and those that waited for it."""
        await self._changes.enable(self._known(name))

    async def reload(self, name: str) -> None:
        """Restart a plugin with its configuration read anew, and what depends on it.

        Raises:
            ConfigError: the new configuration is refused; nothing was stopped.
            BootError: the plugin did not start with it; the old one runs again.
        """
        await self._changes.reload(self._known(name))

    async def replace(self, key: Service[T], value: T) -> None:
        """Put an object in the place of a service's provider, until `restore`; dependents are restarted."""
        await self._changes.replace(self._node(key, "replace"), value)

    async def restore(self, key: Service[Any]) -> None:
        """End a `replace`."""
        await self._changes.restore(self._node(key, "restore"))

    def override(self, key: Service[T], value: T) -> AbstractAsyncContextManager[None]:
        """``async with kernel.override(KEY, fake):`` replaces a service for the length of the block."""
        return self._changes.override(self._node(key, "override"), value)

    def _known(self, name: str) -> str:
        run = self._running("a run-time change")
        given: object = name
        if not (isinstance(given, str) and given in run.records):
            close = nearest(str(name), run.records)
            raise PluginUnknown(
                f"no plugin {name!r}",
                why=f"there are {', '.join(run.records)}",
                fix=f"did you mean {close[0]!r}?" if close else "see `objectkernel plugins`",
                name=name,
                known=close,
            )
        return name

    # -- states

    def _expect(self, state: str, what: str, fix: str) -> None:
        if self.state != state:
            raise self._wrong_state(what, fix)

    def _wrong_state(self, what: str, fix: str) -> KernelStateInvalid:
        return KernelStateInvalid(
            f"{what}: the kernel is {self.state}",
            where=self.where,
            why="states are idle, initializing, running or degraded, stopping, stopped or failed, in this order",
            fix=fix,
            state=self.state,
        )


def _check_arguments(plugins: Any, config: Any, where: str) -> None:
    """Raise HostOptionInvalid for arguments that cannot be meant."""
    if isinstance(plugins, str | type | Plugin | PluginDef) or not isinstance(plugins, Iterable):
        raise HostOptionInvalid(
            f"plugins={plugins!r} is no list of plugins",
            where=where,
            why=f"it is of type {type(plugins).__name__}",
            fix="write plugins=[Billing, ...]",
        )
    if config is not None and not isinstance(config, str | os.PathLike | Mapping):
        raise HostOptionInvalid(
            f"config={config!r} is neither a path nor a mapping",
            where=where,
            why=f"it is of type {type(config).__name__}",
            fix='write config="objectkernel.toml", or give what such a file holds as a mapping',
        )
