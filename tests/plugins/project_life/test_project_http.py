"""``/api/projects`` on a host: to whom projects answer, and what is never told."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from objectkernel_accounts.audit import AUDIT_ENTRY
from objectkernel_system_dialect.contracts import SYSTEM_DIALECT

from tests.plugins.project_life.project_hosts import CUSTOMER, PATH, Host, hosted

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """Servers run on asyncio."""
    return "asyncio"


@pytest.fixture
async def host(tmp_path: Path) -> AsyncIterator[Host]:
    async with hosted(tmp_path) as made:
        yield made


async def made(client: httpx.AsyncClient, slug: str = "crm", **given: Any) -> dict[str, Any]:
    """A new project."""
    answer = await client.post(PATH, json={"name": slug.title(), "slug": slug, "schemas": [CUSTOMER], **given})
    assert answer.status_code == 201, answer.text
    project: dict[str, Any] = answer.json()
    return project


async def test_the_life_of_a_project(host: Host) -> None:
    """Made, listed, looked at, changed, paused, resumed, ended; each answer says what it is then."""
    async with host.client() as ada:
        answer = await ada.post(PATH, json={"name": "Crm", "slug": "crm", "schemas": [CUSTOMER], "poolSize": 3})
        assert answer.status_code == 201, answer.text
        project = answer.json()
        own = f"{PATH}/{project['id']}"
        assert answer.headers["location"] == own
        assert answer.headers["etag"] == f'"{project["version"]}"'
        assert project == (await ada.get(own)).json()
        assert set(project) == {
            "id", "account", "name", "slug", "dialect", "uri", "schemas", "transports", "notServed", "poolSize",
            "poolMin", "status", "error", "mprojectName", "transition", "version", "createdAt", "updatedAt",
        }  # fmt: skip
        assert (project["account"], project["status"], project["transports"]) == ("ada", "active", ["rest"])
        assert (project["poolSize"], project["poolMin"]) == (3, 0)
        assert project["mprojectName"] == f"project_{project['id'].replace('-', '')}"
        assert project["uri"] == f"sqlite:///{project['id']}.db"

        page = (await ada.get(PATH)).json()
        assert page["nextCursor"] is None
        assert page["items"] == [{name: value for name, value in project.items() if name != "schemas"}]

        changed = await ada.patch(own, json={"name": "Customers", "transports": ["rest", "mcp"], "poolSize": 4})
        assert changed.status_code == 200, changed.text
        assert (changed.json()["name"], changed.json()["poolSize"]) == ("Customers", 4)
        assert changed.json()["notServed"] == ["mcp"]
        assert changed.json()["version"] > project["version"]

        for _ in range(2):  # what is so already is so
            assert (await ada.post(f"{own}/pause")).json()["status"] == "paused"
        for _ in range(2):
            assert (await ada.post(f"{own}/resume")).json()["status"] == "active"
        ended = await ada.delete(own)
        assert (ended.status_code, ended.content) == (204, b"")
        assert (await ada.get(own)).status_code == 404
        assert (await ada.get(PATH)).json()["items"] == []


async def test_line_6_only_the_own_account_sees_a_project(host: Host) -> None:
    """The account is the caller's; whatever a request says of it is refused, and others' projects are not there."""
    async with host.client() as ada, host.client("eve") as eve:
        project = await made(ada)
        own = f"{PATH}/{project['id']}"
        asked = [
            await eve.get(own),
            await eve.patch(own, json={"name": "Mine"}),
            await eve.delete(own),
            await eve.post(f"{own}/pause"),
            await eve.post(f"{own}/resume"),
            await eve.post(f"{own}/uri", json={"uri": "sqlite:///other.db"}),
            await eve.get(f"{own}/schemas"),
            await eve.put(f"{own}/schemas", json={"schemas": []}),
            await eve.post(f"{own}/schemas/plan", json={"schemas": []}),
        ]
        absent = [await eve.get(f"{PATH}/{uuid4()}"), await eve.get(f"{PATH}/nonsense"), await eve.get(f"{PATH}/%00")]
        assert {one.status_code for one in (*asked, *absent)} == {404}
        assert {one.json()["code"] for one in (*asked, *absent)} == {"L102"}
        told = [one.text.replace(one.url.path.rpartition("/")[2], "…") for one in (asked[0], absent[0], absent[1])]
        assert len(set(told)) == 1
        assert (await eve.get(PATH)).json()["items"] == []
        assert (await ada.get(own)).json() == project

        for given in ({"account": "ada"}, {"account_id": "ada"}, {"id": str(uuid4())}, {"status": "active"}):
            assert (await eve.post(PATH, json={"name": "x", "slug": "x", **given})).status_code == 422
        assert (await eve.get(PATH, params={"account": "ada"})).status_code == 422


async def test_line_6_what_a_patch_does_not_take(host: Host) -> None:
    """Account, URI, status, id and whatever else is not the owner's to set."""
    async with host.client() as ada:
        own = f"{PATH}/{(await made(ada))['id']}"
        for name, value in {
            "account": "eve", "uri": "sqlite:///x.db", "status": "error", "id": str(uuid4()), "slug": "x", "version": 9,
            "mprojectName": "x", "schemas": [], "dialect": "postgres", "error": "x", "pool_size": 3, "transition": None,
        }.items():  # fmt: skip
            answer = await ada.patch(own, json={name: value})
            assert (answer.status_code, answer.json()["errors"][0]["at"]) == (422, f"/{name}")
        wrong: tuple[Any, ...] = (
            {"poolSize": 0},
            {"poolSize": "5"},
            {"poolMin": 9},
            {"name": ""},
            {"transports": ["ftp"]},
            [],
            1,
        )
        for given in wrong:
            assert (await ada.patch(own, json=given)).status_code == 422
        assert (await ada.patch(own, json={})).status_code == 200
        assert (await ada.patch(own, json={"poolSize": 7.0})).json()["poolSize"] == 7, "JSON has one kind of number"


