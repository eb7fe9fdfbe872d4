"""`objectkernel why`: who provides, who needs, and what is in the way."""

from __future__ import annotations


def test_a_service_is_told_with_its_provider_and_users(run, write_app):
    """The provider with its state, what it needs itself, and the chain of who needs it."""
    service = run("--app", write_app(), "why", "acme.clock", "--json").json["service"]
    assert (service["provider"], service["state"], service["lifetime"]) == (
        "acme-clock",
        "discovered",
        "singleton",
    )
    (use,) = service["used_by"]
    assert (use["plugin"], use["attribute"], use["kind"]) == ("acme-billing", "clock", "needs")
    assert use["chain"] == ["acme-shop", "acme-billing"]


def test_a_plugin_is_told_with_what_would_be_lost_without_it(run, write_app):
    """What it needs and wants, who uses it, and who would not start without it."""
    app = write_app()
    plugin = run("--app", app, "why", "acme-billing", "--json").json["plugin"]
    assert [(u["name"], u["kind"]) for u in plugin["needs"]] == [("acme.clock", "needs"), ("acme.cache", "wants")]
    assert [u["plugin"] for u in plugin["used_by"]] == ["acme-shop"]
    assert plugin["lost"] == ["acme-shop"]
    text = run("--app", app, "why", "acme-clock").out
    assert "without it   acme-billing, acme-shop would not start" in text
    assert "given by the host 1.2" in text


def test_a_missing_service_is_told_with_who_wants_it(run, write_app):
    """The composition's problem is shown, with the chain."""
    app = write_app(
        """
        class Billing(Plugin):
            name = "acme-billing"
            clock = needs(CLOCK)
        kernel = ObjectKernel(plugins=[Billing], discover=False)
        """
    )
    done = run("--app", app, "why", "acme.clock")
    assert "missing      nobody who takes part provides it" in done.out
    assert "ServiceMissing" in done.out
    assert run("--app", app, "why", "acme.clock", "--json").json["service"]["problems"][0]["code"] == "K201"


def test_a_plugin_that_is_off_is_told_with_the_reason_behind_the_reason(run, install, folder):
    """Skipped because of another one that failed: the chain, the other's error, what it would provide."""
    install("acme-low", "class Plug(Plugin):\n    name = 'acme-low'\n    @wrong\n    def x(self): ...")
    entry = folder / "site" / "acme_low-1.0.dist-info" / "entry_points.txt"
    reference = entry.read_text().split("= ")[1]
    entry.write_text(entry.read_text() + f"[objectkernel.provides.v1]\nacme.clock = {reference}")
    install("acme-mid", "class Plug(Plugin):\n    name = 'acme-mid'\n    clock = needs(CLOCK)")
    (folder / "objectkernel.toml").write_text('[kernel]\noptional = ["acme-low", "acme-mid"]\n')
    plugin = run("why", "acme-mid", "--json").json["plugin"]
    assert (plugin["state"], plugin["because"]) == ("skipped", ["acme-low"])
    told = run("why", "acme-low").out
    assert "state        failed" in told
    assert "NameError" in told
    assert "optional" in told
    done = run("--json", "why", "acme.clock")
    assert (done.code, done.error["error"]) == (1, "ServiceMissing")
    assert any("acme-low would provide it" in line for line in done.error["why"])


def test_a_provider_that_was_passed_over_is_told(run, write_app):
    """What the host gives takes the place of a plugin's."""
    app = write_app(
        """
        class ClockPlugin(Plugin):
            name = "acme-clock"
            @provides(CLOCK)
            def clock(self) -> list:
                return []
        kernel = ObjectKernel(plugins=[ClockPlugin], discover=False).provide(CLOCK, [])
        """
    )
    told = run("--app", app, "why", "acme.clock").out
    assert "provided     by the host" in told
    assert "passed over  acme-clock provides it too" in told


def test_an_extension_is_told_with_both_sides(run, write_app):
    """Who contributes, and who collects."""
    app = write_app(
        """
        RULES = Extension[str]("acme.rules")
        class Rule(Plugin):
            name = "acme-rule"
            @contributes(RULES)
            def rule(self) -> str:
                return "x"
        class Rules(Plugin):
            name = "acme-rules"
            rules = collects(RULES)
        kernel = ObjectKernel(plugins=[Rule, Rules], discover=False)
        """
    )
    extension = run("--app", app, "why", "acme.rules", "--json").json["extension"]
    assert extension["contributed_by"] == ["acme-rule"]
    assert [u["plugin"] for u in extension["used_by"]] == ["acme-rules"]
    assert "from         acme-rule" in run("--app", app, "why", "acme.rules").out


def test_an_unknown_name_is_an_error_with_the_nearest(run, write_app):
    """Plugins, services and extensions are looked through for what was meant."""
    done = run("--app", write_app(), "--json", "why", "acme.clok")
    assert (done.code, done.error["error"], done.error["fix"]) == (1, "NameUnknown", "did you mean 'acme.clock'?")


def test_a_name_that_only_the_broken_host_knows_is_answered_by_the_hosts_error(run, write_app):
    """One error, exit code 3: whether the host has the plugin nobody can tell."""
    done = run("--app", write_app("1 / 0"), "why", "acme-shop", "--json")
    assert (done.code, done.out, done.error["error"]) == (3, "", "HostImportFailed")
