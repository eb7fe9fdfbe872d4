"""What the program shows of the log."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from typing import Any


class Brief(logging.Formatter):
    """Tells an exception by its last line; -v has the whole of it."""

    def formatException(self, ei: Any) -> str:
        return "  " + super().formatException(ei).rstrip().splitlines()[-1].strip()


def log_to_stderr(verbose: int, quiet: Callable[[], bool]) -> None:
    """Warnings and errors to standard error; from one -v on what happens too, and from two on all of it.

    Args:
        quiet: asked for each record, since --json may stand behind a command: whether to say nothing without -v.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter((logging.Formatter if verbose else Brief)("%(levelname)s %(name)s: %(message)s"))
    handler.addFilter(lambda _: bool(verbose) or not quiet())
    logger = logging.getLogger()
    logger.addHandler(handler)
    logger.setLevel({0: logging.WARNING, 1: logging.INFO}.get(verbose, logging.DEBUG))
