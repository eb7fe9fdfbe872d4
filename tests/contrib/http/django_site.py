"""A small Django, as it is without a kernel: it has no lifespan."""

from __future__ import annotations

from typing import Any

import django
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path, reverse


def application() -> Any:
    """Its ASGI application; a process has one Django."""
    if not settings.configured:
        settings.configure(ALLOWED_HOSTS=["*"], SECRET_KEY="of a test", USE_TZ=True, LOGGING_CONFIG=None)
        django.setup()
    settings.ROOT_URLCONF = __name__
    return get_asgi_application()


async def look(request: HttpRequest) -> JsonResponse:
    scope: Any = request.scope  # type: ignore[attr-defined]
    principal = scope["state"]["principal"]
    return JsonResponse(
        {
            "path": request.path,
            "root_path": scope["root_path"],
            "by": None if principal is None else principal.account_id,
            "life": None,
            "link": reverse("item", args=["7"]),
        }
    )


def item(request: HttpRequest, item: str) -> HttpResponse:
    return HttpResponse(item)


def echo(request: HttpRequest) -> HttpResponse:
    return HttpResponse(str(len(request.body)))


urlpatterns = [path("", look), path("items/<item>", item, name="item"), path("echo", echo)]
