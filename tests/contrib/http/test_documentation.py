"""The page for people."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser
from typing import Any

import pytest
from fastapi import APIRouter
from objectkernel_contracts import Scope, public, requires
from objectkernel_http import asgi_app, kernel_lifespan

from tests.contrib.http.shops import client_of, routed, serving, shop_kernel

pytestmark = pytest.mark.anyio

ATTACK = "</code><script>alert(1)</script>"


class Seen(HTMLParser):
    """Every tag of a page with its attributes, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


async def test_the_page_describes_every_route() -> None:
    """Its method, path, summary and scope; what it takes and what it answers."""
    async with serving(shop_kernel(), title="The shop", version="7") as client:
        answer = await client.get("/docs")
    seen = Seen(answer.text)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    for told in ("The shop", "7", "GET", "/ledger", "Look at it.", "POST", "/ledger/{book}", "For everybody."):
        assert told in seen.text
    assert "Needs the scope ledger:write or ledger:write:{book}." in seen.text
    assert '"$ref": "#/components/schemas/Entry"' in seen.text
    assert "application/problem+json" in seen.text
    assert "H413 The body is too long" in seen.text


async def test_the_page_loads_nothing_and_runs_nothing() -> None:
    """Its only link is to the document beside it, and its policy lets a browser do no more than that."""
    async with serving(shop_kernel()) as client:
        answer = await client.get("/docs")
    seen = Seen(answer.text)
    assert {tag for tag, _ in seen.tags} & {"script", "link", "img", "iframe", "form", "object", "base"} == set()
    assert [told["href"] for _, told in seen.tags if "href" in told] == ["openapi.json"]
    assert [told for _, told in seen.tags if "src" in told or "style" in told] == []
    (style,) = re.findall(r"<style>(.*?)</style>", answer.text, re.DOTALL)
    hashed = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert f"style-src 'sha256-{hashed}'" in policy
    assert "url(" not in style and "@import" not in style


async def test_what_plugins_say_is_text() -> None:
    """Nothing in a summary, a description or a name becomes a part of the page."""

    def add(router: APIRouter) -> None:
        @router.get("/a", summary=ATTACK, description=ATTACK, tags=[ATTACK], responses={418: {"description": ATTACK}})
        @public()
        async def look(word: str = ATTACK) -> None: ...

        @router.get("/b")
        @requires(Scope())
        async def me() -> None: ...

    async with serving(routed(add)) as client:
        seen = Seen((await client.get("/docs")).text)
    assert "script" not in {tag for tag, _ in seen.tags}
    assert seen.text.count(ATTACK) >= 4
    assert "Needs a credential." in seen.text


async def test_paths_are_those_that_are_reached() -> None:
    """Below a prefix, each one has it."""
    kernel = shop_kernel()
    app = asgi_app(kernel)
    async with kernel_lifespan(kernel)(app), client_of(app, root_path="/behind") as client:
        assert "/behind/ledger" in (await client.get("/docs")).text


async def test_a_host_may_keep_its_documentation_to_itself() -> None:
    """Neither the page nor the document is there then."""
    async with serving(shop_kernel(), documentation=False) as client:
        assert [(await client.get(path)).status_code for path in ("/docs", "/openapi.json")] == [404, 404]
