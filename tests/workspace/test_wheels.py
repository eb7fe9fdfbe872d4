"""The wheels alone, in an empty environment away from the sources, are enough to run the demo."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from importlib import metadata

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def run(*command, cwd, **environment):
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "VIRTUAL_ENV", "COVERAGE"))}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**inherited, **environment},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def archives(members, tmp_path_factory):
    """The folder with the wheel and the source archive of every distribution."""
    folder = tmp_path_factory.mktemp("dist")
    for member in members:
        run(sys.executable, "-m", "hatchling", "build", "-d", folder, cwd=member)
    return folder


def run_time_lock(root, names, extras=("cli", "http", "net", "testing")):
    """The entries of the lock for what the distributions `names` need at run time, directly or not.

    They themselves are wanted with these extras, as a host would ask for them.
    """
    wanted, found = list(names), set()
    while wanted:
        name = wanted.pop()
        if name not in found:
            found.add(name)
            needs = map(Requirement, metadata.requires(name) or ())
            asked = ("", *extras) if name in names else ("",)
            needed = (
                need for need in needs if need.marker is None or any(need.marker.evaluate({"extra": e}) for e in asked)
            )
            wanted += [canonicalize_name(need.name) for need in needed]
    entries = re.split(r"^(?=\w)", (root / "requirements.lock").read_text(), flags=re.MULTILINE)
    return "".join(entry for entry in entries if entry.partition("==")[0] in found)


@pytest.fixture(scope="module")
def installed(root, members, archives, tmp_path_factory):
    """The python of an environment with the wheels, and third parties as locked: hashes checked, no tools."""
    folder = tmp_path_factory.mktemp("installed")
    names = [tomllib.loads((member / "pyproject.toml").read_text())["project"]["name"] for member in members]
    third_parties = folder / "third-parties.txt"
    third_parties.write_text(run_time_lock(root, names))
    venv.create(folder / "venv", with_pip=True)
    python = folder / "venv" / "bin" / "python"
    pip = [python, "-m", "pip", "--disable-pip-version-check"]
    run(*pip, "install", "--require-hashes", "--requirement", third_parties, cwd=folder)
    run(*pip, "install", "--no-deps", "--no-index", *archives.glob("*.whl"), cwd=folder)
    run(*pip, "check", cwd=folder)
    return python


def test_wheels_hold_the_package_and_nothing_else(members, archives):
    """A wheel has the import package with py.typed, its metadata and the licence; no tests, no docs."""
    wheels = sorted(archives.glob("*.whl"))
    assert len(wheels) == len(members)
    for wheel in wheels:
        name = wheel.name.split("-")[0]
        held = zipfile.ZipFile(wheel).namelist()
        assert f"{name}/py.typed" in held
        assert any(path.endswith(".dist-info/licenses/LICENSE") for path in held)
        assert {path.split("/")[0].split("-")[0] for path in held} == {name}


def test_source_archives_hold_what_a_build_needs(members, archives):
    """A source archive has the package, its pyproject.toml, README and licence."""
    sources = sorted(archives.glob("*.tar.gz"))
    assert len(sources) == len(members)
    for source in sources:
        with tarfile.open(source) as archive:
            held = {name.partition("/")[2] for name in archive.getnames()}
        package = source.name.split("-")[0]
        assert {"pyproject.toml", "README.md", "LICENSE", "PKG-INFO", f"{package}/py.typed"} <= held


def test_the_demo_boots_from_wheels_away_from_the_sources(root, installed, tmp_path):
    """The example host runs with what was installed, and imports nothing from this tree."""
    host = shutil.copytree(root / "examples" / "host_app", tmp_path / "host_app")
    shown = run(installed, "-W", "error", host / "main.py", "demo", cwd=tmp_path, OBJECTKERNEL_NO_CACHE="1")
    assert "audit" in shown
    where = "import objectkernel, objectkernel_package_service as p; print(objectkernel.__file__, p.__file__)"
    for path in run(installed, "-c", where, cwd=tmp_path).split():
        assert path.startswith(str(installed.parents[1]))


def test_the_console_script_is_installed(installed, tmp_path):
    """`objectkernel` is on the path of whoever installs objectkernel-cli."""
    assert "Usage" in run(installed.parent / "objectkernel", "--help", cwd=tmp_path)
