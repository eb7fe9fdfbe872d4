"""The flow over sockets, by many at once; and what a thief finds in a copy of the database and of the log."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

import httpx
import pytest
from objectkernel import ObjectKernel
from objectkernel_accounts.audit_plugin import AuditPlugin
from objectkernel_accounts.contracts import PEOPLE
from objectkernel_accounts.keyring_plugin import KeyringPlugin
from objectkernel_accounts.plugin import AccountsPlugin
from objectkernel_contracts import Principal
from objectkernel_device_auth.contracts import API_KEYS, CLIENTS, DEVICE_AUTH, Client
from objectkernel_device_auth.plugin import DeviceAuthPlugin
from objectkernel_system_dialect.plugin import SystemDialectPlugin

from tests.contrib.accounts.browsers import ADA
from tests.contrib.accounts.hosts import PASSWORD
from tests.contrib.http.sockets import Served, served
from tests.plugins.device_auth.flows import CLI, READ
from tests.plugins.device_auth.oauth_hosts import Atlas, redeeming

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


def host(folder: Path) -> ObjectKernel:
    environ = {
        "OBJECTKERNEL_DATA_DIR": str(folder),
        "MOSTA_SYSTEM_DIALECT": "sqlite",
        "MOSTA_SYSTEM_URI": str(folder / "system.db"),
    }
    plugins = [SystemDialectPlugin, KeyringPlugin, AccountsPlugin, AuditPlugin, Atlas, DeviceAuthPlugin]
    return ObjectKernel(plugins=plugins, discover=False, environ=environ)


async def ada(kernel: ObjectKernel) -> Principal:
    """The administrator, signed in."""
    made = await kernel.get(PEOPLE).create_admin(ADA, PASSWORD)
    return Principal(account_id=made.account.id, user_id=made.user.id, scopes=[READ], session_id="of-ada")


async def approved(kernel: ObjectKernel, http: httpx.AsyncClient, by: Principal, **form: str) -> dict[str, Any]:
    answer = await http.post("/device_authorization", data={"client_id": CLI, "scope": READ, **form})
    asked: dict[str, Any] = answer.json()
    flow = kernel.get(DEVICE_AUTH)
    found = await flow.claim(asked["user_code"], by)
    assert found is not None
    assert await flow.decide(found.id, "approved", by)
    return asked


async def posted(place: Served, path: str, form: dict[str, str]) -> httpx.Response:
    async with place.client() as http:
        return await http.post(path, data=form)


@pytest.mark.slow
async def test_item_13_fifty_redemptions_at_once_over_http(tmp_path: Path) -> None:
    """Each on a connection of its own: one is answered with a key."""
    kernel = host(tmp_path)
    async with served(kernel) as place, place.client() as http:
        asked = await approved(kernel, http, await ada(kernel))
        found = await asyncio.gather(*(posted(place, "/token", redeeming(asked)) for _ in range(50)))
        assert sorted(one.status_code for one in found) == [200, *[400] * 49]
        assert {one.json().get("error") for one in found} == {None, "invalid_grant"}
        (answer,) = [one.json() for one in found if one.status_code == 200]
        shown = {"Authorization": f"Bearer {answer['access_token']}"}
        assert (await http.get("/api/v1/account", headers=shown)).status_code == 200


async def test_item_31_sixteen_refreshes_at_once_over_http(tmp_path: Path) -> None:
    """All of them get the same tokens."""
    kernel = host(tmp_path)
    async with served(kernel) as place, place.client() as http:
        asked = await approved(kernel, http, await ada(kernel))
        token = (await http.post("/token", data=redeeming(asked))).json()["refresh_token"]
        form = {"grant_type": "refresh_token", "refresh_token": token, "client_id": CLI}
        found = await asyncio.gather(*(posted(place, "/token", form) for _ in range(16)))
        assert {one.status_code for one in found} == {200}
        assert len({(one.json()["access_token"], one.json()["refresh_token"]) for one in found}) == 1


async def test_item_26_a_copy_of_database_and_log_lets_nobody_in(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """No code, key, token or secret that was ever given is in any file beside the database, nor in what was logged."""
    caplog.set_level(logging.DEBUG)
    kernel = host(tmp_path)
    async with served(kernel) as place, place.client() as http:
        by = await ada(kernel)
        secrets = []
        pending = (await http.post("/device_authorization", data={"client_id": CLI})).json()
        claimed = (await http.post("/device_authorization", data={"client_id": CLI, "scope": READ})).json()
        assert await kernel.get(DEVICE_AUTH).claim(claimed["user_code"], by) is not None
        used = await approved(kernel, http, by)
        first = (await http.post("/token", data=redeeming(used))).json()
        form = {"grant_type": "refresh_token", "refresh_token": first["refresh_token"], "client_id": CLI}
        second = (await http.post("/token", data=form)).json()
        for asked in (pending, claimed, used):
            code = asked["user_code"]
            secrets += [asked["device_code"], code, code.replace("-", "")]
        secrets += [one[name] for one in (first, second) for name in ("access_token", "refresh_token")]
        for misplaced in (f"/token?device_code={used['device_code']}", f"/revoke?token={second['access_token']}"):
            assert (await http.post(misplaced)).status_code == 400
        _, secret = await kernel.get(CLIENTS).register(Client(id="server", name="Server", confidential=True))
        made = await kernel.get(API_KEYS).issue(by.account_id, "by hand", [READ])
        assert secret is not None
        secrets += [secret.reveal(), made.secret.reveal()]
        bodies = [one for one in secrets if one.startswith("ok_")]
        secrets += [one.split("_")[2][:30] for one in bodies]
        logged = "\n".join(one.getMessage() for one in caplog.records if not one.name.startswith(("httpx", "httpcore")))
        found = _where(tmp_path, secrets) + [one for one in secrets if one in logged]
        assert found == []
    assert _where(tmp_path, secrets) == []
    assert _where(tmp_path, [CLI]), "what is no secret is found"
    assert "/revoke" in logged


def _where(folder: Path, secrets: list[str]) -> list[str]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [f"{one} in {path}" for path in files for one in secrets if one.encode() in path.read_bytes()]
