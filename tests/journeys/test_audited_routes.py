"""Every route that changes something leaves an entry in the audit trail.

The routes are those of a host of every installed plugin: a new one with an unsafe method fails
`test_every_route_is_tried` until it has an example here, or stands among those that only read.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, TypeAlias, TypeVar

import attrs
import httpx
import pytest
from fastapi.routing import iter_route_contexts
from objectkernel import ObjectKernel
from objectkernel_accounts.audit import AUDIT_ENTRY
from objectkernel_accounts.contracts import ACCOUNTS, PEOPLE, Membership
from objectkernel_device_auth.oauth_models import DEVICE_GRANT
from objectkernel_http import asgi_app, kernel_lifespan
from objectkernel_system_dialect.contracts import SYSTEM_DIALECT
from starlette.routing import compile_path

from tests.journeys.library import Library

pytestmark = pytest.mark.anyio

SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS", "QUERY"})
PASSWORD: Final = "correct horse battery staple"
OTHER: Final = "an entirely different phrase"
SHELF: Final = "/api/v1/data/shelves"
DATA: Final = "/api/v1/data/{entity}"
PACKAGES: Final = "/api/v1/packages"
INSTALLATIONS: Final = "/api/v1/installations"
PROJECTS: Final = "/api/projects"
PROJECT_DATA: Final = "/api/v1/projects/{project_id}/data/{entity}"
MEDIA: Final = "/api/media"
UPLOADS: Final = f"{MEDIA}/uploads"
QUESTIONS: Final = ("query", "count", "exists", "distinct", "aggregate", "search")
MEMBERS: Final = "/api/v1/account/members"
CSRF: Final = re.compile(r'name="csrf" value="([^"]+)"')

READ_ONLY: Final = frozenset(
    (
        *(f"POST {rows}/{name}" for rows in (DATA, PROJECT_DATA) for name in QUESTIONS),
        f"POST {PROJECTS}/{{id}}/schemas/plan",
        f"POST {MEDIA}/{{id}}/url",
        "POST /introspect",
    )
)
"""What asks in a body, and changes nothing."""
BY_LINK: Final = frozenset({f"PUT {MEDIA}/blobs/{{bucket}}/{{key}}"})
"""What whoever has a link may do: nobody is known who did it, and no recording changes."""


@attrs.define
class Host:
    """A served host, and its administrator.

    Attributes:
        added: the entries that the last call has added.
        asked: the method and the path of that call.
    """

    kernel: ObjectKernel
    app: Any
    admin: Membership = attrs.field(init=False)
    client: httpx.AsyncClient = attrs.field(init=False)
    added: list[dict[str, Any]] = attrs.field(factory=list)
    asked: tuple[str, str] = ("", "")
    _number: int = 0

    def new(self) -> str:
        """A name that nothing has yet."""
        self._number += 1
        return f"n{self._number}"

    @asynccontextmanager
    async def visitor(self, login: str = "", password: str = PASSWORD) -> AsyncIterator[httpx.AsyncClient]:
        """A browser, signed in if a login is named."""
        transport = httpx.ASGITransport(self.app)
        async with httpx.AsyncClient(transport=transport, base_url="https://host.test") as client:
            client.headers["Data-Tenant"] = self.admin.account.id
            if login:
                await self.send(client, "/sign-in", "/sign-in", login=login, password=password)
            yield client

    async def call(self, method: str, path: str, body: Any = None, **options: Any) -> httpx.Response:
        """Ask as the administrator, and keep what that adds to the trail."""
        sent = {} if body is None else {"json": body}
        return await self._noted(method, path, self.client.request(method, path, **sent, **options))

    async def send(self, client: httpx.AsyncClient, page: str, action: str, **fields: str) -> httpx.Response:
        """Send a form of a page, and keep what that adds to the trail."""
        csrf = CSRF.search((await client.get(page)).text)
        assert csrf is not None, f"{page} has no form"
        form = {"csrf": csrf[1], **fields}
        return await self._noted("POST", action, client.post(action, data=form))

    async def _noted(self, method: str, path: str, asking: Awaitable[httpx.Response]) -> httpx.Response:
        dialect = self.kernel.get(SYSTEM_DIALECT)
        before = await dialect.count(AUDIT_ENTRY)
        answer = await asking
        assert answer.status_code < 400, f"{method} {path}: {answer.status_code} {answer.text}"
        rows = await dialect.find(AUDIT_ENTRY, sort={"sequence": -1}, limit=await dialect.count(AUDIT_ENTRY) - before)
        self.added, self.asked = rows, (method, path)
        return answer

    async def member(self) -> Membership:
        """Somebody new in the administrator's account."""
        people = self.kernel.get(PEOPLE)
        link = await people.invite(f"{self.new()}@example.org", self.admin.account.id, "member")
        return await people.accept(link.token.reveal(), PASSWORD)

    async def shelf(self) -> str:
        """The path of a new row."""
        room = self.new()
        await self.call("POST", SHELF, {"room": room, "place": 1})
        return f"{SHELF}/{room},1"

    async def book(self) -> str:
        made = await self.call("POST", "/api/v1/data/books", {"title": "Emma", "pages": 1, "words": ["a"]})
        return made.headers["location"]

    async def package(self) -> str:
        """The id of a new package, version 1.0.0."""
        id = f"acme.{self.new()}"
        await self.call("POST", PACKAGES, _package(id))
        return id


