"""An existing application: published over HTTP, installed, used through the data plane, carried to another host."""

from __future__ import annotations

import json
from datetime import datetime
from decimal import Decimal

import anyio
import pytest
from objectkernel_package_service.install_contracts import INSTALLATIONS
from objectkernel_system_dialect.contracts import SCHEMAS

from tests.plugins.package_service import hosts
from tests.plugins.package_service.command_line import HostContext, runner
from tests.plugins.package_service.hosts import clients, make_kernel, sha256
from tests.plugins.package_service.rows import in_order, sample
from tests.plugins.package_service.test_real_packages import FILES
from tests.plugins.system_dialect.databases import (  # noqa: F401 - fixtures
    mariadb_database,
    mariadb_url,
    postgres_database,
    postgres_url,
)

KINDS = [
    "sqlite",
    pytest.param("postgres", marks=[pytest.mark.postgres, pytest.mark.slow]),
    pytest.param("mariadb", marks=[pytest.mark.mariadb, pytest.mark.slow]),
]


@pytest.fixture(params=KINDS)
def uri(request, tmp_path):
    if not FILES:
        pytest.skip("the application's packages are not on this machine")
    return str(tmp_path / "all.db") if request.param == "sqlite" else request.getfixturevalue(f"{request.param}_url")


def on(uri):
    return make_kernel(environ={"SGBD_URI": uri}, refresh_seconds=0)


async def publish(http):
    """Publish every file, and read each back by its version, by a range, and as the latest; the hashes by id."""
    hashes = {}
    for file in FILES:
        made = await http.post("", content=file.read_bytes(), headers={"Content-Type": "application/json"})
        assert made.status_code == 201, made.text
        id, version, hash = (made.json()[name] for name in ("id", "version", "hash"))
        for path in (f"/{id}", f"/{id}/{version}", f"/{id}/^{version}", f"/{id}?version=>=0.1.0"):
            got = await http.get(path)
            assert (sha256(got.content), got.headers["etag"]) == (hash, f'"{hash}"')
            assert json.loads(got.content) == json.loads(file.read_bytes())
        hashes[id] = hash
    return hashes


def spelled(value):
    """A value as the data plane takes it."""
    match value:
        case datetime():
            return value.isoformat()
        case Decimal():
            return str(value)
    return value


async def write_a_row_of_each(kernel, http):
    """A row of every entity is made and read back over HTTP; how many."""
    schemas = kernel.get(SCHEMAS)
    names = [name for package in kernel.get(INSTALLATIONS).installed() for name in package.entities]
    keys = {}
    for schema in in_order([schemas.get_schema(name) for name in names]):
        given = {name: spelled(value) for name, value in sample(schema, keys).items()}
        made = await http.post(f"/{schema.collection}", json=given)
        assert made.status_code == 201, made.text
        keys[schema.name] = made.json()["id"]
        found = await http.get(f"/{schema.collection}/{keys[schema.name]}")
        assert found.json() == made.json()
    return len(keys)


async def see_nothing(kernel, http):
    """Of the rows that were written another account sees none."""
    for package in kernel.get(INSTALLATIONS).installed():
        for name in package.entities:
            found = await http.get(f"/{kernel.get(SCHEMAS).get_schema(name).collection}")
            assert (found.status_code, found.json()["rows"]) == (200, [])


async def use(uri):
    """Publish, install, write rows that no other account sees, uninstall; the hashes by id."""
    kernel = on(uri)
    async with clients(kernel) as client:
        hashes = await publish(client("ada"))
        operator = client("operator", hosts.INSTALLATIONS)
        for id in sorted(hashes):
            assert (await operator.put(f"/{id}")).status_code == 200
        assert await write_a_row_of_each(kernel, client("clerk", "/api/v1/data")) == 28
        await see_nothing(kernel, client("clerk of bob", "/api/v1/data"))
        assert (await operator.delete("/hotcrm.marketing?data=remove")).status_code == 204
        assert (await client("clerk", "/api/v1/data").get("/campaign")).status_code == 404
    return hashes


async def compare(uri, hashes):
    """Every package of another host has the hash that it had: who has its bytes already gets none."""
    async with clients(on(uri)) as client:
        http = client("ada")
        for id, hash in hashes.items():
            assert (await http.get(f"/{id}", headers={"If-None-Match": f'"{hash}"'})).status_code == 304
        assert len((await http.get("")).json()["items"]) == len(hashes)


def test_an_application_is_published_used_and_carried_to_another_host(uri, tmp_path):
    """Every hash is the same at the end of it."""
    hashes = anyio.run(use, uri)
    archive, elsewhere = tmp_path / "all.zip", str(tmp_path / "elsewhere.db")
    assert runner(lambda: HostContext(uri))("export", archive).output == f"4 exported to {archive}, 0 damaged\n"
    other = runner(lambda: HostContext(elsewhere))
    assert {
        one["id"]: one["hash"] for one in json.loads(other("import", archive, "--json").stdout)["imported"]
    } == hashes
    assert other("verify").output == "4 sound, 0 damaged\n"
    anyio.run(compare, elsewhere, hashes)
