"""For test writers: kernels as fixtures.

pytest finds `objectkernel.testing.pytest_plugin` by itself; this module holds the types that tests annotate with.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from objectkernel.testing.factory import KernelFactory

__all__ = ["KernelFactory"]


def __getattr__(
    name: str,
) -> Any:  # pytest imports this package at its start: nothing of the kernel before it is used
    if name != "KernelFactory":
        raise AttributeError(f"module 'objectkernel.testing' has no attribute {name!r}")
    from objectkernel.testing.factory import KernelFactory

    return KernelFactory
