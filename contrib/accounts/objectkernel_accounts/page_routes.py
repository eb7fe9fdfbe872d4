"""Routes of pages: a form that is not filled as it should be is answered with a page, not with problem details."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

from objectkernel_accounts.errors import FormInvalid
from objectkernel_accounts.pages import Pages, wants_page


def page_route(pages: Pages) -> type[APIRoute]:
    """The class of the routes that browsers send forms to; programs are told every field that is wrong, as ever."""

    class PageRoute(APIRoute):
        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            handle = super().get_route_handler()

            async def shown(request: Request) -> Response:
                try:
                    return await handle(request)
                except RequestValidationError:
                    if not wants_page(request):
                        raise
                    error = FormInvalid(
                        "the form is not filled as it should be", fix="send the one that the page shows"
                    )
                    return pages.show(request, "message", error=error)

            return shown

    return PageRoute