async def test_the_trail_says_who(host: Host) -> None:
    """Whoever has sent the request; what an operator does without one is the host's own."""
    async with host.client() as ada:
        project = await made(ada)
        await ada.post(f"{PATH}/{project['id']}/pause")
    await host.projects.resume_project(None, project["id"])
    dialect = host.kernel.get(SYSTEM_DIALECT)
    found = await dialect.find(AUDIT_ENTRY, {"subject": project["id"]}, sort={"sequence": 1})
    assert [(row["action"], row["account_id"]) for row in found] == [
        ("project.provision", "ada"),
        ("project.pause", "ada"),
        ("project.resume", "ada"),
    ]
    assert [row["key_id"] for row in found] == ["ada's key", "ada's key", None]


async def test_scopes(host: Host) -> None:
    """Reading takes one, changing another, and nobody comes without."""
    async with host.client() as ada, host.client(scopes=("projects:read",)) as reader, host.client(scopes=()) as nobody:
        own = f"{PATH}/{(await made(ada))['id']}"
        assert (await reader.get(own)).status_code == (await reader.get(PATH)).status_code == 200
        for client in (reader, nobody):
            for answer in (
                await client.post(PATH, json={"name": "x", "slug": "x"}),
                await client.patch(own, json={}),
                await client.delete(own),
                await client.post(f"{own}/pause"),
                await client.post(f"{own}/resume"),
                await client.post(f"{own}/uri", json={"uri": "x"}),
                await client.post(f"{own}/schemas/plan", json={"schemas": []}),
                await client.put(f"{own}/schemas", json={"schemas": []}),
            ):
                assert answer.status_code == 403
        for path in (PATH, own, f"{own}/schemas"):
            assert (await nobody.get(path)).status_code == 403
        del nobody.headers["Authorization"]
        assert (await nobody.get(PATH)).status_code == 401


