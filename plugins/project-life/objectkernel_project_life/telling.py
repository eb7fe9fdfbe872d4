"""Errors as they may be told: nothing of a URI in their texts, nor behind them."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote, unquote, unquote_plus, urlsplit

from objectkernel.errors import KernelError
from objectkernel.secret import Secret
from objectkernel_system_dialect.contracts import SchemaOutdated

from objectkernel_project_life.errors import InvalidProject, ProjectError, ProjectUnavailable


def safe(error: Exception, name: str, uri: Secret[str] | None) -> ProjectError:
    """An error of opening a project as one of this plugin's; what it may not tell is left out but for its kind.

    Args:
        name: what the project is called in messages.
        uri: what must not be shown; None where nobody could read it.
    """
    secrets = () if uri is None else tuple(_secrets_of(uri.reveal()))
    seen: set[int] = set()
    present: BaseException | None = error
    innermost = _innermost(error)
    while present is not None and id(present) not in seen:
        seen.add(id(present))
        below = present.__cause__ or present.__context__
        if below is not None and _shows(below, secrets):
            present.__cause__ = present.__context__ = None
            break
        present = below
    may_be_told = isinstance(error, KernelError) and not _shows(error, secrets)
    if isinstance(error, ProjectError) and may_be_told:
        return error
    why: tuple[str, ...] = (f"opening it raised {type(error).__name__}",)
    if isinstance(error, KernelError) and may_be_told:
        why = (error.what, *error.why)
    elif innermost is not None:
        kind = f"{type(innermost).__name__} ({innermost.code})"
        why = (f"its message is withheld, since it has a part of the URI; it is a {kind}",)
    return ProjectUnavailable(
        f"the database of {name} cannot be opened",
        why=why,
        fix="look at the project's URI and at its server",
        project=name,
        reason=type(error).__name__,
    )


def _innermost(error: BaseException) -> KernelError | None:
    """The error of the framework's that is behind all others; None where there is none."""
    found: KernelError | None = None
    seen: set[int] = set()
    present: BaseException | None = error
    while present is not None and id(present) not in seen:
        seen.add(id(present))
        if isinstance(present, KernelError):
            found = present
        present = present.__cause__ or present.__context__
    return found


def unfit(error: SchemaOutdated) -> InvalidProject:
    """The error for schemas to which a project's tables cannot be brought, from what a dialect says of them."""
    problems = tuple(getattr(error, "differences", error.why))
    return InvalidProject(
        "the tables of the project cannot be brought to these schemas",
        why=problems,
        fix="change the schemas, or the tables by hand; nothing was changed",
        problems=problems,
    )


def line_of(error: KernelError) -> str:
    """An error as the register keeps it, for the project's owner."""
    return "; ".join((f"[{error.code}] {error.what}", *error.why))


def _shows(error: BaseException, secrets: tuple[str, ...]) -> bool:
    told = " ".join((str(error), repr(error), repr(vars(error)), repr(getattr(error, "__notes__", ()))))
    return any(secret in told for secret in secrets)


def _secrets_of(uri: str) -> Iterator[str]:
    """The URI and its password, as drivers may show them."""
    rest = uri.partition("://")[2]
    password = rest.rpartition("@")[0].partition(":")[2]
    try:
        named = urlsplit(uri).password or ""
    except ValueError:
        named = ""
    for text in {rest if password else "", password, named}:
        for meant in {text, unquote(text), unquote_plus(text)} - {""}:
            yield from {meant, quote(meant, safe=""), repr(meant)[1:-1]}
