"""Packages come into use and go out of it while the kernel runs: all of a change, or nothing."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing

import attrs
import pytest
from objectkernel import Plugin, contributes, provides
from objectkernel_contracts import AUDIT, Principal
from objectkernel_package_service.contracts import Problem
from objectkernel_package_service.install_contracts import (
    InstallationNeeded,
    InstallationsChanged,
    InstallRefused,
    PackageNotInstalled,
)
from objectkernel_system_dialect.contracts import (
    BUSINESS_SCHEMAS,
    DIALECT,
    SCHEMAS,
    SYSTEM_SCHEMAS,
    EntitySchema,
    Field,
)

from tests.plugins.package_service.installing import Recorder, booted, package

pytestmark = pytest.mark.anyio


@pytest.fixture
def file(tmp_path):
    return tmp_path / "all.db"


def ids(installed):
    return [f"{one.id}@{one.version}" for one in installed]


def tables(file):
    with closing(sqlite3.connect(file)) as connection:
        return {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


async def publish(packages, *several):
    for one in several:
        await packages.publish(one)


LEADING = {"name": "deal", "fields": {"account": {"type": "lookup", "reference": "account", "required": True}}}


async def test_a_package_is_installed_with_what_it_depends_on(file):
    """Dependencies come first; relations lead across packages; all of it is in use at once."""
    recorder = Recorder()
    async with booted(file, recorder) as (kernel, packages, installations):
        await publish(
            packages,
            package("base", objects=["account"], views=["accounts"]),
            package("sales", objects=[LEADING], needs={"base": "^1.0.0"}, translations=["de"]),
        )
        assert ids(await installations.install("sales")) == ["base@1.0.0", "sales@1.0.0"]
        assert recorder.told == [("apply", "base@1.0.0", "views"), ("apply", "sales@1.0.0", "translations")]
        assert [one.entities for one in installations.installed()] == [("account",), ("deal",)]
        dialect, schemas = kernel.get(DIALECT).as_tenant("acme"), kernel.get(SCHEMAS)
        account = await dialect.create(schemas.get_schema("account"), {"name": "a"})
        deal = await dialect.create(schemas.get_schema("deal"), {"account": account["id"]})
        assert (await dialect.find_by_id(schemas.get_schema("deal"), deal["id"]))["account"] == account["id"]
        assert await installations.install("sales") == ()


async def test_a_start_takes_up_everything_that_was_installed(file):
    """With all its metadata, in dependency order, whatever has become of it in the registry."""
    async with booted(file) as (_, packages, installations):
        await publish(
            packages,
            package("base", objects=["account"], views=["accounts"]),
            package("a-sales", objects=[LEADING], needs={"base": "^1.0.0"}, flows=["approve"]),
        )
        await installations.install("a-sales")
        before = installations.installed()
        await packages.delete("a-sales", all_versions=True)
        await packages.publish(package("base", objects=["other"]))
    recorder = Recorder()
    async with booted(file, recorder) as (kernel, _, installations):
        assert [attrs.asdict(one) for one in installations.installed()] == [attrs.asdict(one) for one in before]
        assert installations.get("a-sales").metadata["flows"] == [{"name": "approve"}]
        assert recorder.told == [("apply", "base@1.0.0", "views")]
        assert {"account", "deal"} <= set(kernel.get(SCHEMAS).get_entity_names())
        assert kernel.findings() == () or all("P1" not in one.code for one in kernel.findings())


async def test_a_start_reads_each_package_once(file, monkeypatch):
    """However many there are: what one has is not looked for in the text of each other."""
    async with booted(file) as (_, packages, installations):
        for number in range(5):
            await packages.publish(package(f"p{number}", objects=[f"o{number}"]))
            await installations.install(f"p{number}")
    read = []
    loads = json.loads
    monkeypatch.setattr(json, "loads", lambda text, **more: (read.append(text), loads(text, **more))[1])
    async with booted(file) as (_, _, installations):
        assert len(installations.installed()) == 5
        contents = [one.content for one in installations.installed()]
    assert [read.count(content) for content in contents] == [2] * 5  # once to see whose bytes they are


async def test_an_upgrade_puts_a_version_in_the_place_of_another(file):
    """Tables grow, rows stay, consumers are told of what is new and of what is gone."""
    recorder = Recorder()
    async with booted(file, recorder) as (kernel, packages, installations):
        await publish(packages, package("base", objects=["account"], views=["old"], translations=["de"]))
        (first,) = await installations.install("base")
        dialect, schemas = kernel.get(DIALECT).as_tenant("acme"), kernel.get(SCHEMAS)
        await dialect.create(schemas.get_schema("account"), {"name": "kept"})
        wider = {"name": "account", "fields": {"name": {"type": "text", "maxLength": 80}, "age": {"type": "number"}}}
        await publish(packages, package("base", "1.1.0", objects=[wider, "extra"], views=["new"]))
        (second,) = await installations.upgrade("base")
        assert (second.version, second.installed_at) == ("1.1.0", first.installed_at)
        assert recorder.there == {("base", "views"): ["new"]}
        account = schemas.get_schema("account")
        (row,) = await dialect.find(account)
        assert (row["name"], row["age"]) == ("kept", None)
        assert (await dialect.update(account, row["id"], {"age": 1.5}))["age"] == 1.5
        assert ids(await installations.install("base", "1.0.0")) == ["base@1.0.0"]
        assert "extra" not in schemas.get_entity_names()


async def test_a_dependency_moves_only_where_it_has_to(file):
    """What is installed stays if it will do; otherwise the highest version comes that suits everybody."""
    async with booted(file) as (_, packages, installations):
        await publish(
            packages,
            package("base", "1.0.0"),
            package("base", "1.4.0"),
            package("base", "2.0.0"),
            package("one", needs={"base": ">=1.0.0"}),
            package("two", needs={"base": "^1.2.0"}),
            package("three", needs={"base": "^2.0.0"}),
        )
        await installations.install("base", "1.0.0")
        assert ids(await installations.install("one")) == ["one@1.0.0"]
        assert ids(await installations.preview("two")) == ["base@1.4.0", "two@1.0.0"]
        assert ids(await installations.install("two")) == ["base@1.4.0", "two@1.0.0"]
        with pytest.raises(InstallRefused) as caught:
            await installations.install("three")
        (problem,) = caught.value.problems
        assert (problem.path, problem.what) == (
            'two: $.manifest.dependencies["base"]',
            "two@1.0.0 needs ^1.2.0, and base 2.0.0 is to be installed: "
            "one@1.0.0 needs >=1.0.0, three@1.0.0 needs ^2.0.0",
        )
        with pytest.raises(InstallRefused) as caught:
            await installations.upgrade("base", "2.0.0")
        assert [one.path for one in caught.value.problems] == ['two: $.manifest.dependencies["base"]']
        assert ids(installations.installed()) == ["base@1.4.0", "one@1.0.0", "two@1.0.0"]


async def test_everything_in_the_way_is_told_at_once(file):
    """Missing packages, an engine that is not this one; the problems name who wants what."""
    async with booted(file) as (_, packages, installations):
        wanting = package("app", needs={"gone": "^1.0.0", "lost": "2.x"})
        wanting["manifest"]["engine"] = ">=99"
        await packages.publish(wanting)
        with pytest.raises(InstallRefused) as caught:
            await installations.install("app")
        assert [one.path for one in caught.value.problems] == ["gone", "lost", "app: $.manifest.engine"]
        with pytest.raises(InstallRefused, match=r"no version 3\.0\.0 is published"):
            await installations.install("app", "3.0.0")
        with pytest.raises(InstallRefused) as caught:
            await installations.install("aap")
        assert [str(one) for one in caught.value.problems] == ["aap: no package is called that; 'app' was meant?"]


async def test_a_ring_of_dependencies_is_told(file):
    """Packages that need each other have no order; the ring is named once."""
    async with booted(file) as (_, packages, installations):
        await publish(
            packages, *(package(one, needs={other: "*"}) for one, other in (("a", "b"), ("b", "c"), ("c", "a")))
        )
        with pytest.raises(InstallRefused) as caught:
            await installations.install("b")
        (problem,) = caught.value.problems
        assert problem.what == "depends on itself: a -> b -> c -> a"


async def test_names_are_nobody_elses(file):
    """An object of another package, or an entity of the host's own, keeps its name."""

    class Host(Plugin):
        name = "host"

        @contributes(BUSINESS_SCHEMAS, uses=())
        def order(self):
            return EntitySchema(name="Order", collection="orders", fields={"total": Field("integer")})

    async with booted(file, more=[Host]) as (kernel, packages, installations):
        await publish(packages, package("one", objects=["account"]), package("two", objects=["Account", "orders"]))
        await installations.install("one")
        with pytest.raises(InstallRefused) as caught:
            await installations.install("two")
        assert [(one.path, one.what) for one in caught.value.problems] == [
            ("two: Account", "the package one has an entity of that name"),
            ("two: orders", "this host has an entity of that name"),
        ]
        await publish(packages, package("first", objects=["account"]))
        with pytest.raises(InstallRefused) as caught:
            await installations.install("first")  # which stands before it in the alphabet
        assert [str(one) for one in caught.value.problems] == [
            "first: account: the package one has an entity of that name"
        ]
        assert await kernel.get(DIALECT).count(kernel.get(SCHEMAS).get_schema("Order")) == 0


