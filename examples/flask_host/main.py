"""A Flask application with a kernel inside: the kernel runs in a thread of its own, views reach it through a portal.

python examples/flask_host/main.py
curl --request POST http://127.0.0.1:8000/ledger/3
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator

from flask import Flask
from objectkernel import ObjectKernel, Plugin, Service, provides
from objectkernel.portal import KernelPortal


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
    """Gives a ledger as long as the application runs."""

    name = "example-ledger"

    @provides(LEDGER)
    async def ledger(self) -> AsyncIterator[Ledger]:
        yield Ledger()
        print("the ledger is closed", flush=True)


def make_app(kernel: KernelPortal) -> Flask:
    """The application, on a kernel that runs."""
    app = Flask(__name__)

    @app.post("/ledger/<int:amount>")
    def write(amount: int) -> dict[str, int]:
        with kernel.lease(LEDGER) as ledger:  # not stopped meanwhile
            return {"sum": kernel.call(ledger.write, amount)}

    return app


if __name__ == "__main__":
    with ObjectKernel(plugins=[LedgerPlugin], discover=False).portal() as portal:
        make_app(portal).run(port=int(os.environ.get("PORT", "8000")))
