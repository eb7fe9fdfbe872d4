"""The routes of the registry: what they answer, to whom, and what they refuse."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Any

import anyio
import httpx
import pytest
from objectkernel_contracts import access_of
from objectkernel_http.testing import access_table, undescribed
from objectkernel_package_service.canonical import canonical
from objectkernel_package_service.contracts import PACKAGES, PackageStoreUnavailable
from objectkernel_package_service.http import packages_router
from objectkernel_package_service.registry import PackageRegistry
from objectkernel_package_service.table import PACKAGE
from objectkernel_system_dialect.contracts import SYSTEM_DIALECT

from tests.plugins.package_service.hosts import INSTALLATIONS, PATH, Client, clients, make_kernel, package, sha256

pytestmark = pytest.mark.anyio

JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """One is enough here: what is beneath is tested on both."""
    return "asyncio"


@pytest.fixture
async def client(anyio_backend: str) -> AsyncIterator[Client]:
    """Clients of a host whose registry is empty."""
    async with clients(make_kernel()) as made:
        yield made


def problem(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code, answer.json()["code"]


async def publish(http: httpx.AsyncClient, *args: Any, query: str = "", **manifest: Any) -> dict[str, Any]:
    answer = await http.post(f"?{query}" if query else "", json=package(*args, **manifest))
    assert answer.status_code in (200, 201), answer.text
    told: dict[str, Any] = answer.json()
    return told


# --- publishing and delivering ----------------------------------------------------------------------------


async def test_what_was_published_is_delivered_byte_for_byte(client: Client) -> None:
    """The body is the canonical JSON, its SHA-256 is the ETag, and its address is told."""
    http = client()
    made = await http.post("", json=package(name="CRM é"))
    assert made.status_code == 201
    assert made.headers["location"] == f"{PATH}/crm/1.0.0"
    assert (made.json()["owner"], made.json()["visibility"], made.json()["policy"]) == ("ada", "public", "mutable")
    got = await http.get("/crm/1.0.0")
    assert got.content == canonical(package(name="CRM é"))
    assert got.headers["etag"] == made.headers["etag"] == f'"{sha256(got.content)}"' == f'"{made.json()["hash"]}"'
    assert got.headers["content-location"] == f"{PATH}/crm/1.0.0"
    assert got.headers["content-type"] == "application/json"


async def test_a_publish_may_be_tried_again(client: Client) -> None:
    """The same body again is no other version and changes nothing; 200 and not 201 tells that it was there."""
    http = client()
    first, again = await http.post("", json=package()), await http.post("", json=package())
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json()["previous_hash"] == again.json()["hash"] == first.json()["hash"]
    assert len((await http.get("/crm/versions")).json()["items"]) == 1


async def test_versions_tags_and_ranges_lead_to_a_version(client: Client) -> None:
    """In the path or as a parameter; Content-Location tells which one it was."""
    http = client()
    for version in ("1.0.0", "1.1.0", "2.0.0-rc.1", "1.0.5"):
        await publish(http, "crm", version)
    assert (await http.put("/crm/tags/stable", json={"version": "1.0.0"})).status_code == 204
    wanted = {
        "/crm": "1.0.5",
        "/crm/latest": "1.0.5",
        "/crm/stable": "1.0.0",
        "/crm/^1.0.0": "1.1.0",
        "/crm/~1.0.0": "1.0.5",
        "/crm?version=>=1.0.0 <1.1.0": "1.0.5",
        "/crm?version=>=2.0.0-0": "2.0.0-rc.1",
        "/crm/2.0.0-rc.1": "2.0.0-rc.1",
    }
    for path, version in wanted.items():
        got = await http.get(path)
        assert got.headers.get("content-location") == f"{PATH}/crm/{version}", path
        assert got.json()["manifest"]["version"] == version
    assert problem(await http.get("/crm/^3.0.0")) == (404, "P104")
    assert problem(await http.get("/crm/nonsense range")) == (422, "P101")


async def test_build_metadata_is_part_of_the_address(client: Client) -> None:
    """A plus sign in a path is itself; the address that is told leads back."""
    http = client()
    made = await http.post("", json=package(version="1.0.0+build.7"))
    got = await client(path="").get(made.headers["location"])
    assert got.json()["manifest"]["version"] == "1.0.0+build.7"


async def test_a_summary_describes_without_the_metadata(client: Client) -> None:
    """The manifest, the counts, and what is said of the version."""
    http = client()
    await publish(http, objects=3, keywords=["a"], query="tag=stable&visibility=private&policy=immutable")
    told = (await http.get("/crm/stable/summary")).json()
    assert told["manifest"]["keywords"] == ["a"]
    assert told["counts"] == {"objects": 3}
    assert (told["tags"], told["visibility"], told["policy"]) == (["stable"], "private", "immutable")
    assert "metadata" not in told


# --- caching and coding -----------------------------------------------------------------------------------


async def test_who_has_it_gets_no_body(client: Client) -> None:
    """If-None-Match with the hash, alone or among others, is 304 with the same ETag, for deliveries and for lists."""
    http = client()
    tag = f'"{(await publish(http))["hash"]}"'
    for told in (tag, f"W/{tag}", f'"x", {tag}', "*"):
        got = await http.get("/crm/1.0.0", headers={"If-None-Match": told})
        assert (got.status_code, got.content, got.headers["etag"]) == (304, b"", tag)
        assert "content-location" in got.headers
    assert (await http.get("/crm/1.0.0", headers={"If-None-Match": '"x"'})).status_code == 200
    page = await http.get("")
    assert (await http.get("", headers={"If-None-Match": page.headers["etag"]})).status_code == 304
    await publish(http, "hr")
    assert (await http.get("", headers={"If-None-Match": page.headers["etag"]})).status_code == 200


async def test_only_what_cannot_change_is_cached_for_ever(client: Client) -> None:
    """An exact version of an immutable package, or any content asked for with its hash; all else is asked for anew."""
    http = client()
    hash = (await publish(http))["hash"]
    await publish(http, "fixed", query="policy=immutable&tag=stable")

    async def cache(path: str) -> str:
        told: str = (await http.get(path)).headers["cache-control"]
        return told

    forever = "private, max-age=31536000, immutable"
    assert await cache("/fixed/1.0.0") == forever
    assert await cache(f"/crm/1.0.0?hash={hash}") == forever
    assert await cache(f"/crm?version=^1.0.0&hash={hash}") == forever
    for path in (
        "/crm/1.0.0",
        "/crm",
        "/fixed",
        "/fixed/latest",
        "/fixed/stable",
        "/fixed/^1.0.0",
        "",
        "/crm/versions",
    ):
        assert await cache(path) == "private, no-cache", path
    await publish(http, name="changed")
    assert problem(await http.get(f"/crm/1.0.0?hash={hash}")) == (404, "P104")
    assert (await http.get("/crm/1.0.0?hash=abc")).status_code == 422


async def test_large_answers_are_compressed_for_who_likes_it(client: Client) -> None:
    """By the weights of Accept-Encoding; each form has its own ETag and digest, and caches know what it depends on."""
    http = client()
    hash = (await publish(http, objects=2000))["hash"]
    plain = await http.get("/crm/1.0.0", headers={"Accept-Encoding": "gzip;q=0.2, identity;q=0.9"})
    packed = await http.get("/crm/1.0.0", headers={"Accept-Encoding": "br, gzip;q=0.9"})
    assert "content-encoding" not in plain.headers
    assert (packed.headers["content-encoding"], packed.headers["etag"]) == ("gzip", f'"{hash}-gzip"')
    assert int(packed.headers["content-length"]) < len(plain.content) / 10
    assert packed.content == plain.content == canonical(package(objects=2000))
    assert packed.headers["repr-digest"] != plain.headers["repr-digest"]
    assert packed.headers["vary"] == plain.headers["vary"] == "Accept-Encoding, Authorization, Cookie"
    again = await http.get("/crm/1.0.0", headers={"Accept-Encoding": "gzip", "If-None-Match": f'"{hash}-gzip"'})
    assert (again.status_code, again.headers["etag"]) == (304, f'"{hash}-gzip"')
    other = await http.get("/crm/1.0.0", headers={"Accept-Encoding": "gzip", "If-None-Match": f'"{hash}"'})
    assert (other.status_code, other.headers["etag"]) == (304, f'"{hash}"')  # of what the caller has, and may keep
    assert problem(await http.get("/crm/1.0.0", headers={"Accept-Encoding": "identity;q=0"})) == (406, "H406")


async def test_head_says_what_get_says(client: Client) -> None:
    """The same headers, and no body."""
    http = client()
    await publish(http)
    for path in ("", "/crm", "/crm/1.0.0", "/crm/versions", "/crm/tags", "/crm/history", "/crm/1.0.0/summary"):
        got, head = await http.get(path), await http.head(path)
        assert (head.status_code, head.content) == (200, b"")
        for name in ("etag", "content-length", "cache-control", "vary", "repr-digest", "content-type"):
            assert head.headers[name] == got.headers[name], (path, name)


async def test_parts_are_not_delivered(client: Client) -> None:
    """Who asks for a range of bytes gets all of them, as anybody may answer (RFC 9110, section 14.2)."""
    http = client()
    await publish(http)
    got = await http.get("/crm/1.0.0", headers={"Range": "bytes=0-3"})
    assert (got.status_code, got.content) == (200, canonical(package()))


# --- lists ------------------------------------------------------------------------------------------------


async def test_lists_come_in_pages(client: Client) -> None:
    """The latest version of each package, newest first; with all_versions every one."""
    http = client()
    for number in range(5):
        await publish(http, f"p{number}")
    await publish(http, "p0", "2.0.0")
    first = (await http.get("?limit=2")).json()
    assert [(one["id"], one["version"]) for one in first["items"]] == [("p0", "2.0.0"), ("p4", "1.0.0")]
    rest = (await http.get(f"?limit=500&after={first['after']}")).json()
    assert [one["id"] for one in rest["items"]] == ["p3", "p2", "p1"]
    assert rest["after"] is None
    assert len((await http.get("?all_versions=true")).json()["items"]) == 6
    assert [one["version"] for one in (await http.get("/p0/versions")).json()["items"]] == ["2.0.0", "1.0.0"]


async def test_search_finds_words_of_id_and_name(client: Client) -> None:
    """Each word somewhere, whatever the case."""
    http = client()
    await publish(http, "acme.crm", name="Customer Relations")
    await publish(http, "acme.hr", name="People")
    assert [one["id"] for one in (await http.get("?search=customer CRM")).json()["items"]] == ["acme.crm"]
    assert (await http.get("?search=nothing")).json()["items"] == []


# --- changing ---------------------------------------------------------------------------------------------


async def test_tags_come_and_go(client: Client) -> None:
    """A tag names one version; what is no tag, or no version, is refused."""
    http = client()
    await publish(http)
    assert (await http.put("/crm/tags/stable", json={"version": "1.0.0"})).status_code == 204
    assert (await http.get("/crm/tags")).json() == {"tags": {"stable": "1.0.0"}}
    assert (await http.delete("/crm/tags/stable")).status_code == 204
    assert problem(await http.delete("/crm/tags/stable")) == (404, "P104")
    assert problem(await http.put("/crm/tags/stable", json={"version": "9.0.0"})) == (404, "P104")
    refused = await http.put("/crm/tags/latest", json={"version": "1.0.0"})
    assert problem(refused) == (422, "P101")
    assert refused.json()["errors"][0]["in"] == "path"


async def test_a_tag_may_have_the_name_of_a_route(client: Client) -> None:
    """It is found as a parameter, and made under its own address."""
    http = client()
    await publish(http)
    for tag in ("versions", "tags", "history", "deprecation", "yank", "summary"):
        assert (await http.put(f"/crm/tags/{tag}", json={"version": "1.0.0"})).status_code == 204
        assert (await http.get(f"/crm?version={tag}")).status_code == 200
        assert (await http.delete(f"/crm/tags/{tag}")).status_code == 204


async def test_yanked_versions_are_found_by_their_name_alone(client: Client) -> None:
    """Until it is taken back."""
    http = client()
    for version in ("1.0.0", "1.1.0"):
        await publish(http, "crm", version)
    assert (await http.put("/crm/1.1.0/yank")).status_code == 204
    assert (await http.get("/crm")).json()["manifest"]["version"] == "1.0.0"
    assert (await http.get("/crm/^1.0.0")).json()["manifest"]["version"] == "1.0.0"
    assert (await http.get("/crm/1.1.0/summary")).json()["yanked"] is True
    assert (await http.delete("/crm/1.1.0/yank")).status_code == 204
    assert (await http.get("/crm")).json()["manifest"]["version"] == "1.1.0"
    assert problem(await http.put("/crm/9.0.0/yank")) == (404, "P104")


async def test_deprecations_are_told_in_lists(client: Client) -> None:
    """Of one version, or of all."""
    http = client()
    for version in ("1.0.0", "1.1.0"):
        await publish(http, "crm", version)

    async def told() -> list[str | None]:
        return [one["deprecated"] for one in (await http.get("/crm/versions")).json()["items"]]

    assert (await http.put("/crm/1.0.0/deprecation", json={"message": "old"})).status_code == 204
    assert await told() == [None, "old"]
    assert (await http.put("/crm/deprecation", json={"message": "moved"})).status_code == 204
    assert await told() == ["moved", "moved"]
    assert (await http.delete("/crm/1.1.0/deprecation")).status_code == 204
    assert await told() == [None, "moved"]
    assert (await http.delete("/crm/deprecation")).status_code == 204
    assert await told() == [None, None]


async def test_an_immutable_version_keeps_its_content(client: Client) -> None:
    """The same again is fine, other content is a conflict that has its code."""
    http = client()
    await publish(http)
    assert (await http.patch("/crm", json={"policy": "immutable"})).status_code == 204
    assert (await http.post("", json=package())).status_code == 200
    assert problem(await http.post("", json=package(name="other"))) == (409, "P106")


async def test_delete_takes_one_version_or_all_when_asked_by_name(client: Client) -> None:
    """What is not there is 404; what others need is kept, unless it is forced, and they are named."""
    http = client()
    for version in ("1.0.0", "1.1.0"):
        await publish(http, "crm", version)
    await publish(http, "billing", dependencies={"crm": "^1.1.0"})
    refused = await http.delete("/crm/1.1.0")
    assert problem(refused) == (409, "P108")
    assert "billing@1.0.0" in refused.text
    assert (await http.delete("/crm/1.1.0?force=true")).status_code == 204
    assert problem(await http.delete("/crm/1.1.0")) == (404, "P104")
    assert problem(await http.delete("/crm")) == (422, "H422")
    assert (await http.delete("/crm?all_versions=true&force=true")).status_code == 204
    assert problem(await http.get("/crm")) == (404, "P104")
    actions = [one["action"] for one in (await http.get("/crm/history")).json()["items"]]
    assert actions.count("publish") == 2
    assert actions.count("delete") == 2


@pytest.mark.parametrize("word", ["latest", "^1.0.0", "stable"])
async def test_only_exact_versions_are_changed(client: Client, word: str) -> None:
    """Nothing is deleted, yanked or tagged by a word that may mean another version tomorrow."""
    http = client()
    await publish(http, query="tag=stable")
    for answer in (await http.delete(f"/crm/{word}"), await http.put(f"/crm/{word}/yank")):
        assert problem(answer) == (422, "P101")
        assert answer.json()["errors"][0] | {"detail": ""} == {
            "in": "path",
            "at": "/version",
            "path": "version",
            "detail": "",
        }
    assert len((await http.get("/crm/versions")).json()["items"]) == 1


# --- who may ----------------------------------------------------------------------------------------------


async def test_scopes_of_every_route() -> None:
    """Nobody without a credential, nobody without the scope, and everybody with it."""
    rows = await access_table(make_kernel())
    mine = [row for row in rows if row.path.startswith((PATH, INSTALLATIONS))]
    assert len(mine) > 50
    assert [row for row in mine if not row.right] == []


async def test_the_account_comes_from_the_credential(client: Client) -> None:
    """Nobody publishes for somebody else: an owner in the query or in the body is refused."""
    http = client()
    assert problem(await http.post("?owner=bob", json=package())) == (422, "H422")
    assert problem(await http.post("", json={**package(), "owner": "bob"})) == (422, "P101")
    assert problem(await http.patch("/crm", json={"owner": "bob"})) == (422, "H422")


async def test_private_packages_of_others_answer_as_if_they_were_not_there(client: Client) -> None:
    """On every route: status and body are those of an id that nobody has ever used."""
    ada, bob = client("ada"), client("bob")
    hash = (await publish(ada, "aaaa", query="visibility=private&policy=immutable&tag=stable"))["hash"]
    for method, path, body in (
        ("GET", "/aaaa", None),
        ("HEAD", "/aaaa", None),
        ("HEAD", "/aaaa/1.0.0", None),
        ("HEAD", "/aaaa/versions", None),
        ("GET", f"/aaaa/1.0.0?hash={hash}", None),
        ("GET", "/aaaa/1.0.0", None),
        ("GET", "/aaaa/stable", None),
        ("GET", "/aaaa/^1.0.0", None),
        ("GET", "/aaaa/1.0.0/summary", None),
        ("GET", "/aaaa/versions", None),
        ("GET", "/aaaa/tags", None),
        ("GET", "/aaaa/history", None),
        ("PATCH", "/aaaa", {"policy": "immutable"}),
        ("PUT", "/aaaa/tags/next", {"version": "1.0.0"}),
        ("DELETE", "/aaaa/tags/stable", None),
        ("PUT", "/aaaa/1.0.0/yank", None),
        ("DELETE", "/aaaa/1.0.0/yank", None),
        ("PUT", "/aaaa/deprecation", {"message": "x"}),
        ("PUT", "/aaaa/1.0.0/deprecation", {"message": "x"}),
        ("DELETE", "/aaaa/1.0.0", None),
        ("DELETE", "/aaaa?all_versions=true&force=true", None),
    ):
        condition = {"If-None-Match": f'"{hash}", *'} if method in ("GET", "HEAD") else {}
        foreign = await bob.request(method, path, json=body, headers=condition)
        nowhere = await bob.request(method, path.replace("aaaa", "zzzz"), json=body, headers=condition)
        assert foreign.status_code == nowhere.status_code == 404, (method, path, foreign.text)
        assert foreign.text == nowhere.text.replace("zzzz", "aaaa"), (method, path)
        assert alike(foreign) == alike(nowhere), (method, path)
    for query in ("", "?search=aaaa", "?all_versions=true", "?all_versions=true&search=aaaa"):
        assert (await bob.get(query)).json()["items"] == [], query
    assert (await ada.get("/aaaa")).status_code == 200


def alike(answer: httpx.Response) -> dict[str, str]:
    """The headers, but for the id of the request and how many more there may be."""
    return {name: value for name, value in answer.headers.items() if name not in ("x-request-id", "ratelimit")}


async def test_a_private_package_that_needs_another_is_not_named(client: Client) -> None:
    """Who may not delete his own package for its sake is told that there is one, and not which."""
    ada, bob = client("ada"), client("bob")
    await publish(bob)
    await publish(ada, "aaaa", query="visibility=private", dependencies={"crm": "^1.0.0"})
    refused = await bob.delete("/crm/1.0.0")
    assert problem(refused) == (409, "P108")
    assert "aaaa" not in refused.text


async def test_public_packages_of_others_are_read_and_not_changed(client: Client) -> None:
    """403 with its code, since the caller sees them anyway."""
    ada, bob = client("ada"), client("bob")
    await publish(ada)
    assert (await bob.get("/crm/1.0.0")).status_code == 200
    for answer in (
        await bob.post("", json=package("crm", "6.0.0")),
        await bob.patch("/crm", json={"visibility": "private"}),
        await bob.put("/crm/tags/next", json={"version": "1.0.0"}),
        await bob.put("/crm/1.0.0/yank"),
        await bob.delete("/crm/1.0.0"),
    ):
        assert problem(answer) == (403, "P107")


async def test_anybody_reads_public_packages_where_the_host_allows_it() -> None:
    """Without a credential; private ones stay their owner's, and nobody writes."""
    async with clients(make_kernel(anonymous_reads="true")) as client:
        ada, nobody = client("ada"), client("")
        await publish(ada, query="policy=immutable")
        await publish(ada, "secret", query="visibility=private")
        got = await nobody.get("/crm/1.0.0", headers={"Accept-Encoding": "identity"})
        assert got.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert got.headers["vary"] == "Accept-Encoding"
        assert [one["id"] for one in (await nobody.get("")).json()["items"]] == ["crm"]
        for reader in (nobody, client("other"), client("writer")):
            assert problem(await reader.get("/secret")) == (404, "P104")
        own = await ada.get("/secret/1.0.0")
        assert own.headers["cache-control"] == "private, no-cache"
        assert own.headers["vary"] == "Accept-Encoding, Authorization, Cookie"
        assert problem(await nobody.post("", json=package("other"))) == (401, "H401")