Example: TypeAlias = Callable[[Host], Awaitable[object]]
E = TypeVar("E", bound=Example)
EXAMPLES: Final[dict[str, Example]] = {}


def example(route: str) -> Callable[[E], E]:
    """Register what calls a route, last of all, so that it succeeds."""

    def register(function: E) -> E:
        assert route not in EXAMPLES, f"{route} has two examples"
        EXAMPLES[route] = function
        return function

    return register


def _package(id: str, version: str = "1.0.0") -> dict[str, Any]:
    return {"manifest": {"id": id, "version": version, "name": id}, "metadata": {}}


# --- data -------------------------------------------------------------------------------------------------


@example(f"POST {DATA}")
async def create(host: Host) -> None:
    await host.shelf()


@example(f"POST {DATA}/upsert")
async def upsert(host: Host) -> None:
    await host.call("POST", f"{SHELF}/upsert", {"room": host.new(), "place": 1})


@example(f"POST {DATA}/bulk")
async def bulk(host: Host) -> None:
    await host.call("POST", f"{SHELF}/bulk", {"create": [{"room": host.new(), "place": 1}]})


@example(f"PATCH {DATA}/{{id}}")
async def patch(host: Host) -> None:
    await host.call("PATCH", await host.shelf(), {"note": "dusty"})


@example(f"DELETE {DATA}/{{id}}")
async def delete(host: Host) -> None:
    await host.call("DELETE", await host.shelf())


@example(f"POST {DATA}/{{id}}/undelete")
async def undelete(host: Host) -> None:
    path = await host.shelf()
    await host.call("DELETE", path)
    await host.call("POST", f"{path}/undelete", {})


@example(f"POST {DATA}/{{id}}/increment")
async def increment(host: Host) -> None:
    await host.call("POST", f"{await host.book()}/increment", {"field": "pages"})


@example(f"POST {DATA}/{{id}}/add-to-set")
async def add_to_set(host: Host) -> None:
    await host.call("POST", f"{await host.book()}/add-to-set", {"field": "words", "value": "b"})


@example(f"POST {DATA}/{{id}}/pull")
async def pull(host: Host) -> None:
    await host.call("POST", f"{await host.book()}/pull", {"field": "words", "value": "a"})


@example("POST /api/change-dialect")
async def change_dialect(host: Host) -> None:
    await host.call("POST", "/api/change-dialect", {"dialect": "sqlite", "uri": ":memory:"})


