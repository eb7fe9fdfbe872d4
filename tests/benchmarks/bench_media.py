"""What a host takes and gives of a large recording, next to nginx on the same disk in the same run.

    python tests/benchmarks/bench_media.py [--size 1024] [--rounds 5] [--folder DIR] [--check]

A client of its own process (media_client.py: `sendfile`) sends one film to nginx by WebDAV PUT and to a host in one
request and by tus; curl reads it in ranges of 1 MiB, four at a time. All take turns in every round, so that a busy
moment of the machine meets all, and what counts is the median. What they compare is without fsync; what that costs, and
what a host's memory comes to at most (``VmHWM``, begun anew each time), is printed beside.

A host knows the SHA-256 of a film when it acknowledges it, and nginx does not: so uploads are held against nginx with
that made behind it; beside stands what they are of nginx alone. Where SHA-256 by itself, of bytes that are in memory,
is slower than nginx's PUT, no host that hashes can reach that: its line says how much of it one could at most.

Exits with 0 when it ran; with `--check`, with 1 where a target is missed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Any, Final

import attrs

MIB: Final = 2**20
HEAD: Final = bytes.fromhex("1a45dfa39f4286810142f7810142f2810442f381084282847765626d4287810442858102")
"""What a browser's film begins with: the head of EBML, with ``webm`` as its type."""
CONNECTIONS: Final = 4
CHUNK: Final = 8 * MIB
UPLOAD, DOWNLOAD, MEMORY = 1.0, 0.9, 120.0
"""Targets: times nginx's rate, and megabytes at most."""
CLIENT: Final = Path(__file__).with_name("media_client.py")
SECRET: Final = "what-signs-links-of-this-benchmark"
TOKEN: Final = {"Authorization": "Bearer bench"}
APPLICATION: Final = """
from objectkernel import ObjectKernel, Plugin, provides
from objectkernel_contracts import IDENTITY, Credentials, Identity, Principal
from objectkernel_http.plugin import HttpPlugin
from objectkernel_media_server.plugin import MediaServerPlugin
from objectkernel_system_dialect.plugin import SystemDialectPlugin


class Doorman:
    async def principal(self, credentials: Credentials) -> Principal | None:
        scopes = frozenset({"media:read", "media:write"})
        return Principal(account_id="bench", scopes=scopes) if credentials.bearer == "bench" else None

    def sign_in_url(self, return_to: str) -> str:
        return "/sign-in"


class DoormanPlugin(Plugin):
    name = "doorman"

    @provides(IDENTITY, uses=())
    def identity(self) -> Identity:
        return Doorman()


def kernel() -> ObjectKernel:
    return ObjectKernel(plugins=[SystemDialectPlugin, DoormanPlugin, HttpPlugin, MediaServerPlugin], discover=False)
"""
SETTINGS: Final = {
    "OBJECTKERNEL_PLUGINS__HTTP__ACCESS_LOG": "false",
    "OBJECTKERNEL_PLUGINS__HTTP__KEY_RATE": "0",
    "OBJECTKERNEL_PLUGINS__HTTP__ACCOUNT_RATE": "0",
    "STORAGE_SIGNING_SECRET": SECRET,
}
COMMAND: Final = (
    *(sys.executable, "-m", "objectkernel_cli"),
    *("--app", "application:kernel", "serve", "--port", "0"),
)
NGINX: Final = """
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
worker_processes 1;
{user}
events {{ worker_connections 64; }}
http {{
  access_log off;
  sendfile on;
  tcp_nopush on;
  keepalive_requests 1000000;
  client_max_body_size 0;
  client_body_temp_path {folder}/coming;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  types {{ video/webm webm; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{ root {folder}/files; dav_methods PUT; create_full_put_path on; }}
  }}
}}
"""


