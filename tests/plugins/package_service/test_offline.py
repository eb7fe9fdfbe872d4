"""Commands that change tables while no kernel runs know those of installed packages."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing

import anyio
import attrs
import pytest
from click.testing import CliRunner
from objectkernel import ObjectKernel
from objectkernel.errors import KernelError
from objectkernel_package_service.plugin import PackageServicePlugin
from objectkernel_system_dialect.commands import schema
from objectkernel_system_dialect.plugin import SystemDialectPlugin

from tests.plugins.package_service.installing import booted, package

MANY = {"name": "team", "fields": {"accounts": {"type": "lookup", "reference": "account", "multiple": True}}}
TABLES = {"account", "team", "team__accounts"}


@attrs.frozen
class Context:
    """What the `objectkernel` program gives to commands, for a host on this file."""

    settings: dict[str, str]
    json: bool = True

    def kernel(self):
        return ObjectKernel(
            plugins=[SystemDialectPlugin, PackageServicePlugin], discover=False, environ=dict(self.settings)
        )


@pytest.fixture(params=["one", "two"])
def settings(request, tmp_path):
    """A host with one database, or with one for the system's data beside."""
    own = {"MOSTA_SYSTEM_DIALECT": "sqlite", "MOSTA_SYSTEM_URI": str(tmp_path / "system.db")}
    return {"SGBD_URI": str(tmp_path / "all.db"), **(own if request.param == "two" else {})}


@pytest.fixture
def call(settings):
    """Runs ``objectkernel schema``."""
    return lambda *arguments: CliRunner().invoke(schema, arguments, obj=Context(settings))


@pytest.fixture
def tables(tmp_path):
    def found():
        with closing(sqlite3.connect(tmp_path / "all.db")) as connection:
            return {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}

    return found


@pytest.fixture
def change(settings):
    """Runs something with the installations of a host."""

    def run(work):
        async def main():
            async with booted(**{"uri": settings["SGBD_URI"], **settings}) as (_, packages, installations):
                await work(packages, installations)

        anyio.run(main)

    return run


@pytest.fixture
def installed(change):
    """Two packages, one of which has a table of links to rows of the other."""

    async def work(packages, installations):
        await packages.publish(package("base", objects=["account"]))
        await packages.publish(package("teams", objects=[MANY], needs={"base": "*"}))
        await installations.install("teams")

    change(work)


def steps(result):
    return [step["text"] for plan in json.loads(result.stdout).values() for step in plan["steps"]]


def test_tables_of_installed_packages_are_not_dropped(installed, call, tables):
    """Nor planned to be, those of links included."""
    assert tables() >= TABLES
    planned = call("plan", "--destructive")
    assert (planned.exit_code, steps(planned)) == (0, [])
    assert call("apply", "--destructive").exit_code == 0
    assert tables() >= TABLES
    status = json.loads(call("status").stdout)
    assert not {one["collection"] for place in status.values() for one in place["tables"]} & TABLES


def test_what_an_uninstalled_package_left_is_dropped_when_asked(installed, change, call, tables):
    """Its rows are kept until somebody says that they may go."""

    async def work(packages, installations):
        await installations.uninstall("teams", "keep")

    change(work)
    assert call("apply").exit_code == 0
    assert tables() >= TABLES
    assert len(steps(call("plan", "--destructive"))) == 2
    assert call("apply", "--destructive").exit_code == 0
    assert tables() & TABLES == {"account"}


def test_where_packages_cannot_be_read_nothing_is_dropped(installed, settings, call, tables):
    """A damaged one refuses `--destructive`; what loses nothing is done all the same, and the plan says why."""
    with closing(sqlite3.connect(settings.get("MOSTA_SYSTEM_URI", settings["SGBD_URI"]))) as connection:
        connection.execute("UPDATE sys_installations SET content = '{}' WHERE id = 'base'")
        connection.commit()
    for command in ("plan", "apply"):
        refused = call(command, "--destructive")
        assert isinstance(refused.exception, KernelError)
        assert refused.exception.code == "P102"
    assert "P102" in call("plan").stderr
    assert call("apply").exit_code == 0
    assert tables() >= TABLES


def test_a_package_without_its_dependency_refuses_it_too(installed, settings, call, tables):
    """Without the other's objects it is not known which of its fields have a table of links."""
    with closing(sqlite3.connect(settings.get("MOSTA_SYSTEM_URI", settings["SGBD_URI"]))) as connection:
        connection.execute("DELETE FROM sys_installations WHERE id = 'base'")
        connection.commit()
    assert call("apply", "--destructive").exception.code == "P113"
    assert tables() >= TABLES


@pytest.mark.parametrize("is_there", [False, True], ids=["no file", "an empty database"])
def test_before_the_first_start_there_is_nothing_to_know(call, tmp_path, is_there):
    """Neither a file nor a table is needed."""
    for name in ("all.db", "system.db") if is_there else ():
        with closing(sqlite3.connect(tmp_path / name)) as connection:
            connection.execute("CREATE TABLE other (id INTEGER)")
    assert call("apply", "--destructive").exit_code == 0
