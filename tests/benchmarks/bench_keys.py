"""What an API key costs a request, and how many polls of the device flow a second a host answers.

    python tests/benchmarks/bench_keys.py [--seconds 4] [--rounds 5] [--check]

wrk asks one host with 16 connections, in every round for each of: a bare public route, the same route closed and asked
with the key of a person, and the token endpoint, where 500 devices poll whose codes wait. All of it is the very same
process with accounts and device-auth on SQLite, so that a busy moment of the machine meets all three. What counts is
what a verified request costs more than a bare one: by the processor's time where the system tells it, else by the rate.

Exits with 0 when it ran; with `--check`, with 1 where the target is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Final
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import urlopen

import attrs

CONNECTIONS: Final = 16
DEVICES: Final = 500
TARGET: Final = 0.30
BARE, VERIFIED, POLLED = "bare route", "with a key", "token poll"
APPLICATION: Final = f"""
import json
import os
from pathlib import Path

from fastapi import APIRouter
from objectkernel import ObjectKernel, Plugin, contributes, lifespan, needs
from objectkernel_accounts.contracts import PEOPLE
from objectkernel_accounts.keyring_plugin import KeyringPlugin
from objectkernel_accounts.plugin import AccountsPlugin
from objectkernel_contracts import ROUTERS, RouterMaker, Scope, public, requires
from objectkernel_device_auth.contracts import API_KEYS, DEVICE_AUTH
from objectkernel_device_auth.plugin import DeviceAuthPlugin
from objectkernel_http.plugin import HttpPlugin
from objectkernel_system_dialect.plugin import SystemDialectPlugin


def router() -> APIRouter:
    made = APIRouter()

    @made.get("/bare")
    @public()
    async def bare() -> dict[str, str]:
        return {{"hello": "world"}}

    @made.get("/closed")
    @requires(Scope("members:read"))
    async def closed() -> dict[str, str]:
        return {{"hello": "world"}}

    return made


class Trivial(Plugin):
    name = "trivial"
    people, keys, flow = needs(PEOPLE), needs(API_KEYS), needs(DEVICE_AUTH)

    @contributes(ROUTERS, uses=())
    def routes(self) -> RouterMaker:
        return router

    @lifespan
    async def prepare(self):
        admin = await self.people.create_admin("ada@example.org", "correct horse battery staple")
        issued = await self.keys.issue(admin.account.id, "bench", ["members:read"], user_id=admin.user.id)
        codes = [await self.flow.authorize("objectkernel-cli", "members:read") for _ in range({DEVICES})]
        told = {{"key": issued.secret.reveal(), "codes": [code.device_code.reveal() for code in codes]}}
        Path(os.environ["BENCH_SECRETS"]).write_text(json.dumps(told))
        yield


def kernel() -> ObjectKernel:
    plugins = [SystemDialectPlugin, KeyringPlugin, AccountsPlugin, DeviceAuthPlugin, HttpPlugin, Trivial]
    return ObjectKernel(plugins=plugins, discover=False)
"""
SETTINGS: Final = {
    "OBJECTKERNEL_PLUGINS__HTTP__ACCESS_LOG": "false",
    "OBJECTKERNEL_PLUGINS__HTTP__KEY_RATE": "0",
    "OBJECTKERNEL_PLUGINS__HTTP__ACCOUNT_RATE": "0",
}
COMMAND: Final = (
    *(sys.executable, "-m", "objectkernel_cli"),
    *("--app", "application:kernel", "serve", "--port", "0"),
)
POLLING: Final = """
local codes = {{ {codes} }}
local next = 0
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/x-www-form-urlencoded"
function request()
  next = next % #codes + 1
  local grant = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Adevice_code"
  return wrk.format(nil, nil, nil, grant .. "&client_id=objectkernel-cli&device_code=" .. codes[next])
