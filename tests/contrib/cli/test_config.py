"""`objectkernel config`: every value with its source."""

from __future__ import annotations

import pytest

SETTINGS = """
@attrs.frozen(kw_only=True)
class Settings:
    port: int = 80
    host: str = attrs.field(default="a", metadata={"env": "ACME_HOST"})
    password: Secret[str] = Secret("hunter2")

class Plug(Plugin):
    name = "acme-web"
    config = configured_by(Settings)
"""


@pytest.fixture
def web(install, folder):
    """A plugin with settings, and a configuration file."""
    install("acme-web", SETTINGS)
    (folder / "objectkernel.toml").write_text(
        '[kernel]\nonly = ["acme-web"]\nshutdown_timeout = inf\n[plugins.acme-web]\nport = 81\n'
    )


def test_each_value_has_its_source(run, web, monkeypatch):
    """The line of the file, the variable, or the default; secrets are ***."""
    monkeypatch.setenv("ACME_HOST", "b")
    told = run("config", "--json").json
    assert told["values"] == [
        {"plugin": "acme-web", "option": "port", "value": 81, "source": "objectkernel.toml:5"},
        {"plugin": "acme-web", "option": "host", "value": "b", "source": "environment ACME_HOST"},
        {"plugin": "acme-web", "option": "password", "value": "***", "source": "default"},
    ]
    options = {row["option"]: (row["value"], row["source"]) for row in told["kernel"]}
    assert options["only"] == (["acme-web"], "objectkernel.toml:2")
    assert options["shutdown_timeout"] == ("inf", "objectkernel.toml:3")
    assert options["safe_mode"] == (False, "default")


def test_the_table_hides_secrets_too(run, web):
    """Neither form of the output has the value of a secret."""
    done = run("config")
    assert "hunter2" not in done.out + done.err
    assert [line.split() for line in done.out.splitlines()][-1] == ["acme-web", "password", "***", "default"]


def test_one_plugin_only(run, web):
    """--plugin leaves out the others and the host options; a name that is not there is an error."""
    told = run("config", "--plugin", "acme-web", "--json").json
    assert ({row["plugin"] for row in told["values"]}, told["kernel"]) == ({"acme-web"}, [])
    done = run("--json", "config", "--plugin", "acme-wbe")
    assert (done.code, done.error["fix"]) == (1, "did you mean 'acme-web'?")


def test_a_refused_value_is_told(run, web, folder):
    """It has no value, its problem has the line, and the exit code is 1."""
    (folder / "objectkernel.toml").write_text(
        '[kernel]\nonly = ["acme-web"]\nstart_timeout = -1\n[plugins.acme-web]\nport = "x"\n'
    )
    done = run("config", "--json")
    assert (done.code, done.json["values"][0]["value"]) == (1, None)
    assert {p["where"] for p in done.json["problems"]} == {"objectkernel.toml:3", "objectkernel.toml:5"}