async def test_a_consumer_may_be_against_it_beforehand(file):
    """Its problems refuse the installation with their places, before anything is made."""
    recorder = Recorder()
    async with booted(file, recorder) as (_, packages, installations):
        await publish(packages, package("base", objects=["account"], views=["x"]))
        recorder.against["base", "views"] = [Problem("$.metadata.views[0]", "of an unknown type")]
        for attempt in (installations.preview, installations.install):
            with pytest.raises(InstallRefused) as caught:
                await attempt("base")
            assert [one.path for one in caught.value.problems] == ["base: $.metadata.views[0]"]
        assert (recorder.told, installations.installed()) == ([], ())
    assert "account" not in tables(file)


async def test_a_consumer_that_fails_undoes_all_of_it(file):
    """Tables that were not there are gone again, the other consumers' part is taken back, nothing is installed."""
    recorder = Recorder()
    async with booted(file, recorder) as (kernel, packages, installations):
        await publish(
            packages,
            package("base", objects=["account"], views=["x"]),
            package("sales", objects=[LEADING], needs={"base": "*"}, views=["y"]),
        )
        recorder.failing.add(("apply", "sales", "views"))
        with pytest.raises(InstallRefused, match="no room for it"):
            await installations.install("sales")
        assert (installations.installed(), recorder.there) == ((), {})
        assert not {"account", "deal"} & tables(file)
        assert "account" not in kernel.get(SCHEMAS).get_entity_names()
        recorder.failing.clear()
        assert ids(await installations.install("sales")) == ["base@1.0.0", "sales@1.0.0"]


