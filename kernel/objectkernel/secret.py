"""A value that does not show itself."""

from __future__ import annotations

from typing import Final, Generic, NoReturn, Self, TypeVar

T = TypeVar("T")

SHOWN: Final = "***"
"""What a secret reads like, wherever it is printed."""


class Secret(Generic[T]):
    """A value that prints as ``***`` in repr, str, f-strings, logs and errors; `reveal` gives it.

    It is immutable, has no length, cannot be iterated or pickled, and a copy of it is the same object. Two
    secrets are compared in constant time if they hold ``str`` or ``bytes``. The hash is the same for all
    secrets: it tells nothing, and lets a frozen settings class that holds one be hashed.
    """

    __slots__ = ("_value",)

    _value: T

    def __init__(self, value: T) -> None:
        object.__setattr__(self, "_value", value)

    def reveal(self) -> T:
        """The value itself; keep it in no variable that outlives its use."""
        return self._value

    def __repr__(self) -> str:
        return SHOWN

    def __str__(self) -> str:
        return SHOWN

    def __format__(self, spec: str) -> str:
        return SHOWN

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return _same(self._value, other._value)

    def __hash__(self) -> int:
        return hash(Secret)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError("a Secret cannot be changed; make a new one")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError("a Secret cannot be changed; make a new one")

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret cannot be pickled: pass the name of the secret and read it where it is used")

    def __getstate__(self) -> NoReturn:
        self.__reduce__()


def _same(one: object, other: object) -> bool:
    import hmac

    if isinstance(one, str) and isinstance(other, str):
        one, other = one.encode("utf-8", "surrogatepass"), other.encode("utf-8", "surrogatepass")
    if isinstance(one, bytes | bytearray) and isinstance(other, bytes | bytearray):
        return hmac.compare_digest(one, other)
    return bool(one == other)
