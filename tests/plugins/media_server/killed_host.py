"""A host that can be killed often: a process that has imported everything forks one for each line of its input.

    python -m tests.plugins.media_server.killed_host ROOT KIND PLACE

Each host prints its process id and where it answers. What is killed is the fork, with everything that it has open.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from objectkernel import ObjectKernel
from objectkernel_http.application import asgi_app  # imported here, so that it is not in each fork
from objectkernel_http.config import HttpConfig
from objectkernel_http.listening import address_of, listener
from objectkernel_http.serving import serve_on
from objectkernel_media_server import http
from objectkernel_media_server.plugin import MediaServerPlugin
from objectkernel_system_dialect.plugin import SystemDialectPlugin

from tests.plugins.media_server.upload_hosts import BASE, SECRET, DoormanPlugin

IMPORTED = (asgi_app, http)


def kernel(root: Path, kind: str, place: str) -> ObjectKernel:
    """Recordings in the folder `root`, and their rows in a database that outlives the process."""
    settings = {
        "storage_dir": str(root),
        "signed_url_base_url": BASE,
        "collect_every": 0,
        "acknowledge_bytes": 65536,
        "takeover_seconds": 5.0,
    }
    return ObjectKernel(
        plugins=[SystemDialectPlugin, DoormanPlugin, MediaServerPlugin],
        discover=False,
        environ={"STORAGE_SIGNING_SECRET": SECRET, "MOSTA_SYSTEM_DIALECT": kind, "MOSTA_SYSTEM_URI": place},
        config={"plugins": {"media-server": settings}},
    )


def serve(root: Path, kind: str, place: str) -> None:
    """Serve until somebody ends it."""
    config = HttpConfig(port=0)
    with listener(config) as sock:
        address = address_of(sock, config)
        serve_on(sock, kernel(root, kind, place), config, lambda: print("serving", os.getpid(), address, flush=True))


def main() -> None:
    root, kind, place = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    print("ready", flush=True)
    for _ in sys.stdin:
        pid = os.fork()
        if pid == 0:
            try:
                serve(root, kind, place)
            finally:
                os._exit(0)
        os.waitpid(pid, 0)
        print("gone", flush=True)


if __name__ == "__main__":
    main()
