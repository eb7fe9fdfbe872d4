"""What is known of one request beside what it says: its id, its principal, the kernel that it came to."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from objectkernel.kernel import ObjectKernel

KERNEL: Final = "objectkernel.kernel"
"""Where an ASGI scope has the kernel whose route the request came to."""


def request_id(scope: MutableMapping[str, Any]) -> str:
    """The id of a request, a UUID: of its answer's ``X-Request-Id``, and of what the log says about it."""
    state: dict[str, Any] = scope.setdefault("state", {})
    found: str | None = state.get("request_id")
    if found is None:
        found = state["request_id"] = str(uuid.uuid4())
    return found


def kernel_of(scope: MutableMapping[str, Any]) -> ObjectKernel | None:
    """The kernel that a request came to, or that was included into the application that it came to."""
    found: ObjectKernel | None = scope.get(KERNEL)
    if found is None and "app" in scope:
        found = getattr(getattr(scope["app"], "state", None), "objectkernel", None)
    return found
