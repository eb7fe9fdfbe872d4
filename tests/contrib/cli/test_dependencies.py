"""The distribution declares what it imports."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[3] / "contrib" / "cli"


def test_every_import_is_of_a_declared_dependency():
    """Whoever installs objectkernel-cli alone has all that it needs, and nothing that it does not use."""
    imported = set()
    for file in (ROOT / "objectkernel_cli").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
            imported |= {name.partition(".")[0] for name in names}
    imported -= {"objectkernel_cli", *sys.stdlib_module_names}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = {re.split(r"[^\w-]", need)[0] for need in project["dependencies"]}
    assert {name.replace("_", "-") for name in imported} == declared
