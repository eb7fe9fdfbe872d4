"""Every error the kernel raises: a stable code, the facts as attributes, and what, where, why and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self


def nearest(name: str, known: Iterable[str], count: int = 3) -> tuple[str, ...]:
    """The names in `known` that `name` was probably meant to be, best first."""
    folded = {str(k).lower().replace("_", "-").replace(".", "-"): str(k) for k in known}
    wanted = str(name).lower().replace("_", "-").replace(".", "-")
    return tuple(folded[m] for m in difflib.get_close_matches(wanted, folded, count, 0.6))


def shortened(lines: Sequence[str], limit: int = 10) -> list[str]:
    """The first lines of a long list, and how many more there are."""
    rest = len(lines) - limit
    return [*lines[:limit], f"and {rest} more"] if rest > 0 else list(lines)


class KernelError(Exception):
    """The base of all kernel errors.

    Attributes:
        code: stable identifier; the section of ``kernel/docs/errors.md`` under this code explains it.
        what: one sentence: what happened.
        where: ``file:line`` of the declaration concerned, or "".
        why: the facts behind it, one line each.
        fix: what to do about it.
        tolerable: as a finding of `kernel_findings`: worth knowing, while nothing has to be mended.
    Every further keyword becomes an attribute of the error: the facts, for programs.
    """

    code: ClassVar[str] = "K000"
    tolerable: ClassVar[bool] = False
    what: str
    where: str
    why: tuple[str, ...]
    fix: str

    def __init__(
        self, what: str, *, where: str = "", why: str | Sequence[str] = (), fix: str = "", **facts: Any
    ) -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.why = tuple(filter(None, (why,) if isinstance(why, str) else why))
        self.fix = fix
        self.facts = facts
        for name, value in facts.items():
            setattr(self, name, value)

    def __str__(self) -> str:
        return self.text()

    def text(self) -> str:
        """The whole message, several lines."""
        lines = [f"[{self.code}] {type(self).__name__}: {self.what}"]
        rows = [("where", self.where)] if self.where else []
        rows += [("why", line) for line in self.why]
        rows += [("fix", self.fix)] if self.fix else []
        for label, value in rows:
            first, *rest = value.splitlines() or [""]
            lines.append(f"  {label:<6} {first}")
            lines += [f"         {line}" for line in rest]
        return "\n".join(lines)

    def as_dict(self) -> dict[str, Any]:
        """The error for ``--json``: code, kind, what, where, why, fix."""
        return {
            "code": self.code,
            "error": type(self).__name__,
            "what": self.what,
            "where": self.where,
            "why": list(self.why),
            "fix": self.fix,
        }


# --- K1xx: declarations and composition ---------------------------------------------------------


class PluginNameInvalid(KernelError):
    """A plugin has no name, or one that is not lower case parts joined by '.', '-' or '_'."""

    code = "K101"


class PluginDuplicate(KernelError):
    """One plugin name, class or instance was composed twice."""

    code = "K102"


class DeclarationInvalid(KernelError):
    """A declaration on a plugin class cannot be meant: wrong key kind, wrong kind of function, unknown name."""

    code = "K103"


class HookUnknown(KernelError):
    """A plugin marks a method as a hook that no specification has."""

    code = "K104"


class HookInvalid(KernelError):
    """A hook is implemented in a way its specification refuses, such as ``async def`` for a synchronous one."""

    code = "K105"


class KernelVersionMismatch(KernelError):
    """A plugin's ``requires_kernel`` does not admit this kernel."""

    code = "K106"


class KeyConflict(KernelError):
    """One name is used as a service and as an extension."""

    code = "K107"


class PluginUnknown(KernelError):
    """An option, a command or a section names a plugin that is not installed."""

    code = "K108"


class HostOptionInvalid(KernelError):
    """A host option is unknown, of the wrong type or contradicts another."""

    code = "K109"


class KeyInvalid(KernelError, TypeError):
    """Something that is no service or extension key was given where one is asked for."""

    code = "K110"


# --- K2xx: services and their graph ---------------------------------------------------------------


class ServiceMissing(KernelError):
    """Nobody provides a service that somebody needs, or that was asked for.

    Attributes: name, path (the wanting chain), known (near names).
    """

    code = "K201"


class ServiceCycle(KernelError):
    """Services need each other in a ring. Attributes: path (names in order, first repeated at the end)."""

    code = "K202"


class ServiceDuplicate(KernelError):
    """Two plugins provide one service. Attributes: name, providers."""

    code = "K203"


class ServiceVersionMismatch(KernelError):
    """The provided version of a service is not one that a need admits."""

    code = "K204"


class ScopeMismatch(KernelError):
    """Something that outlives a scope needs a service of that scope."""

    code = "K205"


class ServiceUndeclared(KernelError):
    """A plugin reads a service that its class does not declare."""

    code = "K206"


class ServiceTypeMismatch(KernelError):
    """A provider returned an object that is not of its key's type."""

    code = "K207"


class ServiceNotReady(KernelError):
    """A service was read that has not been made yet, or that `get` cannot make."""

    code = "K208"


class ServiceUnavailable(KernelError):
    """A service exists but is draining, stopped, disabled, failed or skipped."""

    code = "K209"


class ServiceUnset(KernelError):
    """A declared need was read before the kernel set it, or in a fake that was not given it."""

    code = "K210"


class ScopeInvalid(KernelError):
    """A scope was opened or used wrongly: unknown key, value missing, already closed."""

    code = "K211"


# --- K3xx: configuration -------------------------------------------------------------------------


class ConfigUnknownKey(KernelError):
    """A configuration key that the plugin's settings class does not have."""

    code = "K301"