@example("POST /api/reload-config")
async def reload_config(host: Host) -> None:
    await host.call("POST", "/api/reload-config")


@example("POST /api/reconnect")
async def reconnect(host: Host) -> None:
    await host.call("POST", "/api/reconnect")


# --- packages -----------------------------------------------------------------------------------------------


@example(f"POST {PACKAGES}")
async def publish(host: Host) -> None:
    await host.package()


@example(f"PATCH {PACKAGES}/{{id}}")
async def configure(host: Host) -> None:
    await host.call("PATCH", f"{PACKAGES}/{await host.package()}", {"visibility": "private"})


@example(f"DELETE {PACKAGES}/{{id}}")
async def delete_package(host: Host) -> None:
    await host.call("DELETE", f"{PACKAGES}/{await host.package()}", params={"all_versions": "true"})


@example(f"DELETE {PACKAGES}/{{id}}/{{version}}")
async def delete_version(host: Host) -> None:
    await host.call("DELETE", f"{PACKAGES}/{await host.package()}/1.0.0")


@example(f"PUT {PACKAGES}/{{id}}/tags/{{tag}}")
async def tag(host: Host) -> str:
    path = f"{PACKAGES}/{await host.package()}/tags/beta"
    await host.call("PUT", path, {"version": "1.0.0"})
    return path


@example(f"DELETE {PACKAGES}/{{id}}/tags/{{tag}}")
async def untag(host: Host) -> None:
    await host.call("DELETE", await tag(host))


async def deprecated(host: Host, version: str) -> str:
    path = f"{PACKAGES}/{await host.package()}{version}/deprecation"
    await host.call("PUT", path, {"message": "use another"})
    return path


@example(f"PUT {PACKAGES}/{{id}}/deprecation")
async def deprecate(host: Host) -> None:
    await deprecated(host, "")


@example(f"DELETE {PACKAGES}/{{id}}/deprecation")
async def undeprecate(host: Host) -> None:
    await host.call("DELETE", await deprecated(host, ""))


@example(f"PUT {PACKAGES}/{{id}}/{{version}}/deprecation")
async def deprecate_version(host: Host) -> None:
    await deprecated(host, "/1.0.0")


@example(f"DELETE {PACKAGES}/{{id}}/{{version}}/deprecation")
async def undeprecate_version(host: Host) -> None:
    await host.call("DELETE", await deprecated(host, "/1.0.0"))


@example(f"PUT {PACKAGES}/{{id}}/{{version}}/yank")
async def yank(host: Host) -> str:
    path = f"{PACKAGES}/{await host.package()}/1.0.0/yank"
    await host.call("PUT", path)
    return path


@example(f"DELETE {PACKAGES}/{{id}}/{{version}}/yank")
async def unyank(host: Host) -> None:
    await host.call("DELETE", await yank(host))


async def installed(host: Host) -> str:
    """The path of a package that was just installed."""
    path = f"{INSTALLATIONS}/{await host.package()}"
    await host.call("PUT", path)
    return path


@example(f"PUT {INSTALLATIONS}/{{id}}")
async def install(host: Host) -> None:
    await installed(host)


@example(f"POST {INSTALLATIONS}/{{id}}/upgrade")
async def upgrade(host: Host) -> None:
    path = await installed(host)
    await host.call("POST", PACKAGES, _package(path.rpartition("/")[2], "1.1.0"))
    await host.call("POST", f"{path}/upgrade")


@example(f"DELETE {INSTALLATIONS}/{{id}}")
async def uninstall(host: Host) -> None:
    await host.call("DELETE", await installed(host))


# --- projects -----------------------------------------------------------------------------------------------

NOTE: Final[dict[str, Any]] = {
    "name": "Note",
    "collection": "notes",
    "fields": {"text": {"type": "string"}, "size": {"type": "integer"}, "words": {"type": "array"}},
    "soft_delete": True,
}


