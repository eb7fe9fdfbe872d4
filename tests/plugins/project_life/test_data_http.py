"""``/api/v1/projects/{project_id}/data``: the data of a project, to its account, while it is active."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from objectkernel_contracts import Principal
from objectkernel_project_life.contracts import (
    PROJECT_MANAGER,
    ProjectDTO,
    ProjectMissing,
    ProjectNotServed,
    Projects,
)
from objectkernel_project_life.data_http import KEPT_SECONDS, ProjectDialects
from objectkernel_project_life.schema import PROJECT_SCHEMA
from objectkernel_system_dialect.contracts import SYSTEM_DIALECT
from starlette.requests import Request

from tests.plugins.project_life.project_hosts import CUSTOMER, PATH, Host, hosted

pytestmark = pytest.mark.anyio

PERSON: dict[str, Any] = {**CUSTOMER, "fields": {"title": {"type": "string"}, "age": {"type": "integer"}}}


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """Servers run on asyncio."""
    return "asyncio"


@pytest.fixture
async def host(tmp_path: Path) -> AsyncIterator[Host]:
    async with hosted(tmp_path) as made:
        yield made


async def made(client: httpx.AsyncClient, slug: str, *schemas: dict[str, Any], **given: Any) -> str:
    """The id of a new project."""
    answer = await client.post(PATH, json={"name": slug, "slug": slug, "schemas": schemas or [CUSTOMER], **given})
    assert answer.status_code == 201, answer.text
    id: str = answer.json()["id"]
    return id


def data(id: str, entity: str = "customers") -> str:
    return f"/api/v1/projects/{id}/data/{entity}"


async def test_rows_of_a_project(host: Host) -> None:
    """The whole data plane: create, read, list, change, count, delete."""
    async with host.client() as ada:
        rows = data(await made(ada, "crm"))
        new = await ada.post(rows, json={"name": "Grace"}, headers={"Idempotency-Key": "once"})
        assert new.status_code == 201, new.text
        again = await ada.post(rows, json={"name": "Grace"}, headers={"Idempotency-Key": "once"})
        assert again.json() == new.json()
        own = new.headers["location"]
        assert own.startswith(f"{rows}/")
        assert (await ada.get(own)).json()["name"] == "Grace"
        assert (await ada.patch(own, json={"name": "Hopper"})).json()["name"] == "Hopper"
        assert [row["name"] for row in (await ada.get(rows)).json()["rows"]] == ["Hopper"]
        assert (await ada.post(f"{rows}/count", json={})).json() == {"count": 1}
        assert (await ada.delete(own)).status_code == 204
        assert (await ada.get(own)).status_code == 404
        assert (await ada.get(data(rows.split("/")[4], "nothing"))).status_code == 404


async def test_the_same_entity_of_two_projects(host: Host) -> None:
    """Each has its own fields and its own rows."""
    async with host.client() as ada:
        one, other = data(await made(ada, "one", CUSTOMER)), data(await made(ada, "other", PERSON))
        assert (await ada.post(one, json={"name": "Grace"})).status_code == 201
        assert (await ada.post(other, json={"title": "Dr", "age": 7})).status_code == 201
        for rows, wrong in ((one, {"title": "Dr"}), (other, {"name": "Grace"})):
            assert (await ada.post(rows, json=wrong)).status_code == 422
            assert len((await ada.get(rows)).json()["rows"]) == 1


async def test_a_project_of_others_is_not_there(host: Host) -> None:
    """Also right after its owner has asked, and whatever scopes somebody has."""
    async with host.client() as ada, host.client("eve") as eve:
        rows = data(await made(ada, "crm"))
        await ada.post(rows, json={"name": "Grace"})
        foreign = [
            await eve.get(rows),
            await eve.post(rows, json={"name": "x"}),
            await eve.post(f"{rows}/count", json={}),
        ]
        absent = [
            await eve.get(data(str(uuid4()))),
            await eve.get(data("nonsense")),
            await eve.get(data("..%2f..%2fx")),
        ]
        assert {one.status_code for one in (*foreign, *absent)} == {404}
        assert {one.json()["code"] for one in (*foreign, *absent[:2])} == {ProjectMissing.code}
        async with (
            host.client(scopes=("projects:read",)) as reader,
            host.client(scopes=("data:read:customers",)) as one,
        ):
            assert (await reader.get(rows)).status_code == 403
            assert (await one.get(rows)).status_code == 200
            assert (await one.post(rows, json={"name": "x"})).status_code == 403


async def test_only_while_it_is_active(host: Host) -> None:
    """A paused project says so at once; one that has ended is not there; a resumed one has its rows."""
    async with host.client() as ada:
        id = await made(ada, "crm")
        await ada.post(data(id), json={"name": "Grace"})
        await ada.post(f"{PATH}/{id}/pause")
        paused = await ada.get(data(id))
        assert (paused.status_code, paused.json()["code"]) == (409, ProjectNotServed.code)
        assert "paused" in paused.text
        assert "resume" in paused.json()["fix"]
        await ada.post(f"{PATH}/{id}/resume")
        assert [row["name"] for row in (await ada.get(data(id))).json()["rows"]] == ["Grace"]
        await ada.delete(f"{PATH}/{id}")
        assert (await ada.get(data(id))).status_code == 404


async def test_what_another_host_has_paused(host: Host) -> None:
    """The register's word counts, also where this host has the project still open."""
    async with host.client() as ada:
        id = await made(ada, "crm")
        await host.kernel.get(SYSTEM_DIALECT).update(PROJECT_SCHEMA, id, {"status": "paused"})
        refused = await ada.get(data(id))
        assert (refused.status_code, refused.json()["code"]) == (409, "L105")
        assert "paused" in refused.text


