"""What the program shows of the log."""

from __future__ import annotations

import logging
import sys
from typing import Any


class Brief(logging.Formatter):
    """Tells an exception by its last line; -v has the whole of it."""

    def formatException(self, ei: Any) -> str:
        return "  " + super().formatException(ei).rstrip().splitlines()[-1].strip()


def log_to_stderr(verbose: int) -> None:
    """Warnings and errors to standard error; from one -v on what happens too, and from two on all of it."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter((logging.Formatter if verbose else Brief)("%(levelname)s %(name)s: %(message)s"))
    logger = logging.getLogger()
    logger.addHandler(handler)
    logger.setLevel({0: logging.WARNING, 1: logging.INFO}.get(verbose, logging.DEBUG))