@example(f"POST {PROJECTS}")
async def make_project(host: Host) -> str:
    """The path of a new project."""
    made = await host.call("POST", PROJECTS, {"name": "CRM", "slug": host.new(), "schemas": [NOTE]})
    return str(made.headers["location"])


@example(f"PATCH {PROJECTS}/{{id}}")
async def rename_project(host: Host) -> None:
    await host.call("PATCH", await make_project(host), {"name": "Customers"})


@example(f"DELETE {PROJECTS}/{{id}}")
async def end_project(host: Host) -> None:
    await host.call("DELETE", await make_project(host))


@example(f"POST {PROJECTS}/{{id}}/pause")
async def pause_project(host: Host) -> str:
    path = await make_project(host)
    await host.call("POST", f"{path}/pause")
    return path


@example(f"POST {PROJECTS}/{{id}}/resume")
async def resume_project(host: Host) -> None:
    await host.call("POST", f"{await pause_project(host)}/resume")


@example(f"POST {PROJECTS}/{{id}}/uri")
async def move_project(host: Host) -> None:
    await host.call("POST", f"{await make_project(host)}/uri", {"uri": f"sqlite:///{host.new()}.db"})


@example(f"PUT {PROJECTS}/{{id}}/schemas")
async def change_entities(host: Host) -> None:
    fields = {**NOTE["fields"], "more": {"type": "string"}}
    await host.call("PUT", f"{await make_project(host)}/schemas", {"schemas": [{**NOTE, "fields": fields}]})


async def notes(host: Host) -> str:
    """The path of the rows of a new project."""
    return f"{(await make_project(host)).replace(PROJECTS, '/api/v1/projects')}/data/notes"


@example(f"POST {PROJECT_DATA}")
async def note(host: Host) -> str:
    """The path of a new row in a project."""
    made = await host.call("POST", await notes(host), {"text": "x", "size": 1, "words": ["a"]})
    return str(made.headers["location"])


@example(f"POST {PROJECT_DATA}/upsert")
async def upsert_note(host: Host) -> None:
    await host.call("POST", f"{await notes(host)}/upsert", {"id": host.new(), "text": "x"})


@example(f"POST {PROJECT_DATA}/bulk")
async def bulk_notes(host: Host) -> None:
    await host.call("POST", f"{await notes(host)}/bulk", {"create": [{"text": "x"}]})


@example(f"PATCH {PROJECT_DATA}/{{id}}")
async def patch_note(host: Host) -> None:
    await host.call("PATCH", await note(host), {"text": "y"})


@example(f"DELETE {PROJECT_DATA}/{{id}}")
async def delete_note(host: Host) -> str:
    path = await note(host)
    await host.call("DELETE", path)
    return path


@example(f"POST {PROJECT_DATA}/{{id}}/undelete")
async def undelete_note(host: Host) -> None:
    await host.call("POST", f"{await delete_note(host)}/undelete", {})


@example(f"POST {PROJECT_DATA}/{{id}}/increment")
async def increment_note(host: Host) -> None:
    await host.call("POST", f"{await note(host)}/increment", {"field": "size"})


@example(f"POST {PROJECT_DATA}/{{id}}/add-to-set")
async def add_to_note(host: Host) -> None:
    await host.call("POST", f"{await note(host)}/add-to-set", {"field": "words", "value": "b"})


@example(f"POST {PROJECT_DATA}/{{id}}/pull")
async def pull_from_note(host: Host) -> None:
    await host.call("POST", f"{await note(host)}/pull", {"field": "words", "value": "a"})


# --- recordings ---------------------------------------------------------------------------------------------

FILM: Final = bytes.fromhex("1a45dfa3874282847765626d") + b"film"
"""The shortest head of a recording, and something behind it."""
TUS: Final = {"Tus-Resumable": "1.0.0"}
BYTES: Final = {"Content-Type": "application/offset+octet-stream"}


