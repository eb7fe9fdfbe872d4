"""How a command line ends: what is printed of an error, and the exit code."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any

import click
from objectkernel.errors import KernelError

from objectkernel_cli.errors import FileTrouble
from objectkernel_cli.exits import INTERRUPTED, OK, exit_code
from objectkernel_cli.output import print_error_json, print_problem
from objectkernel_cli.program import Program


def ending(run: Callable[[], Any], program: Program) -> int:
    """The exit code of `run`, which returns one or None; its errors are printed on standard error.

    An exception that is neither the kernel's nor click's nor the system's is a fault of code, and passes with its
    traceback.
    """
    try:
        return run() or OK
    except click.ClickException as error:
        if program.json:
            print_error_json(_usage(error))
        else:
            error.show()
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        click.echo("interrupted", err=True)
        return INTERRUPTED
    except OSError as error:
        failed = FileTrouble(
            "a file or a connection failed the command",
            where=str(error.filename or ""),
            why=error.strerror or str(error) or type(error).__name__,
            fix="-v shows where in the code",
        )
        return _told(failed, error, program)
    except KernelError as error:
        return _told(error, error, program)


def _told(problem: KernelError, error: Exception, program: Program) -> int:
    print_problem(problem, as_json=program.json)
    if program.verbose and not program.json:
        traceback.print_exception(error)
    return exit_code(problem)


def _usage(error: click.ClickException) -> dict[str, Any]:
    """A mistake in the command line in the shape of a kernel error."""
    context = getattr(error, "ctx", None)
    fix = f"{context.command_path} --help" if context is not None else ""
    what = error.format_message()
    return {"code": "usage", "error": type(error).__name__, "what": what, "where": "", "why": [], "fix": fix}