async def test_an_etag_guards_a_change(host: Host) -> None:
    """Who has read an older version is told; preconditions that are not kept to are refused, not passed over."""
    async with host.client() as ada:
        answer = await ada.get(f"{PATH}/{(await made(ada))['id']}")
        own, etag = answer.url, answer.headers["etag"]
        first = await ada.patch(own, json={"name": "One"}, headers={"If-Match": etag})
        assert first.status_code == 200
        late = await ada.patch(own, json={"name": "Two"}, headers={"If-Match": etag})
        assert (late.status_code, late.json()["code"]) == (412, "L110")
        for value in ("W/" + first.headers["etag"], first.headers["etag"].strip('"'), '"0"', ""):
            assert (await ada.patch(own, json={"name": "Two"}, headers={"If-Match": value})).status_code == 412
        assert (await ada.get(own)).json()["name"] == "One"
        for value in ("*", '"x", {}'):
            sent = {"If-Match": value.format(first.headers["etag"])}
            first = await ada.patch(own, json={"name": "Three"}, headers=sent)
            assert first.status_code == 200
        absent = await ada.patch(f"{PATH}/{uuid4()}", json={}, headers={"If-Match": '"1"'})
        assert absent.status_code == 404
        for headers in ({"If-None-Match": "*"}, {"If-Unmodified-Since": "x"}):
            assert (await ada.patch(own, json={}, headers=headers)).json()["code"] == "L101"
        assert (await ada.delete(own, headers={"If-Match": '"1"'})).json()["code"] == "L101"
        assert (await ada.post(f"{own}/pause", headers={"If-Match": '"1"'})).json()["code"] == "L101"


