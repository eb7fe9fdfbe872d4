"""Projects apart: the same entity name in two of them, and nothing of one in the other."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from objectkernel_project_life.contracts import ManagedProject
from objectkernel_project_life.manager import HostManager
from objectkernel_system_dialect.contracts import EntitySchema, EntityUnknown, Field, Repository, UnknownField

from tests.plugins.project_life.project_databases import managing, project, two_uris  # noqa: F401 - fixtures

pytestmark = pytest.mark.anyio

PERSON = EntitySchema(name="Contact", collection="contacts", fields={"name": Field("string", required=True)})
COMPANY = EntitySchema(
    name="Contact",
    collection="contacts",
    fields={"name": Field("integer"), "employees": Field("integer"), "tags": Field("array", default=list)},
)


@pytest.fixture
async def manager(anyio_backend: str, tmp_path: Path) -> AsyncIterator[HostManager]:
    """A manager of projects."""
    async with managing(tmp_path / "host") as manager:
        yield manager


@pytest.fixture
async def both(manager: HostManager, two_uris: list[str]) -> list[ManagedProject]:  # noqa: F811
    """Two projects that call different things by one name."""
    projects = [project(two_uris[0], PERSON), project(two_uris[1], COMPANY)]
    for one in projects:
        await manager.add_project(one, open=False)
    return projects


@pytest.fixture
def contacts(manager: HostManager, both: list[ManagedProject]) -> list[Repository]:
    """The contacts of each of them."""
    return [manager.get(one.name).repository("Contact") for one in both]


async def test_one_name_means_something_else_in_each(contacts: list[Repository]) -> None:
    """Each project has its own fields under it, of types of its own."""
    people, companies = contacts
    await people.create({"name": "Ada"})
    await companies.create({"name": 7, "employees": 3})
    assert [row["name"] for row in await people.find_all()] == ["Ada"]
    assert [(row["name"], row["employees"], row["tags"]) for row in await companies.find_all()] == [(7, 3, [])]
    with pytest.raises(UnknownField):
        await people.find_all({"employees": 3})


async def test_repository_reaches_its_own_database_alone(contacts: list[Repository]) -> None:
    """No operation sees or changes what is in the other: reading, writing, deleting all, transactions."""
    people, companies = contacts
    ada = await people.create({"name": "Ada"})
    firm = await companies.create({"name": 1})
    assert await companies.find_by_id(ada["id"]) is None
    assert await companies.update(ada["id"], {"name": 2}) is None
    assert not await companies.delete(ada["id"])
    assert await companies.delete_many({}, all=True) == 1
    assert await people.count() == 1
    with pytest.raises(ZeroDivisionError):
        async with people.transaction():
            await people.create({"name": "Bob"})
            await companies.create({"id": firm["id"], "name": 2})  # its database knows nothing of this transaction
            raise ZeroDivisionError
    assert (await people.count(), await companies.count()) == (1, 1)


async def test_schema_of_one_is_unknown_to_the_other(contacts: list[Repository]) -> None:
    """Whoever takes one project's schema to the other's dialect is refused."""
    people, companies = contacts
    with pytest.raises(EntityUnknown):
        await people.dialect.count(COMPANY)
    with pytest.raises(EntityUnknown):
        await companies.dialect.count(PERSON)


async def test_what_becomes_of_one_leaves_the_other_alone(
    manager: HostManager, both: list[ManagedProject], contacts: list[Repository]
) -> None:
    """One is paused while the other is in a transaction; that goes on."""
    people, companies = contacts
    async with companies.transaction():
        await companies.create({"name": 1})
        await people.create({"name": "Ada"})
        await manager.remove_project(both[0].name)
        await companies.create({"name": 2})
    assert await companies.count() == 2
