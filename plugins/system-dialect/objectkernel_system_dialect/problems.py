"""Errors as problem details (RFC 9457), and back: the same error on both ends of a connection."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any, Final

from objectkernel.errors import ConfigError, KernelError

from objectkernel_system_dialect import errors
from objectkernel_system_dialect.errors import DataError

STATUS: Final[Mapping[type[KernelError], HTTPStatus]] = {
    errors.EntityUnknown: HTTPStatus.NOT_FOUND,
    errors.RowMissing: HTTPStatus.NOT_FOUND,
    errors.AccessDenied: HTTPStatus.FORBIDDEN,
    errors.TenantRequired: HTTPStatus.FORBIDDEN,
    ConfigError: HTTPStatus.CONFLICT,
    errors.SchemaOutdated: HTTPStatus.CONFLICT,
    errors.SchemaForeign: HTTPStatus.CONFLICT,
    errors.DuplicateKey: HTTPStatus.CONFLICT,
    errors.ConstraintViolated: HTTPStatus.CONFLICT,
    errors.IdempotencyKeyBusy: HTTPStatus.CONFLICT,
    errors.VersionConflict: HTTPStatus.PRECONDITION_FAILED,
    errors.RowChanged: HTTPStatus.PRECONDITION_FAILED,
    errors.RequestTooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    errors.StatementFailed: HTTPStatus.INTERNAL_SERVER_ERROR,
    errors.RowDamaged: HTTPStatus.INTERNAL_SERVER_ERROR,
}
SHOWN_FACTS: Final = frozenset({"entity", "field", "key", "reason"})
"""What a 5xx tells of an error's facts; never a place."""
OWN: Final = frozenset({"self", "what", "where", "why", "fix", "facts"})
RETRY_SECONDS: Final = 1


def status_of(error: KernelError) -> HTTPStatus:
    """The status that says what this error says; what a caller asked for wrongly is 422."""
    return status_of_kind(type(error))


def status_of_kind(kind: type[KernelError]) -> HTTPStatus:
    """The status of all errors of a class."""
    declared = getattr(kind, "http_status", None)
    if declared is not None:
        return HTTPStatus(declared)
    for known in kind.__mro__:
        if known in STATUS:
            return STATUS[known]
    return HTTPStatus.UNPROCESSABLE_ENTITY if issubclass(kind, DataError) else HTTPStatus.INTERNAL_SERVER_ERROR


def problem_of(error: KernelError, *, instance: str | None = None) -> dict[str, Any]:
    """The members of a problem: type, title, status, detail, code, where, why, fix, facts.

    A 5xx, and an error of others than data access, tells only its kind.

    Args:
        instance: the URI of this occurrence, under which the log has it.
    """
    status = status_of(error)
    made: dict[str, Any] = {
        "type": f"urn:objectkernel:error:{error.code}",
        "title": type(error).__name__,
        "status": int(status),
        "detail": error.what,
        "code": error.code,
        "where": error.where,
        "why": list(error.why),
        "fix": error.fix,
        "facts": error.facts,
    }
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or not isinstance(error, DataError):
        summary = (type(error).__doc__ or type(error).__name__).split("\n")[0]
        shown = {name: fact for name, fact in error.facts.items() if name in SHOWN_FACTS}
        made |= {"detail": summary, "where": "", "why": [], "fix": "", "facts": shown}
    if instance is not None:
        made["instance"] = instance
    return made


def error_of(problem: Mapping[str, Any], place: str) -> DataError | None:
    """The error that a problem was made of, or None: it is none of data access.

    Args:
        place: where the problem came from, which stands for the place of the database behind it.
    """
    kind = BY_CODE.get(str(problem.get("code")))
    if kind is None:
        return None
    facts = problem.get("facts")
    told = _facts(kind, facts) if isinstance(facts, Mapping) else {}
    if issubclass(kind, errors.DatabaseUnavailable | errors.AccessDenied):
        told["database"] = place
    why = problem.get("why")
    return kind(
        str(problem.get("detail", "")),
        where=str(problem.get("where", "")),
        why=[str(line) for line in why] if isinstance(why, list) else (),
        fix=str(problem.get("fix", "")),
        **told,
    )


def _facts(kind: type[DataError], facts: Mapping[Any, Any]) -> dict[str, Any]:
    """The facts of an error, without those that would take the place of something that every error has."""
    return {
        str(name): tuple(value) if isinstance(value, list) else value
        for name, value in facts.items()
        if name not in OWN and not hasattr(kind, str(name))
    }


def _kinds(kind: type[DataError]) -> Iterator[type[DataError]]:
    yield kind
    for inner in kind.__subclasses__():
        yield from _kinds(inner)


BY_CODE: Final[Mapping[str, type[DataError]]] = {
    kind.code: kind for kind in _kinds(DataError) if kind.__module__ == errors.__name__
}
"""The errors of data access by their codes."""
