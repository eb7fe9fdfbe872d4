"""`objectkernel check`: everything that is wrong with a composition, without running it."""

from __future__ import annotations

WRONG = """
class A(Plugin):
    name = "acme-a"
    ledger = needs(LEDGER)
    def __init__(self):
        raise AssertionError("plugin code has run")

class B(Plugin):
    name = "acme-b"
    config = configured_by(attrs.make_class("Settings", {"port": attrs.field(default=1, type=int)}))

kernel = ObjectKernel(plugins=[A, B], discover=False, config={"plugins": {"acme-b": {"prot": 1}}}, OPTIONS)
"""


def test_a_sound_composition_is_exit_code_zero(run, write_app):
    """One line says how much was looked at."""
    app = write_app()
    done = run("--app", app, "check")
    assert (done.code, done.out) == (0, f"{app}: 3 plugins, 2 services, 0 problems\n")


def test_every_problem_is_told_and_no_plugin_code_runs(run, write_app):
    """A missing service and an unknown setting in one report; the exit code is 1."""
    app = write_app(WRONG.replace("OPTIONS", ""))
    done = run("--app", app, "check", "--json")
    assert (done.code, done.json["ok"]) == (1, False)
    assert sorted(p["error"] for p in done.json["problems"]) == ["ConfigUnknownKey", "ServiceMissing"]
    text = run("--app", app, "check")
    assert "[K201] ServiceMissing" in text.err
    assert "2 problems" in text.out


def test_problems_of_optional_plugins_are_told_and_tolerated(run, write_app):
    """They keep the host from nothing: the exit code is 0."""
    done = run("--app", write_app(WRONG.replace("OPTIONS", "optional=['acme-a', 'acme-b']")), "check", "--json")
    assert (done.code, done.json["ok"], done.json["problems"]) == (0, True, [])
    assert len(done.json["tolerated"]) == 2