# --- what is refused --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "at", "path"),
    [
        (b'{"manifest": {"id": "a", "id": "b", "version": "1.0.0"}, "metadata": {}}', "/manifest/id", "$.manifest.id"),
        (b'{"manifest": {"id": "a", "version": "1.0.0", "n": NaN}, "metadata": {}}', "/manifest/n", "$.manifest.n"),
        (b'{"manifest": {"id": "a", "version": "1.0.0", "n": 1e400}, "metadata": {}}', "/manifest/n", "$.manifest.n"),
        (
            b'{"manifest": {"id": "a", "version": "1.0.0"}, "metadata": {"objects": [{"name": "\\ud800"}]}}',
            "/metadata/objects/0/name",
            "$.metadata.objects[0].name",
        ),
        (
            b'{"manifest": {"id": "a", "version": "1.0.0", "__proto__": {}}, "metadata": {}}',
            "/manifest/__proto__",
            "$.manifest.__proto__",
        ),
        (
            b'{"manifest": {"id": "a", "version": "1.0.0", "a/b~c": 9007199254740993}, "metadata": {}}',
            "/manifest/a~1b~0c",
            '$.manifest["a/b~c"]',
        ),
        (b'{"manifest": {"id": "../etc", "version": "1.0.0"}, "metadata": {}}', "/manifest/id", "$.manifest.id"),
        (b'{"manifest": {"id": "a", "version": "latest"}, "metadata": {}}', "/manifest/version", "$.manifest.version"),
        (b"[" * 100_000, "", "$"),
        (b"nonsense", "", "$"),
        (b"\xff", "", "$"),
        (b"", "", "$"),
    ],
    ids=[
        "twice",
        "nan",
        "infinite",
        "surrogate",
        "proto",
        "large",
        "traversal",
        "latest",
        "deep",
        "text",
        "bytes",
        "empty",
    ],
)
async def test_hostile_bodies_are_refused_with_the_place(client: Client, body: bytes, at: str, path: str) -> None:
    """As a JSON Pointer and as a path, each problem of the body; nothing is stored."""
    http = client()
    answer = await http.post("", content=body, headers={"Content-Type": "application/json"})
    assert problem(answer) == (422, "P101")
    assert {"in": "body", "at": at, "path": path} in [
        {name: one[name] for name in ("in", "at", "path")} for one in answer.json()["errors"]
    ]
    assert (await http.get("")).json()["items"] == []


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", "/crm/tags/next", b'{"version": "1.0.0", "version": "2.0.0"}'),
        ("PUT", "/crm/deprecation", b'{"message": "\\ud800"}'),
        ("PATCH", "/crm", b'{"policy": "mutable", "policy": "immutable"}'),
    ],
)
async def test_small_bodies_are_read_as_strictly(client: Client, method: str, path: str, body: bytes) -> None:
    """A name twice means two things, a lone surrogate is no text."""
    answer = await client().request(method, path, content=body, headers={"Content-Type": "application/json"})
    assert problem(answer) == (422, "P101")


