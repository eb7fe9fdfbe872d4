"""Something of an account behind each path that has parameters, and where nothing of the kind is."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

import httpx
from objectkernel import ObjectKernel
from objectkernel_accounts.contracts import PEOPLE
from objectkernel_accounts.storage import ACCOUNT
from objectkernel_device_auth.contracts import API_KEYS
from objectkernel_http.testing import OTHER, TESTER, Found
from objectkernel_system_dialect.contracts import SYSTEM_DIALECT

DATA = "/api/v1/data/"
PACKAGES = "/api/v1/packages/"
MEMBERS = "/api/v1/account/members/"
KEYS = "/api/v1/keys/"
PROJECTS = "/api/projects/"
PROJECT_DATA = "/api/v1/projects/"
MEDIA = "/api/media/"
UPLOADS = "/api/media/uploads/"
SESSIONS = "/api/media/sessions/"
TUS = {"Tus-Resumable": "1.0.0"}
FILM = bytes.fromhex("1a45dfa3874282847765626d") + b"SECRET of a film"
"""The shortest head of a recording, and something behind it."""
NEW_ROWS: Mapping[str, dict[str, Any]] = {
    "authors": {"name": "SECRET of an author"},
    "books": {"title": "SECRET of a book", "blurb": "SECRET", "words": ["SECRET"], "pages": 7},
    "shelves": {"note": "SECRET of a shelf"},
}
ROW_BODIES: Mapping[str, Any] = {
    "": {"blurb": "changed"},
    "increment": {"field": "pages"},
    "add-to-set": {"field": "words", "value": "new"},
    "pull": {"field": "words", "value": "new"},
    "undelete": {},
}
"""What is done with a row by a path that names any entity, which the document has not."""
POSSIBLE: Mapping[str, tuple[str, ...]] = {
    "increment": ("books",),
    "add-to-set": ("books",),
    "pull": ("books",),
    "undelete": ("shelves",),
}
"""The rows that can have these operations; others have a path for them too, and refuse whatever it names."""
PROJECT_BODIES: Mapping[str, Any] = {
    "{entity}": {"text": "new"},
    "upsert": {"id": "new", "text": "new"},
    "bulk": {"create": [{"text": "new"}]},
    "distinct": {"field": "text"},
    "aggregate": {"pipeline": [{"$group": {"_id": "$text"}}]},
    "search": {"text": "SECRET", "fields": ["text"]},
}
"""What is asked of the rows of a project together."""


async def found_at(kernel: ObjectKernel, client: httpx.AsyncClient, path: str) -> Found | None:
    """Make, as the client's account, what a path leads to; None: it is nobody's."""
    if path.startswith(DATA):
        return await _row(client, path.removeprefix(DATA))
    if path.startswith(PACKAGES):
        return await _package(client)
    if path.startswith(MEMBERS):
        return await _member(kernel)
    if path.startswith(KEYS):
        return await _api_key(kernel)
    if path.startswith(PROJECTS):
        return await _project(client)
    if path.startswith(PROJECT_DATA):
        return await _project_row(client, path)
    if path.startswith(UPLOADS):
        return await _upload(client)
    if path.startswith(SESSIONS):
        return None  # whose it is says the account: one of another is as one without takes
    if path.startswith(MEDIA):
        return await _recording(client)
    raise AssertionError(f"say in {__name__} what {path} leads to, so that it can be asked for by another account")


async def _row(client: httpx.AsyncClient, path: str) -> Found | None:
    entity, _, rest = path.partition("/")
    named = entity.startswith("{")
    operation = rest.removeprefix("{id}").strip("/")
    collection = ("shelves" if operation == "undelete" else "books") if named else entity
    if not rest.startswith("{id}") or collection not in POSSIBLE.get(operation, (collection,)):
        return None
    there, missing = _key(collection), _key(collection)
    made = await client.post(DATA + collection, json={**NEW_ROWS[collection], **there})
    assert made.status_code == 201, made.text
    keys = [",".join(str(part) for part in key.values()) for key in (there, missing)]
    more = {"entity": collection} if named else {}
    body = ROW_BODIES[operation] if named else None
    return Found(there={**more, "id": keys[0]}, missing={**more, "id": keys[1]}, body=body)


def _key(collection: str) -> dict[str, Any]:
    if collection == "shelves":
        return {"room": str(uuid.uuid4()), "place": 1}
    return {"id": str(uuid.uuid4())}


async def _package(client: httpx.AsyncClient) -> Found:
    there, missing = (f"acme.p{uuid.uuid4().hex}" for _ in range(2))
    package = {"manifest": {"id": there, "version": "1.2.0", "name": "SECRET"}, "metadata": {}}
    made = await client.post(PACKAGES.rstrip("/"), json=package, params={"visibility": "private", "tag": "beta"})
    assert made.status_code == 201, made.text
    more = {"version": "1.2.0", "tag": "beta"}
    return Found(there={"id": there, **more}, missing={"id": missing, **more})


async def _member(kernel: ObjectKernel) -> Found:
    """Somebody who has joined the account that the tokens name."""
    await _accounts(kernel)
    link = await kernel.get(PEOPLE).invite(f"{uuid.uuid4().hex}@example.org", TESTER)
    joined = await kernel.get(PEOPLE).accept(link.token.reveal(), "a long enough passphrase", name="SECRET")
    return Found(there={"user_id": joined.user.id}, missing={"user_id": str(uuid.uuid4())})


async def _api_key(kernel: ObjectKernel) -> Found:
    await _accounts(kernel)
    made = await kernel.get(API_KEYS).issue(TESTER, "SECRET of a key", ["keys:read"])
    return Found(there={"key_id": made.key.id}, missing={"key_id": "0" * len(made.key.id)})


async def _project(client: httpx.AsyncClient) -> Found:
    entities = [
        {
            "name": "Note",
            "collection": "notes",
            "fields": {"text": {"type": "string"}, "size": {"type": "integer"}, "words": {"type": "array"}},
            "soft_delete": True,
        }
    ]
    new = {"name": "SECRET of a project", "slug": f"p-{uuid.uuid4()}", "schemas": entities}
    made = await client.post(PROJECTS.rstrip("/"), json=new)
    assert made.status_code == 201, made.text
    return Found(there={"id": made.json()["id"]}, missing={"id": str(uuid.uuid4())})


async def _project_row(client: httpx.AsyncClient, path: str) -> Found:
    """A row in a project, and the same row where no such project is."""
    project = await _project(client)
    rows = f"{PROJECT_DATA}{project.there['id']}/data/notes"
    made = await client.post(rows, json={"text": "SECRET", "size": 1, "words": ["SECRET"]})
    assert made.status_code == 201, made.text
    row = {"entity": "notes", "id": made.headers["location"].rpartition("/")[2]}
    _, _, operation = path.partition("{id}/")
    body = {"": {"text": "changed"}, "increment": {"field": "size"}}.get(operation, {"field": "words", "value": "new"})
    if operation == "undelete":
        body = {}
        await client.delete(f"{rows}/{row['id']}")
    return Found(
        there={"project_id": project.there["id"], **row},
        missing={"project_id": project.missing["id"], **row},
        body=body if "{id}" in path else PROJECT_BODIES.get(path.rpartition("/")[2]),
    )


async def _recording(client: httpx.AsyncClient) -> Found:
    made = await client.post(f"{MEDIA}recordings", content=FILM)
    assert made.status_code == 201, made.text
    return Found(there={"id": made.json()["row"]["id"]}, missing={"id": str(uuid.uuid4())})


async def _upload(client: httpx.AsyncClient) -> Found:
    """An upload that has nothing yet."""
    made = await client.post(UPLOADS, headers={**TUS, "Upload-Length": "9"})
    assert made.status_code == 201, made.text
    headers = {
        "HEAD": TUS,
        "PATCH": {**TUS, "Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"},
        "DELETE": TUS,
        "POST": {**TUS, "X-HTTP-Method-Override": "DELETE"},
    }
    there = {"id": made.headers["location"].rpartition("/")[2]}
    return Found(there=there, missing={"id": uuid.uuid4().hex}, headers=headers)


async def _accounts(kernel: ObjectKernel) -> None:
    """The account that the tokens name, and the other one."""
    for id in (TESTER, OTHER):
        await kernel.get(SYSTEM_DIALECT).upsert(ACCOUNT, {"id": id, "name": id})
