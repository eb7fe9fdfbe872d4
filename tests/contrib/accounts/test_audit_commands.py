"""``objectkernel audit tail``: the newest entries, and what is added."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest
from objectkernel_accounts.audit import AuditTrail
from objectkernel_accounts.audit_commands import audit
from objectkernel_contracts import REQUEST_ID, Principal
from objectkernel_system_dialect.contracts import SYSTEM_DIALECT

from tests.contrib.accounts.commanding import Commands
from tests.contrib.accounts.trails import audited

HOST = """
from objectkernel import ObjectKernel
from objectkernel_accounts.audit_plugin import AuditPlugin
from objectkernel_system_dialect.plugin import SystemDialectPlugin
kernel = ObjectKernel(plugins=[SystemDialectPlugin, AuditPlugin], discover=False)
"""


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"OBJECTKERNEL_DATA_DIR": str(tmp_path)}


def write(environ: dict[str, str], *subjects: str, age: int = 0, action: str = "order.pay", account: str = "a") -> None:
    """Entries of this age in seconds."""

    async def run() -> None:
        async with audited(environ) as kernel:
            trail = AuditTrail(kernel.get(SYSTEM_DIALECT), lambda: datetime.now(UTC) - timedelta(seconds=age))
            for subject in subjects:
                await trail.record(action, subject, principal=Principal(account_id=account, user_id="ada"))

    anyio.run(run)


def tail(environ: dict[str, str], *arguments: str) -> list[str]:
    """The subjects that the command prints."""
    done = Commands(lambda: audited(environ))(audit, "tail", "--json", *arguments)
    return [json.loads(line)["subject"] for line in done.stdout.splitlines()]


def test_which(environ: dict[str, str]) -> None:
    """The newest twenty, or so many, the newest last; of an account, of an action, since a time."""
    write(environ, *map(str, range(25)), age=7200)
    write(environ, "x", account="b")
    write(environ, "y", action="order.send")
    assert tail(environ) == [*map(str, range(7, 25)), "x", "y"]
    assert tail(environ, "-n", "1") == ["y"]
    assert tail(environ, "-n", "0") == []
    assert tail(environ, "--account", "b") == ["x"]
    assert tail(environ, "--action", "order.send") == ["y"]
    assert tail(environ, "--since", "90m") == ["x", "y"]
    assert tail(environ, "--since", "2099-01-01") == []
    assert len(tail(environ, "--since", "2000-01-01T00:00+01:00", "-n", "99")) == 27


@pytest.mark.parametrize("since", ["soon", "5", "5w", "-1h", "999999999d", "2026-13-01"])
def test_no_time(environ: dict[str, str], since: str) -> None:
    """What is no time is a mistake in the command line."""
    done = Commands(lambda: audited(environ))(audit, "tail", "--since", since)
    assert (done.exit_code, "90m" in done.stderr) == (2, True)


def test_lines(environ: dict[str, str]) -> None:
    """A line tells everything, and nothing in it steers the terminal."""

    async def run() -> None:
        async with audited(environ) as kernel:
            trail = AuditTrail(kernel.get(SYSTEM_DIALECT), lambda: datetime(2026, 3, 1, 9, 30, tzinfo=UTC))
            REQUEST_ID.set("r1")
            who = Principal(account_id="acme", user_id="ada", key_id="k1")
            await trail.record("order.pay", "a\x1b[2Jb", principal=who, details={"text": "x\ny"})
            REQUEST_ID.set(None)
            await trail.record("host.start", "host")

    anyio.run(run)
    done = Commands(lambda: audited(environ))(audit, "tail")
    assert done.stdout.splitlines() == [
        "2026-03-01T09:30:00.000Z  order.pay  a\N{REPLACEMENT CHARACTER}[2Jb  account=acme  user=ada  key=k1"
        '  request=r1  {"text": "x\\ny"}',
        "2026-03-01T09:30:00.000Z  host.start  host",
    ]
    (first, _) = (
        json.loads(line) for line in Commands(lambda: audited(environ))(audit, "tail", "--json").stdout.splitlines()
    )
    assert (first["sequence"], first["at"], first["details"]) == (1, "2026-03-01T09:30:00.000Z", {"text": "x\ny"})


def test_follow(environ: dict[str, str], tmp_path: Path) -> None:
    """It goes on with what other processes add, until it is interrupted."""
    (tmp_path / "host.py").write_text(HOST)
    write(environ, "before", "matching")
    command = [
        sys.executable,
        "-m",
        "objectkernel_cli",
        "--app",
        "host:kernel",
        "audit",
        "tail",
        "-f",
        "-n",
        "1",
        "--json",
    ]
    options: dict[str, Any] = {"cwd": tmp_path, "env": {**os.environ, **environ}, "text": True}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["subject"] == "matching"
        write(environ, "added", "later")
        assert [json.loads(process.stdout.readline())["subject"] for _ in range(2)] == ["added", "later"]
        process.send_signal(signal.SIGINT)
        out, err = process.communicate()
    assert (process.returncode, out) == (130, ""), err