class ConfigUnknownSection(KernelError):
    """A section of the configuration file that belongs to nobody."""

    code = "K302"


class ConfigTypeInvalid(KernelError):
    """A configured value is not of the declared type."""

    code = "K303"


class ConfigMissing(KernelError):
    """A required setting has no value."""

    code = "K304"


class ConfigInvalid(KernelError):
    """A validator of the settings class refuses a value."""

    code = "K305"


class ConfigFileMissing(KernelError):
    """A configuration file that was named is not there or cannot be read."""

    code = "K306"


class ConfigFileInvalid(KernelError):
    """A configuration file is not valid TOML."""

    code = "K307"


# --- K4xx: discovery -------------------------------------------------------------------------------


class PluginImportFailed(KernelError):
    """A plugin's module could not be imported; the cause and its traceback are kept."""

    code = "K401"


class EntryPointInvalid(KernelError):
    """An entry point does not lead to a plugin class, instance or PluginDef of that name."""

    code = "K402"


class EntryPointConflict(KernelError):
    """Two different entry points have one name."""

    code = "K403"


# --- K5xx: lifecycle -------------------------------------------------------------------------------


class KernelStateInvalid(KernelError):
    """An operation that the kernel's present state does not allow."""

    code = "K501"


class StartTimeout(KernelError):
    """A plugin did not start in time; it was cancelled and is dead.

    Attributes: plugin, node, seconds, stack (the innermost frame last), waiting (who waited for whom).
    """

    code = "K502"


class StopTimeout(KernelError):
    """A plugin did not stop in time and was cancelled."""

    code = "K503"


class ProviderInvalid(KernelError):
    """A provider did not keep to its form: it never yielded, or yielded twice."""

    code = "K504"


class PluginExited(KernelError):
    """Plugin code raised SystemExit; it is kept as the cause and the process goes on."""

    code = "K505"


class PluginStateInvalid(KernelError):
    """A run-time change that the plugin's present state does not allow."""

    code = "K506"


class LeaseTimeout(KernelError):
    """A lease was still held when its drain deadline passed; the service was stopped under it."""

    code = "K507"


class KernelLeaked(KernelError):
    """A test ended with a kernel still running."""

    code = "K508"


class BootAborted(KernelError):
    """Bootstrapping was ended by a shutdown before it was done."""

    code = "K509"


class PluginStuck(KernelError):
    """A plugin's code went on after it was cancelled; the kernel gave it up."""

    code = "K512"


# --- K6xx: events and background work -----------------------------------------------------------------


class HandlerInvalid(KernelError):
    """An event handler cannot be called this way: an asynchronous one from `emit_sync`."""

    code = "K601"


class EventUndeclared(KernelError):
    """A plugin subscribes to, or emits, something that is no event class."""

    code = "K602"


# --- reports ---------------------------------------------------------------------------------------


class _Report(KernelError, ExceptionGroup[Exception]):
    """Several problems as one error; `exceptions` holds them, plugins' own exceptions unwrapped."""

    headline: ClassVar[str] = ""

    if TYPE_CHECKING:

        def __new__(cls, problems: Sequence[Exception]) -> Self: ...
        def __init__(self, problems: Sequence[Exception]) -> None: ...

    else:

        def __new__(cls, problems: Sequence[Exception]) -> Self:
            return ExceptionGroup.__new__(cls, cls._headline(len(problems)), list(problems))

        def __init__(self, problems: Sequence[Exception]) -> None:
            ExceptionGroup.__init__(self, self._headline(len(problems)), list(problems))
            self.what = self._headline(len(problems))
            self.where = ""
            self.why = ()
            self.fix = ""
            self.facts = {}

    @classmethod
    def _headline(cls, count: int) -> str:
        return f"{cls.headline}: {count} problem{'s' if count != 1 else ''}"

    def derive(self, excs: Sequence[Exception], /) -> Self:  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]
        return type(self)(excs)

    @property
    def codes(self) -> tuple[str, ...]:
        """The code of each member, in order; a plugin's own exception has its class name."""
        return tuple(e.code if isinstance(e, KernelError) else type(e).__name__ for e in self.exceptions)

    def text(self) -> str:
        lines = [f"[{self.code}] {type(self).__name__}: {self.what}"]
        for number, problem in enumerate(self.exceptions, 1):
            text = str(problem) if isinstance(problem, KernelError) else f"{type(problem).__name__}: {problem}"
            notes = getattr(problem, "__notes__", ())
            first, *rest = "\n".join((text, *notes)).splitlines() or [""]
            lines.append(f"  {number}. {first}")
            lines += [f"     {line}" for line in rest]
        return "\n".join(lines)

    def as_dict(self) -> dict[str, Any]:
        problems = [
            e.as_dict()
            if isinstance(e, KernelError)
            else {"code": None, "error": type(e).__name__, "what": str(e), "where": "", "why": [], "fix": ""}
            for e in self.exceptions
        ]
        return {**super().as_dict(), "problems": problems}


class BootError(_Report):
    """The kernel did not start; everything that had been entered has been exited."""

    code = "K510"
    headline = "the kernel did not start"


class ShutdownError(_Report):
    """The kernel stopped, and something went wrong on the way; every teardown was run."""

    code = "K511"
    headline = "the kernel stopped with errors"


class ChangeError(BootError):
    """A run-time change did not work out as asked; what could run on, or run again, does."""

    code = "K513"
    headline = "the change failed"


class ConfigError(_Report):
    """A configuration was refused; nothing was changed."""

    code = "K308"
    headline = "the configuration is refused"
