"""Processes that are killed: each is forked from one that has imported everything, so that it starts in no time."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import anyio

ROOT = Path(__file__).parents[3]
END = b"end\n"


def serve(main, warm_up):
    """For each line on standard input fork a process that runs `main` with the line's words.

    Args:
        warm_up: run once before, so that what is imported on use is there.
    """
    anyio.run(warm_up)
    for line in sys.stdin:
        if (pid := os.fork()) == 0:
            anyio.run(main, *line.split())
            os._exit(0)
        os.write(1, f"{pid}\n".encode())
        os.waitpid(pid, 0)
        os.write(1, END)


class Victims:
    """Starts processes, and kills each at a moment that nobody can foresee."""

    def __init__(self, running):
        self._running = running

    def lines(self, *words, most, within):
        """What a process said: it is killed up to `within` seconds after one of its first `most` lines."""
        self._running.stdin.write(" ".join(map(str, words)).encode() + b"\n")
        self._running.stdin.flush()
        pid, said = None, []
        after = random.randint(1, most)
        for line in self._running.stdout:
            if line == END:
                return said
            if pid is None and line.strip().isdigit():
                pid = int(line)
            else:
                said.append(line)
            if pid and len(said) >= after:
                time.sleep(random.uniform(0, within))
                os.kill(pid, signal.SIGKILL)
                pid = 0
        raise AssertionError("the process that forks has ended")


@contextmanager
def victims(module):
    """The processes of a module that calls `serve` when it is run."""
    command = [sys.executable, "-m", module]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as running:
        yield Victims(running)
        running.stdin.close()
