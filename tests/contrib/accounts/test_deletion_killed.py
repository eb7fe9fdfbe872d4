"""A host that is killed while it deletes an account: nobody gets in, nothing is lost, the next one ends it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import anyio
import pytest
from objectkernel_accounts.audit import AUDIT_ENTRY
from objectkernel_accounts.contracts import ACCOUNTS, PEOPLE
from objectkernel_accounts.errors import SignInFailed
from objectkernel_accounts.parts import PARTS
from objectkernel_contracts import AccountDeleting
from objectkernel_system_dialect.contracts import SYSTEM_DIALECT

from tests.contrib.accounts.hosts import HOME
from tests.contrib.accounts.killed_deletion import PASSWORD, Holder, host

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


def killed(folder: Path, where: str) -> tuple[str, str]:
    """Kill a host that deletes an account, there; the account, and its successor."""
    command = [sys.executable, "-m", "tests.contrib.accounts.killed_deletion", str(folder), where]
    environ = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environ) as process:
        assert process.stdout is not None
        account, heir = process.stdout.readline().split()
        assert process.stdout.readline() == "here\n"
        process.send_signal(signal.SIGKILL)
    return account, heir


@pytest.mark.parametrize("where", ["plugin", "people"])
async def test_killed_while_it_deletes(tmp_path: Path, where: str) -> None:
    """Killed while a plugin lets go, or while people are removed: the next start ends it, with the same successor."""
    account_id, heir = killed(tmp_path, where)
    holder = Holder()
    async with host(str(tmp_path), holder) as kernel:
        with pytest.raises(SignInFailed):
            await kernel.get(PARTS).sign_in.sign_in("bob", PASSWORD, HOME)
        with anyio.fail_after(60):
            while await kernel.get(ACCOUNTS).get(account_id) is not None:
                await anyio.sleep(0.02)
        assert set(holder.told) == {AccountDeleting(account_id=account_id, successor_id=heir)}
        assert [one.login for one in (await kernel.get(PEOPLE).list())[0]] == ["ada"]
        rows = await kernel.get(SYSTEM_DIALECT).find(AUDIT_ENTRY, sort={"sequence": 1})
        assert [row["action"] for row in rows if row["action"].startswith("account.delete")] == [
            "account.delete-begin",
            "account.delete",
        ]
        await kernel.get(PARTS).sign_in.sign_in("ada", PASSWORD, HOME)
