"""Commands that plugins add to the program."""

from __future__ import annotations

import json

import pytest

TALKER = """
class Talker(Plugin):
    name = "acme-talker"
    ledger = needs(LEDGER)

    @contributes(COMMANDS, uses=())
    def commands(self) -> CommandMaker:
        return talk_command

class Ledgers(Plugin):
    name = "acme-ledgers"
    @provides(LEDGER)
    async def ledger(self) -> AsyncIterator[list]:
        print("up")
        yield ["paid"]
        print("down")

def talk_command():
    @click.command()
    @click.argument("word")
    @click.pass_obj
    def talk(obj, word):
        '''Say a word.'''
        async def job(kernel):
            return kernel.get(LEDGER)
        print(word, obj.json, obj.run(job))
    return talk

def named(name):
    return lambda: click.Command(name, callback=lambda: print(f"{name} ran"), help=f"Do {name}.")

kernel = ObjectKernel(plugins=[Talker, Ledgers], discover=False)
"""


def commands_of(maker: str, *, name: str = "acme-odd", uses: str = "uses=()") -> str:
    """A plugin beside the talker whose one contribution returns `maker`."""
    return (
        TALKER.replace("kernel =", "talking =")
        + f"""
class Odd(Plugin):
    name = "{name}"
    ledger = needs(LEDGER)
    @contributes(COMMANDS, {uses})
    def commands(self) -> CommandMaker:
        return {maker}

kernel = ObjectKernel(plugins=[Talker, Ledgers, Odd], discover=False)
"""
    )


def test_a_command_of_a_plugin_runs_a_job_in_the_booted_kernel(run, write_app):
    """obj.run boots, awaits the job, shuts down, and returns what the job returned; obj.json is the switch."""
    app = write_app(TALKER)
    done = run("--app", app, "talk", "hello")
    assert (done.out, done.err) == ("hello False ['paid']\n", "up\ndown\n")
    assert "hello True" in run("--app", write_app(TALKER), "--json", "talk", "hello").out


def test_help_tells_which_plugin_a_command_comes_from(run, write_app):
    """The listing shows the command, its help and its plugin, and starts nothing."""
    told = run("--app", write_app(TALKER), "--help").out
    assert "talk  Say a word.  [acme-talker]" in told
    assert "up" not in told.split()


def test_what_a_command_returns_is_no_exit_code(run, write_app):
    """click's commands may return anything."""
    app = write_app(commands_of("lambda: click.Command('odd', callback=lambda: 7)"))
    assert run("--app", app, "odd").code == 0


@pytest.mark.parametrize(
    ("maker", "told"),
    [
        ("(lambda: 1 / 0)", "ZeroDivisionError"),
        ("__import__('no_such_extra')", "ModuleNotFoundError"),
        ("exit(3)", "SystemExit"),
        ("(lambda: 'talk')", "returned 'talk'"),
        ("None", "TypeError"),
    ],
)
def test_a_broken_command_spoils_no_other(run, write_app, maker, told):
    """The others are there, the help names the broken one, doctor says why."""
    app = write_app(commands_of(maker))
    assert "Say a word." in run("--app", app, "talk", "--help").out
    assert "acme-odd.commands" in run("--app", app, "--help").out
    assert "acme-odd.commands" in run("--app", app, "odd").err
    done = run("--app", app, "doctor", "--no-boot")
    assert (done.code, told in done.out) == (1, True)


def test_a_command_that_waits_for_services_is_told_how_not_to(run, write_app):
    """Without uses=() it would need the booted kernel; the finding shows the line to write."""
    done = run("--app", write_app(commands_of("named('odd')", uses="")), "doctor", "--no-boot")
    assert "write @contributes(COMMANDS, uses=())" in done.out


def test_the_programs_own_command_wins_and_the_clash_is_reported(run, write_app):
    """A plugin cannot take `check` over."""
    app = write_app(commands_of("named('check')"))
    assert "check ran" not in run("--app", app, "check").out
    assert "CommandConflict" in run("--app", app, "doctor", "--no-boot").out
    assert "'check' of acme-odd" in run("--app", app, "--help").out


