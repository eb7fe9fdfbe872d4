"""The packages of an existing application are installed and work, on every database."""

from __future__ import annotations

import json

import pytest
from objectkernel_package_service.contracts import PACKAGES
from objectkernel_package_service.field_mapping import COMPUTED, MAKERS, RELATIONS
from objectkernel_package_service.install_contracts import INSTALLATIONS, InstallRefused
from objectkernel_system_dialect.contracts import DIALECT, SCHEMAS, Repository, ValueInvalid

from tests.plugins.package_service.installing import Recorder, booted, package
from tests.plugins.package_service.rows import in_order, sample
from tests.plugins.package_service.service_desk import DESK, PEOPLE
from tests.plugins.package_service.test_real_packages import FILES
from tests.plugins.system_dialect.databases import (  # noqa: F401 - fixtures
    mariadb_database,
    mariadb_url,
    postgres_database,
    postgres_url,
)

pytestmark = pytest.mark.anyio

KINDS = [
    "sqlite",
    pytest.param("postgres", marks=[pytest.mark.postgres, pytest.mark.slow]),
    pytest.param("mariadb", marks=[pytest.mark.mariadb, pytest.mark.slow]),
]
IDS = ["hotcrm.crm", "hotcrm.finance", "hotcrm.marketing", "hotcrm.products"]
NEEDS = {"hotcrm.finance": ["hotcrm.crm", "hotcrm.products"], "hotcrm.products": ["hotcrm.crm"]}


@pytest.fixture
def anyio_backend():
    """The servers' drivers know one event loop."""
    return "asyncio"


@pytest.fixture(params=KINDS)
def uri(request, tmp_path):
    if not FILES:
        pytest.skip("the application's packages are not on this machine")
    return tmp_path / "all.db" if request.param == "sqlite" else request.getfixturevalue(f"{request.param}_url")


async def publish(packages, *, needs=None):
    """Publish the packages as they are, or as if they said what they need of each other."""
    for file in FILES:
        document = json.loads(file.read_bytes())
        id = document["manifest"]["id"]
        document["manifest"]["dependencies"] = dict.fromkeys((needs or {}).get(id, []), "^1.0.0")
        await packages.publish(document)


async def write_a_row_of_each(kernel):
    """A row of every entity of packages, written and read back through its repository; the rows by entity."""
    dialect, schemas = kernel.get(DIALECT).as_tenant("acme"), kernel.get(SCHEMAS)
    names = [name for package in kernel.get(INSTALLATIONS).installed() for name in package.entities]
    rows = {}
    for schema in in_order([schemas.get_schema(name) for name in names]):
        repository = Repository(dialect, schema)
        given = sample(schema, {name: row["id"] for name, row in rows.items()})
        made = await repository.create(given)
        found = await repository.find_by_id(made["id"])
        assert found == made
        assert {name: found[name] for name in given if name in found} == {
            name: value for name, value in given.items() if name in schema.names
        }
        rows[schema.name] = found
    return rows


@pytest.mark.parametrize("needs", [None, NEEDS], ids=["as-they-are", "with-dependencies"])
async def test_every_object_of_the_application_holds_rows(uri, needs):
    """Published, resolved, installed; rows are there after a restart; uninstalled with the data or without."""
    recorder = Recorder()
    async with booted(uri, recorder) as (kernel, packages, installations):
        await publish(packages, needs=needs)
        changed = [package for id in reversed(IDS) for package in await installations.install(id)]
        assert sorted(package.id for package in changed) == IDS
        assert all(package.warnings for package in changed)
        assert set(recorder.there) == {(id, "views") for id in IDS if id != "hotcrm.crm"}
        rows = await write_a_row_of_each(kernel)
        assert len(rows) == 28
    async with booted(uri) as (kernel, _, installations):
        assert sorted(package.id for package in installations.installed()) == IDS
        dialect, schemas = kernel.get(DIALECT).as_tenant("acme"), kernel.get(SCHEMAS)
        for name, row in rows.items():
            assert await dialect.find_by_id(schemas.get_schema(name), row["id"]) == row
        await installations.uninstall("hotcrm.marketing", "keep")
        assert not schemas.has_schema("campaign")
        await installations.install("hotcrm.marketing")
        assert await dialect.count(schemas.get_schema("campaign")) == 1
        for package in reversed(installations.installed()):
            await installations.uninstall(package.id, "remove")
        assert installations.installed() == ()
        for id in IDS:
            await installations.install(id)
        for name in rows:
            assert await dialect.count(schemas.get_schema(name)) == 0


async def test_references_lead_to_rows_of_other_packages(uri):
    """Where a package says what it needs, the database holds its references to the rows of the other."""
    async with booted(uri) as (kernel, packages, installations):
        await publish(packages, needs=NEEDS)
        assert [one.id for one in await installations.install("hotcrm.finance")] == [
            "hotcrm.crm",
            "hotcrm.products",
            "hotcrm.finance",
        ]
        dialect, schemas = kernel.get(DIALECT).as_tenant("acme"), kernel.get(SCHEMAS)
        rows = await write_a_row_of_each(kernel)
        quote = schemas.get_schema("quote")
        assert await dialect.count(quote, {"account_id.name": rows["account"]["name"]}) == 1
        (found,) = await dialect.find(quote, include=["opportunity_id"])
        assert found["opportunity_id"] == rows["opportunity"]


def field(type, **attributes):
    return {"type": type, **attributes}


