"""The one life of a kernel: boot, crashes, shutdown, all in a task of its own.

The root task is nobody's child: `bootstrap` and `shutdown` may be called from different tasks, and a cancelled caller
does not tear the teardown.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine, Iterable
from contextvars import copy_context
from time import perf_counter
from typing import TYPE_CHECKING, Any

import anyio

from objectkernel.changes import PluginsChanged, PluginsChanging
from objectkernel.declaration import Step, innermost
from objectkernel.errors import BootAborted, BootError, PluginDuplicate, ShutdownError
from objectkernel.graph import Node, closure
from objectkernel.hook_calls import HookCarrier, call_hook
from objectkernel.host import Host, as_error, current_host
from objectkernel.leases import held_handler
from objectkernel.lifecycle import Batch, Lifecycle
from objectkernel.plugin import BINDING, Plugin, code_place
from objectkernel.spawn import Spawner

if TYPE_CHECKING:
    from objectkernel.compose import Composition
    from objectkernel.kernel import ObjectKernel
    from objectkernel.records import Record

log = logging.getLogger("objectkernel")


class Run:
    """Boots a composition, watches over it and stops it.

    Attributes:
        state: initializing, running, degraded, stopping, stopped or failed.
        booted: set when the boot is over, either way.
        closed_in: the state in which it closed, None before.
        closed: set when nothing of the kernel is alive any more.
        ended_in_order: everything was taken down by the kernel, not by the end of the event loop.
        phases: (name, start, end) of the boot's phases, in `time.perf_counter` seconds.
    """

    def __init__(self, kernel: ObjectKernel, composition: Composition) -> None:
        self.kernel = kernel
        self.composition = composition
        self.records = composition.records
        self.graph = composition.graph
        self.options = composition.options
        self.state = "initializing"
        self.booted = anyio.Event()
        self.closed = anyio.Event()
        self.interrupt: BaseException | None = None
        self.boot_errors: list[Exception] = []
        self.stop_errors: list[Exception] = []
        self.phases: list[tuple[str, float, float]] = []
        self.lifecycle: Lifecycle
        self.changes = anyio.Lock()
        self.scopes: dict[Any, None] = {}
        self.change_failed: Callable[[Node, Exception], None] | None = None
        self.change_errors: list[Exception] | None = None  # of the teardowns of a change that is going on
        self.ended_in_order = False
        self.closed_in: str | None = None
        self._spawner: Spawner
        self._root: Any = None
        self._stop = anyio.Event()
        self._boot_scope = anyio.CancelScope()
        self._batch: Batch | None = None

    # -- the root task

    def start(self) -> None:
        """Spawn the root task on the running event loop."""
        context = copy_context()
        context.run(current_host.set, None)  # a kernel inside a plugin of another one is nobody's part
        self._spawner = Spawner(context)
        self._make_lifecycle(self._spawner)
        self._root = self._spawner.start(self._main, name="objectkernel root")

    async def _main(self) -> None:
        try:
            with self._boot_scope:
                await self._boot()
            if self.state == "initializing" and not self.boot_errors and self.interrupt is None:  # cancelled
                self.boot_errors.append(
                    BootAborted(
                        "bootstrapping was ended by a shutdown",
                        why="shutdown() was called, or bootstrap() cancelled, before the boot was done",
                        fix="wait for bootstrap() before you call shutdown()",
                    )
                )
            if self.boot_errors or self.interrupt is not None:
                self.state = "failed"
                await self._teardown()
                self.state = "failed"
            else:
                self.booted.set()
                await self._stop.wait()
                await self._shutdown()
            self.ended_in_order = True
            self._close()
        except BaseException as error:
            if not isinstance(error, Exception):
                raise
            log.critical("the kernel itself failed", exc_info=error)
            self.boot_errors.append(error)
            self.stop_errors.append(error)
        finally:
            if not self.closed.is_set():
                self.state = "failed"
                self._close()

    def _close(self) -> None:
        for record in self.records.values():
            if isinstance(record.instance, Plugin) and record.instance.__dict__.get(BINDING) is record:
                del record.instance.__dict__[BINDING]
        self.lifecycle.deadlines.close()
        self.kernel._use_services({})
        self.closed_in = self.state
        self.booted.set()
        self.closed.set()

    def _make_lifecycle(self, spawner: Spawner) -> None:
        options = self.options

        def start_timeout(plugin: str) -> float:
            declaration = self.graph.declarations[plugin]
            return options.start_timeouts.get(plugin) or declaration.start_timeout or options.start_timeout

        def stop_timeout(plugin: str) -> float:
            declaration = self.graph.declarations[plugin]
            return options.stop_timeouts.get(plugin) or declaration.stop_timeout or options.stop_timeout

        self.lifecycle = Lifecycle(
            self.graph,
            self.records,
            spawner,
            self,
            start_timeout=start_timeout,
            stop_timeout=stop_timeout,
            drain_timeout=options.drain_timeout,
        )
        self.kernel._use_services(self.lifecycle.ready)

    # -- boot

    async def _boot(self) -> None:
        await self._phase("start", self._start_all)
        for phase in ("ready", "bootstrapped", "listening"):
            if self.boot_errors or self.interrupt is not None:
                return
            await self._phase(phase, lambda phase=phase: self._hooks(f"kernel_{phase}"))  # type: ignore[misc]
            await self._start(await self._drop_lost())  # what crashed meanwhile
            if phase == "ready" and not self.boot_errors:
                await self._start(n for n in self.wanted() if n.kind == "background")
        if not self.boot_errors:
            self.reassess()
            log.info("kernel is %s with %d services", self.state, len(self.lifecycle.ready))

    def reassess(self) -> None:
        """running where every plugin that should run does, else degraded."""
        whole = all(r.state == "running" for r in self.records.values() if r.state not in ("blocked", "disabled"))
        self.state = "running" if whole else "degraded"

    async def _phase(self, name: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        began = perf_counter()
        log.debug("phase %s", name)
        try:
            await work()
        finally:
            self.phases.append((name, began, perf_counter()))

    async def _start_all(self) -> None:
        for name in self.graph.order:
            self._instantiate(self.records[name])
            if self.boot_errors or self.interrupt is not None:
                return
        await self._start(n for n in self.wanted() if n.kind != "background")

    def _instantiate(self, record: Record) -> None:
        """Make the plugin's instance, unless the host gave one, and give it its settings and its view."""
        assert record.declaration is not None
        target = self.composition.target(record.name)
        try:
            instance = target() if isinstance(target, type) else target
        except BaseException as caught:
            if not isinstance(caught, Exception | SystemExit):
                self.interrupt = caught
                return
            step = Step.of_code(record.name, "__init__", target.__init__, code_place(target.__init__) or record.where)
            self._plugin_failed(record, as_error(caught, step))
            return
        if not isinstance(instance, Plugin):
            return
        try:
            record.bind(instance, self.kernel, self.lifecycle)
        except PluginDuplicate as error:
            self._plugin_failed(record, error)
            return
        configured = record.declaration.config
        if configured is not None and self.composition.configuration is not None:
            instance.__dict__[configured.name] = self.composition.configuration.instances[record.name]

    def wanted(self) -> list[Node]:
        """The nodes that are up in a running kernel: eager ones of plugins that take part, and what they need.

        A transient is among them: it runs nothing, and whoever asks may have it.
        """
        out = self._left_out()
        todo = [
            n
            for n in self.graph.nodes
            if (n.eager or n.lifetime == "transient") and n.plugin not in out and n.kind != "given"
        ]
        lazy: dict[Node, None] = {}
        for node in todo:
            for target in node.before:
                if target.lifetime == "lazy" and target not in lazy and target.plugin not in out:
                    lazy[target] = None
                    todo.append(target)
        return todo

    def _left_out(self) -> set[str]:
        """The plugins that take no part, or no longer."""
        return {n for n, r in self.records.items() if r.state in ("failed", "skipped", "disabled", "blocked")}

    async def _start(self, nodes: Iterable[Node]) -> None:
        """Bring nodes up; take down again what belongs to plugins that failed, and restart who used them softly."""
        wanted = list(nodes)
        while wanted and not self.boot_errors and self.interrupt is None:
            batch = self._batch = self.lifecycle.begin(wanted)
            if self.boot_errors or self.interrupt is not None:  # something failed while it began
                self.lifecycle.abort(batch)
            await batch.done.wait()
            self._batch = None
            if batch.aborted:
                return
            wanted = await self._drop_lost()

    async def _drop_lost(self) -> list[Node]:
        """Take down what is up of plugins that failed or are skipped; returns the soft users, to be started again."""
        out = self._left_out()
        around = closure(n for name in out for n in self.graph.plugins.get(name, ()) if n.life.state == "up")
        users = [n for n in around if n.life.state == "up" and n.plugin not in out]
        await self.lifecycle.take_down(around)
        return users

    async def _hooks(self, name: str) -> None:
        """Await the hook's implementations plugin by plugin, in start order; the first failure fails the boot."""
        for record in self._with_hook(name):
            error = await self._call_hook(record, name)
            if error is not None:
                self._plugin_failed(record, error, fatal=True)
                return

    def hook_functions(self, name: str) -> list[tuple[Record, Callable[..., Any]]]:
        """The implementations of a hook by running plugins, in start order."""
        return [(r, r.declaration.hooks[name]) for r in self._with_hook(name) if r.declaration is not None]

    def _with_hook(self, name: str) -> list[Record]:
        records = (self.records[n] for n in self.graph.order)
        return [
            r for r in records if r.state in ("running", "degraded") and r.declaration and name in r.declaration.hooks
        ]

    async def _call_hook(self, record: Record, name: str) -> BaseException | None:
        """Run one implementation with the plugin's start timeout; returns its error."""
        assert record.declaration is not None
        function = record.declaration.hooks[name]
        step = Step.of_code(record.name, name, function, code_place(innermost(function)) or record.where)
        node = Node(f"{record.name}.{name}", "hook", record.name, step=step)
        owner = _HookOwner(self.lifecycle, lambda: call_hook(function, record.instance, record.context))
        host = Host(node, owner, self._spawner.gate())
        host.stopping = name == "kernel_stopping"
        limit = self.lifecycle.stop_timeout if host.stopping else self.lifecycle.start_timeout
        self.lifecycle.deadlines.watch(host, limit(record.name))
        host.task = self._spawner.start(host.run, name=node.id)
        try:
            await owner.done.wait()
        except BaseException:  # the boot is cancelled
            self.lifecycle.deadlines.watch(host, self.lifecycle.stop_timeout(record.name))
            host.scope.cancel()
            with anyio.CancelScope(shield=True):
                await owner.done.wait()
            raise
        return owner.error

    # -- what the lifecycle reports (lifecycle.Overseer)

    def node_failed(self, node: Node, error: BaseException) -> None:
        record = self.records[node.plugin]
        if not isinstance(error, Exception):
            self._interrupted(error)
        elif node.lifetime == "lazy" and node.life.state == "starting" and self.state in ("running", "degraded"):
            log.error("lazy service %s could not be made", node.id, exc_info=error)  # whoever asked gets it
        elif self.change_failed is not None and node.life.state == "starting":
            self.change_failed(node, error)
        elif self.state == "initializing":
            self._plugin_failed(record, error)
        elif self.state == "stopping":
            self.stop_errors.append(error)
        elif self.state in ("running", "degraded"):
            self._crashed(record, error)

    def node_degraded(self, node: Node, error: Exception) -> None:
        record = self.records[node.plugin]
        log.error("background task %s of %s crashed; it goes on without", node.id, record.name, exc_info=error)
        record.error = error
        record.become("degraded", f"background task {node.id} crashed: {type(error).__name__}: {error}", node.id)
        if self.state == "running":
            self.state = "degraded"

    def plugin_up(self, record: Record) -> None:
        log.debug("plugin %s is up", record.name)
        for step in self.graph.declarations[record.name].handlers:
            self._subscribe(record, step)
        if record.declaration is not None and record.declaration.hooks and self.composition.hooks is not None:
            carrier = HookCarrier(record.instance, record.declaration.hooks)
            self.composition.hooks.register(carrier, record.name)
            self.composition.hooks.check_pending()

    def _subscribe(self, record: Record, step: Step) -> None:
        if step.by_keyword:
            extra = self.lifecycle.keywords(step)
            handler: Any = step.function if not extra else _with_keywords(step.function, extra)
        else:
            handler = step.function.__get__(record.instance)
        assert step.event is not None
        held = held_handler(handler, self.graph.plugins[record.name][-1], step.form == "async")
        record.subscriptions.append(self.kernel.events.on(step.event, held, self.graph.place[record.name]))

    def plugin_down(self, record: Record) -> None:
        for subscription in record.subscriptions:
            subscription.end()
        record.subscriptions.clear()
        if self.composition.hooks is not None and self.composition.hooks.has_plugin(record.name):
            self.composition.hooks.unregister(name=record.name)
        if record.state in ("running", "degraded", "starting"):
            record.become("stopped")
        log.debug("plugin %s is down", record.name)

    def teardown_failed(self, error: BaseException) -> None:
        if isinstance(error, Exception):
            (self.stop_errors if self.change_errors is None else self.change_errors).append(error)
            log.error("error while stopping", exc_info=error)
        else:
            self._interrupted(error)

    def _interrupted(self, error: BaseException) -> None:
        """KeyboardInterrupt from plugin code: stop in order, then raise it where the host waits."""
        self.interrupt = error
        self.request_stop()

    def _plugin_failed(self, record: Record, error: BaseException, fatal: bool = False) -> None:
        """A plugin failed while the kernel boots."""
        if not isinstance(error, Exception):
            self._interrupted(error)
            return
        record.error = error
        record.become("failed", f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}")
        if record.critical or fatal:
            self.boot_errors.append(error)
            if self._batch is not None and not self._batch.aborted:
                self.lifecycle.abort(self._batch)
            return
        log.error("optional plugin %s failed; the boot goes on without it", record.name, exc_info=error)
        for name in self._skip_dependents(record.name):
            for node in self.graph.plugins[name]:
                self.lifecycle.skip(node)

    def _skip_dependents(self, name: str) -> list[str]:
        """Mark every plugin that cannot do without `name` as skipped; returns all their names and `name`."""
        lost = [name]
        for plugin in lost:
            for node in self.graph.plugins[plugin]:
                for dependent in node.dependents:
                    record = self.records[dependent.plugin]
                    if node in dependent.hard and record.state not in ("failed", "skipped"):
                        record.become(
                            "skipped", f"it needs {node.id!r} of {plugin}, which {self._fate(plugin)}", plugin
                        )
                        lost.append(dependent.plugin)
        return lost

    def _fate(self, plugin: str) -> str:
        return "failed" if self.records[plugin].state == "failed" else "is skipped"

    # -- crashes while running

    def _crashed(self, record: Record, error: Exception) -> None:
        log.error("plugin %s crashed", record.name, exc_info=error)
        record.error = error
        self.state = "degraded"
        if record.critical:
            record.become("failed", f"{type(error).__name__}: {error}")
            self.stop_errors.append(error)
            self.request_stop()
        else:
            record.become("draining", f"it crashed: {type(error).__name__}")
            self._spawner.start_guarded(self._remove_crashed, record, error, name=f"remove {record.name}")

    async def _remove_crashed(self, record: Record, error: Exception) -> None:
        """Stop what depends on a crashed plugin, then the plugin; who used it softly starts again without it."""
        async with self.changes:
            if self.state not in ("running", "degraded"):
                return
            mine = self.graph.plugins[record.name]
            around = closure(mine)
            await self.tell(PluginsChanging(frozenset(n.plugin for n in around if n.life.state == "up")))
            users = [n for n in around if n.life.state == "up" and n.plugin != record.name]
            await self.lifecycle.take_down(around)
            for node in closure(mine, soft=False):
                other = self.records[node.plugin]
                if other is not record and other.state not in ("failed", "skipped", "disabled"):
                    other.become("waiting", f"it needs what {record.name} provided", record.name)
            await self.lifecycle.bring_up(users)
            record.become("failed", f"{type(error).__name__}: {error}")
            if self.state in ("running", "degraded"):
                self.reassess()
        await self.tell(PluginsChanged())

    async def tell(self, change: PluginsChanging | PluginsChanged) -> None:
        """Let those who hold what plugins contribute know, unless the kernel stops and has told so.

        What one of them raises is logged, and nobody waits for them longer than the kernel may take to stop.
        """
        if self.state in ("running", "degraded"):
            await self._notify(change)

    async def _notify(self, change: PluginsChanging | PluginsChanged) -> None:
        told = False
        with self.lifecycle.deadlines.at_most(self.options.shutdown_timeout):
            await self.kernel.notify(change)
            told = True
        if not told:
            log.error("the handlers of %s were cancelled: they took too long", type(change).__name__)

    # -- shutdown

    @property
    def stop_asked(self) -> bool:
        """Whether the kernel stops, or is about to."""
        return self._stop.is_set()

    def request_stop(self, timeout: float | None = None) -> None:
        """Ask the root task to stop the kernel, within `timeout` seconds; during the boot, cancel that."""
        self._stop.set()
        if timeout is not None and not self.closed.is_set():
            self.lifecycle.deadlines.shorten(anyio.current_time() + timeout)
        if self.state == "initializing":
            if self._batch is not None:
                self.lifecycle.abort(self._batch)
            self._boot_scope.cancel()
        else:
            self.kernel._cancel_body()

    async def _shutdown(self) -> None:
        self.state = "stopping"
        began = perf_counter()
        log.info("kernel stops")
        self.lifecycle.deadlines.shorten(anyio.current_time() + self.options.shutdown_timeout)
        await self._notify(PluginsChanging(frozenset(n.plugin for n in self.graph.nodes if n.life.state == "up")))
        self.lifecycle.close()
        for record in reversed(self._with_hook("kernel_stopping")):
            error = await self._call_hook(record, "kernel_stopping")
            if error is not None:
                self.teardown_failed(error)
        await self._teardown()
        self.phases.append(("stop", began, perf_counter()))
        self.state = "stopped"
        log.info("kernel has stopped")

    async def _teardown(self) -> None:
        """Close every scope, then take everything down."""
        if self.state == "failed":
            self.state = "stopping"
            self.lifecycle.close()
            self.lifecycle.deadlines.shorten(anyio.current_time() + self.options.shutdown_timeout)
        async with self.changes:
            for scope in list(reversed(self.scopes)):
                await scope.close()
            await self.lifecycle.take_down(n for n in self.graph.nodes if n.kind != "given")

    # -- what the callers raise

    def boot_failure(self) -> BaseException | None:
        """What `bootstrap` raises, or None."""
        if self.interrupt is not None:
            return self.interrupt
        errors = self.boot_errors + self.stop_errors
        return BootError(errors) if self.boot_errors else None

    def stop_failure(self) -> BaseException | None:
        """What the first `shutdown` raises, or None."""
        if self.interrupt is not None:
            return self.interrupt
        return ShutdownError(self.stop_errors) if self.stop_errors else None


class _HookOwner:
    """Collects how a hook ended. It has a task of its own: one that goes on after it was cancelled is left behind."""

    def __init__(self, lifecycle: Lifecycle, call: Callable[[], Any]) -> None:
        self._lifecycle = lifecycle
        self._call = call
        self.error: BaseException | None = None
        self.done = anyio.Event()

    @property
    def engine(self) -> Lifecycle:
        return self._lifecycle

    def call(self, host: Host) -> Any:
        return self._call()

    def begun(self, host: Host) -> None:
        pass

    def entered(self, host: Host, value: Any) -> None:
        self.left(host, None)

    def left(self, host: Host, error: BaseException | None) -> None:
        self._lifecycle.deadlines.drop(host)
        self.error = error
        self.done.set()

    def gave_up(self, host: Host, error: BaseException) -> None:
        self.left(host, error)


def _with_keywords(function: Any, extra: dict[str, Any]) -> Any:
    """A handler of the functional form with its needs filled in; asynchronous if the function is."""
    if function.__code__.co_flags & 0x80:

        async def handler(event: object) -> None:
            await function(event, **extra)

        return handler
    return lambda event: function(event, **extra)