def test_two_plugins_with_one_command_are_named(run, write_app):
    """Neither is guessed: using the name is an error that names both, and other commands still run."""
    source = commands_of("named('talk')") + "\n"
    app = write_app(source)
    done = run("--app", app, "--json", "talk", "hello")
    assert (done.code, done.error["error"]) == (1, "CommandConflict")
    assert "acme-odd" in done.error["what"]
    assert "acme-talker" in done.error["what"]
    assert run("--app", app, "check").code == 0


@pytest.mark.parametrize(
    ("breaking", "code", "error"),
    [
        ('print("up")', 4, "BootError"),
        ('print("down")', 5, "ShutdownError"),
    ],
)
def test_a_kernel_that_fails_gives_the_command_its_exit_code(run, write_app, breaking, code, error):
    """4 where the boot failed, 5 where the shutdown did."""
    app = write_app(TALKER.replace(breaking, "raise OSError('disk')"))
    done = run("--app", app, "--json", "talk", "hello")
    told = json.loads(done.err[done.err.index("{") :])["error"]
    assert (done.code, told["error"], told["problems"][0]["what"]) == (code, error, "disk")


def test_a_kernel_error_of_a_job_is_exit_code_one(run, write_app):
    """The job's own KernelError comes through, after the kernel was stopped."""
    app = write_app(TALKER.replace("return kernel.get(LEDGER)", "raise KernelError('no such word', fix='say it')"))
    done = run("--app", app, "talk", "hello")
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith("up\ndown\n")
    assert "no such word" in done.err


def test_a_command_may_run_two_jobs(run, write_app):
    """Each has a kernel of its own, since a kernel runs once."""
    twice = TALKER.replace("print(word, obj.json, obj.run(job))", "print(obj.run(job), obj.run(job))")
    factory = twice.replace("kernel = ", "make = lambda: ")
    done = run("--app", write_app(factory, "make"), "talk", "x")
    assert (done.out, done.err) == ("['paid'] ['paid']\n", "up\ndown\nup\ndown\n")


def test_what_a_job_prints_is_output(run, write_app):
    """Only what is printed while the host starts and stops is put aside: the job is the command's own."""
    app = write_app(TALKER.replace("return kernel.get(LEDGER)", "print('at work')"))
    assert run("--app", app, "talk", "hello").out == "at work\nhello False None\n"


def test_progress_is_silent_without_a_terminal(run, write_app):
    """In a pipe obj.progress only iterates."""
    app = write_app(TALKER.replace("obj.run(job))", "[*obj.progress('ab', 'letters')])"))
    done = run("--app", app, "talk", "x")
    assert (done.out, done.err) == ("x False ['a', 'b']\n", "")


def test_progress_draws_on_a_terminal(run, write_app, monkeypatch):
    """On a terminal it draws a bar, on standard error, and the items are the same."""
    from rich.console import Console

    monkeypatch.setattr("objectkernel_cli.output._terminal", lambda stream: True)
    monkeypatch.setattr(
        "objectkernel_cli.output.console",
        lambda **options: Console(stderr=True, force_terminal=True, no_color=options["no_color"]),
    )
    app = write_app(TALKER.replace("obj.run(job))", "[*obj.progress(iter('ab'), 'letters', 2)])"))
    done = run("--app", app, "talk", "x")
    assert done.out == "x False ['a', 'b']\n"
    assert "letters" in done.err


def test_an_unknown_command_mentions_the_broken_ones(run, write_app):
    """It may be one that could not be made."""
    done = run("--app", write_app(commands_of("(lambda: 1 / 0)")), "tlak")
    assert (done.code, "'talk'" in done.err, "acme-odd.commands" in done.err) == (2, True, True)


def test_a_command_of_a_host_that_cannot_be_had_is_its_error(run, write_app):
    """Nobody can tell whether there is such a command: the host's error is what helps."""
    app = write_app("1 / 0")
    assert run("--app", app, "talk").code == 3
    assert "not known" in run("--app", app, "--help").out