async def test_line_3_nothing_of_a_uri_is_told(host: Host, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Not in an answer, of whichever status, nor in the log, nor in the audit trail."""
    answers: list[httpx.Response] = []
    secret = "postgresql://shop:t0p-s3cret@127.0.0.1:1/crm?sslmode=disable"
    async with hosted(tmp_path / "open", allowed_hosts=["127.0.0.1"], allowed_ports=[1]) as near:
        for one in (host, near):
            async with one.client() as ada:
                answers.append(await ada.post(PATH, json={"name": "x", "slug": "refused", "uri": secret}))
                project = await made(ada)
                answers.append(await ada.post(f"{PATH}/{project['id']}/uri", json={"uri": secret}))
                answers.append(await ada.post(f"{PATH}/{project['id']}/uri", json={"uri": secret, "more": 1}))
                answers.append(await ada.post(PATH, json={"name": "x", "slug": "x", "uri": ["t0p-s3cret"]}))
                answers.append(await ada.post(PATH, json={"name": "x", "slug": "x", "uri": "t0p-s3cret" * 1000}))
                answers.append(await ada.get(PATH))
            audit = await one.kernel.get(SYSTEM_DIALECT).find(AUDIT_ENTRY)
            assert "s3cret" not in json.dumps(audit, default=str)
    assert [one.status_code for one in answers] == [422, 422, 422, 422, 422, 200, 409, 422, 422, 422, 422, 200]
    assert not any("s3cret" in one.text or "shop" in one.text for one in answers)
    assert "s3cret" not in caplog.text


async def test_conflicts_and_problems(host: Host) -> None:
    """A slug that is taken; everything that is wrong with a project, at once; a page that is none."""
    async with host.client() as ada, host.client("eve") as eve:
        await made(ada)
        again = await ada.post(PATH, json={"name": "x", "slug": "crm"})
        assert (again.status_code, again.json()["code"]) == (409, "L103")
        await made(eve)  # in another account it is free
        wrong = await ada.post(PATH, json={"name": "\x07", "slug": "x", "poolSize": 2, "poolMin": 3, "schemas": [{}]})
        assert (wrong.status_code, wrong.json()["code"]) == (422, "L101")
        assert len(wrong.json()["why"]) >= 3
        for given in ({"slug": "A B"}, {"slug": "-a"}, {"slug": "a" * 64}, {"name": 5}, {"transports": "rest"}):
            assert (await ada.post(PATH, json={"name": "x", "slug": "x", **given})).status_code == 422
        damaged = await ada.get(PATH, params={"after": "nonsense"})
        assert (damaged.status_code, damaged.json()["code"]) == (422, "L101")
        for params in ({"limit": 0}, {"limit": 201}, {"status": "gone"}):
            assert (await ada.get(PATH, params=params)).status_code == 422


async def test_pages(host: Host) -> None:
    """By age, with a cursor, and only those in a state where one is named."""
    async with host.client() as ada:
        ids = [(await made(ada, f"crm-{number}"))["id"] for number in range(5)]
        await ada.post(f"{PATH}/{ids[1]}/pause")
        found, after = [], None
        while True:
            params = {"limit": 2, **({"after": after} if after else {})}
            page = (await ada.get(PATH, params=params)).json()
            found += [one["id"] for one in page["items"]]
            after = page["nextCursor"]
            if after is None:
                break
        assert found == ids
        paused = (await ada.get(PATH, params={"status": "paused"})).json()
        assert [one["id"] for one in paused["items"]] == [ids[1]]


async def test_entities_are_planned_and_changed(host: Host) -> None:
    """The plan changes nothing; what is planned is done then."""
    async with host.client() as ada:
        own = f"{PATH}/{(await made(ada))['id']}"
        assert [one["name"] for one in (await ada.get(f"{own}/schemas")).json()["schemas"]] == ["Customer"]
        invoice = {"name": "Invoice", "collection": "invoices", "fields": {"total": {"type": "decimal"}}}
        wider = {**CUSTOMER, "fields": {**CUSTOMER["fields"], "mail": {"type": "string"}}}
        plan = await ada.post(f"{own}/schemas/plan", json={"schemas": [wider, invoice]})
        assert plan.status_code == 200, plan.text
        assert any("invoices" in line for line in plan.json()["plan"])
        assert any("mail" in line for line in plan.json()["plan"])
        assert [one["name"] for one in (await ada.get(f"{own}/schemas")).json()["schemas"]] == ["Customer"]
        done = await ada.put(f"{own}/schemas", json={"schemas": [wider, invoice]})
        assert done.status_code == 200, done.text
        assert [one["name"] for one in done.json()["schemas"]] == ["Customer", "Invoice"]
        again = await ada.post(f"{own}/schemas/plan", json={"schemas": [wider, invoice]})
        assert again.json() == {"plan": []}
        wrong: tuple[Any, ...] = ({"schemas": [{"name": 1}]}, {"schemas": [1]}, {"schemas": {}}, {})
        for body in wrong:
            assert (await ada.put(f"{own}/schemas", json=body)).status_code == 422


async def test_another_address(host: Host) -> None:
    """A project is moved; one that is refused or cannot be opened leaves it where it was."""
    async with host.client() as ada:
        project = await made(ada)
        own = f"{PATH}/{project['id']}"
        moved = await ada.post(f"{own}/uri", json={"uri": "sqlite:///moved.db"})
        assert moved.status_code == 200, moved.text
        assert (moved.json()["uri"], moved.json()["status"]) == ("sqlite:///moved.db", "active")
        for uri in ("sqlite:////etc/passwd", "postgresql://u:p@db.example/crm", ":memory:"):
            refused = await ada.post(f"{own}/uri", json={"uri": uri})
            assert (refused.status_code, refused.json()["code"]) == (422, "L106")
        assert (await ada.get(own)).json()["uri"] == "sqlite:///moved.db"


async def test_bodies_have_an_end(host: Host) -> None:
    """Two megabytes: more than all schemas of a project may have."""
    async with host.client() as ada:
        for path in (PATH, f"{PATH}/{uuid4()}/schemas/plan"):
            answer = await ada.post(path, content=b'{"name": "' + b"x" * (3 * 2**20) + b'"}')
            assert answer.status_code == 413
