"""How close a route of the host comes to the same route of a bare FastAPI application under the same server.

    python tests/benchmarks/bench_http.py [--seconds 4] [--rounds 5] [--check]

wrk asks for a trivial public route with 64 connections, of each in turn in every round. Both run in processes of their
own, on the event loop and with the parser of HTTP that each takes by itself here: the same ones, which are printed.
Neither writes an access log; everything else is as it is by default. The ratio, which is what counts, is of the best
rounds and, as the median, of the rounds one by one. On a machine that does something else too it says little; the
processor's time that a request takes, which is told where the system tells it, says more then.

Exits with 0 when it ran; with `--check`, with 1 where the host misses the target.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Final

import attrs

CONNECTIONS: Final = 64
TARGET: Final = 0.7
HOST: Final = "objectkernel serve"
BARE: Final = "FastAPI"
APPLICATIONS: Final = """
from fastapi import APIRouter, FastAPI
from objectkernel import ObjectKernel, Plugin, contributes
from objectkernel_contracts import ROUTERS, RouterMaker, public
from objectkernel_http.plugin import HttpPlugin

bare = FastAPI()


@bare.get("/trivial")
async def trivial() -> dict[str, str]:
    return {"hello": "world"}


def router() -> APIRouter:
    made = APIRouter()

    @made.get("/trivial")
    @public()
    async def trivial() -> dict[str, str]:
        return {"hello": "world"}

    return made


class Trivial(Plugin):
    name = "trivial"

    @contributes(ROUTERS, uses=())
    def routes(self) -> RouterMaker:
        return router


def kernel() -> ObjectKernel:
    return ObjectKernel(plugins=[Trivial, HttpPlugin], discover=False)
"""
SETTINGS: Final = {"OBJECTKERNEL_PLUGINS__HTTP__ACCESS_LOG": "false"}
PYTHON: Final = (sys.executable, "-m")
COMMANDS: Final = {
    HOST: (*PYTHON, "objectkernel_cli", "--app", "applications:kernel", "serve", "--port", "0"),
    BARE: (*PYTHON, "uvicorn", "applications:bare", "--port", "0", "--no-access-log"),
}


@attrs.frozen
class Served:
    """A process that serves the route."""

    url: str
    pid: int

    def processor_seconds(self) -> float:
        """What it has used so far; 0 where only other systems than Linux could tell."""
        stat = Path(f"/proc/{self.pid}/stat")
        if not stat.exists():
            return 0.0
        user, system = stat.read_text().rpartition(") ")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


@contextmanager
def served(command: tuple[str, ...], folder: str) -> Iterator[Served]:
    """A process, while it serves the route."""
    process = subprocess.Popen(
        command,
        cwd=folder,
        env={**os.environ, **SETTINGS},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if found := re.search(r"http://127\.0\.0\.1:\d+", line):
                yield Served(f"{found[0]}/trivial", process.pid)
                return
        raise RuntimeError(f"{command} did not serve anything")
    finally:
        process.terminate()
        process.communicate(timeout=30)


def rate(host: Served, seconds: int) -> tuple[float, float]:
    """Requests a second, all of which were answered with 200, and the processor's microseconds for each."""
    asked = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--timeout", "10s", host.url]
    before = host.processor_seconds()
    told = subprocess.run(asked, check=True, capture_output=True, text=True).stdout
    used = host.processor_seconds() - before
    if "Non-2xx" in told or "Socket errors" in told:
        raise RuntimeError(f"not every request was answered well:\n{told}")
    requests, per_second = re.search(r"(\d+) requests in", told), re.search(r"Requests/sec:\s+([\d.]+)", told)
    assert requests is not None and per_second is not None, told
    return float(per_second[1]), used / int(requests[1]) * 1e6


def measure(rounds: int, seconds: int) -> bool:
    """Print the rates and their ratio; whether the target is met."""
    rates: dict[str, list[float]] = {name: [] for name in COMMANDS}
    costs: dict[str, list[float]] = {name: [] for name in COMMANDS}
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        Path(folder, "applications.py").write_text(APPLICATIONS)
        hosts = {name: stack.enter_context(served(command, folder)) for name, command in COMMANDS.items()}
        for host in hosts.values():
            rate(host, 1)
        for turn in range(rounds):
            for name in hosts if turn % 2 else reversed(hosts):
                per_second, cost = rate(hosts[name], seconds)
                rates[name].append(per_second)
                costs[name].append(cost)
    parser = "httptools" if find_spec("httptools") else "h11"
    loop = "uvloop" if find_spec("uvloop") else "asyncio"
    print(f"\n{f'{CONNECTIONS} connections, {parser} on {loop}':<42}" + "".join(f"{name:>20}" for name in rates))
    print(f"{'requests a second':<42}" + "".join(f"{max(found):>20,.0f}" for found in rates.values()))
    print(f"{'processor, µs a request':<42}" + "".join(f"{min(found):>20,.0f}" for found in costs.values()))
    best = max(rates[HOST]) / max(rates[BARE])
    middle = median(ours / theirs for ours, theirs in zip(rates[HOST], rates[BARE], strict=True))
    met = best >= TARGET
    print(f"\n  of the rate that a bare application has: {best:.2f} at best, {middle:.2f} in the median round")
    if min(costs[HOST]):
        print(f"  by the processor's time: {min(costs[BARE]) / min(costs[HOST]):.2f}")
    print(f"  the target is {TARGET}: {'met' if met else 'missed'}")
    return met


def main() -> int:
    """Measure, print, and tell by the exit code what `--check` asks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=4, help="for each contender in each round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--check", action="store_true", help="exit with 1 where the target is missed")
    options = parser.parse_args()
    if shutil.which("wrk") is None:
        print("\nHTTP is left out: there is no wrk (Debian: apt-get install wrk)")
        return 0
    met = measure(options.rounds, options.seconds)
    return 0 if met or not options.check else 1


if __name__ == "__main__":
    sys.exit(main())
