"""The example host: boots from entry points, publishes its packages, reads them back."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

MAIN = Path(__file__).parents[2] / "examples" / "host_app" / "main.py"
PACKAGES = sorted(file.stem for file in (MAIN.parent / "packages").glob("*.json"))


def run(folder):
    environment = {**os.environ, "OBJECTKERNEL_DATA_DIR": str(folder / "data")}
    done = subprocess.run(
        [sys.executable, "-W", "error", MAIN],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def table(output):
    """Package, version and hash of each row, and what is said of the run before."""
    rows = re.findall(r"^acme\.(\w+) +(\S+) +\d+ +([0-9a-f]{16}) +(.+)$", output, re.MULTILINE)
    return {name: (version, hash) for name, version, hash, _ in rows}, {said for *_, said in rows}


def test_a_second_run_finds_everything_published_with_the_same_hash(tmp_path):
    """Run twice: the same versions and hashes, nothing there twice, everything in the data folder."""
    first, second = run(tmp_path), run(tmp_path)
    assert sorted(table(first)[0]) == PACKAGES
    assert table(first)[0] == table(second)[0]
    assert table(first)[1] == {"new"}
    assert table(second)[1] == {"already published, same hash"}
    for output in (first, second):
        assert "package-service" in output
        assert f"{len(PACKAGES)} packages in the registry" in output
    assert [entry.name for entry in tmp_path.iterdir()] == ["data"]


def objectkernel(folder, *arguments):
    """Run the command line program on the example host, in its folder as its page says."""
    environment = {**os.environ, "OBJECTKERNEL_DATA_DIR": str(folder / "data")}
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
    return subprocess.run(program, cwd=MAIN.parent, env=environment, capture_output=True, timeout=120)


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
