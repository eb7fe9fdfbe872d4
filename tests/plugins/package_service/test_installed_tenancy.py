"""Rows of installed packages belong to accounts: over HTTP, in process, and where they were written before they did."""

from __future__ import annotations

import pytest
from objectkernel_package_service import object_mapping
from objectkernel_package_service.catalogue import present
from objectkernel_package_service.install_contracts import InstallRefused
from objectkernel_package_service.installed_tables import INSTALLED_TABLE
from objectkernel_package_service.tenancy import Tenancy
from objectkernel_system_dialect.contracts import DIALECT, SCHEMAS, SYSTEM_DIALECT, DuplicateKey

from tests.plugins.package_service import hosts
from tests.plugins.package_service.databases import KINDS
from tests.plugins.package_service.hosts import clients, make_kernel
from tests.plugins.package_service.installing import booted, package

pytestmark = pytest.mark.anyio

CODE = {"type": "text", "maxLength": 20, "unique": True}
CUSTOMER = {"name": "customer", "fields": {"code": CODE, "name": {"type": "text", "maxLength": 40, "index": True}}}
DEAL = {
    "name": "deal",
    "fields": {
        "customer": {"type": "lookup", "reference": "customer", "deleteBehavior": "cascade"},
        "watchers": {"type": "lookup", "reference": "customer", "multiple": True},
        "country": {"type": "lookup", "reference": "country", "unique": True},
    },
}
COUNTRY = {"name": "country", "tenancy": {"enabled": False}, "fields": {"code": CODE}}
SALES = package("sales", objects=[CUSTOMER, DEAL, COUNTRY])

OLDER_ROWS_ARE_ADAS = {"OBJECTKERNEL_PLUGINS__PACKAGE_SERVICE__ACCOUNT_OF_OLDER_ROWS": "ada"}


@pytest.fixture
def anyio_backend():
    """The servers' drivers know one event loop."""
    return "asyncio"


@pytest.fixture(params=KINDS)
def uri(request, tmp_path):
    return tmp_path / "all.db" if request.param == "sqlite" else request.getfixturevalue(f"{request.param}_url")


@pytest.fixture
async def client(uri):
    """Clients of a host in which the package is installed."""
    async with clients(make_kernel(environ={"SGBD_URI": str(uri)}, refresh_seconds=0)) as made:
        assert (await made("ada").post("", json=SALES)).status_code == 201
        assert (await made("operator", hosts.INSTALLATIONS).put("/sales")).status_code == 200
        yield lambda key: made(key, "/api/v1/data")


async def created(http, path, **row):
    made = await http.post(path, json=row)
    assert made.status_code == 201, made.text
    return made.json()


async def listed(http, path):
    return [row["id"] for row in (await http.get(path)).json()["rows"]]


async def test_each_account_sees_its_own_rows(client):
    """By list, by key, by filter and by change; what is unique may be there once in each account."""
    ada, bob = client("clerk"), client("clerk of bob")
    hers, his = [await created(http, "/customer", code="C1", name="Acme") for http in (ada, bob)]
    assert (hers["tenant_id"], his["tenant_id"]) == ("ada", "bob")
    for http, own, other in ((ada, hers, his), (bob, his, hers)):
        assert await listed(http, "/customer") == [own["id"]]
        path = f"/customer/{other['id']}"
        answers = [await http.get(path), await http.patch(path, json={"name": "x"}), await http.delete(path)]
        assert [answer.status_code for answer in answers] == [404, 404, 404]
        assert (await http.post("/customer", json={"code": "C1"})).status_code == 409
        assert (await http.post("/customer", json={"code": "C2", "tenant_id": other["tenant_id"]})).status_code >= 400
    assert (await bob.get(f"/customer/{his['id']}")).json() == his
    everybodys = client("owner of the host")
    assert set(await listed(everybodys, "/customer")) == {hers["id"], his["id"]}


async def test_references_stay_within_an_account(client):
    """A row of another account is as one that is not there, in a column and in a list of keys."""
    ada, bob = client("clerk"), client("clerk of bob")
    hers = await created(ada, "/customer", code="C1")
    for row in ({"customer": hers["id"]}, {"watchers": [hers["id"]]}):
        foreign, nowhere = [
            await bob.post("/deal", json=one) for one in (row, {name: _nowhere(value) for name, value in row.items()})
        ]
        assert (foreign.status_code, foreign.json()["code"]) == (nowhere.status_code, nowhere.json()["code"])
        assert foreign.status_code == 409
        await created(ada, "/deal", **row)
    assert await listed(bob, "/deal") == []


def _nowhere(keys):
    """Keys of the same shape that no row has."""
    return ["0"] if isinstance(keys, list) else "0"


async def test_rows_of_a_shared_object_are_everybodys(client):
    """The object says so; what leads to one uniquely does so once in each account."""
    ada, bob = client("clerk"), client("clerk of bob")
    country = await created(ada, "/country", code="DE")
    assert await listed(bob, "/country") == [country["id"]]
    assert (await bob.post("/country", json={"code": "DE"})).status_code == 409
    for http in (ada, bob):
        await created(http, "/deal", country=country["id"])
        assert (await http.post("/deal", json={"country": country["id"]})).status_code == 409


