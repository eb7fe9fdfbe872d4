"""Kernels with the registry behind HTTP, in-process and on a port of the loopback."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx
from objectkernel import ObjectKernel
from objectkernel_contracts import IDENTITY, Credentials, Principal
from objectkernel_http import asgi_app, kernel_lifespan
from objectkernel_package_service.plugin import PackageServicePlugin
from objectkernel_system_dialect.plugin import SystemDialectPlugin

PATH = "/api/v1/packages"
INSTALLATIONS = "/api/v1/installations"
BOTH = frozenset({"packages:read", "packages:write"})
KNOWN = {
    "ada": Principal(account_id="ada", user_id="a", scopes=BOTH),
    "bob": Principal(account_id="bob", user_id="b", scopes=BOTH),
    "reader": Principal(account_id="ada", scopes={"packages:read"}),
    "writer": Principal(account_id="ada", scopes={"packages:write"}),
    "other": Principal(account_id="ada", scopes={"data:read"}),
    "operator": Principal(account_id="ops", scopes={"packages:read", "packages:install"}),
    "clerk": Principal(account_id="ada", scopes={"data:read", "data:write"}),
    "clerk of bob": Principal(account_id="bob", scopes={"data:read", "data:write"}),
    "owner of the host": Principal(account_id="ops", scopes={"data:read", "data:write", "data:tenants"}),
}
Client = Callable[..., "Http"]


class Http(httpx.AsyncClient):
    """A client whose paths begin with that of the packages."""

    def __init__(self, path: str, **options: Any) -> None:
        super().__init__(trust_env=False, **options)
        self._path = path

    async def request(self, method: str, url: Any, **options: Any) -> httpx.Response:
        return await super().request(method, f"{self._path}{url}", **options)


class Keys:
    """An identity that knows principals by their keys."""

    async def principal(self, credentials: Credentials) -> Principal | None:
        return KNOWN.get(credentials.bearer or "")

    def sign_in_url(self, return_to: str) -> str:
        return f"/sign-in?return_to={return_to}"


def make_kernel(*plugins: Any, environ: Mapping[str, str] | None = None, **settings: object) -> ObjectKernel:
    """A kernel with the registry in memory, or where `environ` says, with these settings of package-service."""
    told = {f"OBJECTKERNEL_PLUGINS__PACKAGE_SERVICE__{name.upper()}": str(value) for name, value in settings.items()}
    dialect = SystemDialectPlugin.in_memory() if environ is None else SystemDialectPlugin()
    kernel = ObjectKernel(
        plugins=[dialect, PackageServicePlugin(), *plugins], discover=False, environ={**(environ or {}), **told}
    )
    return kernel.provide(IDENTITY, Keys())


@asynccontextmanager
async def clients(kernel: ObjectKernel) -> AsyncIterator[Client]:
    """Clients by key of one host; without a key for the empty one."""
    app = asgi_app(kernel)
    made: list[Http] = []

    def client(key: str = "ada", path: str = PATH) -> Http:
        headers = {"Authorization": f"Bearer {key}", "Accept-Encoding": "identity"} if key else {}
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        made.append(Http(path, transport=transport, base_url="http://host.test", headers=headers))
        return made[-1]

    async with kernel_lifespan(kernel)(app):
        try:
            yield client
        finally:
            for one in made:
                await one.aclose()


def package(id: str = "crm", version: str = "1.0.0", objects: int = 1, **manifest: Any) -> dict[str, Any]:
    items = [{"name": f"object_{number}", "fields": {"name": {"type": "text"}}} for number in range(objects)]
    return {"manifest": {"id": id, "version": version, **manifest}, "metadata": {"objects": items}}


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