async def test_a_failed_upgrade_leaves_the_version_that_was_there(file):
    """Its entities, its consumers' state and its rows are as before."""
    recorder = Recorder()
    async with booted(file, recorder) as (kernel, packages, installations):
        await publish(packages, package("base", objects=["account"], translations=["de"], views=["x"]))
        await installations.install("base")
        schemas, dialect = kernel.get(SCHEMAS), kernel.get(DIALECT).as_tenant("acme")
        account = schemas.get_schema("account")
        await dialect.create(account, {"name": "kept"})
        await publish(packages, package("base", "2.0.0", objects=["other"], translations=["fr"], views=["y"]))
        recorder.failing.add(("apply", "base", "views"))
        with pytest.raises(InstallRefused):
            await installations.upgrade("base")
        assert ids(installations.installed()) == ["base@1.0.0"]
        assert recorder.there == {("base", "translations"): ["de"], ("base", "views"): ["x"]}
        assert await dialect.count(account) == 1
        assert not schemas.has_schema("other")


async def test_uninstalling_keeps_the_data_or_removes_it(file):
    """Kept rows are found again by the next installation; removed ones are gone with their tables. No restart."""
    recorder = Recorder()
    async with booted(file, recorder) as (kernel, packages, installations):
        await publish(packages, package("base", objects=["account"], views=["x"]))
        await installations.install("base")
        schemas, dialect = kernel.get(SCHEMAS), kernel.get(DIALECT).as_tenant("acme")
        await dialect.create(schemas.get_schema("account"), {"name": "kept"})
        await installations.uninstall("base")
        assert (installations.installed(), recorder.there) == ((), {})
        assert not schemas.has_schema("account")
        await installations.install("base")
        assert await dialect.count(schemas.get_schema("account")) == 1
        await installations.uninstall("base", "remove")
        assert "account" not in tables(file)
        with pytest.raises(PackageNotInstalled):
            await installations.uninstall("base")
        await installations.install("base")
        assert await dialect.count(schemas.get_schema("account")) == 0
        with pytest.raises(InstallRefused, match="neither 'keep' nor 'remove'"):
            await installations.uninstall("base", "drop")
    async with booted(file) as (_, _, installations):
        assert ids(installations.installed()) == ["base@1.0.0"]


