"""All routes of accounts together: who may use them, and what the document says of them."""

from __future__ import annotations

import pytest
from objectkernel import ObjectKernel
from objectkernel_accounts.keyring_plugin import KeyringPlugin
from objectkernel_accounts.plugin import AccountsPlugin
from objectkernel_http.testing import access_table, undescribed
from objectkernel_system_dialect.plugin import SystemDialectPlugin

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


def host() -> ObjectKernel:
    plugins = [SystemDialectPlugin.in_memory(), KeyringPlugin.in_memory(), AccountsPlugin]
    return ObjectKernel(plugins=plugins, discover=False, environ={})


async def test_who_may_use_them() -> None:
    """Exactly those are let in who have the scope; the pages let everybody in and look for themselves."""
    rows = await access_table(host())
    assert all(row.right for row in rows)
    closed = {row.path for row in rows if row.shown is not None}
    assert {path for path in closed if path.startswith("/api/v1/account")}
    assert not {path for path in closed if path.startswith(("/account", "/sign", "/reset", "/invitation"))}


async def test_every_route_is_described() -> None:
    """Each route has a summary, and examples of what it takes and answers."""
    assert await undescribed(host()) == ()
