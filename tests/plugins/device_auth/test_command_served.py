"""Clients that others have written, and ``objectkernel serve`` in a process of its own, as an operator starts it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

import attrs
import httpx
import pytest
import requests

from tests.contrib.accounts.browsers import ADA, Browser
from tests.contrib.accounts.hosts import PASSWORD
from tests.plugins.device_auth.page_hosts import CLI, decide
from tests.plugins.device_auth.test_third_party_clients import KINDS, Tried, in_thread, refusal

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

ROOT = Path(__file__).parents[3]
APPLICATION = """
from objectkernel import ObjectKernel
from objectkernel_accounts.keyring_plugin import KeyringPlugin
from objectkernel_accounts.plugin import AccountsPlugin
from objectkernel_device_auth.plugin import DeviceAuthPlugin
from objectkernel_http.plugin import HttpPlugin
from objectkernel_system_dialect.plugin import SystemDialectPlugin
from tests.plugins.device_auth.page_hosts import Notes

plugins = [SystemDialectPlugin, KeyringPlugin, AccountsPlugin, DeviceAuthPlugin, HttpPlugin, Notes]
kernel = ObjectKernel(plugins=plugins, discover=False)
"""


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@attrs.frozen
class Operator:
    """Somebody at the command line of a host whose data lies in a folder."""

    folder: Path

    @property
    def _place(self) -> dict[str, Any]:
        paths = f"{ROOT}{os.pathsep}{self.folder}"
        environ = {**os.environ, "PYTHONPATH": paths, "OBJECTKERNEL_DATA_DIR": str(self.folder / "data")}
        return {"cwd": self.folder, "env": environ, "text": True}

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "objectkernel_cli", "--app", "application:kernel", *words]

    def run(self, *words: str, typed: str = "") -> str:
        """What a command prints."""
        done = subprocess.run(self.command(*words), input=typed, capture_output=True, check=False, **self._place)
        assert done.returncode == 0, done.stderr
        return str(done.stdout)

    def serve(self, output: IO[str]) -> subprocess.Popen[str]:
        """Start ``objectkernel serve`` on a free port."""
        options = {"stdout": output, "stderr": subprocess.STDOUT, **self._place}
        return subprocess.Popen(self.command("serve", "--port", "0"), **options)


@pytest.fixture
def operator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Operator:
    (tmp_path / "application.py").write_text(APPLICATION)
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")
    return Operator(tmp_path)


@pytest.fixture
def secret(operator: Operator) -> str:
    """That of a client whom the command line has registered, beside an administrator whom it has made."""
    operator.run("accounts", "create-admin", ADA, "--password-stdin", typed=f"{PASSWORD}\n")
    return operator.run("clients", "register", "confidential", "--confidential").strip()


@pytest.fixture
def served(operator: Operator, secret: str) -> Iterator[str]:
    """Where it is served; all that the process prints goes to a file of the operator's folder."""
    printed = operator.folder / "printed"
    with printed.open("w") as output, operator.serve(output) as process:
        try:
            while not (found := re.search(r"serving on (\S+);", printed.read_text())):
                assert process.poll() is None, printed.read_text()
                time.sleep(0.05)
            yield found[1]
        finally:
            process.terminate()
            process.wait(timeout=60)


async def test_the_whole_flow_and_what_it_leaves(operator: Operator, served: str, secret: str) -> None:
    """Each library gets in and out again; no code, token or secret of it is in any file of the host, nor printed."""
    metadata = requests.get(f"{served}/.well-known/oauth-authorization-server", timeout=10).json()
    secrets = [secret]
    async with httpx.AsyncClient(base_url=served, headers={"Accept": "text/html"}, trust_env=False) as http:
        ada = Browser(http)
        assert (await ada.sign_in()).is_redirect
        kind: Any
        for kind in KINDS:
            for shown, method in (((CLI, None), "none"), (("confidential", secret), "client_secret_post")):
                with ExitStack() as ends:
                    client: Tried = kind(metadata, *shown, method)
                    ends.callback(client.close)
                    secrets += await _in_and_out(client, ada, served)
    assert len(secrets) == 1 + 6 * len(KINDS) * 2
    files = {path.name: path.read_bytes() for path in operator.folder.rglob("*") if path.is_file()}
    assert b"POST /token" in files["printed"]
    assert any(b"confidential" in content for name, content in files.items() if name.endswith(".db"))
    assert [(name, one) for name, content in files.items() for one in secrets if one.encode() in content] == []


async def _in_and_out(client: Tried, ada: Browser, url: str) -> list[str]:
    """Pending, slowed down, approved, refreshed, revoked: every secret that the client has seen."""
    user_code, page = await in_thread(client.ask)
    assert page == f"{url}/device"
    assert await refusal(client.poll) == "authorization_pending"
    assert await refusal(client.poll) == "slow_down"
    assert (await decide(ada, user_code, "approved")).url.path == "/device/approved"
    first = await in_thread(client.poll)
    second = await in_thread(lambda: client.refresh(first))
    assert await in_thread(lambda: client.status(f"{url}/api/v1/account", second)) == 200
    await in_thread(lambda: client.revoke(second))
    assert await in_thread(lambda: client.status(f"{url}/api/v1/account", second)) == 401
    assert await refusal(lambda: client.refresh(second)) == "invalid_grant"
    return [user_code, user_code.replace("-", ""), first.access, first.refresh, second.access, second.refresh]
