"""Changes to a running kernel: one plugin stopped, started, reloaded, one service replaced; the rest runs on.

Every change is the same cycle: what depends on the part that changes is drained and stopped in reverse, the part is
changed, and all of it that can run is started again in order. Changes are taken one at a time.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio

from objectkernel.changes import PluginsChanged, PluginsChanging
from objectkernel.errors import ChangeError, PluginStateInvalid
from objectkernel.graph import Node, closure
from objectkernel.host import current_host, wrong_type

if TYPE_CHECKING:
    from objectkernel.kernel import ObjectKernel
    from objectkernel.records import Record
    from objectkernel.run import Run


log = logging.getLogger("objectkernel")


class Runtime:
    """The run-time changes of one kernel."""

    def __init__(self, kernel: ObjectKernel, run: Run) -> None:
        self._kernel = kernel
        self._run = run
        self._failures: list[tuple[Node, Exception]] = []
        self._failed: list[Record] = []

    async def _change(self, seeds: Iterable[Node], work: Callable[[], Awaitable[None]]) -> None:
        """Do `work` in a task of the kernel, alone, and wait for it; a cancelled caller does not tear it."""
        host = current_host.get()
        inside = host is not None and host.owner.engine is self._run.lifecycle
        if host is not None and inside and host.node.plugin in {node.plugin for node in closure(seeds)}:
            raise PluginStateInvalid(
                f"{host.node.plugin} asks for a change that would stop itself",
                where=host.step.where,
                why="the task that waits for the change is one that the change has to stop",
                fix="leave this change to the host, or to a plugin that does not depend on what changes",
            )
        done = anyio.Event()
        errors: list[Exception] = []

        async def alone() -> None:
            try:
                async with self._run.changes:
                    self._expect_running()
                    self._failures.clear()
                    teardowns = self._run.change_errors = []
                    self._run.change_failed = lambda node, error: self._failures.append((node, error))
                    await work()
                    if teardowns:
                        raise ChangeError(teardowns)
            except Exception as error:
                errors.append(error)
            finally:
                self._run.change_failed = self._run.change_errors = None
                if self._run.state in ("running", "degraded"):
                    self._run.reassess()

        async def told() -> None:
            try:
                await alone()
                await self._run.tell(PluginsChanged())
            finally:
                done.set()

        self._expect_running()
        self._run.lifecycle.spawner.start_guarded(told, name="run-time change")
        await done.wait()
        if errors:
            raise errors[0]

    def _expect_running(self) -> None:
        if self._run.state not in ("running", "degraded"):
            raise self._kernel._wrong_state("a run-time change", "make it between bootstrap() and shutdown()")

    async def _cycle(
        self, seeds: Iterable[Node], change: Callable[[], None], also: Iterable[Node] = ()
    ) -> list[Exception]:
        """Take `seeds` and all that depends on them down, change, and bring up what can run; returns the failures."""
        run = self._run
        around = closure(seeds)
        names = frozenset(n.plugin for n in around if n.life.state == "up")
        await run.tell(PluginsChanging(names))
        for name in names:
            if name in run.records and run.records[name].state in ("running", "degraded"):
                run.records[name].become("draining", "it is restarted for a change")
        await run.lifecycle.take_down(around)
        if run.lifecycle.closing:
            raise self._kernel._wrong_state("a run-time change", "it was ended by a shutdown")
        change()
        self._failures.clear()
        for name in {n.plugin for n in around}:
            if name in run.records and run.records[name].state == "draining":
                run.records[name].become("stopped")
        await run.lifecycle.bring_up(
            [n for n in run.wanted() if n in around] + [n for n in also if n.life.state != "up"]
        )
        if run.lifecycle.closing:
            raise self._kernel._wrong_state("a run-time change", "it was ended by a shutdown")
        errors = [error for _, error in self._failures]
        await self._leave_out({self._run.records[n.plugin]: e for n, e in self._failures if n.plugin in run.records})
        self._mark_waiting(around)
        return errors

    async def _leave_out(self, failed: dict[Record, Exception]) -> None:
        """Stop the other parts of plugins that failed to start."""
        self._failed = list(failed)
        for record, error in failed.items():
            log.error("plugin %s did not start again after a change", record.name, exc_info=error)
            record.error = error
            record.become("failed", f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}")
            around = closure(self._run.graph.plugins[record.name])
            users = [n for n in around if n.life.state == "up" and n.plugin != record.name]
            await self._run.lifecycle.take_down(around)
            await self._run.lifecycle.bring_up(users)

    def _forgive(self) -> None:
        """Let those that the last cycle broke start again, for they did with what is put back."""
        for record in self._failed:
            record.become("stopped")
        self._failed = []

    def _mark_waiting(self, around: Iterable[Node]) -> None:
        """A plugin that is not up as a whole waits for what it needs."""
        for node in around:
            record = self._run.records.get(node.plugin)
            if record is None or node.kind != "plugin" or node.life.state == "up":
                continue
            if record.state not in ("failed", "disabled", "blocked", "skipped"):
                lacking = next((n for n in node.hard if n.life.state != "up"), node)
                while lacking.plugin == record.name and lacking is not node:
                    deeper = next((n for n in lacking.hard if n.life.state != "up"), None)
                    if deeper is None:
                        break
                    lacking = deeper
                record.become("waiting", f"it needs {lacking.id!r} of {lacking.plugin}", lacking.plugin)

    # -- plugins

    async def disable(self, name: str) -> None:
        """Stop a plugin; see `ObjectKernel.disable`."""

        async def work() -> None:
            record = self._record(name)
            if record.state != "disabled":
                errors = await self._cycle(self._nodes(name), lambda: record.become("disabled", "by kernel.disable"))
                if errors:
                    raise ChangeError(errors)

        await self._change(self._run.graph.plugins.get(name, ()), work)

    async def enable(self, name: str) -> None:
        """Start a plugin again; see `ObjectKernel.enable`."""

        async def work() -> None:
            record = self._record(name)
            if record.state not in ("disabled", "failed", "skipped"):
                raise PluginStateInvalid(
                    f"{name} is {record.state}",
                    why="only a disabled, failed or skipped plugin is enabled",
                    fix="nothing to do",
                )
            errors = await self._cycle(self._nodes(name), lambda: self._let_take_part(record))
            if errors:
                raise ChangeError(errors)

        await self._change(self._run.graph.plugins.get(name, ()), work)

    def _let_take_part(self, record: Record) -> None:
        """A plugin may start again, and those that were skipped because it was not there."""
        record.become("stopped")
        for node in closure(self._nodes(record.name), soft=False):
            if self._run.records[node.plugin].state == "skipped":
                self._run.records[node.plugin].become("stopped")

    async def reload(self, name: str) -> None:
        """Restart a plugin with its configuration read anew; see `ObjectKernel.reload`."""

        async def work() -> None:
            record = self._record(name)
            if record.state == "disabled":
                raise PluginStateInvalid(
                    f"{name} is disabled", why="a reload would start it", fix=f"call `await kernel.enable({name!r})`"
                )
            settings = self._kernel._read_settings(record)
            old = self._put_settings(record, settings)
            errors = await self._cycle(self._nodes(name), lambda: record.become("stopped"))
            if errors:
                self._put_settings(record, old)
                errors += await self._cycle(self._nodes(name), self._forgive)
                raise ChangeError(errors)

        await self._change(self._run.graph.plugins.get(name, ()), work)

    @staticmethod
    def _put_settings(record: Record, settings: Any) -> Any:
        """Give the instance other settings; returns the ones it had."""
        declaration = record.declaration
        if declaration is None or declaration.config is None:
            return None
        old = record.instance.__dict__.get(declaration.config.name)
        record.instance.__dict__[declaration.config.name] = settings
        return old

    def _record(self, name: str) -> Record:
        record = self._run.records[name]
        taken = name in self._run.graph.plugins
        if not taken or (record.instance is None and isinstance(self._run.composition.target(name), type)):
            raise PluginStateInvalid(
                f"{name} is {record.state} and takes no part in this kernel",
                why=record.reason or "it was left out when the kernel was composed",
                fix="boot a kernel that is composed with it",
            )
        return record

    def _nodes(self, name: str) -> list[Node]:
        return self._run.graph.plugins[name]

    # -- services

    async def replace(self, node: Node, value: Any) -> None:
        """Put `value` in the place of the provider; see `ObjectKernel.replace`."""
        problem = wrong_type(value, node)
        if problem is not None:
            raise problem
        await self._swap(node, (value,))

    async def restore(self, node: Node) -> None:
        """Bring the provider back; see `ObjectKernel.restore`."""
        if node.life.replacement is None:
            raise PluginStateInvalid(
                f"{node.id!r} is not replaced",
                where=node.where,
                why="restore ends a replace",
                fix="nothing to do",
            )
        await self._swap(node, None)

    async def _swap(self, node: Node, replacement: tuple[Any] | None) -> None:
        before = node.life.replacement

        def put(replacement: tuple[Any] | None) -> None:
            node.life.replacement = replacement
            if node.kind == "given" and node.key is not None:
                node.value = replacement[0] if replacement is not None else self._run.composition.given[node.key]
                self._run.lifecycle.ready[node.id] = node.value

        async def work() -> None:
            async def cycle(value: tuple[Any] | None) -> list[Exception]:
                eager = value is not None and node.lifetime in ("singleton", "lazy")
                return await self._cycle([node], lambda: put(value), also=[node] if eager else ())

            errors = await cycle(replacement)
            if errors:
                self._forgive()
                errors += await cycle(before)
                raise ChangeError(errors)

        await self._change([node], work)

    @asynccontextmanager
    async def override(self, node: Node, value: Any) -> AsyncIterator[None]:
        """Replace a service for the length of the block; see `ObjectKernel.override`."""
        before = node.life.replacement
        await self.replace(node, value)
        try:
            yield
        finally:
            if self._run.state in ("running", "degraded"):  # else there is nothing to put back
                with anyio.CancelScope(shield=True):
                    await self._swap(node, before)
