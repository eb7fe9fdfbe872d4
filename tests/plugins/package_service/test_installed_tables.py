"""A package has the tables that it has made, and no others: on every database."""

from __future__ import annotations

import pytest
from objectkernel import Plugin, contributes
from objectkernel_package_service import catalogue
from objectkernel_package_service.catalogue import present
from objectkernel_package_service.install_contracts import InstallationsChanged, InstallRefused
from objectkernel_package_service.installed_tables import INSTALLED_TABLE
from objectkernel_system_dialect.contracts import (
    BUSINESS_SCHEMAS,
    DIALECT,
    SCHEMAS,
    SYSTEM_DIALECT,
    EntitySchema,
    Field,
)

from tests.plugins.package_service.databases import KINDS
from tests.plugins.package_service.installing import Recorder, booted, package

pytestmark = pytest.mark.anyio

ORDER = EntitySchema(name="Order", collection="orders", fields={"total": Field("integer")})
TEAMS = {"name": "team", "fields": {"accounts": {"type": "lookup", "reference": "account", "multiple": True}}}
SHARED = {"name": "account", "tenancy": {"enabled": False}, "fields": {"name": {"type": "text", "maxLength": 40}}}


class Host(Plugin):
    """Has a table of its own."""

    name = "host"

    @contributes(BUSINESS_SCHEMAS, uses=())
    def order(self):
        return ORDER


@pytest.fixture
def anyio_backend():
    """The servers' drivers know one event loop."""
    return "asyncio"


@pytest.fixture(params=KINDS)
def uri(request, tmp_path):
    return tmp_path / "all.db" if request.param == "sqlite" else request.getfixturevalue(f"{request.param}_url")


async def tables(kernel):
    """The tables of the objects here that are in the business data."""
    return await present(kernel.get(DIALECT), ["account", "team", "team__accounts", "old", "note", "orders"])


async def noted(kernel):
    """What is remembered of tables: for which package each is, and whether it was made."""
    rows = await kernel.get(SYSTEM_DIALECT).find(INSTALLED_TABLE)
    return {row["collection"]: (row["package"], row["made"]) for row in rows}


async def test_a_table_that_no_package_has_made_is_left_alone(uri):
    """A package with an object of its name is refused, beforehand too; its columns and rows stay as they are."""
    async with booted(uri, more=[Host]) as (kernel, _, _):
        await kernel.get(DIALECT).create(ORDER, {"total": 7})
    async with booted(uri) as (kernel, packages, installations):
        await packages.publish(package("shop", objects=["orders", "account"]))
        for attempt in (installations.preview, installations.install):
            with pytest.raises(InstallRefused) as caught:
                await attempt("shop")
            (problem,) = caught.value.problems
            assert (caught.value.code, problem.path) == ("P110", "shop: orders")
            assert "no package has made it: rename it" in problem.what
        assert (installations.installed(), await noted(kernel), await tables(kernel)) == ((), {}, {"orders"})
    async with booted(uri, more=[Host]) as (kernel, _, _):
        (row,) = await kernel.get(DIALECT).find(ORDER)
        assert row["total"] == 7
        assert set(row) == {"id", "total"}


async def test_kept_data_is_taken_up_by_the_package_that_left_it(uri):
    """By no other: that is told whose it is. Once it is removed the name is free."""
    async with booted(uri) as (kernel, packages, installations):
        dialect, schemas = kernel.get(DIALECT), kernel.get(SCHEMAS)
        for id in ("one", "two"):
            await packages.publish(package(id, objects=[SHARED]))
        await installations.install("one")
        with pytest.raises(InstallRefused) as caught:
            await installations.install("two")
        assert "one" in caught.value.problems[0].what
        await dialect.create(schemas.get_schema("account"), {"name": "kept"})
        await installations.uninstall("one", "keep")
        with pytest.raises(InstallRefused) as caught:
            await installations.install("two")
        (problem,) = caught.value.problems
        assert (problem.path, "made for one" in problem.what) == ("two: account", True)
        assert await noted(kernel) == {"account": ("one", True)}
    async with booted(uri) as (kernel, _, installations):
        await installations.install("one")
        assert await kernel.get(DIALECT).count(kernel.get(SCHEMAS).get_schema("account")) == 1
        await installations.uninstall("one", "remove")
        assert (await tables(kernel), await noted(kernel)) == (set(), {})
        await installations.install("two")
        assert await kernel.get(DIALECT).count(kernel.get(SCHEMAS).get_schema("account")) == 0
        assert await noted(kernel) == {"account": ("two", True)}


