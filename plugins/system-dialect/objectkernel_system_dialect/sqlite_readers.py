"""SQLite's reading threads: one serves while calls are short; from one that takes long the next takes over.

To hand each call to whichever thread is free costs more than a short call itself: the threads then wake in turn, each
on a cold processor, and fight for the interpreter.
"""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from threading import Event, Lock
from time import perf_counter, sleep
from typing import Final

from objectkernel_system_dialect.bridge import Bridge
from objectkernel_system_dialect.sqlite_transaction import Call
from objectkernel_system_dialect.sqlite_writer import Worker

PATIENCE: Final = 0.001
"""Seconds that a call may take before those behind it go to the next thread."""


class Readers:
    """The queue of reads, and which thread serves it.

    One thread leads, the next watches whenever calls wait behind another, the rest wait to become the watcher. The
    watcher takes the lead from a leader whose call takes longer than `PATIENCE`; that one then queues up again.
    """

    def __init__(self) -> None:
        self.calls: SimpleQueue[Call | None] = SimpleQueue()
        self._line: deque[None] = deque()  # a mark for each call that is queued, or that the leader serves
        self._crowded = Event()
        self._watch = Lock()
        self._change = Lock()
        self._leader: Reader | None = None
        self._ended = False

    def put(self, call: Call) -> None:
        """Queue a call."""
        self._line.append(None)
        self.calls.put(call)
        if len(self._line) > 1 and not self._crowded.is_set():
            self._crowded.set()

    def lead(self, reader: Reader) -> bool:
        """Wait until it is this reader's turn to serve; False at the end."""
        with self._watch:
            while not self._ended and not self._relieved_by(reader):
                if len(self._line) < 2:
                    self._crowded.clear()
                    if len(self._line) < 2 and not self._ended:  # nor came anybody before that
                        self._crowded.wait()
                sleep(PATIENCE)
            return not self._ended

    def _relieved_by(self, reader: Reader) -> bool:
        """Whether the reader has the lead now, because nobody has it or because calls wait behind a long one."""
        with self._change:
            if self._leader is not None:
                began = self._leader.began
                if began is None or perf_counter() - began < PATIENCE or len(self._line) < 2:
                    return False
                self._line.pop()  # the long one is in nobody's way any more
            self._leader = reader
            return True

    def served(self, reader: Reader) -> bool:
        """Note the end of a call; whether the reader still leads."""
        with self._change:
            reader.began = None
            leads = self._leader is reader
            if leads:
                self._line.pop()
            return leads

    def end(self) -> None:
        """Send all home that wait for their turn."""
        self._ended = True
        self._crowded.set()


class Reader(Worker):
    """One of the threads that read.

    Attributes:
        began: when its present call began, if it has one.
    """

    def __init__(self, connect: Callable[[], sqlite3.Connection], bridge: Bridge, readers: Readers) -> None:
        super().__init__(connect, bridge)
        self.began: float | None = None
        self._readers = readers

    def _serve(self) -> None:
        while self._readers.lead(self):
            while (call := self._readers.calls.get()) is not None and self._serve_call(call):
                del call  # an idle thread holds on to nobody's data
            if call is None:
                self._readers.end()
            del call

    def _serve_call(self, call: Call) -> bool:
        """Answer a call; whether to go on with the next."""
        self.began = perf_counter()
        job, reply = call
        outcome = (None, None) if reply.cancelled() else self._attempt(job)
        leads = self._readers.served(self)  # first, for the answer brings the next call
        self._bridge.deliver([(reply, outcome)])
        return leads
