"""`objectkernel doctor`: what is wrong, and how to mend it."""

from __future__ import annotations

import sys

import pytest

PLUG = """
class Plug(Plugin):
    name = "acme-plug"
"""

FINDER = """
class Finder(Plugin):
    name = "acme-finder"
    @provides(LEDGER)
    def ledger(self) -> list:
        return Ledger()
    @hookimpl
    def kernel_findings(self, kernel):
        FINDING

class Ledger(list):
    async def ping(self):
        PING

kernel = ObjectKernel(plugins=[Finder], discover=False)
"""


def checks(outcome):
    return {check["check"]: check for check in outcome.json["checks"]}


def failed(outcome):
    return {name: [f["error"] for f in check["findings"]] for name, check in checks(outcome).items() if not check["ok"]}


def test_a_sound_host_is_booted_and_found_well(run, write_app):
    """Every check is told, in words that any terminal can show; the exit code is 0."""
    done = run("--app", write_app(), "doctor", "--json")
    assert (done.code, done.json["ok"]) == (0, True)
    assert checks(done)["boot"]["detail"].startswith("running in ")
    assert checks(done)["composition"]["detail"] == "3 plugins, 0 off, 2 services"
    told = run("--app", write_app(), "doctor").out
    assert told.isascii()
    assert "ok     composition: 3 plugins" in told
    assert told.endswith("all is well\n")


def test_no_boot_starts_nothing(run, write_app):
    """--no-boot looks at the composition alone."""
    app = write_app(
        FINDER.replace("return Ledger()", "raise OSError('started')").replace("FINDING", "").replace("PING", "pass")
    )
    assert "boot" not in checks(run("--app", app, "doctor", "--no-boot", "--json"))


def test_the_help_says_that_a_boot_changes_something(run):
    """Who only wants to look is told how."""
    told = " ".join(run("doctor", "--help").out.split())
    assert "boots the host as `run` does" in told
    assert "a database is brought up to its schemas. --no-boot starts nothing" in told


def test_every_problem_of_the_composition_is_told(run, write_app):
    """A composition with problems is not booted; the exit code is 1."""
    done = run("--app", write_app("kernel = ObjectKernel(plugins=['x', 'y'], discover=False)"), "doctor", "--json")
    assert done.code == 1
    assert len(failed(done)["composition"]) == 2
    assert checks(done)["boot"]["detail"] == "not tried: the composition has problems"


def test_what_is_tolerated_is_a_note(run, write_app):
    """An optional plugin that cannot start is told, and does not fail the host."""
    app = write_app(
        """
        class Odd(Plugin):
            name = "acme-odd"
            ledger = needs(LEDGER)
        kernel = ObjectKernel(plugins=[Odd], discover=False, optional=["acme-odd"])
        """
    )
    done = run("--app", app, "doctor", "--json")
    assert (done.code, checks(done)["optional plugins"]["ok"]) == (0, True)
    assert [f["code"] for f in checks(done)["optional plugins"]["findings"]] == ["K201"]
    assert "note   optional plugins: 1 tolerated" in run("--app", app, "doctor").out


@pytest.mark.parametrize(("start", "stop", "check"), [("1 / 0", "", "boot"), ("", "1 / 0", "shutdown")])
def test_a_kernel_that_fails_is_told_with_its_problems(run, write_app, start, stop, check):
    """A start or a stop that raises fails the check of its name."""
    app = write_app(
        f"""
        class Odd(Plugin):
            name = "acme-odd"
            @lifespan
            async def life(self) -> AsyncIterator[None]:
                {start}
                yield
                {stop}
        kernel = ObjectKernel(plugins=[Odd], discover=False)
        """
    )
    done = run("--app", app, "doctor", "--json")
    assert (done.code, list(failed(done))) == (1, [check])
    assert "division by zero" in done.out