async def test_only_by_rest(host: Host) -> None:
    """A project that is not reached this way is not there."""
    async with host.client() as ada:
        id = await made(ada, "crm", transports=["mcp", "ws"])
        assert (await ada.get(data(id))).status_code == 404
        await ada.post(f"{PATH}/{id}/pause")
        assert (await ada.get(data(id))).status_code == 404


async def test_a_database_that_cannot_be_opened(tmp_path: Path) -> None:
    """503, with nothing of its URI; and when to try again."""
    async with hosted(tmp_path) as host, host.client() as ada:
        id = await made(ada, "crm")
    (tmp_path / "projects" / "ada" / f"{id}.db").write_bytes(b"this is no database" * 1000)
    async with hosted(tmp_path) as host, host.client() as ada:
        away = await ada.get(data(id))
        assert (away.status_code, "retry-after" in away.headers) == (503, True)
        assert str(tmp_path) not in away.text


# --- how often the register is asked --------------------------------------------------------------------------


class Counted:
    """A register that counts how often it is asked."""

    def __init__(self, projects: Projects) -> None:
        self.asked = 0
        self._projects = projects

    async def get(self, account_id: str | None, project_id: str) -> ProjectDTO:
        self.asked += 1
        return await self._projects.get(account_id, project_id)


def request(id: str, account: str = "ada") -> Request:
    scope = {"type": "http", "headers": [], "path_params": {"project_id": id}, "state": {}}
    found = Request(scope)
    found.state.principal = Principal(account_id=account)
    return found


async def test_the_register_is_not_asked_each_time(host: Host) -> None:
    """What it has said is gone by for a moment; what the manager no longer serves is asked for again at once."""
    now = [0.0]
    async with host.client() as ada:
        id = await made(ada, "crm")
        counted: Any = Counted(host.projects)
        dialects = ProjectDialects(counted, host.kernel.get(PROJECT_MANAGER), clock=lambda: now[0])
        first = await dialects.of(request(id))
        assert all([await dialects.of(request(id)) is first for _ in range(100)])
        assert counted.asked == 1
        with pytest.raises(ProjectMissing):
            await dialects.of(request(id, "eve"))
        assert counted.asked == 1

        await ada.patch(f"{PATH}/{id}", json={"transports": ["mcp"]})
        now[0] += KEPT_SECONDS + 0.1
        with pytest.raises(ProjectMissing):
            await dialects.of(request(id))
        assert counted.asked == 2
        await ada.patch(f"{PATH}/{id}", json={"transports": ["rest"]})
        now[0] += KEPT_SECONDS + 0.1
        assert await dialects.of(request(id)) is first

        await ada.post(f"{PATH}/{id}/pause")
        with pytest.raises(ProjectNotServed):
            await dialects.of(request(id))
        await ada.delete(f"{PATH}/{id}")
        with pytest.raises(ProjectMissing):
            await dialects.of(request(id))