@pytest.mark.parametrize(
    ("method", "path", "body", "place"),
    [
        ("PUT", "/crm/tags/next", {"version": "latest"}, ("body", "/version")),
        ("PUT", "/crm/deprecation", {"message": "x" * 1001}, ("body", "/message")),
        ("PUT", "/crm/tags/Next", {"version": "1.0.0"}, ("path", "/tag")),
        ("POST", "?tag=Next", package(), ("query", "/tag")),
        ("GET", "?search=%20", None, ("query", "/search")),
    ],
    ids=["version of a tag", "message", "tag", "tag of a publish", "search"],
)
async def test_a_problem_is_told_where_it_is(
    client: Client, method: str, path: str, body: Any, place: tuple[str, str]
) -> None:
    """In the body, the path or the query."""
    answer = await client().request(method, path, json=body)
    assert problem(answer) == (422, "P101")
    assert [(one["in"], one["at"]) for one in answer.json()["errors"]] == [place]


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
async def test_a_package_says_that_it_is_json(client: Client, kind: str) -> None:
    """What a browser would send for a page of somebody else's, without asking, is not read."""
    answer = await client().post("", content=json.dumps(package()).encode(), headers={"Content-Type": kind})
    assert problem(answer) == (415, "H415")


async def test_a_compressed_body_is_not_read(client: Client) -> None:
    """It could unpack to anything."""
    body = gzip.compress(json.dumps(package()).encode())
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    assert problem(await client().post("", content=body, headers=headers)) == (415, "H415")


