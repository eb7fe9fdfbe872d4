"""`objectkernel plugins`: what is installed, and why something is off."""

from __future__ import annotations

FINE = """
class Plug(Plugin):
    name = "{name}"
"""


def states(outcome):
    return {p["name"]: p["state"] for p in outcome.json["plugins"] if p["name"].startswith("acme")}


def test_a_table_tells_state_version_distribution_and_reason(run, install, folder):
    """One line for each plugin, as it stands before anything is started."""
    install("acme-fine", FINE.format(name="acme-fine"), version="3.1")
    install("acme-off", FINE.format(name="acme-off"))
    (folder / "objectkernel.toml").write_text('[kernel]\nwithout = ["acme-off"]\n')
    lines = {line.split()[0]: line.split() for line in run("plugins").out.splitlines()}
    assert lines["PLUGIN"] == ["PLUGIN", "STATE", "VERSION", "DISTRIBUTION", "WHY"]
    assert lines["acme-fine"] == ["acme-fine", "discovered", "3.1", "acme-fine"]
    assert " ".join(lines["acme-off"]) == "acme-off blocked 1.0 acme-off left out by `without`"


def test_a_broken_plugin_is_listed_with_its_error(run, install):
    """Import errors and SystemExit at import are facts about a plugin; the list is whole and the exit code 0."""
    install("acme-fine", FINE.format(name="acme-fine"))
    install("acme-error", "import no_such_library")
    install("acme-exit", "raise SystemExit('bye')")
    install("acme-gone", "", attribute="Nothing")
    install("acme-five", "Plug = 5")
    done = run("plugins", "--json")
    assert done.code == 0
    assert states(done) == {"acme-fine": "discovered"} | dict.fromkeys(
        ("acme-error", "acme-exit", "acme-gone", "acme-five"), "failed"
    )
    errors = {p["name"]: p["error"] for p in done.json["plugins"]}
    assert errors["acme-error"]["error"] == "PluginImportFailed"
    assert errors["acme-five"]["error"] == "EntryPointInvalid"


def test_boot_shows_the_running_states(run, write_app):
    """--boot starts the host, looks, and stops it again."""
    done = run("--app", write_app(), "plugins", "--boot", "--json")
    assert (done.code, set(states(done).values())) == (0, {"running"})


def test_boot_that_fails_shows_who_failed_and_who_was_skipped(run, write_app):
    """The states are those that the failed boot left, the problem is told, and the exit code is 4."""
    app = write_app(
        """
        class Broken(Plugin):
            name = "acme-broken"
            @provides(LEDGER)
            def ledger(self) -> list:
                raise OSError("no disk")

        kernel = ObjectKernel(plugins=[Broken], discover=False)
        """
    )
    done = run("--app", app, "plugins", "--boot", "--json")
    assert (done.code, states(done)) == (4, {"acme-broken": "failed"})
    assert done.json["problems"][0]["error"] == "BootError"


def test_what_plugins_say_cannot_steer_the_terminal(run, write_app):
    """Control characters in a plugin's texts are replaced."""
    app = write_app(
        """
        class Loud(Plugin):
            name = "acme-loud"
            version = "1\\x1b[2J"

        kernel = ObjectKernel(plugins=[Loud], discover=False)
        """
    )
    assert "1\ufffd[2J" in run("--app", app, "plugins").out
