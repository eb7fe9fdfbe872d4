"""Who gets what of the whole host: nobody without a credential, nobody without the scope, only the owner of a thing."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from objectkernel_contracts import SCOPES
from objectkernel_http.testing import OTHER, access_table, operators_scopes, undescribed

from tests.journeys.hosts import full_kernel
from tests.journeys.resources import found_at

pytestmark = pytest.mark.anyio

INSTALLATIONS = "/api/v1/installations"
FOR_OPERATORS = {
    *(("POST", f"/api/{change}") for change in ("change-dialect", "reload-config", "reconnect")),
    *((method, f"{INSTALLATIONS}{path}") for method in ("GET", "HEAD") for path in ("", "/x", "/x/preview")),
    ("PUT", f"{INSTALLATIONS}/x"),
    ("DELETE", f"{INSTALLATIONS}/x"),
    ("POST", f"{INSTALLATIONS}/x/upgrade"),
}


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


async def test_exactly_the_right_one_is_answered(tmp_path: Path) -> None:
    """Every route of every plugin, in the table that the application itself makes."""
    kernel = full_kernel(tmp_path)
    rows = await access_table(kernel, partial(found_at, kernel))
    wrong = [row for row in rows if not row.right]
    assert not wrong, "\n".join([f"{len(wrong)} rows are wrong", *map(str, wrong)])
    others = {row.path.rpartition("/")[0] for row in rows if row.account == OTHER}
    assert {"/api/v1/data/books", "/api/v1/packages", "/api/v1/account/members", "/api/v1/keys"} <= others


async def test_what_is_for_those_alone_who_run_the_host(tmp_path: Path) -> None:
    """Whoever has every scope that an account gives, as its owner does, is refused: these are all such routes."""
    kernel = full_kernel(tmp_path)
    owners = {one.name for one in kernel.contributions(SCOPES)} - operators_scopes(kernel)
    rows = [row for row in await access_table(kernel) if row.expected == 403 and row.shown and row.shown >= owners]
    assert {(row.method, row.path) for row in rows} == FOR_OPERATORS
    assert all(row.right for row in rows)


async def test_every_route_is_described(tmp_path: Path) -> None:
    """Each has a summary of its own, and examples of all that it takes and answers."""
    missing = await undescribed(full_kernel(tmp_path))
    assert not missing, "\n".join(missing)