@attrs.frozen
class Served:
    """A process that answers on a port of the loopback.

    Attributes:
        pid: of the one that does the work.
        folder: where its files are.
    """

    port: int
    pid: int
    folder: Path

    def forget_peak(self) -> None:
        """Let the peak of its memory begin at what it has now."""
        clear = Path(f"/proc/{self.pid}/clear_refs")
        if clear.exists():
            clear.write_text("5")

    def peak(self) -> float:
        """The most memory it had since then, in MB; 0 where only Linux could tell."""
        status = Path(f"/proc/{self.pid}/status")
        found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text()) if status.exists() else None
        return int(found[1]) * 1024 / 1e6 if found else 0.0

    def processor_seconds(self) -> float:
        """What its threads have used of processors so far; 0 where only Linux could tell."""
        stat = Path(f"/proc/{self.pid}/stat")
        if not stat.exists():
            return 0.0
        user, system = stat.read_text().rpartition(") ")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


@contextmanager
def host(folder: Path, *, fsync: bool) -> Iterator[Served]:
    """A host with recordings."""
    folder.mkdir()
    (folder / "application.py").write_text(APPLICATION)
    told_it = {"OBJECTKERNEL_DATA_DIR": str(folder / "data"), "OBJECTKERNEL_PLUGINS__MEDIA_SERVER__FSYNC": str(fsync)}
    output = folder / "output.txt"
    with output.open("w") as written:
        process = subprocess.Popen(
            COMMAND, cwd=folder, env={**os.environ, **SETTINGS, **told_it}, stdout=written, stderr=subprocess.STDOUT
        )
    try:
        found = None
        while found is None:
            if process.poll() is not None:
                raise RuntimeError(f"nothing was served:\n{output.read_text()}")
            time.sleep(0.05)
            found = re.search(r"http://127\.0\.0\.1:(\d+)", output.read_text())
        yield Served(int(found[1]), process.pid, folder)
    finally:
        process.terminate()
        process.wait(timeout=60)


@contextmanager
def nginx(folder: Path) -> Iterator[Served]:
    """nginx with WebDAV, and one worker."""
    folder.mkdir()
    (folder / "files").mkdir()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    settings = folder / "nginx.conf"
    user = "user root;" if hasattr(os, "geteuid") and os.geteuid() == 0 else ""
    settings.write_text(NGINX.format(folder=folder, port=port, user=user))
    process = subprocess.Popen(["nginx", "-p", str(folder), "-e", str(folder / "error.log"), "-c", str(settings)])
    try:
        while not answers(port):
            if process.poll() is not None:
                raise RuntimeError(f"nginx does not start:\n{(folder / 'error.log').read_text()}")
            time.sleep(0.05)
        worker = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True).stdout.split()
        yield Served(port, int(worker[0]) if worker else process.pid, folder)
    finally:
        process.terminate()
        process.wait(timeout=60)


def answers(port: int) -> bool:
    """Whether somebody listens."""
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