async def test_all_tables_that_a_package_has_made_are_removed(uri):
    """Those of links too, and those that an older version had; what lies beside them stays."""
    async with booted(uri, more=[Host]) as (kernel, packages, installations):
        await packages.publish(package("base", objects=["account", TEAMS, "old"]))
        await packages.publish(package("base", "2.0.0", objects=["account"]))
        await packages.publish(package("other", objects=["note"]))
        for id, version in (("base", "1.0.0"), ("other", "1.0.0"), ("base", "2.0.0")):
            await installations.install(id, version)
        assert await tables(kernel) == {"account", "team", "team__accounts", "old", "note", "orders"}
        await installations.uninstall("base", "remove")
        assert await tables(kernel) == {"note", "orders"}
        assert await noted(kernel) == {"note": ("other", True)}


async def test_an_installation_that_failed_leaves_nothing_noted(uri):
    """Neither tables nor whose they are."""
    recorder = Recorder()
    recorder.failing.add(("apply", "base", "views"))
    async with booted(uri, recorder) as (kernel, packages, installations):
        await packages.publish(package("base", objects=["account"], views=["x"]))
        with pytest.raises(InstallRefused):
            await installations.install("base")
        assert (await tables(kernel), await noted(kernel)) == (set(), {})


async def test_whoever_dies_while_making_tables_leaves_them_to_the_next(uri):
    """They were noted before; what was noted and never made is forgotten by the next start."""
    async with booted(uri) as (kernel, packages, installations):
        await packages.publish(package("base", objects=["account"]))
        await installations.install("base")
        await installations.uninstall("base", "keep")
        system = kernel.get(SYSTEM_DIALECT)
        await system.update(INSTALLED_TABLE, "account", {"made": False})
        await system.create(INSTALLED_TABLE, {"collection": "ghost", "package": "base", "made": False})
    async with booted(uri) as (kernel, _, installations):
        assert await noted(kernel) == {"account": ("base", False)}
        await installations.install("base")
        assert await noted(kernel) == {"account": ("base", True)}


async def test_what_an_older_version_installed_keeps_its_tables(uri):
    """Nothing was noted then; the next start does it."""
    async with booted(uri) as (kernel, packages, installations):
        await packages.publish(package("base", objects=["account", TEAMS]))
        await installations.install("base")
        await kernel.get(SYSTEM_DIALECT).delete_many(INSTALLED_TABLE, {}, all=True)
    async with booted(uri) as (kernel, _, installations):
        assert set(await noted(kernel)) == {"account", "team", "team__accounts"}
        await installations.uninstall("base", "remove")
        assert (await tables(kernel), await noted(kernel)) == (set(), {})


async def test_of_two_hosts_that_install_one_package_the_slower_leaves_the_tables(uri):
    """It has made them and undoes its part; the other has them in use by then."""
    recorder = Recorder()
    async with booted(uri, recorder) as (_, packages, one), booted(uri) as (kernel, _, other):
        await packages.publish(package("base", objects=[SHARED], views=["x"]))
        applied = recorder.apply

        async def apply(*arguments):
            recorder.apply = applied
            await other.install("base")

        recorder.apply = apply
        with pytest.raises(InstallationsChanged):
            await one.install("base")
        account = kernel.get(SCHEMAS).get_schema("account")
        await kernel.get(DIALECT).create(account, {"name": "a"})
        assert await kernel.get(DIALECT).count(account) == 1
        assert await noted(kernel) == {"account": ("base", True)}
        assert await one.refresh() is True
        assert [package.id for package in one.installed()] == ["base"]


async def test_a_database_that_tells_its_tables_otherwise_is_asked_for_each(uri, monkeypatch):
    """What can be read is there."""
    async with booted(uri, more=[Host]) as (kernel, _, _):
        dialect, names = kernel.get(DIALECT), ["orders", "account", "it's"]
        assert await present(dialect, names) == {"orders"}
        monkeypatch.setattr(catalogue, "_query", lambda _: None)
        assert await present(dialect, names) == {"orders"}
