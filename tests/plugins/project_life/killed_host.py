"""Hosts that kill themselves at a step of an operation: each is forked from a process that has imported everything."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any, Final

import anyio
from objectkernel_project_life.contracts import ProjectConfig

from tests.plugins.project_life.hosts import KEY, NEW_KEY, WIDER_NOTE, Host, host, spoil

ROOT: Final = Path(__file__).parents[3]
BROKEN: Final = "sqlite:///broken.db"
OTHER: Final = "sqlite:///other.db"


class Deadly:
    """Ends this process, without any farewell, at one step, once it is armed."""

    def __init__(self, step: str) -> None:
        self.step = step
        self.armed = False

    def __call__(self, name: str) -> None:
        if self.armed and name == self.step:
            os.kill(os.getpid(), signal.SIGKILL)


async def operate(at: Host, operation: str, deadly: Deadly) -> None:
    """Prepare what an operation needs, and begin it.

    ``provision-broken``, ``resume-broken`` and ``rotate-broken`` meet a file that is no database.
    """
    kind, _, how = operation.partition("-")
    if kind == "provision":
        config = ProjectConfig(name="Crm", slug="crm", uri=None)
        if how:
            spoil(at.file("broken.db"))
            config = ProjectConfig(name="Crm", slug="crm", uri=BROKEN)  # type: ignore[arg-type]
        deadly.armed = True
        await at.projects.provision_project("acme", config)
        return
    project = await at.made(uri="sqlite:///first.db")
    await at.write(project, "kept")
    if kind == "resume" or how == "paused":
        await at.projects.pause_project("acme", project.id)
    if how == "broken":
        spoil(at.file("broken.db" if kind == "rotate" else "first.db"))
    deadly.armed = True
    match kind:
        case "pause":
            await at.projects.pause_project("acme", project.id)
        case "resume":
            await at.projects.resume_project("acme", project.id)
        case "rotate":
            await at.projects.rotate_uri("acme", project.id, BROKEN if how == "broken" else OTHER)
        case "schemas":
            await at.projects.update_schemas("acme", project.id, [WIDER_NOTE])
        case "deprovision":
            await at.projects.deprovision_project("acme", project.id)


async def main(folder: str, system: str, operation: str, step: str) -> None:
    """Come to a step of an operation, and die there."""
    deadly = Deadly(step)
    url = None if system == "-" else system
    if operation == "rotate_key":
        async with host(Path(folder), system=url) as at:
            await at.write(await at.made(uri="sqlite:///first.db"), "kept")
        deadly.armed = True
        async with host(Path(folder), system=url, keys=f"{NEW_KEY},{KEY}", at_step=deadly) as at:
            async for _ in at.projects.rotate_key():
                pass
    else:
        async with host(Path(folder), system=url, at_step=deadly) as at:
            await operate(at, operation, deadly)


def serve() -> None:
    """For each line, a list of `main`'s arguments, fork a process that runs it; say the signal that has ended it."""
    with TemporaryDirectory() as folder:
        anyio.run(main, folder, "-", "rotate", "none")  # what is imported on use is there after this
    for line in sys.stdin:
        if (pid := os.fork()) == 0:
            anyio.run(main, *json.loads(line))
            os._exit(0)
        _, status = os.waitpid(pid, 0)
        os.write(1, f"{os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0}\n".encode())


class Victims:
    """Starts processes that die."""

    def __init__(self, asking: IO[bytes], answering: IO[bytes]) -> None:
        self._asking = asking
        self._answering = answering

    def kill(self, folder: Path, system: str | None, operation: str, step: str) -> bool:
        """Let a host begin an operation; whether it has come to the step, and died there."""
        arguments: list[Any] = [str(folder), system or "-", operation, step]
        self._asking.write(json.dumps(arguments).encode() + b"\n")
        self._asking.flush()
        return self._answering.readline() == f"{int(signal.SIGKILL)}\n".encode()


@contextmanager
def victims() -> Iterator[Victims]:
    command = [sys.executable, "-m", "tests.plugins.project_life.killed_host"]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as running:
        assert running.stdin is not None and running.stdout is not None
        yield Victims(running.stdin, running.stdout)
        running.stdin.close()


if __name__ == "__main__":
    serve()
