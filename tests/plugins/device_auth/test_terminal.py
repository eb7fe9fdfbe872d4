"""What a person sees who has to approve a device."""

from __future__ import annotations

import os
import sys
from typing import Any

import pytest
from objectkernel_device_auth.contracts import CodeIssued
from objectkernel_device_auth.terminal import Terminal, minutes

from tests.plugins.device_auth.client_side import Screen

LINK = "https://auth.example/device?user_code=BCDF-GHJK"
CODE = CodeIssued(
    user_code="BCDF-GHJK",
    verification_uri="https://auth.example/device",
    verification_uri_complete=LINK,
    expires_in=600,
)
QR = "█▀▄"


@pytest.fixture(autouse=True)
def size(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal of the usual size, and taller."""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("LINES", "40")


def shown(screen: Screen, environ: dict[str, str] | None = None) -> str:
    Terminal(screen, environ or {}).show(CODE)
    return screen.getvalue()


def test_the_address_and_the_code_are_shown() -> None:
    """On lines of their own, so that they can be copied; with a QR code of the complete address."""
    text = shown(Screen())
    lines = [line.strip() for line in text.splitlines()]
    for line in ("https://auth.example/device", "BCDF-GHJK", LINK):
        assert line in lines
    assert any(c in text for c in QR)
    assert "\x1b" not in text


def test_the_qr_code_can_be_read() -> None:
    """Every module of it is there, light ones drawn, with a quiet zone."""
    import segno

    matrix = [list(row) for row in segno.make(LINK, micro=False, error="l").matrix]
    lines = [line for line in shown(Screen()).splitlines() if line and set(line) <= set("█▀▄ ") and "█" in line]
    rows: list[list[int]] = []
    for line in lines:
        rows.append([int(c in " ▄") for c in line])
        rows.append([int(c in " ▀") for c in line])
    size = len(matrix)
    assert [row[2 : 2 + size] for row in rows[2 : 2 + size]] == matrix
    assert not any(rows[0] + rows[1] + [row[0] for row in rows[: size + 4]])


@pytest.mark.parametrize(
    ("screen", "environ", "width"),
    [
        (Screen(terminal=False), {}, "80"),
        (Screen(encoding="ascii"), {}, "80"),
        (Screen(encoding="latin-1"), {}, "80"),
        (Screen(), {"TERM": "dumb"}, "80"),
        (Screen(), {"CI": "true"}, "80"),
        (Screen(), {}, "20"),
    ],
    ids=["pipe", "ascii", "latin-1", "dumb", "CI", "narrow"],
)
def test_item_38_plain_lines_where_a_qr_code_would_not_be_readable(
    screen: Screen, environ: dict[str, str], width: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Address and code are there nevertheless."""
    monkeypatch.setenv("COLUMNS", width)
    text = shown(screen, environ)
    assert not any(c in text for c in QR)
    assert "https://auth.example/device\n" in text and "BCDF-GHJK\n" in text


def test_a_low_terminal_keeps_the_code_in_sight(monkeypatch: pytest.MonkeyPatch) -> None:
    """A QR code that scrolls the code away is left out."""
    monkeypatch.setenv("LINES", "15")
    assert not any(c in shown(Screen()) for c in QR)


def test_without_segno_there_is_no_qr_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is an extra."""
    monkeypatch.setitem(sys.modules, "segno", None)
    assert not any(c in shown(Screen()) for c in QR)


def test_the_minutes_are_said_where_nothing_counts_down() -> None:
    """Without a terminal; a countdown would fill a log."""
    screen = Screen(terminal=False)
    terminal = Terminal(screen, {})
    terminal.show(CODE)
    assert "good for 10 minutes" in screen.getvalue()
    before = screen.getvalue()
    terminal.tick(30)
    terminal.done()
    terminal.note("another process")
    assert screen.getvalue() == before


def test_the_time_left_counts_down_on_one_line() -> None:
    """It changes in place, and is gone in the end."""
    screen = Screen()
    terminal = Terminal(screen, {})
    for left in (599.9, 599.2, 65.0, 0.4):
        terminal.tick(left)
    written = screen.getvalue()
    assert [part.split()[-2] for part in written.split("\r")[1:]] == ["9:59", "1:05", "0:00"]
    assert "\n" not in written
    terminal.done()
    assert screen.getvalue().rpartition("\r")[0].rpartition("\r")[2].strip() == ""
    terminal.note("a note")
    assert screen.getvalue().endswith("a note\n")


@pytest.mark.parametrize(
    ("terminal", "environ", "interactive"),
    [
        (True, {}, True),
        (True, {"CI": ""}, True),
        (True, {"CI": "false"}, True),
        (True, {"CI": "1"}, False),
        (False, {}, False),
    ],
)
def test_item_38_somebody_is_there_or_not(terminal: bool, environ: dict[str, str], interactive: bool) -> None:
    """A terminal, and not the one that a build server may have."""
    assert Terminal(Screen(terminal=terminal), environ).is_interactive is interactive


def test_standard_error_is_used_as_it_is_then(capsys: Any) -> None:
    """Standard output may be piped elsewhere; a stream that is exchanged later counts."""
    Terminal(environ={}).show(CODE)
    out, err = capsys.readouterr()
    assert (out, "BCDF-GHJK" in err) == ("", True)
    assert Terminal().environ is os.environ


@pytest.mark.parametrize(("seconds", "words"), [(10, "1 minute"), (89, "1 minute"), (95, "2 minutes")])
def test_minutes_are_whole(seconds: float, words: str) -> None:
    """At least one."""
    assert minutes(seconds) == words
