"""A host that never comes to the end of an exchange, for a test to kill: its database, and where it halts."""

from __future__ import annotations

import sys
from typing import Any

import anyio
from objectkernel_device_auth.families import Families
from objectkernel_device_auth.redeeming import Redeeming
from objectkernel_device_auth.refreshing import Refreshing

from tests.plugins.device_auth.flows import desk_of


async def halt() -> None:
    print("here", flush=True)
    await anyio.sleep_forever()


def halting(function: Any) -> Any:
    """`function`, whose answer nobody gets."""

    async def called(*args: Any) -> None:
        await function(*args)
        await halt()

    return called


async def main(path: str, where: str) -> None:
    async with desk_of(path) as desk:
        code = await desk.approved()
        if where == "refreshed":
            answer = await desk.redeem(code)
            assert answer.refresh_token is not None
            Refreshing._exchange = halting(Refreshing._exchange)  # type: ignore[method-assign]
            print(answer.refresh_token.reveal(), flush=True)
            await desk.refresh(answer.refresh_token)
        if where == "within":
            Families.begin = halting(Families.begin)  # type: ignore[method-assign]
        else:
            Redeeming._consume = halting(Redeeming._consume)  # type: ignore[method-assign]
        print(code, flush=True)
        await desk.redeem(code)


if __name__ == "__main__":
    anyio.run(main, sys.argv[1], sys.argv[2])
