"""Which host a command is about, and what is said of one that cannot be had."""

from __future__ import annotations

import pytest

EMPTY = "kernel = ObjectKernel(discover=False)\n"


def test_an_app_is_a_kernel(run, write_app):
    """`module:attribute` may lead to a kernel."""
    app = write_app()
    told = run("--app", app, "plugins", "--json").json
    assert told["host"] == app
    assert [p["name"] for p in told["plugins"]] == ["acme-clock", "acme-billing", "acme-shop"]


def test_an_app_is_a_function_that_returns_a_kernel(run, write_app):
    """A function without arguments, behind a dotted path too."""
    app = write_app(
        """
        class Hosts:
            @staticmethod
            def make():
                return ObjectKernel(discover=False)
        """,
        "Hosts.make",
    )
    assert run("--app", app, "check").code == 0


def test_pyproject_names_the_app_from_its_own_folder(run, write_app, folder, monkeypatch):
    """`[tool.objectkernel] app` of a folder above counts, and its module is found beside it."""
    app = write_app()
    (folder / "pyproject.toml").write_text(f'[tool.objectkernel]\napp = "{app}"\n')
    below = folder / "a" / "b"
    below.mkdir(parents=True)
    (below / "pyproject.toml").write_text('[project]\nname = "other"\n')
    monkeypatch.chdir(below)
    assert run("plugins", "--json").json["host"] == app


def test_the_more_explicit_host_wins(run, write_app, folder):
    """--app before --config before pyproject.toml before objectkernel.toml before what is installed."""
    assert run("check", "--json").json["host"] == "the installed plugins"
    (folder / "objectkernel.toml").write_text("[kernel]\ndiscover = false\n")
    assert run("check", "--json").json["host"] == "objectkernel.toml"
    named, given = write_app(EMPTY), write_app(EMPTY)
    (folder / "pyproject.toml").write_text(f'[tool.objectkernel]\napp = "{named}"\n')
    assert run("check", "--json").json["host"] == named
    (folder / "other.toml").write_text("[kernel]\ndiscover = false\n")
    assert run("--config", "other.toml", "check", "--json").json["host"] == "other.toml"
    assert run("--app", given, "check", "--json").json["host"] == given


def test_app_and_config_exclude_each_other(run, write_app):
    """The app configures its kernel itself, so both at once cannot be meant."""
    done = run("--app", write_app(), "--config", "x.toml", "check")
    assert (done.code, "exclude each other" in done.err) == (2, True)


def test_safe_mode_reaches_every_kind_of_host(run, write_app, install, folder):
    """No installed plugin is taken, whoever makes the kernel."""
    install("acme-loud", "raise SystemExit('imported')")
    app = write_app("kernel = ObjectKernel(plugins=[])")
    (folder / "here.toml").write_text("")
    for host in (["--app", app], ["--config", "here.toml"], []):
        told = run("--safe-mode", *host, "plugins", "--json").json
        assert {p["state"] for p in told["plugins"]} == {"blocked"}


def test_a_missing_module_is_named_with_the_nearest(run, folder):
    """A typo in the module's name ends with exit code 3 and the name that was meant."""
    (folder / "billing_host.py").write_text("")
    error = run("--json", "--app", "biling_host:kernel", "config").error
    assert (error["error"], error["fix"]) == ("HostMissing", "did you mean 'billing_host'?")


def test_a_missing_attribute_is_named_with_the_nearest(run, write_app):
    """A typo in the attribute's name too."""
    app = write_app(EMPTY, "kernle")
    done = run("--json", "--app", app, "config")
    assert (done.code, done.error["fix"]) == (3, "did you mean 'kernel'?")


@pytest.mark.parametrize(
    ("source", "raised"),
    [
        ("1 / 0", "ZeroDivisionError"),
        ("raise SystemExit(7)", "SystemExit"),
        ("import no_such_library", "ModuleNotFoundError"),
        ("def kernel():\n    raise LookupError('no key')", "LookupError"),
    ],
)
def test_a_host_that_raises_is_told_with_its_place(run, write_app, source, raised):
    """Whatever the host's own code raises is an error of the host, with the line that raised."""
    app = write_app(source)
    error = run("--app", app, "config", "--json").error
    assert error["error"] == "HostImportFailed"
    assert raised in error["what"]
    assert app.partition(":")[0] in error["where"]


@pytest.mark.parametrize(
    ("source", "app", "named"),
    [
        ("kernel = 5", None, "an int"),
        ("async def kernel(): ...", None, "a coroutine"),
        ("", "kernel", "does not name a host"),
    ],
)
def test_what_is_no_kernel_is_refused(run, write_app, source, app, named):
    """The error says what there is instead, and what to write."""
    done = run("--app", app or write_app(source), "config")
    assert done.code == 3
    assert "HostInvalid" in done.err
    assert named in done.err


@pytest.mark.parametrize("text", ["[tool", "tool = 5", "[tool.objectkernel]\napp = 5", "\udcff"])
def test_an_unreadable_pyproject_is_told(run, folder, text):
    """A broken pyproject.toml ends in no traceback."""
    (folder / "pyproject.toml").write_bytes(text.encode("utf-8", "surrogateescape"))
    done = run("config")
    assert (done.code, "HostInvalid" in done.err) == (3, True)


def test_a_broken_configuration_file_is_an_error_of_the_host(run, folder):
    """Exit code 3, with the line of the mistake."""
    (folder / "objectkernel.toml").write_text("[kernel]\nonly = [\n")
    done = run("--json", "config")
    assert (done.code, done.error["error"]) == (3, "HostUnreadable")
    assert done.error["where"].startswith("objectkernel.toml:")
    assert run("--config", "none.toml", "run").code == 3


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        ("plugins", "package-service"),
        ("graph", "package-service"),
        ("check", "the installed plugins: "),
        (
            "doctor",
            "commands of plugins: accounts, audit, backup, clients, keys, login, logout, media, packages, projects",
        ),
        ("why commands", "package-service"),
    ],
)
@pytest.mark.parametrize("broken", ["app", "config", "pyproject"])
def test_a_diagnosis_goes_on_without_the_host(run, write_app, folder, command, shown, broken):
    """A host that cannot be had is a finding: what is installed is shown all the same, and no traceback."""
    arguments = []
    if broken == "app":
        arguments = ["--app", write_app("1 / 0")]
    elif broken == "config":
        (folder / "objectkernel.toml").write_text("= 5")
    else:
        (folder / "pyproject.toml").write_text("= 5")
    done = run(*arguments, *command.split(), *(["--no-boot"] if command == "doctor" else []))
    assert done.code == (1 if command == "doctor" else 3)
    assert "Host" in done.out + done.err
    assert shown in done.out