async def test_what_others_need_stays(file):
    """A package goes only when no installed one depends on it; what a consumer needs, too."""
    recorder = Recorder()
    async with booted(file, recorder) as (_, packages, installations):
        await publish(packages, package("base", views=["x"]), package("sales", needs={"base": "*"}, views=["y"]))
        await installations.install("sales")
        with pytest.raises(InstallationNeeded) as caught:
            await installations.uninstall("base")
        assert caught.value.facts["needed_by"] == ("sales",)
        recorder.failing.add(("remove", "sales", "views"))
        for data in ("keep", "remove"):
            with pytest.raises(InstallRefused, match="it is needed here"):
                await installations.uninstall("sales", data)
        assert ids(installations.installed()) == ["base@1.0.0", "sales@1.0.0"]
        assert recorder.there == {("base", "views"): ["x"], ("sales", "views"): ["y"]}


async def test_tables_that_others_lead_to_are_not_removed(file):
    """The rows that an uninstalled package left behind still hold those they lead to; nothing changes."""
    async with booted(file) as (_, packages, installations):
        await publish(
            packages, package("base", objects=["account"]), package("sales", objects=[LEADING], needs={"base": "*"})
        )
        await installations.install("sales")
        await installations.uninstall("sales", "keep")
        with pytest.raises(InstallRefused, match=r"D107.*rows of deal"):
            await installations.uninstall("base", "remove")
        assert ids(installations.installed()) == ["base@1.0.0"]
    async with booted(file) as (_, _, installations):
        assert ids(installations.installed()) == ["base@1.0.0"]
        await installations.uninstall("base", "keep")


async def test_a_removal_that_was_interrupted_is_ended_by_the_next_start(file):
    """The intention is stored before the tables are dropped."""
    async with booted(file) as (_, packages, installations):
        await publish(packages, package("base", objects=["account"]))
        await installations.install("base")
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("UPDATE sys_installations SET removing = 1")
        connection.commit()
    async with booted(file) as (_, _, installations):
        assert (installations.installed(), installations.failed()) == ((), ())
        assert "account" not in tables(file)
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("SELECT count(*) FROM sys_installations").fetchone() == (0,)


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE sys_installations SET content = replace(content, 'account', 'acc0unt') WHERE id = 'base'",
        "UPDATE sys_installations SET installed_at = 'yesterday' WHERE id = 'base'",
    ],
    ids=["content", "row"],
)
async def test_a_damaged_package_is_reported_and_the_others_load(file, damage):
    """It is skipped with what depends on it; `doctor` tells of both."""
    async with booted(file) as (_, packages, installations):
        await publish(
            packages,
            package("base", objects=["account"]),
            package("sales", objects=[LEADING], needs={"base": "*"}),
            package("other", objects=["note"]),
        )
        await installations.install("sales")
        await installations.install("other")
    with closing(sqlite3.connect(file)) as connection:
        connection.execute(damage)
        connection.commit()
    async with booted(file) as (kernel, _, installations):
        assert ids(installations.installed()) == ["other@1.0.0"]
        assert [(one.code, one.facts["id"]) for one in installations.failed()] == [("P102", "base"), ("P113", "sales")]
        assert {"P102", "P113"} <= {one.code for one in kernel.findings()}
        assert ids(await installations.install("base")) == ["base@1.0.0"]
        await installations.refresh()  # what had waited for it alone is in use as well
        assert ids(installations.installed()) == ["base@1.0.0", "other@1.0.0", "sales@1.0.0"]
        assert installations.failed() == ()


