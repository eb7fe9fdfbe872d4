"""`objectkernel run`, in a process of its own, with real signals."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from functools import partial

import pytest

WORKER = """
import sys
import anyio

class Worker(Plugin):
    name = "acme-worker"
    stop_timeout = 60.0
    @provides(LEDGER)
    async def ledger(self) -> AsyncIterator[list]:
        {start}
        yield []
        print("stopping", flush=True)
        {stop}
        print("down", flush=True)
    {more}

kernel = ObjectKernel(plugins=[Worker], discover=False)
"""


@pytest.fixture
def start(write_app, folder):
    """Start `objectkernel run` on a worker; it is killed if the test leaves it running."""
    started = []

    def start(*options, start="pass", stop="pass", more=""):
        app = write_app(WORKER.format(start=start, stop=stop, more=more))
        command = [sys.executable, "-m", "objectkernel_cli", "--app", app, *options, "run"]
        process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


def wait_for(process, text):
    """Read lines until one has `text`; returns all of them."""
    lines = []
    for line in process.stdout:
        lines.append(line)
        if text in line:
            return lines
    raise AssertionError(f"{text!r} was not printed: {lines} {process.stderr.read()}")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_the_host_in_order(start, number):
    """The timeline is printed, the signal ends it, every teardown runs, the exit code is 0."""
    process = start()
    told = "".join(wait_for(process, "running with 1 service;"))
    assert "acme.ledger [acme-worker]" in told
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (0, "stopping\ndown\nstopped\n", "")


def test_a_second_signal_cancels_what_still_stops(start):
    """A teardown that would take forever is cancelled, and the exit code is 130."""
    process = start(stop="await anyio.sleep(3600)")
    wait_for(process, "running")
    process.send_signal(signal.SIGINT)
    wait_for(process, "stopping")
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert (process.returncode, "down" in out) == (130, False)


def test_a_signal_ends_the_boot(start):
    """A start that would take forever is cancelled, and the exit code is 130."""
    process = start(start='print("starting", flush=True); await anyio.sleep(3600)')
    wait_for(process, "starting")
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    assert "interrupted" in err
    assert "Traceback" not in err


def test_json_tells_each_event_on_a_line(start):
    """booted with the timeline, stopped with the state."""
    process = start("--json")
    booted = json.loads(wait_for(process, "booted")[-1])
    assert (booted["state"], booted["services"]) == ("running", ["acme.ledger"])
    assert booted["timeline"]["critical_path"] == ["acme.ledger"]
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert json.loads(out.splitlines()[-1]) == {"event": "stopped", "state": "stopped"}


def test_what_plugins_print_does_not_disturb_json(start):
    """With --json each line of standard output is an event; prints go to standard error."""
    process = start("--json", start='print("starting")')
    wait_for(process, "booted")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert [json.loads(line)["event"] for line in out.splitlines()] == ["stopped"]
    assert err == "starting\nstopping\ndown\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_import_of_the_host(write_app, folder, number):
    """Before there is a kernel a signal ends the program too, with its own exit code and no traceback."""
    app = write_app("import sys, time\nprint('importing', file=sys.stderr, flush=True)\ntime.sleep(3600)")
    command = [sys.executable, "-m", "objectkernel_cli", "--app", app, "check"]
    with subprocess.Popen(
        command,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),  # which a shell's background jobs ignore
    ) as process:
        assert process.stderr.readline() == "importing\n"
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (130, "", "\ninterrupted\n")


def test_a_failed_boot_is_exit_code_four(start):
    """The report of the kernel is printed."""
    process = start(start="raise OSError('no disk')")
    _, err = process.communicate(timeout=60)
    assert process.returncode == 4
    assert "[K510] BootError" in err
    assert "no disk" in err


def test_a_failed_stop_is_exit_code_five(start):
    """A teardown that raises ends in the kernel's report."""
    process = start(stop="raise OSError('no disk')")
    wait_for(process, "running")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, "ShutdownError" in err, "no disk" in err) == (5, True, True)


CRASHING = """@background
    async def work(self) -> None:
        while not await anyio.Path("crash").exists():
            await anyio.sleep(0.005)
        raise OSError("crashed")"""


def test_a_critical_plugin_that_crashes_is_exit_code_five(start, folder):
    """The host stops in order though nobody sent a signal, and says who crashed."""
    process = start(more=CRASHING)
    wait_for(process, "running")
    (folder / "crash").touch()
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, "crashed" in err) == (5, "stopping\ndown\n", True)


def test_a_plugin_that_is_off_is_told_at_the_start(run, write_app, install, folder):
    """An optional plugin that failed is named on standard error, and the host runs on without it."""
    source = WORKER.format(start="raise OSError('no disk')", stop="pass", more="")
    app = write_app(source.replace("discover=False", "discover=False, optional=['acme-worker']"))
    command = [sys.executable, "-m", "objectkernel_cli", "--app", app, "run"]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        wait_for(process, "degraded with 0 services")
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "acme-worker is failed: OSError: no disk" in err


@pytest.mark.parametrize("ignoring", [False, True], ids=["", "SIGINT ignored"])
def test_a_job_of_a_command_is_interrupted_by_sigterm(write_app, folder, ignoring):
    """SIGTERM to any command stops its kernel in order, also to one in the background of a script; exit code 130."""
    app = write_app(
        """
        import anyio

        class Sleeper(Plugin):
            name = "acme-sleeper"

            @lifespan
            async def life(self) -> AsyncIterator[None]:
                yield
                print("down", flush=True)

            @contributes(COMMANDS, uses=())
            def commands(self) -> CommandMaker:
                return sleep_command

        def sleep_command():
            @click.command("sleep")
            @click.pass_obj
            def sleep(obj):
                async def job(kernel):
                    print("asleep", flush=True)
                    await anyio.sleep(3600)
                obj.run(job)
            return sleep

        kernel = ObjectKernel(plugins=[Sleeper], discover=False)
        """
    )
    command = [sys.executable, "-m", "objectkernel_cli", "--app", app, "sleep"]
    if ignoring:
        command = ["sh", "-c", 'trap "" INT; exec "$@"', "sh", *command]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        wait_for(process, "asleep")
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (130, "", "down\n\ninterrupted\n")
