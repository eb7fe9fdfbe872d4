"""A Django site with a kernel inside: the kernel runs in a thread of its own, views reach it through a portal.

python examples/django_host/main.py
curl --request POST http://127.0.0.1:8000/ledger/3
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import suppress
from wsgiref.simple_server import make_server

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, JsonResponse
from django.urls import path
from objectkernel import ObjectKernel, Plugin, Service, provides


class Ledger:
    """Lines of amounts; as many a service, its methods are coroutines."""

    def __init__(self) -> None:
        self.amounts: list[int] = []

    async def write(self, amount: int) -> int:
        """Write a line; returns the sum of all."""
        self.amounts.append(amount)
        return sum(self.amounts)


LEDGER = Service[Ledger]("example.ledger")


class LedgerPlugin(Plugin):
    """Gives a ledger as long as the site runs."""

    name = "example-ledger"

    @provides(LEDGER)
    async def ledger(self) -> AsyncIterator[Ledger]:
        yield Ledger()
        print("the ledger is closed", flush=True)


def write(request: HttpRequest, amount: int) -> JsonResponse:
    """Write a line; the answer has the sum of all."""
    kernel = settings.KERNEL
    with kernel.lease(LEDGER) as ledger:  # not stopped meanwhile
        return JsonResponse({"sum": kernel.call(ledger.write, amount)})


urlpatterns = [path("ledger/<int:amount>", write)]

if __name__ == "__main__":
    with ObjectKernel(plugins=[LedgerPlugin], discover=False).portal() as portal:
        settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["127.0.0.1"], SECRET_KEY="example", KERNEL=portal)
        server = make_server("127.0.0.1", int(os.environ.get("PORT", "8000")), get_wsgi_application())
        with server, suppress(KeyboardInterrupt):
            server.serve_forever()
