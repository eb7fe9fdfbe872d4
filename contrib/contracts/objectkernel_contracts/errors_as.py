"""Routes whose errors have the shape of another standard than problem details: declared on their functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Literal, TypeAlias, TypeVar, get_args

F = TypeVar("F", bound=Callable[..., Any])

ErrorShape: TypeAlias = Literal["oauth", "tus", "metrics"]
"""The standards that have a shape of their own; a host knows how each looks."""

_ATTRIBUTE: Final = "__objectkernel_errors_as__"


def errors_as(shape: ErrorShape) -> Callable[[F], F]:
    """Declare that the errors of a route, also those that the host finds, have the shape of its standard."""
    if shape not in get_args(ErrorShape):
        raise ValueError(f"{shape!r} is no shape of errors: there are {', '.join(get_args(ErrorShape))}")

    def marked(function: F) -> F:
        setattr(function, _ATTRIBUTE, shape)
        return function

    return marked


def error_shape_of(function: Callable[..., Any]) -> ErrorShape | None:
    """What was declared on a route's function; None: problem details (RFC 9457)."""
    found: ErrorShape | None = getattr(function, _ATTRIBUTE, None)
    return found
