"""The console script ``objectkernel``."""

from __future__ import annotations

import io
import signal
import sys

from objectkernel_cli.root import root


def main() -> None:
    """Run the command line of this process, and exit with its code.

    SIGTERM ends it as SIGINT does, from the first moment on. What the terminal's encoding cannot show is printed as
    question marks.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    root(prog_name="objectkernel")