async def test_what_is_not_in_use_can_be_uninstalled(file):
    """Refused by a consumer or lacking something: its data is kept or removed as asked, and `doctor` is content."""
    async with booted(file) as (_, packages, installations):
        await publish(
            packages,
            package("base", objects=["account"], views=["x"]),
            package("sales", objects=[LEADING], needs={"base": "*"}),
        )
        await installations.install("sales")
    recorder = Recorder()
    recorder.failing.add(("apply", "base", "views"))
    async with booted(file, recorder) as (_, _, installations):
        assert installations.installed() == ()
        recorder.told.clear()
        with pytest.raises(InstallationNeeded, match="sales"):
            await installations.uninstall("base", "remove")
        assert [one.facts["id"] for one in installations.failed()] == ["base", "sales"]
        await installations.uninstall("sales", "remove")
        assert {"account", "deal"} & tables(file) == {"account"}
        await installations.uninstall("base", "keep")
        assert (recorder.told, installations.failed()) == ([], ())
        assert "account" in tables(file)
        with pytest.raises(PackageNotInstalled):
            await installations.uninstall("base")
    async with booted(file) as (_, _, installations):
        assert (installations.installed(), installations.failed()) == ((), ())


async def test_a_removal_spares_a_table_that_is_the_hosts_by_now(file):
    """Also where that is in the system's dialect, and both are in one database after all."""

    class Host(Plugin):
        name = "host"

        @contributes(SYSTEM_SCHEMAS, uses=())
        def accounts(self):
            return EntitySchema(name="HostAccount", collection="account", fields={"total": Field("integer")})

    system = {"MOSTA_SYSTEM_DIALECT": "sqlite", "MOSTA_SYSTEM_URI": str(file)}
    async with booted(file, **system) as (_, packages, installations):
        await publish(packages, package("base", objects=["account", "note"]))
        await installations.install("base")
    async with booted(file, more=[Host], **system) as (_, _, installations):
        assert [one.facts["id"] for one in installations.failed()] == ["base"]
        await installations.uninstall("base", "remove")
        assert {"account", "note"} & tables(file) == {"account"}


async def test_a_damaged_package_can_be_uninstalled(file):
    """Its tables are not known any more, so they stay; what it was is in the audit trail by its id."""
    async with booted(file) as (_, packages, installations):
        await publish(packages, package("base", objects=["account"]))
        await installations.install("base")
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("UPDATE sys_installations SET content = '{}'")
        connection.commit()
    async with booted(file) as (_, _, installations):
        with pytest.raises(InstallRefused, match="cannot be read"):
            await installations.uninstall("base", "remove")
        await installations.uninstall("base", "keep")
        assert (installations.failed(), "account" in tables(file)) == ((), True)
    async with booted(file) as (_, _, installations):
        assert installations.failed() == ()


async def test_what_is_not_in_use_can_be_upgraded(file):
    """To a version that nobody refuses."""
    async with booted(file) as (_, packages, installations):
        await publish(packages, package("base", views=["x"]), package("base", "1.1.0"))
        await installations.install("base", "1.0.0")
    recorder = Recorder()
    recorder.failing.add(("apply", "base", "views"))
    async with booted(file, recorder) as (_, _, installations):
        assert ids(await installations.upgrade("base")) == ["base@1.1.0"]
        assert installations.failed() == ()