end
"""


@attrs.frozen
class Served:
    """A process that serves the application."""

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
def served(folder: Path) -> Iterator[Served]:
    """The process, while it serves."""
    process = subprocess.Popen(
        COMMAND,
        cwd=folder,
        env={
            **os.environ,
            **SETTINGS,
            "OBJECTKERNEL_DATA_DIR": str(folder / "data"),
            "BENCH_SECRETS": str(folder / "secrets.json"),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    told = []
    try:
        assert process.stdout is not None
        for line in process.stdout:
            told.append(line)
            if found := re.search(r"http://127\.0\.0\.1:\d+", line):
                yield Served(found[0], process.pid)
                return
        raise RuntimeError("nothing was served:\n" + "".join(told))
    finally:
        process.terminate()
        process.communicate(timeout=30)


def rate(host: Served, seconds: int, path: str, *options: str, refused: bool = False) -> tuple[float, float]:
    """Requests a second, and the processor's microseconds for each.

    Args:
        refused: all are answered with 400 and not with 200, as polls are while nobody has decided.
    """
    asked = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--timeout", "10s", *options, f"{host.url}{path}"]
    before = host.processor_seconds()
    told = subprocess.run(asked, check=True, capture_output=True, text=True).stdout
    used = host.processor_seconds() - before
    requests, per_second = re.search(r"(\d+) requests in", told), re.search(r"Requests/sec:\s+([\d.]+)", told)
    assert requests is not None and per_second is not None, told
    failed = re.search(r"Non-2xx or 3xx responses: (\d+)", told)
    if "Socket errors" in told or (failed[1] if failed else "0") != (requests[1] if refused else "0"):
        raise RuntimeError(f"not every request was answered as it should be:\n{told}")
    return float(per_second[1]), used / int(requests[1]) * 1e6


def measure(rounds: int, seconds: int) -> bool:
    """Print the rates and their ratios; whether the target is met."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "application.py").write_text(APPLICATION)
        with served(folder) as host:
            secrets = json.loads((folder / "secrets.json").read_text())
            script = folder / "polling.lua"
            script.write_text(POLLING.format(codes=", ".join(f'"{code}"' for code in secrets["codes"])))
            found = run(host, rounds, seconds, secrets["key"], script)
            expect_waiting(host, secrets["codes"][-1])
    return show(found)


def run(host: Served, rounds: int, seconds: int, key: str, script: Path) -> dict[str, list[tuple[float, float]]]:
    """Rate and cost of each, round by round."""
    contenders = {
        BARE: lambda length: rate(host, length, "/bare"),
        VERIFIED: lambda length: rate(host, length, "/closed", "-H", f"Authorization: Bearer {key}"),
        POLLED: lambda length: rate(host, length, "/token", "-s", str(script), refused=True),
    }
    for contender in contenders.values():
        contender(1)
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in contenders}
    for turn in range(rounds):
        for name in contenders if turn % 2 else reversed(contenders):
            found[name].append(contenders[name](seconds))
    return found


def expect_waiting(host: Served, code: str) -> None:
    """Be sure that what was answered with 400 were polls of a code that still waits."""
    form = {"grant_type": "urn:ietf:params:oauth:grant-type:device_code", "client_id": "objectkernel-cli"}
    try:
        urlopen(f"{host.url}/token", urlencode({**form, "device_code": code}).encode())
    except HTTPError as error:
        told = json.load(error)["error"]
        if told in ("authorization_pending", "slow_down"):
            return
        raise RuntimeError(f"the codes do not wait any more: {told}") from None
    raise RuntimeError("somebody has approved a code")


def show(found: dict[str, list[tuple[float, float]]]) -> bool:
    """Print what was found; whether the target is met."""
    print(f"\n{f'one host, {CONNECTIONS} connections':<34}" + "".join(f"{name:>16}" for name in found))
    best = {name: max(per_second for per_second, _ in rounds) for name, rounds in found.items()}
    least = {name: min(cost for _, cost in rounds) for name, rounds in found.items()}
    print(f"{'requests a second':<34}" + "".join(f"{rate:>16,.0f}" for rate in best.values()))
    print(f"{'processor, µs a request':<34}" + "".join(f"{cost:>16,.0f}" for cost in least.values()))
    pairs = list(zip(found[BARE], found[VERIFIED], strict=True))
    if least[BARE]:
        added = least[VERIFIED] / least[BARE] - 1
        rounds = median(verified / bare - 1 for (_, bare), (_, verified) in pairs)
    else:
        added = best[BARE] / best[VERIFIED] - 1
        rounds = median(bare / verified - 1 for (bare, _), (verified, _) in pairs)
    met = added < TARGET
    print(f"\n  verifying a key adds {added:.0%} to what a request costs, {rounds:.0%} in the median round")
    print(f"  a poll has {best[POLLED] / best[BARE]:.2f} of the rate of a bare route")
    print(f"  the target is under {TARGET:.0%}: {'met' if met else 'missed'}")
    return met


def main() -> int:
    """Measure, print, and tell by the exit code what `--check` asks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=4, help="for each contender in each round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--check", action="store_true", help="exit with 1 where the target is missed")
    options = parser.parse_args()
    if shutil.which("wrk") is None:
        print("\nkeys are left out: there is no wrk (Debian: apt-get install wrk)")
        return 0
    met = measure(options.rounds, options.seconds)
    return 0 if met or not options.check else 1


if __name__ == "__main__":
    sys.exit(main())
