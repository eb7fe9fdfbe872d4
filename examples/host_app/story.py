"""The whole story of all plugins, told over HTTP by somebody who has just signed in."""

from __future__ import annotations

import os
import re
import secrets
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import httpx
from fastapi import FastAPI
from objectkernel import ObjectKernel
from objectkernel_accounts.contracts import PEOPLE
from objectkernel_http import asgi_app, kernel_lifespan

ADDRESS = "http://127.0.0.1"
SILENCE = (
    b"RIFF\x24\x03\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00"
    + bytes.fromhex("401f0000401f0000010008006461746100030000")
    + b"\x80" * 768
)
"""A tenth of a second of nothing, as a WAV file of 8,000 samples a second."""


def tell(make_kernel: Callable[[], ObjectKernel], packages: Path) -> None:
    """Run the story in a fresh data folder, which is removed behind it."""
    with tempfile.TemporaryDirectory(prefix="objectkernel-demo-") as folder:
        os.environ["OBJECTKERNEL_DATA_DIR"] = folder
        anyio.run(_tell, make_kernel(), packages, Path(folder))


async def _tell(kernel: ObjectKernel, packages: Path, folder: Path) -> None:
    app = asgi_app(kernel)
    async with kernel_lifespan(kernel)(app):
        _step("boot", f"{len(kernel.timeline.entries)} parts up in {kernel.timeline.total * 1000:.0f} ms")
        password = secrets.token_urlsafe(12)
        admin = await kernel.get(PEOPLE).create_admin("demo", password, account="Demo")
        _step("account", f"{admin.account.name!r}, owned by {admin.user.login!r}, who runs the host")
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url=ADDRESS, headers={"Sec-Fetch-Site": "same-origin"}
        ) as client:
            await _sign_in(client, password)
            await _publish(client, packages)
            await _install(client)
            await _store(client)
            await _switch(client, folder)
            await _project(client)
            await _record(client)
            await _let_in(client, app)
            await _look_back(client)


async def _sign_in(client: httpx.AsyncClient, password: str) -> None:
    refused = await client.get("/api/v1/account")
    answer = await _send(client, "/sign-in", login="demo", password=password)
    me = _good(await client.get("/api/v1/account")).json()
    _step(
        "sign in",
        f"{refused.status_code} before, {answer.status_code}, then {me['role']} with {len(me['scopes'])} scopes",
    )


async def _publish(client: httpx.AsyncClient, packages: Path) -> None:
    for file in sorted(packages.glob("*.json")):
        published = _good(
            await client.post(
                "/api/v1/packages", content=file.read_bytes(), headers={"Content-Type": "application/json"}
            )
        ).json()
        _step("publish", f"{published['id']}@{published['version']} {published['hash'][:16]}")
    first = _good(await client.get("/api/v1/packages/acme.crm/%5E1.0.0"))
    again = await client.get("/api/v1/packages/acme.crm/1.2.0", headers={"If-None-Match": first.headers["ETag"]})
    _step("resolve", f"acme.crm@^1.0.0 is {len(first.content)} bytes; asked again with their hash: {again.status_code}")


async def _install(client: httpx.AsyncClient) -> None:
    answer = _good(await client.put("/api/v1/installations/acme.crm")).json()
    for installed in answer["items"]:
        _step("install", f"{installed['id']}@{installed['version']}: {', '.join(installed['entities'])}")


async def _store(client: httpx.AsyncClient) -> None:
    served = _good(await client.get("/api/v1/data")).json()
    name = next(name for name in served["entities"] if name.endswith("account"))
    own = _good(await client.get("/api/v1/account")).json()["account"]["id"]
    whose = {"Data-Tenant": own}  # who runs the host sees the rows of all accounts, and says for which one a new row is
    row = _good(await client.post(f"/api/v1/data/{name}", json={"name": "Ada"}, headers=whose)).json()
    found = _good(await client.get(f"/api/v1/data/{name}/{row['id']}"))
    _step("store", f"a row of {name}, read back with the tag {found.headers['ETag']}")


async def _switch(client: httpx.AsyncClient, folder: Path) -> None:
    uri = str(folder / "elsewhere.db")
    _good(await client.post("/api/change-dialect", json={"dialect": "sqlite", "uri": uri}))
    kept = _good(await client.get("/api/v1/packages")).json()["items"]
    _step("switch", f"the business data goes to another database; the system's stays: {len(kept)} packages")


async def _project(client: httpx.AsyncClient) -> None:
    """A customer's project has a database of its own; while it is paused nobody reaches that."""
    member = {"name": "Member", "collection": "members", "fields": {"name": {"type": "string", "required": True}}}
    config = {"name": "Chess club", "slug": "chess-club", "schemas": [member]}
    project = _good(await client.post("/api/projects", json=config)).json()
    members = f"/api/v1/projects/{project['id']}/data/members"
    _good(await client.post(members, json={"name": "Grace"}))
    states = [project["status"]]
    for act in ("pause", "resume"):
        states.append(_good(await client.post(f"/api/projects/{project['id']}/{act}")).json()["status"])
        answer = await client.get(members)
        states[-1] += f" ({answer.status_code})"
    _step("project", f"{project['slug']!r} at {project['uri']}: {', '.join(states)}, {len(answer.json()['rows'])} row")


async def _record(client: httpx.AsyncClient) -> None:
    """A recording is sent, and had again by a link that needs no credential."""
    takes = {"Content-Type": "audio/wav"}
    sent = _good(await client.post("/api/media/recordings", content=SILENCE, headers=takes)).json()
    part = _good(await client.get(sent["signedUrl"], headers={"Range": "bytes=0-3"}))
    _step("record", f"{sent['row']['mimeType']}, {sent['row']['sizeBytes']} bytes; by its link {part.content!r}")


async def _let_in(browser: httpx.AsyncClient, app: FastAPI) -> None:
    """A program without a key shows a code; whoever has signed in types it, and approves."""
    asking = {"client_id": "objectkernel-cli", "scope": "packages:read"}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=ADDRESS) as device:
        asked = _good(await device.post("/device_authorization", data=asking)).json()
        page = await _send(browser, "/device", user_code=asked["user_code"])
        await _send(browser, page.headers["location"], decision="approved")
        polling = {"grant_type": "urn:ietf:params:oauth:grant-type:device_code", "device_code": asked["device_code"]}
        told = _good(await device.post("/token", data=asking | polling)).json()
        key = {"Authorization": f"Bearer {told['access_token']}"}
        seen = _good(await device.get("/api/v1/packages", headers=key)).json()["items"]
    _step("device", f"let in with the code {asked['user_code']}: its key reads {len(seen)} packages")


async def _send(browser: httpx.AsyncClient, path: str, **fields: str) -> httpx.Response:
    """Fill the form of a page and send it."""
    token = re.search(r'name="csrf" value="([^"]+)"', _good(await browser.get(path)).text)
    assert token is not None
    return _good(await browser.post(path, data={"csrf": token[1], **fields}))


async def _look_back(client: httpx.AsyncClient) -> None:
    entries = _good(await client.get("/api/v1/audit")).json()["entries"]
    _step("audit", f"{len(entries)} entries: {', '.join(sorted({entry['action'] for entry in entries}))}")


def _good(answer: httpx.Response) -> httpx.Response:
    if answer.status_code >= 400:
        raise RuntimeError(f"{answer.request.method} {answer.request.url.path}: {answer.status_code} {answer.text}")
    return answer


def _step(what: str, told: Any) -> None:
    print(f"{what:<10}{told}")
