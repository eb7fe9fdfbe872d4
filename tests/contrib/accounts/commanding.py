"""Running a plugin's commands as the `objectkernel` program does, without the program."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import anyio
import attrs
import click
from click.testing import CliRunner, Result
from objectkernel import ObjectKernel


@attrs.define
class Commands:
    """What commands find in ``ctx.obj``, over kernels that `make` makes."""

    make: Callable[[], ObjectKernel]
    json: bool = False

    def kernel(self) -> ObjectKernel:
        return self.make()

    def run(self, job: Callable[[ObjectKernel], Awaitable[Any]]) -> Any:
        async def main() -> Any:
            async with self.make() as kernel:
                return await job(kernel)

        return anyio.run(main)

    def progress(self, items: Any, label: str, total: int | None = None) -> Iterator[Any]:
        return iter(items)

    def __call__(self, command: click.Command, *arguments: object) -> Result:
        """Run a command line; an error of ours is raised."""
        self.json = False
        done = CliRunner().invoke(command, [str(a) for a in arguments], obj=self)
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done

    def as_json(self, command: click.Command, *arguments: object) -> Any:
        """What a command prints as JSON."""
        return json.loads(self(command, *arguments, "--json").stdout)
