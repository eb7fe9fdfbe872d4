"""Other plugins' part in packages: they are asked, told, and told the contrary where a change is undone."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

import anyio
import attrs

from objectkernel_package_service.contracts import Problem
from objectkernel_package_service.install_contracts import PackageConsumer
from objectkernel_package_service.loading import Loaded

UNDOING: Final = 30.0
"""Seconds that undoing a change may take, also when its caller has gone."""

log = logging.getLogger("objectkernel.plugin.package-service")

Undo = list[Callable[[], Awaitable[None]]]
"""What takes a change back, step by step; from the end."""


class ConsumerFailed(Exception):
    """A consumer has raised an error. Attributes: kind (of metadata)."""

    def __init__(self, consumer: PackageConsumer, kind: str, error: Exception) -> None:
        super().__init__(f"{type(consumer).__name__} has raised {type(error).__name__}: {error}")
        self.kind = kind


class Consumers:
    """All consumers together."""

    def __init__(self, consumers: Sequence[PackageConsumer]) -> None:
        self._consumers = tuple(consumers)

    def _each(self, *versions: Loaded | None) -> Iterator[tuple[PackageConsumer, str]]:
        """Who is told of a package, with each kind that one of its versions holds."""
        held = {kind for loaded in versions if loaded is not None for kind, items in loaded.metadata.items() if items}
        for consumer in self._consumers:
            for kind in sorted(held.intersection(consumer.kinds)):
                yield consumer, kind

    async def problems(self, loaded: Loaded) -> list[Problem]:
        """What consumers have against a package."""
        found: list[Problem] = []
        for consumer, kind in self._each(loaded):
            try:
                told = list(await consumer.check(loaded.package, kind, loaded.metadata[kind]))
            except Exception as error:
                told = [Problem(f"$.metadata.{kind}", str(ConsumerFailed(consumer, kind, error)))]
            found += [attrs.evolve(one, path=f"{loaded.package.id}: {one.path}") for one in told]
        return found

    async def come(self, old: Loaded | None, new: Loaded, undo: Undo) -> None:
        """Tell of a package that is new, or in another version.

        Raises:
            ConsumerFailed: one refuses; `undo` takes back what the others did, and whatever it did itself.
        """
        for consumer, kind in self._each(old, new):
            undo.append(_telling(consumer, kind, new, old))
            await _telling(consumer, kind, old, new)()

    async def gone(self, old: Loaded, undo: Undo) -> None:
        """Tell of a package that goes.

        Raises:
            ConsumerFailed: as for `come`.
        """
        for consumer, kind in self._each(old):
            undo.append(_telling(consumer, kind, None, old))
            await _telling(consumer, kind, old, None)()


def _telling(
    consumer: PackageConsumer, kind: str, before: Loaded | None, after: Loaded | None
) -> Callable[[], Awaitable[None]]:
    """Tells one consumer that a package is another, is there, or is not any more."""

    async def tell() -> None:
        try:
            if after is not None and after.metadata.get(kind):
                await consumer.apply(after.package, kind, after.metadata[kind])
            elif before is not None and before.metadata.get(kind):
                await consumer.remove(before.package, kind)
        except Exception as error:
            raise ConsumerFailed(consumer, kind, error) from error

    return tell


@asynccontextmanager
async def undoing() -> AsyncIterator[Undo]:
    """A block that is undone from its end when it raises; what cannot be undone is logged, and the rest is."""
    undo: Undo = []
    try:
        yield undo
    except BaseException:
        with anyio.move_on_after(UNDOING, shield=True):
            for step in reversed(undo):
                try:
                    await step()
                except Exception as error:
                    log.error("a step of a change that failed cannot be undone: %s", error)
        raise
