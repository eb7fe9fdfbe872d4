"""A TCP proxy on the loopback whose way to the server can be cut and mended."""

from __future__ import annotations

import contextlib
import socket
from threading import Event, Lock, Thread
from types import TracebackType


class CuttableProxy:
    """Passes connections at `port` on to a server, until it is cut.

    Args:
        host, port: the server's.
    """

    def __init__(self, host: str, port: int) -> None:
        self._server = host, port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._lock = Lock()
        self._open: set[socket.socket] = set()
        self._threads: list[Thread] = []
        self._flows = Event()
        self._flows.set()
        self._acceptor = self._accept()

    def cut(self) -> None:
        """Break every connection and refuse new ones."""
        with contextlib.suppress(OSError):  # it may be cut already
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._acceptor.join()
        with self._lock:
            for end in self._open:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def mend(self) -> None:
        """Pass connections on again, at the same port."""
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self._acceptor = self._accept()

    def stall(self) -> None:
        """Keep connections open and pass nothing on, as a network does that loses every packet."""
        self._flows.clear()

    def flow(self) -> None:
        """Pass on what was held back, and everything else."""
        self._flows.set()

    def __enter__(self) -> CuttableProxy:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.flow()
        self.cut()
        for thread in self._threads:
            thread.join()

    def _start(self, thread: Thread) -> Thread:
        self._threads.append(thread)
        thread.start()
        return thread

    def _accept(self) -> Thread:
        return self._start(Thread(target=self._serve, args=(self._listener,)))

    def _serve(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):  # the listener was closed
            while True:
                near, _ = listener.accept()
                try:
                    far = socket.create_connection(self._server)
                except OSError:
                    near.close()
                    continue
                with self._lock:
                    self._open |= {near, far}
                self._start(Thread(target=self._pass_on, args=(near, far)))
                self._start(Thread(target=self._pass_on, args=(far, near)))

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                self._flows.wait()
                target.sendall(data)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_RDWR)
        with self._lock:
            self._open.discard(source)
        source.close()
