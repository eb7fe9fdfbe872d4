"""HTTP/1.1 by h11, which is Python, and always there. It has an end to the length of a head itself."""

from __future__ import annotations

from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from objectkernel_http.protocol import TRAILERS, TimedProtocol


class Connection(h11.Connection):
    """h11's, which keeps the trailers of the request that it reads."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.trailers: list[tuple[bytes, bytes]] = []

    def next_event(self) -> Any:
        """What has come next."""
        event = super().next_event()
        if isinstance(event, h11.Request):
            self.trailers = []
        elif isinstance(event, h11.EndOfMessage):
            self.trailers += [(name.lower(), value) for name, value in event.headers]
        return event


class TimedH11(TimedProtocol, H11Protocol):
    """uvicorn's protocol of h11, with an end to waiting, and with trailers."""

    conn: Connection

    def __init__(self, config: Any, *args: Any, **options: Any) -> None:
        super().__init__(config, *args, **options)
        self.conn = Connection(h11.SERVER, config.h11_max_incomplete_event_size)

    def handle_events(self) -> None:
        """Read what has come; requests begin to run after that."""
        super().handle_events()
        if self.scope:
            self.scope.setdefault("extensions", {TRAILERS: {"headers": self.conn.trailers}})

    def on_response_complete(self) -> None:
        self._rest()
        super().on_response_complete()

    def _last(self) -> RequestResponseCycle | None:
        return self.cycle