@example(f"POST {MEDIA}/recordings")
async def record(host: Host) -> str:
    """The path of a new recording."""
    made = await host.call("POST", f"{MEDIA}/recordings", content=FILM)
    return f"{MEDIA}/{made.json()['row']['id']}"


@example(f"PUT {MEDIA}/recordings")
async def record_by_put(host: Host) -> None:
    await host.call("PUT", f"{MEDIA}/recordings", content=FILM)


@example(f"DELETE {MEDIA}/{{id}}")
async def delete_recording(host: Host) -> None:
    await host.call("DELETE", await record(host))


async def begin_upload(host: Host, path: str, content: bytes = b"", **headers: str) -> str:
    """The path of a new upload, which has this content."""
    length = headers or {"Upload-Length": str(len(FILM))}
    kind = BYTES if content else {}
    made = await host.call("POST", path, content=content, headers={**TUS, **length, **kind})
    return f"{UPLOADS}/{made.headers['location'].rpartition('/')[2]}"


@example(f"POST {UPLOADS}/")
async def upload_at_once(host: Host) -> str:
    """The path of an upload whose recording is ready."""
    return await begin_upload(host, f"{UPLOADS}/", FILM)


@example(f"POST {UPLOADS}")
async def upload_at_once_without_a_slash(host: Host) -> None:
    await begin_upload(host, UPLOADS, FILM)


@example(f"PATCH {UPLOADS}/{{id}}")
async def upload_the_rest(host: Host) -> None:
    path = await begin_upload(host, f"{UPLOADS}/", FILM[:5])
    await host.call("PATCH", path, content=FILM[5:], headers={**TUS, **BYTES, "Upload-Offset": "5"})


@example(f"POST {UPLOADS}/{{id}}")
async def upload_the_rest_by_another_method(host: Host) -> None:
    path = await begin_upload(host, f"{UPLOADS}/", FILM[:5])
    headers = {**TUS, **BYTES, "Upload-Offset": "5", "X-HTTP-Method-Override": "PATCH"}
    await host.call("POST", path, content=FILM[5:], headers=headers)


@example(f"POST {UPLOADS}/{{id}}/finish")
async def finish_upload(host: Host) -> None:
    path = await begin_upload(host, f"{UPLOADS}/", FILM, **{"Upload-Defer-Length": "1"})
    await host.call("POST", f"{path}/finish")


@example(f"DELETE {UPLOADS}/{{id}}")
async def delete_what_was_uploaded(host: Host) -> None:
    await host.call("DELETE", await upload_at_once(host), headers=TUS)


# --- accounts -----------------------------------------------------------------------------------------------


@example("POST /sign-in")
async def sign_in(host: Host) -> None:
    async with host.visitor((await host.member()).user.login):
        pass


@example("POST /sign-out")
async def sign_out(host: Host) -> None:
    async with host.visitor((await host.member()).user.login) as client:
        await host.send(client, "/sign-out", "/sign-out")


@example("POST /account/name")
async def name(host: Host) -> None:
    async with host.visitor((await host.member()).user.login) as client:
        await host.send(client, "/account", "/account/name", name="Grace")


@example("POST /account/password")
async def password(host: Host) -> None:
    async with host.visitor((await host.member()).user.login) as client:
        await host.send(client, "/account", "/account/password", current=PASSWORD, password=OTHER, again=OTHER)


@example("POST /account/switch")
async def switch(host: Host) -> None:
    member = await host.member()
    second = await host.kernel.get(ACCOUNTS).create("second")
    link = await host.kernel.get(PEOPLE).invite(member.user.login, second.id, "member")
    await host.kernel.get(PEOPLE).join(link.token.reveal(), member.user.id)
    async with host.visitor(member.user.login) as client:
        await host.send(client, "/account", "/account/switch", account=second.id)


