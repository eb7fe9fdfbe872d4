"""Private packages of accounts that were deleted before there were seals."""

from __future__ import annotations

from contextlib import aclosing

import pytest
from objectkernel_package_service.belated_seals import SEALS
from objectkernel_package_service.table import CHANGE, SCHEMAS
from objectkernel_system_dialect.contracts import Repository
from objectkernel_system_dialect.mariadb_engine import MariadbEngine
from objectkernel_system_dialect.postgres_engine import PostgresEngine
from objectkernel_system_dialect.sql_dialect import SqlDialect
from objectkernel_system_dialect.sqlite_engine import SqliteEngine

from tests.plugins.package_service.databases import opened, package

pytestmark = pytest.mark.anyio

ENGINES = {"sqlite": SqliteEngine.open, "postgres": PostgresEngine.open, "mariadb": MariadbEngine.open}


@pytest.fixture
def anyio_backend():
    """Servers speak asyncio."""
    return "asyncio"


@pytest.fixture
async def unsealed(kind, url):
    """Packages whose account left, as the version before left them: with everything but the seal."""
    async with opened(kind, url) as place:
        registry, leave = place.registry, place.store.remover.leave
        await registry.publish(package("gone"), owner="ada", visibility="private")
        await registry.publish(package("open"), owner="ada")
        await registry.publish(package("hidden"), owner="ada")
        await registry.configure("hidden", visibility="private", owner="ada")
        await registry.publish(package("taken"), owner="ada", visibility="private", policy="immutable")
        await registry.publish(package("handed"), owner="bob", visibility="private")
        await leave("ada", None)
        await leave("bob", "eve")
        await _forget_seals(place.dialect)
        await registry.publish(package("taken", name="mine"), owner="eve", visibility="private")
        await leave("eve", None)
        await _forget_seals(place.dialect)
        await registry.publish(package("taken", "2.0.0"), owner="zoe")
        await registry.publish(package("kept"), owner="zoe", visibility="private")
        await registry.delete("kept", all_versions=True)
    return url


async def _forget_seals(dialect):
    await Repository(dialect, CHANGE).delete_many({"action": "seal"})


@pytest.fixture
async def sealed(kind, unsealed):
    """The registry after the start that runs the migration, and after another one, which finds nothing to do."""
    for _ in range(2):
        async with aclosing(SqlDialect(await ENGINES[kind](unsealed), migrations=(SEALS,))) as dialect:
            await dialect.register(*SCHEMAS)
    async with opened(kind, unsealed) as place:
        yield place


async def actions(registry, id, owner=None):
    page = await registry.history(id, owner=owner)
    return [(entry.number, entry.action, entry.by) for entry in reversed(page.items)]


async def test_what_was_private_is_sealed(sealed):
    """Also what became private later, and what was handed over first; who takes the id begins anew."""
    registry = sealed.registry
    assert await actions(registry, "gone") == [(1, "publish", "ada"), (2, "delete", None), (3, "seal", None)]
    assert [action for _, action, _ in await actions(registry, "hidden")] == ["publish", "configure", "delete", "seal"]
    assert [action for _, action, _ in await actions(registry, "handed")] == ["publish", "transfer", "delete", "seal"]
    await registry.publish(package("gone"), owner="zoe")
    assert await actions(registry, "gone", "zoe") == [(1, "publish", "zoe")]


async def test_what_somebody_took_meanwhile_is_sealed_where_it_changed_hands(sealed):
    """Each time; nothing of the history is lost to the host, and numbers go on without a gap."""
    assert await actions(sealed.registry, "taken") == [
        *((1, "publish", "ada"), (2, "delete", None), (3, "seal", None)),
        *((4, "publish", "eve"), (5, "delete", None), (6, "seal", None)),
        (7, "publish", "zoe"),
    ]
    assert await actions(sealed.registry, "taken", "zoe") == [(1, "publish", "zoe")]
    await sealed.registry.publish(package("taken", name="theirs"), owner="zoe")  # no old hash is in the way


async def test_what_was_public_or_has_its_owner_is_not_sealed(sealed):
    """Of a public package the history stays to be seen; what the host deleted belongs to its owner as before."""
    assert [action for _, action, _ in await actions(sealed.registry, "open")] == ["publish", "delete"]
    assert [action for _, action, _ in await actions(sealed.registry, "kept", "zoe")] == ["publish", "delete"]
