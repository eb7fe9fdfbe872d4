"""SQLite's writing thread: writes that wait share a commit, and a transaction has the thread to itself."""

from __future__ import annotations

import contextlib
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, Final, Literal, TypeAlias

import attrs

from objectkernel_system_dialect import sqlite_jobs
from objectkernel_system_dialect.bridge import Bridge, Outcome, Reply
from objectkernel_system_dialect.closed import closed
from objectkernel_system_dialect.sqlite_jobs import Job
from objectkernel_system_dialect.sqlite_transaction import Call, SqliteTransaction, lost

GROUP_LIMIT: Final = 256
"""The most calls that share one commit: bounds how long the first of them waits."""


class Worker(ABC):
    """A thread with a connection of its own.

    Attributes:
        ready: answered when it is connected, or could not be.
        ended: answered when the connection is closed.
    """

    def __init__(self, connect: Callable[[], sqlite3.Connection], bridge: Bridge) -> None:
        self.thread = Thread(target=self._work, name="objectkernel-sqlite", daemon=True)
        self.ready = bridge.reply()
        self.ended = bridge.reply()
        self._connect = connect
        self._bridge = bridge
        self._connection: sqlite3.Connection

    def _work(self) -> None:
        try:
            self._connection = self._connect()
        except BaseException as error:
            self._bridge.deliver([(self.ready, (None, error)), (self.ended, (None, None))])
            return
        self._bridge.deliver([(self.ready, (None, None))])
        try:
            self._serve()
        finally:
            self._connection.close()
            self._bridge.deliver([(self.ended, (None, None))])

    @abstractmethod
    def _serve(self) -> None:
        """Serve calls until the end."""

    def _attempt(self, job: Job[Any]) -> Outcome:
        try:
            return job(self._connection), None
        except BaseException as error:
            return None, error


@attrs.frozen
class Alone:
    """A job that begins and ends transactions itself."""

    job: Job[Any]
    reply: Reply


Item: TypeAlias = Call | Alone | SqliteTransaction | None
"""What waits for the writer: a call, what has the writer to itself, or, as None, the end."""


class Writer(Worker):
    """The one thread that writes."""

    def __init__(self, connect: Callable[[], sqlite3.Connection], bridge: Bridge) -> None:
        super().__init__(connect, bridge)
        self.calls: SimpleQueue[Item] = SimpleQueue()

    def _serve(self) -> None:
        while (item := self.calls.get()) is not None and self._serve_from(item):
            del item  # an idle thread holds on to nobody's data

    def _serve_from(self, first: Item) -> bool:
        """Serve an item and the calls behind it; whether to go on."""
        calls, then = self._gather(first)
        calls = [call for call in calls if not call[1].cancelled()]
        if calls:
            outcomes = self._commit([job for job, _ in calls])
            self._bridge.deliver(zip((reply for _, reply in calls), outcomes, strict=True))
        match then:
            case SqliteTransaction():
                self._hold(then)
            case Alone(job, reply):
                if not reply.cancelled():
                    self._bridge.deliver([(reply, self._attempt(job))])
        return then is not None

    def _gather(self, first: Item) -> tuple[list[Call], Item | Literal[True]]:
        """The calls that wait, up to what has to have the writer to itself: that, or True when there is none."""
        calls: list[Call] = []
        item = first
        try:
            while isinstance(item, tuple):
                calls.append(item)
                if len(calls) == GROUP_LIMIT:
                    return calls, True
                item = self.calls.get_nowait()
        except Empty:
            return calls, True
        return calls, item

    def _hold(self, transaction: SqliteTransaction) -> None:
        """Serve a transaction until it lets go; what it has not committed is undone."""
        begun = (None, closed()) if transaction.ended else self._attempt(sqlite_jobs.begin)
        self._bridge.deliver([(transaction.begun, begun)])
        if begun[1] is not None:
            return
        while (call := transaction.calls.get()) is not None:
            job, reply = call
            # A full disk or a failing one ends a transaction early: what came then would commit itself.
            outcome = self._attempt(job) if self._connection.in_transaction else (None, lost())
            self._bridge.deliver([(reply, outcome)])
            del call, job, reply, outcome
        with contextlib.suppress(sqlite3.Error):
            self._connection.rollback()

    def _commit(self, jobs: Sequence[Job[Any]]) -> list[Outcome]:
        """Run the jobs in one transaction; where it is lost as a whole, each in one of its own.

        One that is alone needs no savepoint: when it fails, all is undone.
        """
        execute = self._connection.execute
        over, alone = False, len(jobs) == 1
        try:
            execute("BEGIN IMMEDIATE")
            outcomes: list[Outcome] = []
            for job in jobs:
                outcomes.append(self._attempt(job if alone else sqlite_jobs.within(job, "call")))
                over = not self._connection.in_transaction
                if over or (alone and outcomes[0][1] is not None):
                    break
            else:
                execute("COMMIT")
                return outcomes
            failure = outcomes[-1]
        except Exception as error:
            failure = None, error
            over = getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
        with contextlib.suppress(sqlite3.Error):
            self._connection.rollback()
        if over and len(jobs) > 1:
            return [self._commit([job])[0] for job in jobs]
        return [failure] * len(jobs)
