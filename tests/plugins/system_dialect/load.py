"""Writers at work while the database behind their dialect is switched."""

from __future__ import annotations

from contextlib import aclosing

import anyio
from anyio.lowlevel import checkpoint
from objectkernel_system_dialect.contracts import EntitySchema, Field
from objectkernel_system_dialect.generations import Opening
from objectkernel_system_dialect.switching import switchable

WRITERS = 32
SWITCHES = 50
WRITTEN = EntitySchema(name="Written", collection="written", fields={"text": Field("string")})


async def write_while_switching(*places: Opening) -> None:
    """32 tasks write while the dialect goes to and fro 50 times.

    There are at least 32 writes between two switches. No write may fail; each acknowledged one is then in exactly
    one of the two places, and nothing else is.
    """
    acknowledged: list[str] = []
    ended = False
    async with switchable(places[0], [WRITTEN]) as dialect:

        async def write(writer: int) -> None:
            number = 0
            while not ended:
                number += 1
                row = await dialect.create(WRITTEN, {"text": f"{writer}/{number}"})
                acknowledged.append(row["text"])

        async with anyio.create_task_group() as tasks:
            for writer in range(WRITERS):
                tasks.start_soon(write, writer)
            for number in range(1, SWITCHES + 1):
                before = len(acknowledged)
                while len(acknowledged) < before + WRITERS:
                    await checkpoint()
                await dialect.switch(places[number % 2])
            ended = True
    found: list[list[str]] = []
    for place in places:
        async with aclosing(await place.open([WRITTEN])) as there:
            found.append([row["text"] for row in await there.find(WRITTEN)])
    assert len(acknowledged) >= WRITERS * SWITCHES
    assert sorted(found[0] + found[1]) == sorted(acknowledged)
    assert all(found)
