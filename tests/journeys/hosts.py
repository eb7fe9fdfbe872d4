"""A host of every plugin that is installed, with a library's data, for journeys across all of their routes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from anyio.from_thread import start_blocking_portal
from objectkernel import ObjectKernel
from objectkernel_contracts import IDENTITY, Credentials, Principal
from objectkernel_http.testing import ScopeTokens, token

from tests.contrib.http.sockets import served
from tests.journeys.library import Library

METHODS = ("get", "put", "post", "delete", "patch")


class KnownTokens(ScopeTokens):
    """Knows only tokens that say whose they are, as `token` makes them."""

    async def principal(self, credentials: Credentials) -> Principal | None:
        known = (credentials.bearer or "").startswith("account=")
        return await super().principal(credentials) if known else None


def full_kernel(folder: Path) -> ObjectKernel:
    """A kernel of all that is found, whose data lies in a folder; whoever asks shows a token of `KnownTokens`."""
    kernel = ObjectKernel(plugins=[Library], config={}, environ={"OBJECTKERNEL_DATA_DIR": str(folder)})
    return kernel.provide(IDENTITY, KnownTokens())


@contextmanager
def full_host(folder: Path) -> Iterator[str]:
    """The address where that kernel is served, in a thread of its own, without limits on how often one may ask."""
    unlimited = {"key_rate": 0, "account_rate": 0}
    with (
        start_blocking_portal("asyncio") as portal,
        portal.wrap_async_context_manager(served(full_kernel(folder), **unlimited)) as host,
    ):
        yield host.url


def document_of(url: str) -> dict[str, Any]:
    """The OpenAPI document of a host."""
    found: dict[str, Any] = httpx.get(f"{url}/openapi.json", trust_env=False).raise_for_status().json()
    return found


def operations_of(document: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Method, path and description of every operation."""
    for path, methods in document["paths"].items():
        for method in METHODS:
            if method in methods:
                yield method.upper(), path, methods[method]


def scopes_of(document: Mapping[str, Any]) -> frozenset[str]:
    """Every scope that an operation asks for, but for those of one thing alone."""
    required = [one for *_, told in operations_of(document) for one in told.get("security", ())]
    names = {name for one in required for scopes in one.values() for name in scopes}
    return frozenset(name for name in names if "{" not in name)


def token_for_all(document: Mapping[str, Any], account: str = "tester") -> str:
    """A token with every scope."""
    return token(*scopes_of(document), account=account)