async def test_a_package_that_a_consumer_refuses_at_a_start_is_reported(file):
    """The others are in use, and what depends on it is not."""
    async with booted(file) as (_, packages, installations):
        await publish(
            packages,
            package("base", objects=["account"], views=["x"]),
            package("sales", objects=[LEADING], needs={"base": "*"}),
            package("other", objects=["note"], views=["y"]),
        )
        await installations.install("sales")
        await installations.install("other")
    recorder = Recorder()
    recorder.failing.add(("apply", "base", "views"))
    async with booted(file, recorder) as (kernel, _, installations):
        assert ids(installations.installed()) == ["other@1.0.0"]
        assert [one.facts["id"] for one in installations.failed()] == ["base", "sales"]
        assert recorder.there == {("other", "views"): ["y"]}
        assert not kernel.get(SCHEMAS).has_schema("account")


async def test_hosts_of_one_database_follow_each_other(file):
    """What one installs, upgrades and uninstalls comes to the other when it looks."""
    there, here = Recorder(), Recorder()
    async with booted(file, there) as (_, packages, one), booted(file, here) as (kernel, _, other):
        await publish(packages, package("base", objects=["account"], views=["x"]), package("extra", objects=["note"]))
        await one.install("base")
        assert other.installed() == ()
        assert await other.refresh() is True
        assert (await other.refresh(), ids(other.installed())) == (False, ["base@1.0.0"])
        assert here.there == {("base", "views"): ["x"]}
        await other.install("extra")
        await publish(packages, package("base", "1.1.0", objects=["account", "more"]))
        assert ids(await one.upgrade("base")) == ["base@1.1.0"]
        assert ids(one.installed()) == ["base@1.1.0", "extra@1.0.0"]
        await other.uninstall("extra", "remove")
        assert ids(other.installed()) == ["base@1.1.0"]
        assert here.there == {}
        assert kernel.get(SCHEMAS).has_schema("more")


async def test_of_two_hosts_that_install_at_once_one_is_refused(file):
    """What was worked out from what is no more true is undone; asked again, it is done."""
    recorder = Recorder()
    async with booted(file, recorder) as (kernel, packages, one), booted(file) as (_, _, other):
        await publish(packages, package("base", objects=["account"], views=["x"]), package("extra", objects=["note"]))
        asked = recorder.check

        async def check(*arguments):
            recorder.check = asked
            await other.install("extra")
            return ()

        recorder.check = check
        with pytest.raises(InstallationsChanged):
            await one.install("base")
        assert recorder.there == {}
        assert not kernel.get(SCHEMAS).has_schema("account")
        assert ids(await one.install("base")) == ["base@1.0.0"]
        assert ids(one.installed()) == ["base@1.0.0", "extra@1.0.0"]


async def test_changes_are_in_the_audit_trail(file):
    """With the package, its hash and who asked for it; kept or undone with the change."""
    trail = []

    class Trail:
        async def record(self, action, subject, *, principal=None, account_id=None, details=None):
            trail.append(
                (action, subject, account_id or (principal and principal.account_id), details.get("hash", "")[:4])
            )

    class Auditing(Plugin):
        name = "auditing"

        @provides(AUDIT)
        def audit(self):
            return Trail()

    async with booted(file, more=[Auditing]) as (_, packages, installations):
        await publish(packages, package("base"), package("base", "2.0.0"))
        trail.clear()
        (first,) = await installations.install("base", "1.0.0", owner="acme")
        (second,) = await installations.upgrade("base", owner=Principal(account_id="zeta"))
        await installations.uninstall("base")
        assert trail == [
            ("package.install", "base@1.0.0", "acme", first.hash[:4]),
            ("package.upgrade", "base@2.0.0", "zeta", second.hash[:4]),
            ("package.uninstall", "base@2.0.0", None, second.hash[:4]),
        ]


async def test_an_account_installs_what_it_sees(file):
    """A private package of another account is missing to it, as a dependency too."""
    async with booted(file) as (_, packages, installations):
        await packages.publish(package("hidden"), owner="acme", visibility="private")
        await packages.publish(package("open", needs={"hidden": "*"}), owner="acme")
        for id in ("hidden", "open"):
            with pytest.raises(InstallRefused, match="hidden"):
                await installations.install(id, owner="other")
        assert ids(await installations.install("open", owner="acme")) == ["hidden@1.0.0", "open@1.0.0"]
