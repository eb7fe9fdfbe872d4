"""Hosts with projects, for tests of what stands around them: routes, handlers, commands."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import httpx
from objectkernel import ObjectKernel
from objectkernel_accounts.audit_plugin import AuditPlugin
from objectkernel_contracts import IDENTITY, Credentials, Principal
from objectkernel_http import asgi_app, kernel_lifespan
from objectkernel_http.testing import ScopeTokens, token
from objectkernel_project_life.contracts import PROJECTS, Projects
from objectkernel_project_life.plugin import ProjectLifePlugin
from objectkernel_system_dialect.plugin import SystemDialectPlugin

KEY = "a3VzdG9tLWtleS1mb3ItdGVzdHMtMDEyMzQ1Njc4OTA"
ALL = ("projects:read", "projects:write", "data:read", "data:write")
CUSTOMER: dict[str, Any] = {
    "name": "Customer",
    "collection": "customers",
    "fields": {"name": {"type": "string", "required": True}},
}
PATH = "/api/projects"


class Keys(ScopeTokens):
    """Knows tokens as keys of their accounts."""

    async def principal(self, credentials: Credentials) -> Principal | None:
        found = await super().principal(credentials)
        return found and attrs.evolve(found, key_id=f"{found.account_id}'s key")


def project_kernel(folder: Path, **settings: Any) -> ObjectKernel:
    """A kernel whose data lies in a folder; a key for URIs is there unless the settings say otherwise."""
    return ObjectKernel(
        plugins=[SystemDialectPlugin, AuditPlugin, ProjectLifePlugin],
        discover=False,
        config={"plugins": {"project-life": {"encryption_key": KEY, "pause_deadline": 2.0, **settings}}},
        environ={"OBJECTKERNEL_DATA_DIR": str(folder)},
    )


@attrs.frozen
class Host:
    """A served host, whose people show tokens with their account and scopes."""

    kernel: ObjectKernel
    app: Any

    @property
    def projects(self) -> Projects:
        return self.kernel.get(PROJECTS)

    def client(self, account: str = "ada", scopes: tuple[str, ...] = ALL) -> httpx.AsyncClient:
        """Somebody of an account."""
        headers = {"Authorization": f"Bearer {token(*scopes, account=account)}"}
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        return httpx.AsyncClient(transport=transport, base_url="https://host.test", headers=headers)


@asynccontextmanager
async def hosted(folder: Path, **settings: Any) -> AsyncIterator[Host]:
    """A host with its routes."""
    kernel = project_kernel(folder, **settings).provide(IDENTITY, Keys())
    app = asgi_app(kernel)
    async with kernel_lifespan(kernel)(app):
        yield Host(kernel, app)
