"""What a person is shown who has to approve a device: on a terminal with a countdown and a QR code, else plain lines.

Everything goes to standard error, since a command's output may be piped elsewhere. No key is ever printed.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from typing import Final, TextIO

import attrs

from objectkernel_device_auth.contracts import CodeIssued

BLOCKS: Final = {(False, False): "█", (False, True): "▀", (True, False): "▄", (True, True): " "}
"""Two modules, the upper and the lower, as one character: light ones are drawn, for terminals are dark mostly."""
QUIET: Final = 2
"""Light modules around a QR code: half of what the standard has, and enough for the cameras of telephones."""
BESIDE: Final = 8
"""Lines that are shown together with the QR code."""


@attrs.define
class Terminal:
    """Where codes are shown.

    Attributes:
        stream: by default standard error, as it is when something is shown.
        environ: of the process.
    """

    stream: TextIO | None = None
    environ: Mapping[str, str] = attrs.field(factory=lambda: os.environ, repr=False)
    _line: str = attrs.field(default="", init=False)

    @property
    def is_interactive(self) -> bool:
        """Whether somebody is there to see what is printed."""
        return self._out.isatty() and self.environ.get("CI", "").lower() in ("", "0", "false")

    def show(self, code: CodeIssued) -> None:
        """Print where to go, and what to enter there."""
        link = code.verification_uri_complete
        lines = [
            "",
            "This program needs to be let in. Open this page in a browser, on any device:",
            f"    {code.verification_uri}",
            "and enter the code",
            f"    {code.user_code}",
        ]
        if link is not None and link != code.verification_uri:
            lines += ["or open", f"    {link}", "and compare the code."]
        if not self.is_interactive:
            lines.append(f"The code is good for {minutes(code.expires_in)}.")
        self._print(lines)
        qr = self._qr(link or code.verification_uri)
        if qr:
            self._print(["", *qr, ""])

    def tick(self, left: float) -> None:
        """Say how long the code is still good; one line, which changes. Nothing without a terminal."""
        if not self.is_interactive:
            return
        line = f"Waiting for the approval: {int(left) // 60}:{int(left) % 60:02} left "
        if line != self._line:
            self._line = line
            self._write(f"\r{line}")

    def done(self) -> None:
        """Take the countdown away."""
        if self._line:
            self._write("\r" + " " * len(self._line) + "\r")
            self._line = ""

    def note(self, text: str) -> None:
        """Print a line, if somebody is there to read it."""
        if self.is_interactive:
            self.done()
            self._print([text])

    # --- output ---------------------------------------------------------------------------------------

    @property
    def _out(self) -> TextIO:
        return self.stream or sys.stderr

    def _print(self, lines: Sequence[str]) -> None:
        self._write("".join(f"{line}\n" for line in lines))

    def _write(self, text: str) -> None:
        encoding = self._out.encoding or "ascii"
        self._out.write(text.encode(encoding, "replace").decode(encoding))
        self._out.flush()

    def _qr(self, link: str) -> list[str]:
        """A QR code in lines of text; none where it would not be readable."""
        if not self.is_interactive or self.environ.get("TERM", "") == "dumb" or not self._can_draw():
            return []
        try:
            import segno
        except ImportError:
            return []
        rows = [list(row) for row in segno.make(link, micro=False, error="l").matrix_iter(border=QUIET)]
        size = shutil.get_terminal_size()
        if len(rows[0]) > size.columns or len(rows) // 2 + BESIDE > size.lines:
            return []
        if len(rows) % 2:
            rows.append([0] * len(rows[0]))
        pairs = zip(rows[::2], rows[1::2], strict=True)
        return ["".join(BLOCKS[bool(a), bool(b)] for a, b in zip(*pair, strict=True)) for pair in pairs]

    def _can_draw(self) -> bool:
        try:
            "".join(BLOCKS.values()).encode(self._out.encoding or "ascii")
        except (UnicodeEncodeError, LookupError):
            return False
        return True


def minutes(seconds: float) -> str:
    """A time in whole minutes, at least one."""
    count = max(1, round(seconds / 60))
    return "1 minute" if count == 1 else f"{count} minutes"
