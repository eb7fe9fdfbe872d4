"""Who may use a route: declared on its function, kept by the host."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias, TypeVar

import attrs

from objectkernel_contracts.identity import Principal

F = TypeVar("F", bound=Callable[..., Any])


@attrs.frozen(init=False)
class Scope:
    """What a principal needs one of: ``Scope("data:read", "data:read:{entity}")``; without names, only to be known.

    A name in braces stands for the path parameter of the request.
    """

    any_of: tuple[str, ...]

    def __init__(self, *any_of: str) -> None:
        object.__setattr__(self, "any_of", any_of)

    def admits(self, principal: Principal, path: Mapping[str, str] | None = None) -> bool:
        """Whether the principal has been granted one of the names, with the path parameters of the request in it."""
        for name in self.any_of:
            if (_filled(name, path or {}) if "{" in name else name) in principal.scopes:
                return True
        return not self.any_of


@attrs.frozen
class Public:
    """Anybody may use it, also without a credential."""


Access: TypeAlias = Scope | Public

PARAMETER: Final = re.compile(r"\{(\w+)\}")
_ATTRIBUTE: Final = "__objectkernel_access__"


def requires(scope: Scope) -> Callable[[F], F]:
    """Declare what a route's function requires. The host leaves the principal at ``request.state.principal``."""
    return lambda function: _marked(function, scope)


def public() -> Callable[[F], F]:
    """Declare openly that anybody may use a route: without any declaration it is not served."""
    return lambda function: _marked(function, Public())


def access_of(function: Callable[..., Any]) -> Access | None:
    """What was declared on a route's function; None: nothing, so that a host refuses to serve it."""
    found: Access | None = getattr(function, _ATTRIBUTE, None)
    return found


def _marked(function: F, access: Access) -> F:
    setattr(function, _ATTRIBUTE, access)
    return function


def _filled(name: str, path: Mapping[str, str]) -> str:
    return PARAMETER.sub(lambda found: str(path.get(found[1], found[0])), name)
