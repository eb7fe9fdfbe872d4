"""What an import costs a bare Python, each in a process of its own.

The bytecode of all of them is kept in one folder made for the purpose: whether a source has been imported before, or
the environment forbids to keep its bytecode, makes no difference.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile

from measuring import LIMIT, OURS, Contender, Row, Target, best_of

ROUNDS = 7
STATEMENTS = {
    LIMIT: "import pluggy, anyio, attrs",
    OURS: "from objectkernel import ObjectKernel, Plugin, provides",
    "svcs": "import svcs",
    "asphalt": "import asphalt.core",
    "dishka": "import dishka",
}


def imported(statement: str, bytecode: str) -> Contender:
    """Seconds that the statement takes in a fresh interpreter, measured inside it: its own start does not count."""
    program = f"from time import perf_counter as clock\nstart = clock()\n{statement}\nprint(clock() - start)"
    environ = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    environ["PYTHONPYCACHEPREFIX"] = bytecode

    def contender() -> float:
        command = [sys.executable, "-c", program]
        told = subprocess.run(command, env=environ, capture_output=True, text=True, check=True)
        return float(told.stdout)

    return contender


def rows() -> list[Row]:
    """The imports; the limit is importing what the kernel depends on."""
    with tempfile.TemporaryDirectory() as bytecode:
        contenders = {name: imported(statement, bytecode) for name, statement in STATEMENTS.items()}
        results = best_of(ROUNDS, contenders)
    return [Row.of("import, over bare Python", "ms", results, Target(at_most=60.0, ahead=True))]