async def test_a_body_has_an_end() -> None:
    """The route's own, which may be beyond the host's, whether the length is told or not."""

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b" " * 100

    async with clients(make_kernel(http_body_bytes=2000)) as client:
        http = client()
        assert problem(await http.post("", content=b" " * 2001, headers=JSON)) == (413, "H413")
        assert problem(await http.post("", content=endless(), headers=JSON)) == (413, "H413")
        assert (await http.post("", json=package())).status_code == 201


async def test_large_packages_are_read_one_at_a_time(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read as values, JSON may have thirty times its length: a few at once would fill the memory."""
    inside: list[str] = []
    most: list[int] = []
    original = PackageRegistry.publish

    async def watched(self: PackageRegistry, body: Any, **said: Any) -> Any:
        large = len(body) > 2**20
        inside.extend(["large"] * large)
        most.append(inside.count("large"))
        if large and len(most) == 1:
            assert (await http.post("", json=package("small"))).status_code == 201
        await anyio.sleep(0.01)
        try:
            return await original(self, body, **said)
        finally:
            del inside[: int(large)]

    monkeypatch.setattr(PackageRegistry, "publish", watched)
    http = client()
    async with anyio.create_task_group() as tasks:
        for number in range(4):
            content = json.dumps(package(f"p{number}")).encode() + b" " * 2**20
            tasks.start_soon(lambda body: http.post("", content=body, headers=JSON), content)
    assert len((await http.get("")).json()["items"]) == 5
    assert max(most) == 1


@pytest.mark.parametrize("name", ["If-Match", "If-None-Match", "If-Unmodified-Since"])
async def test_a_condition_on_a_change_is_not_passed_over(client: Client, name: str) -> None:
    """Who sends it relies on it, and these routes do not keep to it."""
    answer = await client().post("", json=package(), headers={name: '"x"'})
    assert problem(answer) == (422, "H422")
    assert answer.json()["errors"][0]["at"] == f"/{name.lower()}"


@pytest.mark.parametrize(
    "path",
    ["?limit=0", "?limit=501", "?after=x", "?limt=5", "/crm?verson=1.0.0", "/crm/tags?x=1", "/CRM", "/a%20b/versions"],
)
async def test_what_is_not_understood_is_refused(client: Client, path: str) -> None:
    """Parameters out of their bounds or misspelt, ids that are none."""
    assert (await client().get(path)).status_code == 422


@pytest.mark.parametrize("method", ["POST", "GET"])
async def test_a_parameter_that_is_given_twice_is_refused(client: Client, method: str) -> None:
    """One of the two would be passed over: public, or private?"""
    query = {"POST": "?visibility=private&visibility=public", "GET": "?limit=1&limit=2"}[method]
    answer = await client().request(method, query, json=package() if method == "POST" else None)
    assert problem(answer) == (422, "H422")
    assert answer.json()["errors"][0]["at"] in ("/visibility", "/limit")
    assert (await client().get("")).json()["items"] == []


# --- beneath ----------------------------------------------------------------------------------------------


async def test_a_damaged_package_is_the_hosts_fault_and_hides_no_other() -> None:
    """500 with its code, without a word of what is stored; the others are delivered and listed."""
    kernel = make_kernel()
    async with clients(kernel) as client:
        http = client()
        for id in ("crm", "hr"):
            await publish(http, id)
        await kernel.get(SYSTEM_DIALECT).update(PACKAGE, ("crm", "1.0.0"), {"metadata": '{"objects":[]}'})
        assert problem(await http.get("/crm")) == (500, "P102")
        assert (await http.get("/hr")).status_code == 200
        assert len((await http.get("")).json()["items"]) == 2


async def test_no_answer_of_the_database_is_no_answer_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """503 and when to ask again: never "not found", and never an empty list."""

    async def fail(*_args: object, **_options: object) -> None:
        raise PackageStoreUnavailable("reading: unknown", why="secret place", operation="reading")

    for name in ("list", "get", "versions", "publish", "delete"):
        monkeypatch.setattr(PackageRegistry, name, fail)
    async with clients(make_kernel()) as client:
        http = client()
        for answer in (
            await http.get(""),
            await http.get("/crm"),
            await http.get("/crm/1.0.0"),
            await http.get("/crm/versions"),
            await http.post("", json=package()),
            await http.delete("/crm/1.0.0"),
        ):
            assert problem(answer) == (503, "P103")
            assert "retry-after" in answer.headers
            assert "secret" not in answer.text


async def test_every_route_is_described() -> None:
    """Summary, security, errors and examples of each, in a document that says so itself."""
    kernel = make_kernel()
    found = await undescribed(kernel)
    assert [one for one in found if PATH in one or INSTALLATIONS in one] == []


def test_fastapi_is_not_needed_for_the_plugin(tmp_path: Any) -> None:
    """A host without HTTP does not load it."""
    code = (
        "import sys, objectkernel_package_service.plugin; sys.exit('fastapi' in sys.modules or 'yaml' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=False).returncode == 0


async def test_each_route_says_who_may_use_it() -> None:
    """Also the ones that are not in the document."""
    kernel = make_kernel()
    async with kernel:
        for route in packages_router(kernel.get(PACKAGES), body_bytes=1).routes:
            assert access_of(route.endpoint) is not None, route.path  # type: ignore[attr-defined]