EVERY_TYPE = {kind: field(kind, options=["a", "b c"]) for kind in (*MAKERS, *RELATIONS, *COMPUTED, "autonumber")}
WIDE = [
    {"name": "every_type", "fields": EVERY_TYPE | {"bounded": field("text", maxLength=5000), "unknown": field("?")}},
    {"name": "many_short", "fields": {f"f{n}": field("text", maxLength=40) for n in range(150)}},
    {"name": "many_long", "fields": {f"f{n}": field("text", maxLength=768) for n in range(100)}},
    {"name": "many_choices", "fields": {f"f{n}": field("select", options=["one", "x" * 60]) for n in range(60)}},
    {"name": "many_references", "fields": {f"f{n}": field("lookup", reference="EveryType") for n in range(50)}},
    {"name": "many", "fields": {"all": field("lookup", reference="every_type", multiple=True)}},
]


async def test_objects_of_every_type_and_width_hold_rows(uri):
    """Whatever an application of that format may have, its tables are made and hold rows."""
    async with booted(uri) as (kernel, packages, installations):
        await packages.publish(package("wide", objects=WIDE))
        await installations.install("wide")
        assert set(await write_a_row_of_each(kernel)) == {one["name"] for one in WIDE}
        await installations.uninstall("wide", "remove")


async def test_other_packages_of_such_an_application_hold_rows(uri):
    """Fields of which nothing is said, roll-ups, users, times, names that SQL has for itself, rings of references."""
    recorder = Recorder()
    recorder.kinds = ("views", "apps", "flows", "agents", "tools", "translations", "dashboards", "reports", "triggers")
    recorder.apply = lambda *_: recorded(recorder.there, *_)
    async with booted(uri, recorder) as (kernel, packages, installations):
        for document in (DESK, PEOPLE):
            await packages.publish(document)
        people, desk = await installations.install("desk.support", "0.3.1-beta.2")
        assert {kind for _, kind in recorder.there} == set(recorder.kinds)
        rows = await write_a_row_of_each(kernel)
        assert set(rows) == {"department", "employee", "time_off", "case", "case_comment", "group"}
        assert (rows["case"]["status"], rows["group"]["monday_from"]) == ("in_progress", "23:59:59.5")
        dialect, schemas = kernel.get(DIALECT).as_tenant("acme"), kernel.get(SCHEMAS)
        for wrong in ({"start": "tomorrow"}, {"start": "2026-02-30"}):
            with pytest.raises(ValueInvalid):
                await dialect.update(schemas.get_schema("time_off"), rows["time_off"]["id"], wrong)
        case, employee = schemas.get_schema("case"), rows["employee"]["id"]
        await dialect.update(case, rows["case"]["id"], {"agent_id": employee, "watchers": [employee]})
        (found,) = await dialect.find(case, {"agent_id.number": {"$ne": "x"}}, include=["watchers"])
        assert [one["id"] for one in found["watchers"]] == [employee]
        await installations.uninstall("desk.support", "remove")
        await installations.uninstall("desk.people", "remove")
    assert told(people) == {
        "department.headcount",
        "employee.account",
        "employee.born.encryption",
        "employee.check_in_place.type",
        "employee.department_id.reference",
        "employee.email",
        "employee.full_name",
        "employee.skills.options",
        "employee.validationRules",
        "time_off.order.format",
    }
    assert told(desk) == {
        "case.about.reference",
        "case.asset_id.reference",
        "case.case_number.format",
        "case.comments",
        "case.owner_id.reference",
        "case.status.defaultValue",
        "case.tags.options",
        "case_comment.by",
    }


@pytest.mark.parametrize("count", [60, 70])
async def test_an_object_that_is_too_wide_for_mariadb(uri, count):
    """The warning names it beforehand, and so does the refusal there; the others take it."""
    wide = {"name": "wide", "fields": {f"f{n}": field("lookup", reference="wide") for n in range(count)}}
    async with booted(uri) as (kernel, packages, installations):
        await packages.publish(package("wide", objects=["fine", wide]))
        (previewed,) = await installations.preview("wide")
        assert {one.path for one in previewed.warnings} == {"$.metadata.objects[1].fields"}
        if kernel.get(DIALECT).name != "mariadb":
            await installations.install("wide")
            assert set(await write_a_row_of_each(kernel)) == {"fine", "wide"}
            return
        with pytest.raises(InstallRefused) as caught:
            await installations.install("wide")
        assert any("wide has" in problem.what for problem in caught.value.problems), caught.value.problems
        assert not kernel.get(SCHEMAS).has_schema("fine")


async def recorded(there, package, kind, items):
    """Keep what a consumer is told, whatever it is."""
    there[package.id, kind] = items


def told(package):
    """The places of a package's warnings, by the names of its objects."""
    names = [item["name"] for item in package.metadata["objects"]]
    places = [one.path.removeprefix("$.metadata.objects[").replace(".fields", "") for one in package.warnings]
    return {f"{names[int(number)]}{rest}" for number, _, rest in (place.partition("]") for place in places)}


async def test_what_is_exported_is_what_was_published(uri, tmp_path):
    """The bytes of one registry, published in another, have the same hashes and install the same."""
    async with booted(uri) as (_, packages, installations):
        await publish(packages)
        contents = {id: (await packages.get(id)).content for id in IDS}
        hashes = {id: (await packages.get(id)).hash for id in IDS}
        entities = [package.entities for id in IDS for package in await installations.install(id)]
    async with booted(tmp_path / "other.db") as (kernel, packages, installations):
        for content in contents.values():
            await kernel.get(PACKAGES).publish(content)
        assert {id: (await packages.get(id)).hash for id in IDS} == hashes
        assert {id: (await packages.get(id)).content for id in IDS} == contents
        assert [package.entities for id in IDS for package in await installations.install(id)] == entities
