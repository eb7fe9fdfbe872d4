"""pytest in a process of its own."""

from __future__ import annotations

import os

OTHERS = ("faker", "hypothesispytest", "schemathesis", "xdist", "xdist.looponfail")


def lean_pytest() -> dict[str, str]:
    """The environment of a pytest that leaves out plugins of others which take most of a second each to import."""
    return {**os.environ, "PYTEST_ADDOPTS": " ".join(f"-p no:{name}" for name in OTHERS)}
