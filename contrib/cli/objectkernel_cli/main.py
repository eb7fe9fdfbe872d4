"""The console script ``objectkernel``."""

from __future__ import annotations

from objectkernel_cli.root import root


def main() -> None:
    """Run the command line of this process, and exit with its code."""
    root(prog_name="objectkernel")
