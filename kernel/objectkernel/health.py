"""Health: whether a kernel lives, is ready, and which of its services are well."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import attrs

from objectkernel.declaration import form_of

if TYPE_CHECKING:
    from objectkernel.kernel import ObjectKernel


@attrs.frozen(kw_only=True)
class ServiceHealth:
    """One service. `state` is ``up``, ``degraded`` (its ping failed) or ``down``; `seconds` is what the ping took."""

    service: str
    plugin: str
    state: str
    detail: str
    seconds: float


@attrs.frozen(kw_only=True)
class Health:
    """A kernel's health.

    Attributes:
        live: the process should not be restarted: the kernel boots, runs or stops in order.
        ready: the kernel has booted and no critical service is unwell: send it work.
        state: the kernel's state; ``degraded`` also while a ping fails.
    """

    live: bool
    ready: bool
    state: str
    services: tuple[ServiceHealth, ...]


async def check_health(kernel: ObjectKernel, timeout: float) -> Health:
    """Ask every service that has ``async def ping(self)``, all at once, each for `timeout` seconds at most."""
    run = kernel._run
    state = kernel.state
    if run is None or state not in ("running", "degraded"):
        return Health(live=state in ("idle", "initializing", "stopping"), ready=False, state=state, services=())
    found: dict[str, ServiceHealth] = {}

    async def ask(name: str, plugin: str, value: Any) -> None:
        began = anyio.current_time()
        status, detail = "up", ""
        try:
            ping: Any = getattr(value, "ping", None)
            with anyio.move_on_after(timeout) as limit:
                if form_of(getattr(ping, "__func__", ping)) == "async":
                    await ping()
            if limit.cancelled_caught:
                status, detail = "degraded", f"no answer within {timeout:g} s"
        except Exception as error:
            status, detail = "degraded", type(error).__name__
        found[name] = ServiceHealth(
            service=name, plugin=plugin, state=status, detail=detail, seconds=anyio.current_time() - began
        )

    async with anyio.create_task_group() as tasks:
        for name, node in run.graph.services.items():
            if node.life is not None and node.life.state == "up" and node.lifetime in ("singleton", "lazy"):
                tasks.start_soon(ask, name, node.plugin, node.value)
            elif node.eager:
                record = run.records[node.plugin]
                found[name] = ServiceHealth(
                    service=name,
                    plugin=node.plugin,
                    state="down",
                    detail=record.reason or record.state,
                    seconds=0.0,
                )
    services = tuple(found[name] for name in sorted(found))
    unwell = [s for s in services if s.state != "up"]
    critical = [s for s in unwell if s.plugin not in run.records or run.records[s.plugin].critical]
    return Health(live=True, ready=not critical, state="degraded" if unwell else state, services=services)
