"""The distribution declares what it imports, and costs a plugin's host nothing that it does not use."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import objectkernel_http
import pytest

ROOT = Path(__file__).parents[3] / "contrib" / "http"
COMES_WITH = {"h11": "uvicorn", "markupsafe": "jinja2"}


def test_every_import_is_of_a_declared_dependency() -> None:
    """Whoever installs objectkernel-http with its extras has all that it needs, and nothing that it does not use."""
    imported: set[str] = set()
    for file in (ROOT / "objectkernel_http").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
            imported |= {name.partition(".")[0] for name in names}
    imported -= {"objectkernel_http", *sys.stdlib_module_names}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needs = [*project["dependencies"], *(need for extra in project["optional-dependencies"].values() for need in extra)]
    declared = {re.split(r"[^\w-]", need)[0] for need in needs}
    assert {COMES_WITH.get(name, name).replace("_", "-") for name in imported} == declared


def test_the_plugin_loads_no_server() -> None:
    """It is found in every host where it is installed, also where nothing is served."""
    heavy = ("click", "fastapi", "jinja2", "pydantic", "uvicorn")
    code = f"import sys, objectkernel_http.plugin; print([name for name in {heavy} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_a_name_that_is_none() -> None:
    """Is told as Python tells it, though names are imported when they are first used."""
    with pytest.raises(AttributeError, match="'nonsense'"):
        objectkernel_http.nonsense  # noqa: B018
    assert dir(objectkernel_http) == sorted(objectkernel_http.__all__)
