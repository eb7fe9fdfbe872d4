"""A Litestar application with a kernel inside: its handlers use the kernel's services.

python examples/litestar_host/main.py
curl --request POST http://127.0.0.1:8000/ledger/3
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator

import uvicorn
from litestar import Litestar, post
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath
from objectkernel import ObjectKernel, Plugin, Service, provides
from objectkernel_http.litestar import KernelPlugin, service


class Ledger:
    """Lines of amounts."""

    def __init__(self) -> None:
        self.amounts: list[int] = []


LEDGER = Service[Ledger]("example.ledger")


class LedgerPlugin(Plugin):
    """Gives a ledger as long as the application runs."""

    name = "example-ledger"

    @provides(LEDGER)
    async def ledger(self) -> AsyncIterator[Ledger]:
        yield Ledger()
        print("the ledger is closed", flush=True)


@post("/ledger/{amount:int}", status_code=200)
async def write(amount: FromPath[int], ledger: NamedDependency[Ledger]) -> dict[str, int]:
    """Write a line; the answer has the sum of all."""
    ledger.amounts.append(amount)
    return {"sum": sum(ledger.amounts)}


app = Litestar(
    [write],
    plugins=[KernelPlugin(ObjectKernel(plugins=[LedgerPlugin], discover=False))],
    dependencies={"ledger": Provide(service(LEDGER))},
)

if __name__ == "__main__":
    uvicorn.run(app, port=int(os.environ.get("PORT", "8000")))
