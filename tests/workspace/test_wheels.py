"""The wheels alone, in an empty environment away from the sources, are enough to run the demo."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def run(*command, cwd, **environment):
    inherited = {
        k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "VIRTUAL_ENV", "COVERAGE"))
    }
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


@pytest.fixture(scope="module")
def installed(root, archives, tmp_path_factory):
    """The python of an environment that has the wheels, and third parties as locked with hashes checked."""
    folder = tmp_path_factory.mktemp("installed")
    lines = [
        f"{wheel.as_uri()} --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}"
        for wheel in sorted(archives.glob("*.whl"))
    ]
    wanted = folder / "wanted.txt"
    wanted.write_text("\n".join([f"--constraint {root / 'requirements.lock'}", *lines]) + "\n")
    venv.create(folder / "venv", with_pip=True)
    python = folder / "venv" / "bin" / "python"
    run(python, "-m", "pip", "install", "--quiet", "--require-hashes", "--requirement", wanted, cwd=folder)
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
    shown = run(installed, "-W", "error", host / "main.py", cwd=tmp_path, OBJECTKERNEL_NO_CACHE="1")
    assert "package-service" in shown
    where = "import objectkernel, objectkernel_package_service as p; print(objectkernel.__file__, p.__file__)"
    for path in run(installed, "-c", where, cwd=tmp_path).split():
        assert path.startswith(str(installed.parents[1]))


def test_the_console_script_is_installed(installed, tmp_path):
    """`objectkernel` is on the path of whoever installs objectkernel-cli."""
    assert "Usage" in run(installed.parent / "objectkernel", "--help", cwd=tmp_path)
