"""A plugin's background work: each task in a host of its own, and what becomes of one that crashes."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import anyio

from objectkernel.host import Host, as_error, current_host, is_cancellation

if TYPE_CHECKING:
    from objectkernel.lifecycle import Lifecycle

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 30.0
"""Seconds before a crashed task is started again; the pause doubles from the first to the longest."""


async def run_background(host: Host, lifecycle: Lifecycle) -> None:
    """Run one background task until it returns, its plugin stops, or its crash policy ends it."""
    current_host.set(host)
    crash: BaseException | None = None
    try:
        with host.scope:
            crash = await _until_settled(host, lifecycle)
    except BaseException as caught:  # not the cancellation of the scope, which takes its own
        if is_cancellation(caught):
            raise
        crash = as_error(caught, host.step)
    finally:
        life = host.node.life
        if host.stopping or crash is not None:
            lifecycle.left(host, crash)
        elif life.host is host:
            life.host = None  # it returned, or was degraded: the node stays, and has nothing to stop


async def _until_settled(host: Host, lifecycle: Lifecycle) -> BaseException | None:
    """The error that fails the plugin, or None."""
    step = host.step
    pause = FIRST_PAUSE
    log = lifecycle.records[step.plugin].log
    while True:
        began = anyio.current_time()
        try:
            if host.prepare is not None:
                await host.prepare()
            host.open = lifecycle.call(host)
            await host.open
            return None
        except BaseException as caught:
            if host.scope.cancel_called or is_cancellation(caught):
                raise
            error = as_error(caught, step)
        if host.stopping or step.on_crash == "fail" or not isinstance(error, Exception):
            return error
        if step.on_crash == "degrade":
            lifecycle.overseer.node_degraded(host.node, error)
            return None
        if anyio.current_time() - began > LONGEST_PAUSE:  # it ran well for a while
            pause = FIRST_PAUSE
        wait = pause * random.uniform(0.75, 1.25)
        log.error("background task %s crashed, again in %.2f s", step.name, wait, exc_info=error)
        pause = min(pause * 2, LONGEST_PAUSE)
        await anyio.sleep(wait)
