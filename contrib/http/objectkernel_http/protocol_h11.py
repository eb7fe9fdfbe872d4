"""HTTP/1.1 by h11, which is Python, and always there. It has an end to the length of a head itself."""

from __future__ import annotations

from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from objectkernel_http.protocol import TimedProtocol


class TimedH11(TimedProtocol, H11Protocol):
    """uvicorn's protocol of h11, with an end to waiting."""

    def on_response_complete(self) -> None:
        self._rest()
        super().on_response_complete()

    def _last(self) -> RequestResponseCycle | None:
        return self.cycle
