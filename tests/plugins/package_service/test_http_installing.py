"""The routes that install packages into the host."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from tests.plugins.package_service.hosts import INSTALLATIONS, Client, clients, make_kernel, package

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """One is enough here: what is beneath is tested on both."""
    return "asyncio"


@pytest.fixture
async def client(anyio_backend: str) -> AsyncIterator[Client]:
    """Clients of a host whose registry has two versions of a package, one that depends on it, and a private one."""
    async with clients(make_kernel()) as made:
        ada = made("ada")
        for id, version, needs in (("crm", "1.0.0", {}), ("crm", "1.1.0", {}), ("billing", "1.0.0", {"crm": "^1.0.0"})):
            body = package(id, version, dependencies=needs)
            body["metadata"]["objects"][0]["name"] = f"{id}_account"
            assert (await ada.post("", json=body)).status_code == 201
        await ada.post("?visibility=private", json=package("secret"))
        yield made


def problem(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code, answer.json()["code"]


async def installed(http: httpx.AsyncClient) -> list[tuple[str, str]]:
    return [(one["id"], one["version"]) for one in (await http.get("")).json()["items"]]


async def test_a_package_is_installed_with_what_it_needs(client: Client) -> None:
    """Previewed first, which changes nothing; installing it again does nothing."""
    http = client("operator", INSTALLATIONS)
    preview = await http.get("/billing/preview")
    assert [one["id"] for one in preview.json()["items"]] == ["crm", "billing"]
    assert await installed(http) == []
    done = await http.put("/billing")
    assert (done.status_code, [one["id"] for one in done.json()["items"]]) == (200, ["crm", "billing"])
    assert await installed(http) == [("crm", "1.1.0"), ("billing", "1.0.0")]
    assert (await http.put("/billing")).json()["items"] == []
    assert (await http.get("/crm")).json()["entities"] != []
    assert (await http.get("")).json()["failed"] == []


async def test_an_installed_package_is_upgraded(client: Client) -> None:
    """By version, tag or range; what is not installed is no upgrade."""
    http = client("operator", INSTALLATIONS)
    assert problem(await http.post("/crm/upgrade")) == (404, "P111")
    await http.put("/crm?version=1.0.0")
    assert [one["version"] for one in (await http.post("/crm/upgrade?version=^1.0.0")).json()["items"]] == ["1.1.0"]
    assert await installed(http) == [("crm", "1.1.0")]


async def test_a_package_is_uninstalled_at_once(client: Client) -> None:
    """Unless another installed one needs it; its rows are removed when that is asked for."""
    http = client("operator", INSTALLATIONS)
    await http.put("/billing")
    assert problem(await http.delete("/crm")) == (409, "P112")
    assert (await http.delete("/billing?data=remove")).status_code == 204
    assert (await http.delete("/crm")).status_code == 204
    assert await installed(http) == []
    assert problem(await http.delete("/crm")) == (404, "P111")
    assert problem(await http.get("/crm")) == (404, "P111")
    assert (await http.delete("/crm?data=burn")).status_code == 422


async def test_what_cannot_be_installed_is_refused_with_the_reasons(client: Client) -> None:
    """A private package of another account is as missing as one that nobody has published."""
    http = client("operator", INSTALLATIONS)
    foreign, nowhere = await http.put("/secret"), await http.put("/nobody")
    assert problem(foreign) == problem(nowhere)
    assert foreign.status_code == 409
    assert foreign.text.replace("secret", "nobody") == nowhere.text
    assert nowhere.json()["why"]
    assert "'secret'" not in (await http.put("/secrt")).text  # what it does not see is not offered as a close name
    assert "'crm' was meant" in (await http.put("/cmr")).text
    assert problem(await http.put("/crm?version=nonsense range")) == (422, "P101")


@pytest.mark.parametrize("key", ["ada", "reader"])
async def test_only_operators_install(client: Client, key: str) -> None:
    """Who may publish may not install: it changes the host for everybody."""
    http = client(key, INSTALLATIONS)
    for answer in (
        await http.get(""),
        await http.put("/crm"),
        await http.delete("/crm"),
        await http.get("/crm/preview"),
    ):
        assert problem(answer) == (403, "H403")
