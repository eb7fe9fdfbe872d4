"""Starting and stopping the nodes of a graph: each as soon as it may, in one order, with deadlines.

Everything here runs in the kernel's event loop. Settling a node is a plain call that frees others; nobody polls, and
no node waits at a barrier for its level.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable
from operator import attrgetter
from time import perf_counter
from typing import TYPE_CHECKING, Any, Protocol

import anyio

from objectkernel.background_tasks import run_background
from objectkernel.deadlines import Deadlines
from objectkernel.declaration import Step
from objectkernel.errors import LeaseTimeout, ServiceUnavailable
from objectkernel.graph import Graph, Node
from objectkernel.host import Host, as_error, current_host, wrong_type
from objectkernel.records import NO_VALUE, Record
from objectkernel.spawn import Spawner

if TYPE_CHECKING:
    from objectkernel.plugin import Edge


class Overseer(Protocol):
    """Who decides what follows; the `Run` of a kernel."""

    def node_failed(self, node: Node, error: BaseException) -> None:
        """A node failed to start, or crashed while it was up."""

    def node_degraded(self, node: Node, error: Exception) -> None:
        """A background task crashed, and its policy is to go on without it."""

    def plugin_up(self, record: Record) -> None:
        """Everything of a plugin is up."""

    def plugin_down(self, record: Record) -> None:
        """A plugin is about to stop, or a part of it."""

    def teardown_failed(self, error: BaseException) -> None:
        """Something went wrong while a node stopped."""


class Life:
    """The run-time state of one node."""

    __slots__ = (
        "batch",
        "entered_at",
        "error",
        "freed",
        "host",
        "leases",
        "ready_at",
        "replacement",
        "serial",
        "started_at",
        "state",
        "unmet",
        "users",
        "wanted_at",
    )

    def __init__(self) -> None:
        self.state = "idle"  # waiting, starting, up, draining, stopping, failed, skipped
        self.unmet = 0
        self.users = 0
        self.leases = 0
        self.serial = 0
        self.host: Host | None = None
        self.batch: Batch | None = None
        self.error: BaseException | None = None
        self.replacement: tuple[Any] | None = None
        self.freed: anyio.Event | None = None
        self.wanted_at = self.ready_at = self.started_at = self.entered_at = 0.0


class Batch:
    """Nodes that are brought up, or taken down, together."""

    __slots__ = ("aborted", "done", "left", "nodes")

    def __init__(self, nodes: list[Node]) -> None:
        self.nodes = nodes
        self.left = len(nodes)
        self.done = anyio.Event()
        self.aborted = False
        if not nodes:
            self.done.set()


class Lifecycle:
    """The engine: brings nodes up and takes them down.

    Attributes:
        ready: service name → object, for what is up; `ObjectKernel.get` reads it.
        deadlines: what ends a step that takes too long.
    """

    def __init__(
        self,
        graph: Graph,
        records: dict[str, Record],
        spawner: Spawner,
        overseer: Overseer,
        *,
        start_timeout: Callable[[str], float],
        stop_timeout: Callable[[str], float],
        drain_timeout: float,
    ) -> None:
        self.graph = graph
        self.records = records
        self.ready: dict[str, Any] = {}
        self.deadlines = Deadlines(spawner, self.waiting_for)
        self.spawner = spawner
        self.overseer = overseer
        self.start_timeout = start_timeout
        self.stop_timeout = stop_timeout
        self._drain_timeout = drain_timeout
        self.closing = False  # nothing is started any more
        self._open: dict[Batch, None] = {}  # those that are being brought up
        self._serial = 0
        self._starts: list[tuple[int, Node]] = []
        self._stops: list[tuple[int, int, Node]] = []
        self._launching: Host | None = None
        self._pumping = False
        for node in graph.nodes:
            node.life = Life()
            if node.kind == "given":
                node.life.state = "up"
                self.ready[node.key or node.id] = node.value

    # -- bringing up

    def begin(self, nodes: Iterable[Node]) -> Batch:
        """Start `nodes`, each as soon as what it needs is up; `done` of the batch tells that all of them settled."""
        down = {n for n in nodes if n.life.state in ("idle", "failed", "skipped")}
        batch = Batch(sorted(down if not self.closing else (), key=attrgetter("rank")))
        self._open[batch] = None
        now = perf_counter()
        for node in batch.nodes:
            life = node.life
            life.state, life.batch, life.error = "waiting", batch, None
            if not life.entered_at:  # the timeline is that of the first start
                life.wanted_at = now
        for node in batch.nodes:
            node.life.unmet = sum(1 for n in node.before if n.life.state in ("waiting", "starting"))
        for node in batch.nodes:
            if node.life.state == "waiting" and not node.life.unmet and not self._free(node):
                self._settle(node, "skipped")
        self.pump()
        if batch.done.is_set():
            self._open.pop(batch, None)
        return batch

    def close(self) -> None:
        """Start nothing any more: end what is starting, and refuse the rest."""
        self.closing = True
        for batch in list(self._open):
            self.abort(batch)

    async def bring_up(self, nodes: Iterable[Node]) -> Batch:
        """`begin`, and wait until every node is up, failed or skipped."""
        batch = self.begin(nodes)
        await batch.done.wait()
        return batch

    def abort(self, batch: Batch) -> None:
        """End a `bring_up`: what waits is skipped, what is starting is cancelled."""
        batch.aborted = True
        for node in batch.nodes:
            self.skip(node)

    def skip(self, node: Node) -> None:
        """Do not start a node that waits; cancel it where it is starting."""
        if node.life.state == "waiting":
            self._settle(node, "skipped")
            return
        host = node.life.host
        if node.life.state == "starting" and host is not None and not host.scope.cancel_called:
            self.deadlines.watch(host, self.stop_timeout(node.plugin))
            host.scope.cancel()

    def _free(self, node: Node) -> bool:
        """The last thing `node` waited for has settled: queue it, unless a need of it is not up."""
        for needed in node.hard:
            if needed.life.state != "up" and needed.lifetime != "scoped":
                return False
        if not node.life.entered_at:
            node.life.ready_at = perf_counter()
        heapq.heappush(self._starts, (node.rank, node))
        return True

    def _settle(self, node: Node, state: str) -> None:
        """`node` is up, failed or skipped: count down its batch and free those that waited for it only."""
        todo = [(node, state)]
        while todo:
            node, state = todo.pop()
            life = node.life
            life.state = state
            for dependent in node.dependents:
                other = dependent.life
                if other.state == "waiting":
                    other.unmet -= 1
                    if not other.unmet and not self._free(dependent):
                        todo.append((dependent, "skipped"))
            if life.batch is not None:
                life.batch.left -= 1
                if not life.batch.left:
                    life.batch.done.set()
                    self._open.pop(life.batch, None)
                life.batch = None

    # -- launching, one after the other

    def pump(self) -> None:
        """Launch what may start or stop. The next one is launched when the task of the last has run its first line,
        so that the order of first lines is the order of the graph, on every event loop."""
        if self._pumping or self._launching is not None:
            return
        self._pumping = True
        try:
            while (self._starts or self._stops) and self._launching is None:
                if self._stops:
                    self._launch_stop(heapq.heappop(self._stops)[2])
                else:
                    self._launch_start(heapq.heappop(self._starts)[1])
        finally:
            self._pumping = False

    def _launch_start(self, node: Node) -> None:
        life = node.life
        if life.state != "waiting":
            return
        if not life.entered_at:
            life.started_at = perf_counter()
        record = self.records[node.plugin]
        if record.state in ("discovered", "waiting", "stopped", "draining"):
            record.become("starting")
        life.state = "starting"
        if life.replacement is not None:
            self._entered(node, life.replacement[0])
            return
        if node.step is None or node.lifetime == "transient":
            prepare = self._preparation(node) if node.step is None else None
            if prepare is None:
                self._start_whole(node, record)
                return
            # transients that only its handlers, hooks and background tasks read
            step = Step.of_code(record.name, "transients", lambda: None, node.where)
            self._launch(Host(node, self, self.spawner.gate(), prepare, step))
            return
        host = life.host = Host(node, self, self.spawner.gate(), self._preparation(node))
        if node.kind == "background":
            host.task = self.spawner.start(run_background, host, self, name=f"{node.plugin}.{node.step.name}")
            self._entered(node, None)
        elif node.step.form == "value" and host.prepare is None:
            self._start_inline(host)
        else:
            self._launch(host)

    def _launch(self, host: Host) -> None:
        """Start a host's task; the next launch comes with its first line."""
        node = host.node
        node.life.host = host
        self.deadlines.watch(host, self.start_timeout(node.plugin))
        self._launching = host
        host.task = self.spawner.start(host.run, name=f"{host.step.plugin}.{host.step.name}")

    def _start_whole(self, node: Node, record: Record) -> None:
        """A plugin as a whole, or a transient: nothing runs, but what needs it may go on."""
        try:
            record.inject()
        except BaseException as error:
            self._not_entered(node, error)
            return
        self._entered(node, None)

    def _start_inline(self, host: Host) -> None:
        """A plain function needs no task: it is over before anyone could cancel it."""
        try:
            value = self.spawner.call(self._call_inline, host)
            problem = wrong_type(value, host.node)
        except BaseException as error:
            self._not_entered(host.node, as_error(error, host.step))
            return
        if problem is not None:
            self._not_entered(host.node, problem)
        else:
            self._entered(host.node, value)

    def call(self, host: Host) -> Any:
        """Call the step of a host with what it needs."""
        if host.node.step is None:  # a plugin as a whole, whose transients have been made
            return self.records[host.node.plugin].inject()
        return self.invoke(host.node)

    def invoke(self, node: Node) -> Any:
        """Call the function of a node's step with what it needs."""
        step = node.step
        assert step is not None
        record = self.records[node.plugin]
        if step.by_keyword:
            return step.function(**self.keywords(step))
        if not record.narrowed:
            record.inject(step.edges)
        return step.function(record.instance)

    def keywords(self, step: Step) -> dict[str, Any]:
        """What a step of the functional form is called with."""
        record = self.records[step.plugin]
        values = {edge.name: self.value(record, edge) for edge in step.edges}
        for edge in step.edges:
            if values[edge.name] is NO_VALUE:
                raise ServiceUnavailable(
                    f"{step.plugin}.{step.name} cannot have {edge.target!r}: it is not up",
                    where=edge.where,
                    why=f"the plugin is {record.state}",
                    fix="call it between start and stop of what it needs",
                    name=edge.target,
                )
        return values

    def _call_inline(self, host: Host) -> Any:
        current_host.set(host)
        return self.call(host)

    def value(self, record: Record, edge: Edge[Any]) -> Any:
        """The present value of an edge; NO_VALUE where a needed service is not up."""
        targets = self.graph.targets(edge)
        if edge.kind == "collects":
            return tuple(n.value for n in targets if n.life.state == "up")
        if targets and targets[0].life.state in ("up", "draining", "stopping"):
            target = targets[0]
            if target.lifetime != "transient" or target.life.replacement is not None:
                return target.value
            return self._transient(target, record, edge)
        return None if edge.kind == "wants" else NO_VALUE

    # -- transients, which are made anew for each plugin that needs them

    def _transient(self, target: Node, record: Record, edge: Edge[Any]) -> Any:
        made = record.transients.get(edge) if record.transients else None
        if made is not None:
            return made[0]
        assert target.step is not None
        if target.step.form == "async":
            return NO_VALUE
        try:
            return self.check(self.invoke(target), target)
        except SystemExit as caught:
            raise as_error(caught, target.step) from caught

    def _preparation(self, node: Node) -> Any:
        """A coroutine function that makes what `node` needs of asynchronous transients, or None."""
        if not self.graph.transients:
            return None
        todo = [(e, t) for e in node.edges for t in self.graph.targets(e) if t.lifetime == "transient"]
        todo = [(e, t) for e, t in todo if t.step is not None and t.step.form == "async"]
        if not todo:
            return None
        record = self.records[node.plugin]

        async def prepare() -> None:
            for edge, target in todo:
                if edge not in record.transients and target.life.replacement is None:
                    try:
                        record.transients[edge] = (self.check(await self.invoke(target), target),)
                    except SystemExit as caught:
                        assert target.step is not None
                        raise as_error(caught, target.step) from caught

        return prepare

    @staticmethod
    def check(value: Any, node: Node) -> Any:
        """`value`, or the error for an object that is not of its key's type."""
        problem = wrong_type(value, node)
        if problem is not None:
            raise problem
        return value

    # -- what hosts report (host.Owner)

    @property
    def engine(self) -> Lifecycle:
        return self

    def begun(self, host: Host) -> None:
        if self._launching is host:
            self._launching = None
            self.pump()

    def entered(self, host: Host, value: Any) -> None:
        self.deadlines.drop(host)
        self._entered(host.node, value)
        self.pump()

    def _entered(self, node: Node, value: Any) -> None:
        life = node.life
        self._serial += 1
        life.serial = self._serial
        life.entered_at = life.entered_at or perf_counter()
        node.value = value
        if node.kind == "service" and node.lifetime != "transient":
            self.ready[node.key or node.id] = value  # the key itself: a look-up with it ends at its identity
        elif node.kind == "plugin":
            record = self.records[node.plugin]
            record.become("running")
            self.overseer.plugin_up(record)
        self._settle(node, "up")

    def left(self, host: Host, error: BaseException | None) -> None:
        self.deadlines.drop(host)
        if self._launching is host:
            self._launching = None
        node = host.node
        if node.life.host is not host:
            return  # it was given up as stuck, and reported then
        node.life.host = None
        state = node.life.state
        if state == "starting":
            self._not_entered(node, error)
        elif state == "up":
            self._down(node)
            node.life.state = "failed"
            node.life.error = error
            if error is not None:
                self.overseer.node_failed(node, error)
        elif state in ("draining", "stopping"):
            if state == "draining":  # it crashed before it was asked to stop
                self._down(node)
            if error is not None:
                self.overseer.teardown_failed(error)
            self._stopped(node)
        self.pump()

    def _not_entered(self, node: Node, error: BaseException | None) -> None:
        life = node.life
        life.host = None
        life.error = error
        life.entered_at = life.entered_at or perf_counter()
        if error is None:  # cancelled by an abort
            self._settle(node, "skipped")
            return
        self.overseer.node_failed(node, error)
        self._settle(node, "failed")

    def gave_up(self, host: Host, error: BaseException) -> None:
        """`host` goes on although it was cancelled: report it and go on without it."""
        self.left(host, error)

    def waiting_for(self, node: Node) -> list[str]:
        """``x waits for y`` for everything that waits for `node`, directly or not."""
        lines: list[str] = []
        hung = {node}
        for waiter in self.graph.nodes[node.rank :]:
            if waiter.life.state == "waiting":
                needed = [n for n in waiter.before if n in hung]
                if needed:
                    hung.add(waiter)
                if waiter.kind != "plugin":
                    lines += [f"{waiter.id!r} of {waiter.plugin} waits for {n.id!r} of {n.plugin}" for n in needed]
        return lines

    # -- taking down

    async def take_down(self, nodes: Iterable[Node]) -> None:
        """Stop `nodes`, each after everything that uses it; independent ones together, the last started first.

        `nodes` must hold whatever depends on one of them (`graph.closure`).
        """
        nodes = list(nodes)
        await self._end_starts(nodes)
        others = {n.life.batch for n in nodes if n.life.state in ("draining", "stopping") and n.life.batch is not None}
        chosen = [n for n in nodes if n.life.state == "up" and n.kind != "given"]
        chosen.sort(key=lambda n: n.life.serial, reverse=True)
        batch = Batch(chosen)
        for node in chosen:
            node.life.batch = batch
            node.life.state = "draining"
        for node in chosen:
            node.life.users = sum(1 for d in node.dependents if d.life.state in ("draining", "stopping"))
        for node in chosen:
            if not node.life.users:
                self._may_stop(node)
        self.pump()
        for one in (batch, *others):  # somebody else may be taking some of them down
            await one.done.wait()

    async def _end_starts(self, nodes: list[Node]) -> None:
        """Cancel those of `nodes` that are still starting (lazy ones may be), and wait until they have ended."""
        batches = {n.life.batch for n in nodes if n.life.state in ("waiting", "starting") and n.life.batch}
        for node in nodes:
            self.skip(node)
        for batch in batches:
            await batch.done.wait()

    def _may_stop(self, node: Node) -> None:
        if node.life.leases:
            self.spawner.start_guarded(self._drain, node, name=f"drain {node.id}")
        else:
            heapq.heappush(self._stops, (-node.life.serial, node.rank, node))

    async def _drain(self, node: Node) -> None:
        node.life.freed = anyio.Event()
        with self.deadlines.at_most(self._drain_timeout):
            await node.life.freed.wait()
        if node.life.leases:
            self.overseer.teardown_failed(
                LeaseTimeout(
                    f"{node.life.leases} lease(s) of {node.id!r} were still held after {self._drain_timeout:g} s",
                    where=node.where,
                    why="the service was stopped under them",
                    fix="leave `async with kernel.lease(KEY)` sooner, or raise drain_timeout",
                    name=node.id,
                    plugin=node.plugin,
                )
            )
        heapq.heappush(self._stops, (-node.life.serial, node.rank, node))
        self.pump()

    def _launch_stop(self, node: Node) -> None:
        life = node.life
        if life.state != "draining":
            return
        life.state = "stopping"
        self._down(node)
        host = life.host
        if host is None or node.step is None or (node.kind != "background" and node.step.form in ("value", "async")):
            self._stopped(node)
            return
        host.stopping = True
        self.deadlines.watch(host, self.stop_timeout(node.plugin))
        if node.kind == "background":
            host.scope.cancel()
        else:
            self._launching = host
            host.stop.set()

    def _down(self, node: Node) -> None:
        """Take away what others could still reach of a node that is no longer up."""
        if node.kind == "service":
            self.ready.pop(node.id, None)
        elif node.kind == "plugin":
            self.records[node.plugin].forget()
            self.overseer.plugin_down(self.records[node.plugin])
        for plugin, attribute in node.consumers:
            self.records[plugin].withdraw(attribute)

    def _stopped(self, node: Node) -> None:
        todo = [node]
        while todo:
            node = todo.pop()
            life = node.life
            life.state = "idle"
            life.host = None
            life.leases = life.serial = 0  # a lease that is still held is one of an object that is gone
            life.freed = None
            node.value = None
            for target in node.before:
                if target.life is not None and target.life.state == "draining" and target.life.users:
                    target.life.users -= 1
                    if not target.life.users:
                        self._may_stop(target)
            if life.batch is not None:
                life.batch.left -= 1
                if not life.batch.left:
                    life.batch.done.set()
                life.batch = None
