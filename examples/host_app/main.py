"""A host application: it composes the installed plugins into one kernel and serves them.

    python examples/host_app/main.py            serve on 127.0.0.1:8000 (PORT=8123 for another), until Ctrl-C
    python examples/host_app/main.py demo       the whole story in a fresh folder, then end
    objectkernel --app main:make_kernel ...     the same kernel, on the command line (in this folder)

The data lies in the folder `.objectkernel` of where it is run, or where OBJECTKERNEL_DATA_DIR says. The first start
makes an account to try things with, and shows its password once.
"""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path

from objectkernel import ObjectKernel, Plugin
from objectkernel.errors import KernelError
from objectkernel_http.hosting import serve
from showroom import WELCOME, Showroom

HERE = Path(__file__).resolve().parent


def make_kernel(*plugins: Plugin) -> ObjectKernel:
    """A kernel of all plugins that are installed, and of these."""
    return ObjectKernel(plugins=plugins, config=HERE / "objectkernel.toml")


def run() -> None:
    """Serve until a signal comes."""
    kernel = make_kernel(Showroom(HERE / "packages"))

    def ready(address: str) -> None:
        print(kernel.timeline.text(), end="\n\n")
        print(kernel.get(WELCOME).text(address), flush=True)

    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    try:
        serve(kernel, ready, port=int(os.environ.get("PORT") or 8000))
    except ValueError as error:
        sys.exit(f"PORT is no port: {error}")
    print("stopped")


def main() -> int:
    """Run what the command line asks for; the exit code."""
    try:
        if sys.argv[1:] == ["demo"]:
            from story import tell

            tell(make_kernel, HERE / "packages")
        elif sys.argv[1:]:
            print(__doc__, file=sys.stderr)
            return 2
        else:
            run()
    except KernelError as error:
        print(error.text(), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