@pytest.fixture
def written(uri, monkeypatch):
    """Installs the package as an older version did, whose tables had no accounts, with as many rows of customers."""

    async def write(count):
        with monkeypatch.context() as older:
            older.setattr(object_mapping, "tenancy_of", lambda *_: Tenancy(None))
            async with booted(uri) as (kernel, packages, installations):
                await packages.publish(SALES)
                await installations.install("sales")
                customer = kernel.get(SCHEMAS).get_schema("customer")
                assert customer.tenant is None
                for number in range(count):
                    await kernel.get(DIALECT).create(customer, {"code": f"C{number}"})
                await kernel.get(SYSTEM_DIALECT).delete_many(INSTALLED_TABLE, {}, all=True)

    return write


async def test_older_tables_without_rows_are_brought_up(uri, written):
    """At the next start, without ado."""
    await written(0)
    async with booted(uri) as (kernel, _, installations):
        assert installations.failed() == ()
        customer = kernel.get(SCHEMAS).get_schema("customer")
        for account in ("ada", "bob"):
            await kernel.get(DIALECT).as_tenant(account).create(customer, {"code": "C0"})
        assert await kernel.get(DIALECT).as_tenant("ada").count(customer) == 1


async def test_older_rows_wait_until_somebody_says_whose_they_are(uri, written):
    """The package is not in use meanwhile, and why is told with the setting; then they are that account's."""
    await written(2)
    async with booted(uri) as (kernel, _, installations):
        (error,) = installations.failed()
        assert (error.code, installations.installed()) == ("P113", ())
        assert "customer.tenant_id" in str(error)
        assert "account_of_older_rows" in str(error)
    async with booted(uri, **OLDER_ROWS_ARE_ADAS) as (kernel, _, installations):
        assert installations.failed() == ()
        customer = kernel.get(SCHEMAS).get_schema("customer")
        assert customer.fields["tenant_id"].default is None
        dialect = kernel.get(DIALECT)
        assert {row["tenant_id"] for row in await dialect.find(customer)} == {"ada"}
        await dialect.as_tenant("bob").create(customer, {"code": "C0"})
        with pytest.raises(DuplicateKey):
            await dialect.as_tenant("ada").create(customer, {"code": "C0"})
    async with booted(uri) as (kernel, _, installations):
        assert installations.failed() == ()
        assert await kernel.get(DIALECT).as_tenant("ada").count(kernel.get(SCHEMAS).get_schema("customer")) == 2


@pytest.mark.parametrize("way", ["removed", "shared"])
async def test_older_rows_may_go_or_be_everybodys(uri, written, way):
    """The package need not be in use for that: its tables are its own all the same."""
    await written(2)
    async with booted(uri) as (kernel, packages, installations):
        assert installations.installed() == ()
        if way == "shared":
            everybodys = [{**one, "tenancy": {"enabled": False}} for one in (CUSTOMER, DEAL, COUNTRY)]
            await packages.publish(package("sales", "2.0.0", objects=everybodys))
            await installations.upgrade("sales")
            assert await kernel.get(DIALECT).count(kernel.get(SCHEMAS).get_schema("customer")) == 2
        await installations.uninstall("sales", "remove")
        assert await present(kernel.get(DIALECT), ["customer", "deal", "deal__watchers", "country"]) == set()
        assert await kernel.get(SYSTEM_DIALECT).count(INSTALLED_TABLE) == 0


async def test_what_was_shared_is_given_to_an_account(uri):
    """A version whose object is shared no more is refused where it has rows, unless somebody says whose they are."""
    async with booted(uri) as (kernel, packages, installations):
        await packages.publish(package("places", objects=[COUNTRY]))
        await packages.publish(package("places", "2.0.0", objects=[{**COUNTRY, "tenancy": {"enabled": True}}]))
        await installations.install("places", "1.0.0")
        await kernel.get(DIALECT).create(kernel.get(SCHEMAS).get_schema("country"), {"code": "DE"})
        with pytest.raises(InstallRefused, match="account_of_older_rows"):
            await installations.upgrade("places")
        assert kernel.get(SCHEMAS).get_schema("country").tenant is None
    async with booted(uri, **OLDER_ROWS_ARE_ADAS) as (kernel, _, installations):
        await installations.upgrade("places")
        country = kernel.get(SCHEMAS).get_schema("country")
        assert await kernel.get(DIALECT).as_tenant("ada").count(country) == 1
        assert await kernel.get(DIALECT).as_tenant("bob").count(country) == 0


@pytest.mark.parametrize("tenancy", [{"tenantField": "organization_id"}, {"enabled": False}], ids=["moved", "shared"])
async def test_whose_rows_are_is_no_matter_of_versions(uri, tenancy):
    """A version that looks for that elsewhere, or no more, would give rows to others: not even with the setting."""
    async with booted(uri, **OLDER_ROWS_ARE_ADAS) as (kernel, packages, installations):
        await packages.publish(package("sales", objects=[CUSTOMER]))
        await packages.publish(package("sales", "2.0.0", objects=[{**CUSTOMER, "tenancy": tenancy}]))
        await installations.install("sales", "1.0.0")
        customer = kernel.get(SCHEMAS).get_schema("customer")
        await kernel.get(DIALECT).as_tenant("bob").create(customer, {"code": "C0"})
        for kept in (False, True):
            if kept:
                await installations.uninstall("sales", "keep")
            with pytest.raises(InstallRefused, match=r"sales: customer: .* is in tenant_id, and in this version"):
                await installations.install("sales")
        await installations.install("sales", "1.0.0")
        assert await kernel.get(DIALECT).as_tenant("bob").count(customer) == 1
        await installations.uninstall("sales", "remove")
        await installations.install("sales")
        assert kernel.get(SCHEMAS).get_schema("customer").tenant == tenancy.get("tenantField")
