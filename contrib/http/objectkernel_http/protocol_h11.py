"""HTTP/1.1 by h11, which is Python, and always there. It has an end to the length of a head itself."""

from __future__ import annotations

from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from objectkernel_http.protocol import TRAILERS, TimedProtocol


class Connection(h11.Connection):
    """h11's, which refuses a long head also where all of it has come at once.

    Attributes:
        trailers: of the request that it reads.
        is_too_long: a head was refused.
    """

    def __init__(self, most: int) -> None:
        super().__init__(h11.SERVER, most)
        self.trailers: list[tuple[bytes, bytes]] = []
        self.is_too_long = False
        self._most = most

    def next_event(self) -> Any:
        """What has come next.

        Raises:
            h11.RemoteProtocolError
        """
        event = super().next_event()
        if isinstance(event, h11.Request):
            self.trailers = []
            if len(event.target) + sum(len(name) + len(value) for name, value in event.headers) > self._most:
                self.is_too_long = True
                raise h11.RemoteProtocolError("the head is too long")
        elif isinstance(event, h11.EndOfMessage):
            self.trailers += [(name.lower(), value) for name, value in event.headers]
        return event


class TimedH11(TimedProtocol, H11Protocol):
    """uvicorn's protocol of h11, with an end to waiting, and with trailers."""

    conn: Connection

    def __init__(self, config: Any, *args: Any, **options: Any) -> None:
        super().__init__(config, *args, **options)
        self.conn = Connection(config.h11_max_incomplete_event_size or self.head_bytes)

    def handle_events(self) -> None:
        """Read what has come; requests begin to run after that."""
        super().handle_events()
        if self.scope:
            self.scope.setdefault("extensions", {TRAILERS: {"headers": self.conn.trailers}})

    def send_400_response(self, msg: str) -> None:
        """Refuse what h11 does not take."""
        if self.conn.is_too_long:
            self._refuse_long_head()
        else:
            super().send_400_response(msg)

    def on_response_complete(self) -> None:
        self._rest()
        super().on_response_complete()

    def _last(self) -> RequestResponseCycle | None:
        return self.cycle
