"""A host that is killed in the midst of an exchange: everything of it was done, or nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from objectkernel.secret import Secret
from objectkernel_device_auth.storage_codes import FAMILY, REFRESH_TOKEN
from objectkernel_device_auth.storage_keys import KEY

from tests.plugins.device_auth.flows import READ, Desk, desk_of, refused

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


def killed(path: Path, where: str) -> str:
    """Kill a host there; the code or the token that it was exchanging."""
    command = [sys.executable, "-m", "tests.plugins.device_auth.killed_flow", str(path), where]
    environ = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environ) as process:
        assert process.stdout is not None
        secret = process.stdout.readline().strip()
        assert process.stdout.readline() == "here\n"
        process.send_signal(signal.SIGKILL)
    return secret


async def counts(desk: Desk) -> list[int]:
    return [await desk.dialect.count(schema) for schema in (KEY, FAMILY, REFRESH_TOKEN)]


async def test_killed_between_the_exchange_and_its_answer(tmp_path: Path) -> None:
    """The code is spent, for a key that nobody has; the device begins anew."""
    code = killed(tmp_path / "system.db", "after")
    async with desk_of(tmp_path / "system.db") as desk:
        assert await refused(desk.redeem(code)) == "invalid_grant"
        assert await counts(desk) == [1, 1, 1]
        assert (await desk.tokens()).scope == READ


async def test_killed_within_the_exchange(tmp_path: Path) -> None:
    """Nothing was done: the code gives a key at the next poll."""
    code = killed(tmp_path / "system.db", "within")
    async with desk_of(tmp_path / "system.db") as desk:
        assert await counts(desk) == [0, 0, 0]
        assert (await desk.redeem(code)).scope == READ
        assert await counts(desk) == [1, 1, 1]


async def test_killed_between_a_refresh_and_its_answer(tmp_path: Path) -> None:
    """Whoever asks again within the grace gets the answer that was lost."""
    token = killed(tmp_path / "system.db", "refreshed")
    async with desk_of(tmp_path / "system.db", refresh_grace=60.0) as desk:
        answer = await desk.refresh(Secret(token))
        assert await desk.is_good(answer.access_token)
        assert await counts(desk) == [2, 1, 2]
        assert (await desk.refresh(answer.refresh_token)).scope == READ
