"""`objectkernel new plugin`: a distribution that installs, loads and passes its own tests."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib

import pytest

FILES = {
    "README.md",
    "pyproject.toml",
    "acme_billing/__init__.py",
    "acme_billing/config.py",
    "acme_billing/contracts.py",
    "acme_billing/greeting.py",
    "acme_billing/plugin.py",
    "acme_billing/py.typed",
    "tests/test_acme_billing.py",
}


def files_of(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_every_file_is_written_and_told(run, folder):
    """The files of a whole distribution; nothing else is left in the folder."""
    done = run("new", "plugin", "acme-billing", "--json")
    assert (done.code, done.json["plugin"], done.json["folder"]) == (0, "acme-billing", "acme-billing")
    assert set(done.json["files"]) == FILES == files_of(folder / "acme-billing")
    assert [path.name for path in folder.iterdir()] == ["acme-billing"]
    project = tomllib.loads((folder / "acme-billing" / "pyproject.toml").read_text())["project"]
    assert project["entry-points"] == {
        "objectkernel.plugins.v1": {"acme-billing": "acme_billing.plugin:AcmeBillingPlugin"},
        "objectkernel.provides.v1": {"acme-billing.greeter": "acme_billing.plugin:AcmeBillingPlugin"},
    }


def test_it_is_written_into_the_folder_that_is_named(run, folder):
    """--into, and the next steps are told with the way there."""
    (folder / "plugins").mkdir()
    told = run("new", "plugin", "acme-billing", "--into", "plugins").out
    assert "wrote plugins/acme-billing/pyproject.toml" in told
    assert "pip install --editable plugins/acme-billing" in told


SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in ("polite-greeter", "none", "plugin", "acme.tax_2")]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["acme-billing", *SLOW])
def test_what_was_written_installs_loads_and_passes_its_tests(run, folder, name):
    """Installed away from its sources, found through its entry point, all warnings errors."""
    assert run("new", "plugin", name).code == 0
    site = folder / "site"
    offline = ["--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check", "--quiet"]
    of_python(folder, "-m", "pip", "install", *offline, "--target", site, f"./{name}")
    (folder / "pytest.ini").write_text(
        "[pytest]\nfilterwarnings = error\nasyncio_default_fixture_loop_scope = function\n"
    )
    tests = folder / name / "tests"
    told = of_python(folder, "-m", "pytest", "-c", folder / "pytest.ini", "-p", "no:cacheprovider", tests, path=site)
    assert "4 passed" in told
    listed = of_python(folder, "-m", "objectkernel_cli", "plugins", path=site)
    assert any(line.split()[:4] == [name, "discovered", "0.1.0", name] for line in listed.splitlines())


def of_python(folder, *arguments, path=None):
    environment = {**os.environ, "OBJECTKERNEL_NO_CACHE": "1", "PYTHONPATH": str(path or "")}
    command = [sys.executable, *map(str, arguments)]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_nothing_that_exists_is_overwritten(run, folder):
    """The second one of the same name is refused, and the first one is as it was."""
    assert run("new", "plugin", "acme-billing").code == 0
    (folder / "acme-billing" / "README.md").write_text("mine")
    done = run("--json", "new", "plugin", "acme-billing")
    assert (done.code, done.error["error"]) == (1, "PluginNotWritten")
    assert "exists already" in done.error["what"]
    assert (folder / "acme-billing" / "README.md").read_text() == "mine"


@pytest.mark.parametrize(
    ("name", "why", "fix"),
    [
        ("Acme Billing", "lower case", "write 'acme-billing'"),
        ("1st", "lower case", "write 'st'"),
        ("../up", "lower case", "write 'up'"),
        ("ü", "lower case", "write acme-billing, for example"),
        ("class", "in the way", "acme-class"),
        ("logging", "in the way", "acme-logging"),
        ("tests", "in the way", "acme-tests"),
        ("pytest", "in the way", "acme-pytest"),
        ("attrs", "in the way", "acme-attrs"),
        ("click", "installed already", "choose another name"),
        ("objectkernel-billing", "objectkernel's own", "begin it with a name of yours"),
    ],
)
def test_a_name_that_cannot_work_is_refused(run, folder, name, why, fix):
    """Nothing is written, and the fix is a name that can."""
    done = run("--json", "new", "plugin", name)
    assert (done.code, done.error["error"]) == (1, "PluginNotWritten")
    assert why in done.error["why"][0]
    assert fix in done.error["fix"]
    assert list(folder.iterdir()) == []


def test_a_disk_that_is_full_half_way_leaves_nothing_behind(run, folder, monkeypatch):
    """What fails half way is gone, so that the next try is not refused."""
    written = []

    def write(path, text, encoding):
        written.append(path)
        if len(written) == 4:
            raise OSError(28, "No space left on device")
        with open(path, "w", encoding=encoding) as file:
            file.write(text)

    with monkeypatch.context() as patch:
        patch.setattr("pathlib.Path.write_text", write)
        done = run("--json", "new", "plugin", "acme-billing")
    assert (done.code, done.error["why"]) == (1, ["No space left on device"])
    assert list(folder.iterdir()) == []
    assert run("new", "plugin", "acme-billing").code == 0
