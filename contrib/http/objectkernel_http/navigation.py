"""People who have to sign in before they see a page are led there; programs are told that they need a credential."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

from objectkernel.kernel import ObjectKernel
from objectkernel_contracts import IDENTITY
from starlette.datastructures import Headers
from starlette.types import Scope

NAVIGATION: Final = "navigate"
IN_PATHS: Final = "/:@!$&'()*+,;=~"
IN_URLS: Final = f"{IN_PATHS}?#[]%"


async def sign_in_url(kernel: ObjectKernel, scope: Scope) -> str | None:
    """Where somebody goes to sign in who has asked for a page; None: nobody has, or there is nowhere to go.

    A browser that goes to a page takes HTML, and says so in ``Sec-Fetch-Mode`` unless it is an old one. A token that is
    not known, or no longer, is a program's.
    """
    headers = Headers(scope=scope)
    is_page = scope["method"] == "GET" and "text/html" in headers.get("accept", "")
    if not is_page or headers.get("sec-fetch-mode", NAVIGATION) != NAVIGATION or "authorization" in headers:
        return None
    if IDENTITY not in kernel.compose().graph.services:
        return None
    identity = await kernel.aget(IDENTITY)
    return quote(identity.sign_in_url(_asked_for(scope)), safe=IN_URLS)


def _asked_for(scope: Scope) -> str:
    """The path and the query of a request; of several slashes at its beginning, which would name a host, one."""
    path = "/" + quote(scope["path"].lstrip("/"), safe=IN_PATHS)
    query = scope["query_string"].decode("latin-1")
    return f"{path}?{query}" if query else path