@example("POST /account/sessions/end")
async def end_session(host: Host) -> None:
    login = (await host.member()).user.login
    async with host.visitor(login), host.visitor(login) as client:
        page = (await client.get("/account")).text
        session = re.search(r'name="session" value="([^"]+)"', page)
        assert session is not None
        await host.send(client, "/account", "/account/sessions/end", session=session[1])


@example("POST /account/sign-out-everywhere")
async def sign_out_everywhere(host: Host) -> None:
    async with host.visitor((await host.member()).user.login) as client:
        await host.send(client, "/account", "/account/sign-out-everywhere")


@example("POST /invitation/{token}")
async def join(host: Host) -> None:
    link = await host.kernel.get(PEOPLE).invite(f"{host.new()}@example.org", host.admin.account.id, "member")
    async with host.visitor() as client:
        await host.send(client, link.path, link.path, name="Joan", password=PASSWORD, again=PASSWORD)


@example("POST /reset/{token}")
async def reset(host: Host) -> None:
    link = await host.kernel.get(PEOPLE).reset_link((await host.member()).user.id)
    async with host.visitor() as client:
        await host.send(client, link.path, link.path, password=OTHER, again=OTHER)


@example(f"PATCH {MEMBERS}/{{user_id}}")
async def set_role(host: Host) -> None:
    await host.call("PATCH", f"{MEMBERS}/{(await host.member()).user.id}", {"role": "admin"})


@example(f"DELETE {MEMBERS}/{{user_id}}")
async def remove_member(host: Host) -> None:
    await host.call("DELETE", f"{MEMBERS}/{(await host.member()).user.id}")


@example("POST /api/v1/account/invitations")
async def invite(host: Host) -> None:
    await host.call("POST", "/api/v1/account/invitations", {"login": f"{host.new()}@example.org"})


# --- keys ---------------------------------------------------------------------------------------------------

KEYS: Final = "/api/v1/keys"


@example(f"POST {KEYS}")
async def make_key(host: Host) -> str:
    """The path of a new key."""
    made = await host.call("POST", KEYS, {"name": host.new(), "scopes": ["data:read"]})
    return f"{KEYS}/{made.json()['key']['id']}"


@example(f"POST {KEYS}/{{key_id}}/rotate")
async def rotate_key(host: Host) -> None:
    await host.call("POST", f"{await make_key(host)}/rotate", {"overlap": 60})


@example(f"DELETE {KEYS}/{{key_id}}")
async def revoke_key(host: Host) -> None:
    await host.call("DELETE", await make_key(host))


# --- devices ------------------------------------------------------------------------------------------------

CLI: Final = "objectkernel-cli"
DEVICE: Final = "/api/v1/auth/device"


async def asked_for(host: Host, path: str = "/device_authorization") -> dict[str, Any]:
    """What a device is told that asks for a code."""
    told: dict[str, Any] = (await host.call("POST", path, data={"client_id": CLI, "scope": "data:read"})).json()
    return told


async def approved(host: Host, asked: dict[str, Any]) -> None:
    await host.call("POST", f"{DEVICE}/approve", {"user_code": asked["user_code"], "decision": "approved"})


async def redeemed(host: Host, path: str = "/token") -> dict[str, Any]:
    """What a device gets for a code that was approved."""
    asked = await asked_for(host)
    await approved(host, asked)
    form = {"grant_type": DEVICE_GRANT, "device_code": asked["device_code"], "client_id": CLI}
    told: dict[str, Any] = (await host.call("POST", path, data=form)).json()
    return told


@example("POST /device_authorization")
async def ask_for_code(host: Host) -> None:
    await asked_for(host)


@example(f"POST {DEVICE}/authorize")
async def ask_for_code_by_the_own_name(host: Host) -> None:
    await asked_for(host, f"{DEVICE}/authorize")


@example(f"POST {DEVICE}/approve")
async def approve_device(host: Host) -> None:
    await approved(host, await asked_for(host))


