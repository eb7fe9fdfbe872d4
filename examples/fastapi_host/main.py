"""A FastAPI application with a kernel inside: its own routes use the kernel's services.

python examples/fastapi_host/main.py        then open http://127.0.0.1:8000/docs
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from typing import Annotated

import uvicorn
from fastapi import Depends, FastAPI
from objectkernel import ObjectKernel, Plugin, Service, provides
from objectkernel_http import include_kernel, service


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


app = FastAPI(title="A host")
include_kernel(app, ObjectKernel(plugins=[LedgerPlugin], discover=False))


@app.post("/ledger/{amount}")
async def write(amount: int, ledger: Annotated[Ledger, Depends(service(LEDGER))]) -> dict[str, int]:
    """Write a line; the answer has the sum of all."""
    ledger.amounts.append(amount)
    return {"sum": sum(ledger.amounts)}


if __name__ == "__main__":
    uvicorn.run(app, port=int(os.environ.get("PORT", "8000")))
