"""A host application: it composes a kernel of installed plugins, publishes its packages and reads them back.

    python examples/host_app/main.py            the demo
    objectkernel --app main:make_kernel ...     the same kernel, on the command line (in this folder)

Run it twice: the second run finds every package published already, with the same hash.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import anyio
from objectkernel import ObjectKernel
from objectkernel_package_service.contracts import PACKAGES, PackageRecord, PackageService

HERE = Path(__file__).resolve().parent


def make_kernel() -> ObjectKernel:
    """A kernel of the plugins that are installed and that the configuration lets in."""
    return ObjectKernel(config=HERE / "objectkernel.toml")


async def demo() -> None:
    """Boot, publish every package of the folder, read each one back, and show what happened."""
    kernel = make_kernel()
    async with kernel:
        print(kernel.timeline.text(), end="\n\n")
        packages = kernel.get(PACKAGES)
        files = sorted((HERE / "packages").glob("*.json"))
        rows = [await publish_and_read_back(packages, file) for file in files]
        print_table(("PACKAGE", "VERSION", "OBJECTS", "HASH", "SINCE THE LAST RUN"), rows)
        listed = await packages.list()
        print(f"\n{len(rows)} packages published, read back byte for byte and verified")
        print(f"{len(listed.items)} packages in the registry")


async def publish_and_read_back(packages: PackageService, file: Path) -> tuple[str, ...]:
    """Publish one file, and hold what comes back against what was published."""
    content = file.read_bytes()
    manifest = json.loads(content)["manifest"]
    before = await packages.get(manifest["id"], manifest["version"])
    published = await packages.publish(content)
    delivered = await packages.get(published.id, published.version)
    if delivered is None or delivered.content != published.content:
        raise SystemExit(f"{file.name}: what was delivered is not what was published")
    objects = len(delivered.metadata["objects"])
    return delivered.id, delivered.version, str(objects), delivered.hash[:16], what_changed(before, delivered)


def what_changed(before: PackageRecord | None, after: PackageRecord) -> str:
    """In words: how this version differs from the one that was there before."""
    if before is None:
        return "new"
    if before.hash == after.hash:
        return "already published, same hash"
    return f"replaced {before.hash[:16]}"


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Columns as wide as their widest cell."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    for row in (head, *rows):
        print("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())


if __name__ == "__main__":
    sys.exit(anyio.run(demo))
