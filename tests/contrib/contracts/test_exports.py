"""What plugins and hosts share: light, and complete."""

from __future__ import annotations

import subprocess
import sys

import objectkernel_contracts
from objectkernel.keys import Extension
from objectkernel_contracts import COMMANDS


def test_commands_is_an_extension() -> None:
    """Any number of plugins contribute, under one stable name."""
    assert isinstance(COMMANDS, Extension)
    assert COMMANDS == "commands"


def test_all_names_what_exists() -> None:
    """`__all__` is sorted and true."""
    assert sorted(objectkernel_contracts.__all__) == objectkernel_contracts.__all__
    for name in objectkernel_contracts.__all__:
        assert hasattr(objectkernel_contracts, name)


def test_importing_it_loads_no_click() -> None:
    """A plugin that contributes a command costs a server no command-line library."""
    code = "import sys, objectkernel_contracts; print('click' in sys.modules or 'rich' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"
