"""A host application: it composes a kernel of installed plugins, publishes its packages and reads them back.

    python examples/host_app/main.py            the demo
    objectkernel --app main:make_kernel ...     the same kernel, on the command line (in this folder)

Run it twice: the second run finds every package published already, with the same hash. The data lies in the folder
`.objectkernel` of where it is run, or where OBJECTKERNEL_DATA_DIR says.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import anyio
from objectkernel import ObjectKernel
from objectkernel_package_service.contracts import PACKAGES, PackageRecord

HERE = Path(__file__).resolve().parent


def make_kernel() -> ObjectKernel:
    """A kernel of the plugins that are installed and that the configuration lets in."""
    return ObjectKernel(config=HERE / "objectkernel.toml")


async def demo() -> int:
    """Boot, publish every package of the folder, read each one back, and show what happened; the exit code."""
    lost: list[str] = []
    async with make_kernel() as kernel:
        print(kernel.timeline.text(), end="\n\n")
        packages = kernel.get(PACKAGES)
        files = sorted((HERE / "packages").glob("*.json"))
        published = [await packages.publish(file.read_bytes()) for file in files]
        delivered = [await packages.get(one.id, one.version) for one in published]
        rows = [row(one, back) for one, back in zip(published, delivered, strict=True)]
        print_table(("PACKAGE", "VERSION", "OBJECTS", "HASH", "SINCE THE LAST RUN"), rows)
        lost += [one.id for one, back in zip(published, delivered, strict=True) if one != back]
        print(f"\n{len(rows) - len(lost)} packages published, read back byte for byte and verified")
        print(f"{len((await packages.list()).items)} packages in the registry")
    for id in lost:
        print(f"{id} was not delivered as it was published", file=sys.stderr)
    return 1 if lost else 0


def row(published: PackageRecord, delivered: PackageRecord | None) -> tuple[str, ...]:
    """One line of the table."""
    objects = "-" if delivered is None else str(len(delivered.metadata["objects"]))
    return published.id, published.version, objects, published.hash[:16], what_changed(published)


def what_changed(published: PackageRecord) -> str:
    """In words: how this version differs from the one that was there before."""
    if published.previous_hash is None:
        return "new"
    if published.previous_hash == published.hash:
        return "already published, same hash"
    return f"replaced {published.previous_hash[:16]}"


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Columns as wide as their widest cell."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    for row in (head, *rows):
        print("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())


if __name__ == "__main__":
    sys.exit(anyio.run(demo))