@example("POST /token")
async def redeem_code(host: Host) -> None:
    await redeemed(host)


@example(f"POST {DEVICE}/token")
async def redeem_code_by_the_own_name(host: Host) -> None:
    await redeemed(host, f"{DEVICE}/token")


@example("POST /revoke")
async def revoke_token(host: Host) -> None:
    token = (await redeemed(host))["refresh_token"]
    await host.call("POST", "/revoke", data={"token": token, "client_id": CLI})


async def claimed(host: Host, client: httpx.AsyncClient) -> str:
    """The path of the page on which somebody who has typed a device's code decides."""
    answer = await host.send(client, "/device", "/device", user_code=(await asked_for(host))["user_code"])
    return str(answer.headers["location"])


@example("POST /device")
async def type_code(host: Host) -> None:
    async with host.visitor((await host.member()).user.login) as client:
        await claimed(host, client)


@example("POST /device/requests/{request_id}")
async def decide_on_page(host: Host) -> None:
    async with host.visitor((await host.member()).user.login) as client:
        page = await claimed(host, client)
        await host.send(client, page, page, decision="denied")


@example("POST /account/devices/{id}/revoke")
async def revoke_on_page(host: Host) -> None:
    await redeemed(host)
    found = re.search(r'"(/account/devices/[^"?]+)"', (await host.client.get("/account/devices")).text)
    assert found is not None
    await host.send(host.client, found[1], f"{found[1]}/revoke")


# --- the rule -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """One loop for the host that all examples share."""
    return "asyncio"


@pytest.fixture(scope="module")
async def host(anyio_backend: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Host]:
    """Every installed plugin, and an administrator who has signed in."""
    folder: Path = tmp_path_factory.mktemp("host")
    system = {"MOSTA_SYSTEM_DIALECT": "sqlite", "MOSTA_SYSTEM_URI": str(folder / "system.db")}
    environ = {"OBJECTKERNEL_DATA_DIR": str(folder), **system}
    kernel = ObjectKernel(plugins=[Library], config={}, environ=environ)
    app = asgi_app(kernel)
    async with kernel_lifespan(kernel)(app):
        host = Host(kernel, app)
        host.admin = await kernel.get(PEOPLE).create_admin("ada@example.org", PASSWORD)
        async with host.visitor("ada@example.org") as client:
            host.client = client
            yield host


def unsafe_routes(app: Any) -> set[str]:
    """Method and path of every route that may change something; those of all entities are one."""
    return {
        f"{method} {re.sub('^/api/v1/data/[^/]+', DATA, context.path_format or '')}"
        for context in iter_route_contexts(app.router.routes)
        for method in set(context.methods or ()) - SAFE
    }


async def test_every_route_is_tried(host: Host) -> None:
    """There is an example of each route that changes something, and none of a route that is gone."""
    tried = EXAMPLES.keys() | READ_ONLY | BY_LINK
    routes = unsafe_routes(host.app)
    new, gone = sorted(routes - tried), sorted(tried - routes)
    told = "add an @example that calls it successfully, or, where it only reads, name it in READ_ONLY"
    assert not new, f"{', '.join(new)}: {told}"
    assert not gone, f"no such route any more: {', '.join(gone)}"


@pytest.mark.parametrize("route", EXAMPLES)
async def test_leaves_an_entry(host: Host, route: str) -> None:
    """Whoever calls the route successfully is in the trail."""
    host.added, host.asked = [], ("", "")
    await EXAMPLES[route](host)
    method, path = host.asked
    wanted, _, template = route.partition(" ")
    pattern, *_ = compile_path(template)
    assert method == wanted
    assert pattern.match(path), f"the example calls {path}, not {template}"
    assert host.added, f"{route} has changed something and is not in the audit trail: record it through AUDIT"
    assert all(entry["request_id"] for entry in host.added)
    assert not any(text in str(host.added) for text in (PASSWORD, OTHER)), "a secret is in the trail"