def test_a_service_that_does_not_answer_is_told(run, write_app):
    """The health of the booted kernel is one of the checks."""
    app = write_app(FINDER.replace("FINDING", "return []").replace("PING", "raise OSError('no disk')"))
    done = run("--app", app, "doctor", "--json")
    assert (done.code, failed(done)) == (1, {"health": ["ServiceDown"]})
    (finding,) = checks(done)["health"]["findings"]
    assert finding["what"] == "the service 'acme.ledger' is degraded"
    assert finding["why"] == ["OSError"]


@pytest.mark.parametrize(
    ("finding", "what"),
    [
        ("return [KernelError('the disk is full', fix='empty it')]", "the disk is full"),
        ("raise LookupError('no disk')", "raised LookupError"),
    ],
)
def test_what_plugins_find_is_told(run, write_app, finding, what):
    """The answers to the hook kernel_findings, or what it raised."""
    app = write_app(FINDER.replace("FINDING", finding).replace("PING", "pass"))
    done = run("--app", app, "doctor", "--json")
    assert (done.code, list(failed(done))) == (1, ["what plugins find"])
    assert what in str(checks(done)["what plugins find"]["findings"])


def test_a_tolerable_finding_is_told_and_fails_nothing(run, write_app):
    """A finding of a class that is `tolerable` is a note: nothing has to be mended."""
    note = "return [type('Note', (KernelError,), {'tolerable': True})('the disk is slow')]"
    app = write_app(FINDER.replace("FINDING", note).replace("PING", "pass"))
    done = run("--app", app, "doctor")
    assert done.code == 0
    assert "note   what plugins find: 1 findings" in done.out
    assert "the disk is slow" in done.out
    assert done.out.endswith("all is well\n")


def test_a_distribution_that_is_installed_twice_is_told(run, install, folder):
    """With both places and versions: only the first one is imported."""
    install("acme-plug", PLUG)
    (folder / "objectkernel.toml").write_text('[kernel]\nonly = ["acme-plug"]\n')
    other = folder / "other" / "acme_plug-0.9.dist-info"
    other.mkdir(parents=True)
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: acme_plug\nVersion: 0.9\n")
    sys.path.append(str(folder / "other"))
    done = run("doctor", "--no-boot", "--json")
    assert failed(done) == {"distributions": ["DistributionDuplicate"]}
    (finding,) = checks(done)["distributions"]["findings"]
    assert [line.partition(" in ")[0] for line in finding["why"]] == ["1.0", "0.9"]


DATA = (
    PLUG
    + """
    config = configured_by(attrs.make_class("Settings", {"data_dir": attrs.field(type=str, default="data/deep")}))
"""
)


@pytest.fixture
def stores(install, folder):
    """An installed plugin that writes into a folder; the function sets which."""
    install("acme-plug", DATA)

    def stores(data_dir):
        setting = f"[plugins.acme-plug]\ndata_dir = '{data_dir}'\n" if data_dir else ""
        (folder / "objectkernel.toml").write_text(f'[kernel]\nonly = ["acme-plug"]\n{setting}')

    return stores


def test_a_data_folder_that_can_be_made_is_well(run, stores, folder):
    """It need not be there yet, and looking does not make it."""
    stores(None)
    done = run("doctor", "--no-boot", "--json")
    assert (failed(done), checks(done)["data folders"]["detail"]) == ({}, "data/deep")
    assert not (folder / "data").exists()


@pytest.mark.parametrize("data_dir", ["a-file/data", "/proc/nope"])
def test_a_data_folder_that_cannot_be_written_is_told(run, stores, folder, data_dir):
    """The folder that the configuration names counts, and the finding says where it is named."""
    (folder / "a-file").touch()
    stores(data_dir)
    done = run("doctor", "--no-boot", "--json")
    assert (done.code, failed(done)) == (1, {"data folders": ["DataFolderUnusable"]})
    (finding,) = checks(done)["data folders"]["findings"]
    assert data_dir in finding["what"]
    assert finding["where"] == "objectkernel.toml:4"