def client(**asked: Any) -> dict[str, Any]:
    """What the client measured."""
    done = subprocess.run([sys.executable, str(CLIENT), json.dumps(asked)], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"the client failed at {asked}:\n{done.stderr}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@attrs.frozen
class Contest:
    """Every way to send and to read the film, by name: a call answers the seconds it took."""

    film: Path
    size: int

    def nginx_put(self, server: Served) -> float:
        path = "/coming/film.webm"
        seconds = client(do="put", port=server.port, method="PUT", path=path, headers={}, file=str(self.film))[
            "seconds"
        ]
        (server.folder / "files/coming/film.webm").unlink()
        return float(seconds)

    def nginx_put_hashed(self, server: Served) -> float:
        stored = server.folder / "files/coming/film.webm"
        asked = {"port": server.port, "method": "PUT", "path": "/coming/film.webm", "headers": {}}
        seconds = client(do="put", file=str(self.film), stored=str(stored), **asked)["seconds"]
        stored.unlink()
        return float(seconds)

    def hashing(self) -> float:
        """What no upload can be quicker than whose SHA-256 is known at its end."""
        piece = random.Random(7).randbytes(MIB)
        began = time.perf_counter()
        sha256 = hashlib.sha256()
        for _ in range(self.size // MIB):
            sha256.update(piece)
        return time.perf_counter() - began

    def raw(self, server: Served) -> float:
        headers = {**TOKEN, "Content-Type": "video/webm"}
        path = "/api/media/recordings"
        told = client(do="put", port=server.port, method="POST", path=path, headers=headers, file=str(self.film))
        delete(server, json.loads(told["body"])["row"]["id"])
        return float(told["seconds"])

    def tus(self, server: Served, chunk: int) -> float:
        told = client(
            do="tus", port=server.port, path="/api/media/uploads/", headers=TOKEN, chunk=chunk, file=str(self.film)
        )
        delete(server, told["id"])
        return float(told["seconds"])

    def ranges(self, server: Served, path: str, headers: Mapping[str, str]) -> float:
        """All of the film in ranges, each once, in any order."""
        starts = list(range(0, self.size, MIB))
        random.Random(1).shuffle(starts)
        told = [f'header = "{name}: {value}"' for name, value in headers.items()]
        one = [f'url = "http://127.0.0.1:{server.port}{path}"', 'output = "/dev/null"', *told]
        asked = "\nnext\n".join(
            "\n".join([*one, f'range = "{start}-{start + MIB - 1}"', 'write-out = "%{http_code} %{size_download}\\n"'])
            for start in starts
        )
        settings = self.film.with_name("ranges.curl")
        settings.write_text(asked)
        command = ["curl", "--silent", "--parallel", "--parallel-max", str(CONNECTIONS), "--config", str(settings)]
        began = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        seconds = time.perf_counter() - began
        if done.stdout.split("\n") != [*[f"206 {MIB}"] * len(starts), ""]:
            raise RuntimeError(f"these are not the ranges that were asked for: {done.stdout[:500]}")
        return seconds


def delete(server: Served, id: str) -> None:
    """Remove a recording, and its bytes."""
    asked = {"port": server.port, "method": "DELETE", "path": f"/api/media/{id}", "headers": TOKEN}
    client(do="put", file=os.devnull, **asked)


def measure(folder: Path, megabytes: int, rounds: int) -> bool:
    """Print rates, ratios and memory; whether the targets are met."""
    film = folder / "film.webm"
    size = make_film(film, megabytes)
    contest = Contest(film, size)
    with ExitStack() as stack:
        ours = stack.enter_context(host(folder / "host", fsync=False))
        safe = stack.enter_context(host(folder / "safe", fsync=True))
        able = shutil.which("nginx") is not None
        theirs = stack.enter_context(nginx(folder / "nginx")) if able else None
        if theirs is None:
            print("\nnginx is left out, and with it every ratio: it is not installed (Debian: apt-get install nginx)")
        sent = uploads(contest, ours, safe, theirs)
        read = downloads(contest, ours, theirs)
        times, memory = run({**sent, **read}, ours, rounds)
    return show(times, memory, sent, read, size)


def make_film(path: Path, megabytes: int) -> int:
    """Write something that begins as a film does; its size."""
    piece = random.Random(7).randbytes(MIB)
    with path.open("wb") as file:
        file.write(HEAD + piece[len(HEAD) :])
        for _ in range(megabytes - 1):
            file.write(piece)
    return megabytes * MIB


Contenders = Mapping[str, Callable[[], float]]
PUT, HASHED = "nginx, WebDAV PUT", "nginx, WebDAV PUT, then SHA-256"
FLOOR: Final = "SHA-256 by itself"
RAW, TUS, CHUNKS = "one request", "tus, one PATCH", "tus, 8 MiB each"
RAW_SAFE, TUS_SAFE = "one request, fsync", "tus, one PATCH, fsync"
THEIR_RANGES, CONTENT, LINK = "nginx", "account's route", "signed link"
TARGETS: Final = {
    RAW: (HASHED, UPLOAD),
    TUS: (HASHED, UPLOAD),
    CHUNKS: (HASHED, UPLOAD),
    CONTENT: (THEIR_RANGES, DOWNLOAD),
    LINK: (THEIR_RANGES, DOWNLOAD),
}
"""Whose rate is to be reached, and how many times."""


def uploads(contest: Contest, ours: Served, safe: Served, theirs: Served | None) -> Contenders:
    """Ways to send it."""
    nginx_s: dict[str, Callable[[], float]] = {}
    if theirs is not None:
        nginx_s = {PUT: lambda: contest.nginx_put(theirs), HASHED: lambda: contest.nginx_put_hashed(theirs)}
    return {
        **nginx_s,
        FLOOR: contest.hashing,
        RAW: lambda: contest.raw(ours),
        TUS: lambda: contest.tus(ours, 0),
        CHUNKS: lambda: contest.tus(ours, CHUNK),
        RAW_SAFE: lambda: contest.raw(safe),
        TUS_SAFE: lambda: contest.tus(safe, 0),
    }


def downloads(contest: Contest, ours: Served, theirs: Served | None) -> Contenders:
    """Ways to read it."""
    asked = {"port": ours.port, "method": "POST", "path": "/api/media/recordings", "file": str(contest.film)}
    told = json.loads(client(do="put", headers={**TOKEN, "Content-Type": "video/webm"}, **asked)["body"])
    content, link = f"/api/media/{told['row']['id']}/content", told["signedUrl"]
    nginx_s: dict[str, Callable[[], float]] = {}
    if theirs is not None:
        os.link(contest.film, theirs.folder / "files/film.webm")
        nginx_s = {THEIR_RANGES: lambda: contest.ranges(theirs, "/film.webm", {})}
    return {
        **nginx_s,
        CONTENT: lambda: contest.ranges(ours, content, TOKEN),
        LINK: lambda: contest.ranges(ours, link, {}),
    }


def run(contenders: Contenders, ours: Served, rounds: int) -> tuple[dict[str, list[float]], dict[str, float]]:
    """Seconds of each in every round; and the most memory that the host had in any."""
    times: dict[str, list[float]] = {name: [] for name in contenders}
    memory = dict.fromkeys(contenders, 0.0)
    for turn in range(rounds):
        for name in contenders if turn % 2 else reversed(contenders):
            ours.forget_peak()
            times[name].append(contenders[name]())
            memory[name] = max(memory[name], ours.peak())
    return times, memory


def show(
    times: Mapping[str, list[float]], memory: Mapping[str, float], sent: Contenders, read: Contenders, size: int
) -> bool:
    """Print what was found; whether the targets are met."""
    met = True
    for title, names, bases in (
        ("upload", sent, (PUT, HASHED)),
        (f"download, ranges of 1 MiB, {CONNECTIONS} at a time", read, (THEIR_RANGES,)),
    ):
        print(f"\n{title:<46}{'MB/s, median':>14}" + "".join(f"{'of ' + base:>36}" for base in bases))
        for name in names:
            rate = size / 1e6 / median(times[name])
            ratios = "".join(f"{f'{of(times, name, base):.2f}x' if base in times else '':>36}" for base in bases)
            print(f"  {name:<44}{rate:>14,.0f}{ratios}".rstrip())
    print()
    for name, (base, target) in TARGETS.items():
        fast = base not in times or of(times, name, base) >= target
        small = memory[name] < MEMORY
        met = met and fast and small
        if base in times:
            print(
                f"  {'ok  ' if fast else 'MISS'} {name}: {of(times, name, base):.2f}x of {base} (at least {target:g}x)"
            )
        print(f"  {'ok  ' if small else 'MISS'} {name}: {memory[name]:.0f} MB at most (below {MEMORY:g})")
    for name, safe in ((RAW, RAW_SAFE), (TUS, TUS_SAFE)):
        print(f"  fsync takes {median(times[safe]) / median(times[name]):.2f} times as long: {name}")
    return met


def of(times: Mapping[str, list[float]], name: str, base: str) -> float:
    """How many times the rate of `base`: the median of the rounds."""
    return median(theirs / ours for ours, theirs in zip(times[name], times[base], strict=True))


def main() -> int:
    """Measure, print, and tell by the exit code what `--check` asks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=1024, metavar="MIB", help="of the film")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="where everything is written; default: the system's temporary one")
    parser.add_argument("--check", action="store_true", help="exit with 1 where a target is missed")
    options = parser.parse_args()
    if not hasattr(os, "sendfile") or shutil.which("curl") is None:
        print("\nrecordings are left out: this system has no sendfile, or no curl")
        return 0
    with tempfile.TemporaryDirectory(dir=options.folder) as temporary:
        met = measure(Path(temporary), options.size, options.rounds)
    return 0 if met or not options.check else 1


if __name__ == "__main__":
    sys.exit(main())
