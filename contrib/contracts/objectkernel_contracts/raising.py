"""Which errors a route tells its caller: said on its function, put into the document of the API by the host."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

import attrs
from objectkernel.errors import KernelError

F = TypeVar("F", bound=Callable[..., Any])

_ATTRIBUTE: Final = "__objectkernel_raises__"


@attrs.frozen
class Raised:
    """An error that a route answers with, and the status that it does it with.

    Attributes:
        invalid: it stands for the host's own answer to a request that the route does not take.
    """

    kind: type[KernelError]
    status: int
    invalid: bool = False


def raises(
    *kinds: type[KernelError],
    status: Callable[[type[KernelError]], int] | None = None,
    invalid: type[KernelError] | None = None,
) -> Callable[[F], F]:
    """Declare the errors that a route's function answers with; their code and docstring are put into the document.

    Args:
        status: tells the status of a class, for routes that do not leave it to its ``http_status``.
        invalid: one more, for routes that do not leave to the host what it says of a request that they do not take.
    """
    every = dict.fromkeys(kinds if invalid is None else (*kinds, invalid))
    found = tuple(Raised(kind, (status or _declared)(kind), kind is invalid) for kind in every)

    def mark(function: F) -> F:
        setattr(function, _ATTRIBUTE, found)
        return function

    return mark


def raised_by(function: Callable[..., Any]) -> tuple[Raised, ...]:
    """What was declared on a route's function."""
    found: tuple[Raised, ...] = getattr(function, _ATTRIBUTE, ())
    return found


def _declared(kind: type[KernelError]) -> int:
    found = getattr(kind, "http_status", None)
    if not isinstance(found, int):
        raise TypeError(f"{kind.__name__} has no http_status, so that a host would answer 500 and tell nothing of it")
    return found
