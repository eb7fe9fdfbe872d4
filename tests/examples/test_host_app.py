"""The example host: serves all plugins, fills itself at the first start, and tells its story."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

MAIN = Path(__file__).parents[2] / "examples" / "host_app" / "main.py"
PACKAGES = sorted(file.stem for file in (MAIN.parent / "packages").glob("*.json"))


def environment(folder):
    return {**os.environ, "OBJECTKERNEL_DATA_DIR": str(folder / "data"), "PORT": "0"}


@contextmanager
def serving(folder):
    """The example host in a process of its own: what it has printed when it serves, and a client of it."""
    with subprocess.Popen(
        [sys.executable, "-W", "error", MAIN],
        cwd=folder,
        env=environment(folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            printed = []
            for line in process.stdout:
                printed.append(line)
                if line.startswith("serving on"):
                    break
            else:
                raise AssertionError(process.stderr.read())
            with httpx.Client(base_url=line.split()[2].rstrip(";"), trust_env=False) as client:
                yield "".join(printed), client
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=60)
        finally:
            process.kill()
    assert (process.returncode, out) == (0, "stopped\n"), err


def table(output):
    """Package, version and hash of each row, and what is said of the run before."""
    rows = re.findall(r"^acme\.(\w+) +(\S+) +([0-9a-f]{16}) +(.+)$", output, re.MULTILINE)
    return {name: (version, hash) for name, version, hash, _ in rows}, {said for *_, said in rows}


def sign_in(client, password):
    """The scopes of whoever signs in with this password."""
    token = re.search('name="csrf" value="([^"]+)"', client.get("/sign-in").text)[1]
    answer = client.post("/sign-in", data={"csrf": token, "login": "demo", "password": password})
    assert answer.status_code == 303
    return client.get("/api/v1/account").json()["scopes"]


@pytest.mark.slow
def test_a_second_start_finds_everything_as_it_was(tmp_path):
    """Password and key are shown once and work on, nothing is published twice, everything lies in the data folder."""
    with serving(tmp_path) as (first, client):
        bearer = {"Authorization": re.search(r"Authorization: (Bearer ok_\w+)", first)[1]}
        assert len(client.get("/api/v1/packages", headers=bearer).json()["items"]) == len(PACKAGES)
        password = re.search(r"password (\S+) \(shown this once\)", first)[1]
        assert client.get("/readyz").status_code == 200
        assert client.get("/docs").status_code == 200
        assert client.get("/api/v1/packages").status_code == 401
        assert "packages:read" in sign_in(client, password)
        assert len(client.get("/api/v1/packages").json()["items"]) == len(PACKAGES)
    with serving(tmp_path) as (second, client):
        assert "shown this once" not in second
        assert password not in second
        assert "Bearer" not in second
        assert client.get("/api/v1/packages", headers=bearer).status_code == 200
        assert "host:operate" in sign_in(client, password)
    assert sorted(table(first)[0]) == PACKAGES
    assert table(first)[0] == table(second)[0]
    assert table(first)[1] == {"new"}
    assert table(second)[1] == {"already published, same hash"}
    assert "critical path" in first
    assert [entry.name for entry in tmp_path.iterdir()] == ["data"]


def test_the_whole_story(tmp_path):
    """It ends well, says what it did, and leaves nothing behind."""
    done = subprocess.run(
        [sys.executable, "-W", "error", MAIN, "demo"],
        cwd=tmp_path,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (0, "")
    steps = [line.split()[0] for line in done.stdout.splitlines()]
    assert list(dict.fromkeys(steps)) == [
        "boot", "account", "sign", "publish", "resolve", "install",
        "store", "switch", "project", "record", "device", "audit",
    ]  # fmt: skip
    assert list(tmp_path.iterdir()) == []


def test_a_busy_port_is_told(tmp_path):
    """Another program on the port is an error that says what to do, and no traceback."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = subprocess.run(
            [sys.executable, MAIN],
            cwd=tmp_path,
            env={**environment(tmp_path), "PORT": str(taken.getsockname()[1])},
            capture_output=True,
            text=True,
            timeout=120,
        )
    assert done.returncode == 1
    assert "H201" in done.stderr
    assert "Traceback" not in done.stderr


def objectkernel(folder, *arguments):
    """Run the command line program on the example host, in its folder as its page says."""
    program = [
        sys.executable,
        "-W",
        "error",
        "-m",
        "objectkernel_cli",
        "--app",
        "main:make_kernel",
        *arguments,
    ]
    return subprocess.run(program, cwd=MAIN.parent, env=environment(folder), capture_output=True, timeout=120)


@pytest.mark.slow
def test_the_command_publishes_lists_and_delivers_the_hashed_bytes(tmp_path):
    """What `packages get` prints has the very hash that `packages publish` and `packages list` told."""
    published = json.loads(objectkernel(tmp_path, "packages", "publish", "packages", "--json").stdout)
    listed = json.loads(objectkernel(tmp_path, "packages", "list", "--json").stdout)
    hashes = {one["id"]: one["hash"] for one in published["published"]}
    assert {one["id"]: one["hash"] for one in listed["items"]} == hashes
    assert len(hashes) == len(PACKAGES)
    delivered = objectkernel(tmp_path, "packages", "get", "acme.crm@1.2.0").stdout
    assert hashlib.sha256(delivered).hexdigest() == hashes["acme.crm"]
    assert objectkernel(tmp_path, "packages", "verify").stdout == b"4 sound, 0 damaged\n"
    missing = objectkernel(tmp_path, "packages", "get", "acme.crm@9.0.0")
    assert missing.returncode == 1
    assert b"P104" in missing.stderr


@pytest.mark.slow
def test_the_packages_of_an_existing_application_go_through_the_command(tmp_path):
    """Published, listed, delivered with the values of their files, verified: real packages, not tidied up."""
    shared = Path(os.environ.get("OBJECTKERNEL_SHARED_DATA") or MAIN.parents[3] / "shared" / "data") / "hotcrm"
    if not shared.is_dir() and not os.environ.get("CI"):
        pytest.skip(f"no packages in {shared}; OBJECTKERNEL_SHARED_DATA names the folder that has them")
    published = json.loads(objectkernel(tmp_path, "packages", "publish", shared, "--json").stdout)
    assert published["refused"] == []
    listed = json.loads(objectkernel(tmp_path, "packages", "list", "--json").stdout)
    assert {one["id"]: one["hash"] for one in listed["items"]} == {
        one["id"]: one["hash"] for one in published["published"]
    }
    assert len(published["published"]) == len(list(shared.glob("*.json"))) > 0
    for one in published["published"]:
        delivered = objectkernel(tmp_path, "packages", "get", f"{one['id']}@{one['version']}").stdout
        assert hashlib.sha256(delivered).hexdigest() == one["hash"]
        assert json.loads(delivered) == json.loads(Path(one["file"]).read_bytes())
    assert objectkernel(tmp_path, "packages", "verify").returncode == 0
