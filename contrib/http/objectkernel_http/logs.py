"""What the log says of a request: its id and its account in every line that is written for it, on paper or as JSON."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any, Final, Literal, TypeAlias

from objectkernel_http.exchange import CURRENT
from objectkernel_http.watch import ACCESS

LogFormat: TypeAlias = Literal["auto", "console", "json"]
LONGEST: Final = 20_000
"""Characters of a message, and of a traceback; what is longer is cut."""


def configure_logs(log_format: LogFormat, access_log: bool) -> None:
    """Let what the program logs to the terminal, or to whoever collects it, have this shape, and log it if nobody does.

    Args:
        log_format: ``auto`` is ``console`` where standard error is a terminal, else ``json``.
        access_log: whether each request has a line of its own.
    """
    ACCESS.setLevel(logging.INFO if access_log else logging.WARNING)
    as_json = log_format == "json" or (log_format == "auto" and not sys.stderr.isatty())
    root = logging.getLogger()
    if not root.handlers:
        root.addHandler(logging.StreamHandler())
    for handler in root.handlers:
        if type(handler) is logging.StreamHandler:  # what writes into files of its own has its own shape
            outside = handler.formatter or logging.Formatter()
            handler.setFormatter(JsonLines() if as_json else ConsoleLines(outside))


class JsonLines(logging.Formatter):
    """One JSON object a line, in the order in which one reads it."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as JSON."""
        told: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage()[:LONGEST],
            **_request(),
            **getattr(record, "facts", {}),
        }
        if record.exc_info:
            told["exception"] = self.formatException(record.exc_info)[-LONGEST:]
        return json.dumps(told, default=str, ensure_ascii=False)


class ConsoleLines(logging.Formatter):
    """A line for people; what belongs to no request looks as the program has it."""

    def __init__(self, outside: logging.Formatter) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s", "%H:%M:%S")
        self._outside = outside

    def format(self, record: logging.LogRecord) -> str:
        """The record as text, with its traceback where it belongs to a request."""
        request = _request()
        if not request:
            return self._outside.format(record)
        first, *rest = super().format(record).split("\n")
        marks = " ".join(f"{name}={value}" for name, value in request.items() if value is not None)
        return "\n".join([f"{first} [{marks}]", *rest])


def _request() -> dict[str, str | None]:
    """The request that this is written for: nothing outside of one."""
    exchange = CURRENT.get()
    if exchange is None:
        return {}
    principal = exchange.principal
    return {"request_id": exchange.id, "account_id": None if principal is None else principal.account_id}
