"""Host options: the [kernel] table and the arguments of a kernel."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import attrs
import pytest
from objectkernel.document import Document
from objectkernel.errors import HostOptionInvalid
from objectkernel.options import _READERS, KernelOptions, kernel_options


def test_without_anything_the_defaults_hold() -> None:
    """30 s to start, 60 s to stop, discovery on, every plugin critical."""
    options = kernel_options(None, {})
    assert options == KernelOptions()
    assert (options.discover, options.start_timeout, options.stop_timeout) == (True, 30.0, 60.0)
    assert options.optional == () and options.only is None and not options.problems


def test_every_option_can_be_given() -> None:
    """Each field of the options, but what tells of the reading, has a reader."""
    assert {f.name for f in attrs.fields(KernelOptions)} - {"problems", "sources"} == set(_READERS)


def test_the_table_is_read_and_arguments_win() -> None:
    """[kernel] is under the keyword arguments, option by option."""
    document = Document.read({"kernel": {"start_timeout": 5, "stop-timeout": 6, "without": ["a"], "safe_mode": True}})
    options = kernel_options(document, {"start_timeout": 7, "only": {"b"}, "discover": False})
    assert not options.problems
    assert (options.start_timeout, options.stop_timeout) == (7.0, 6.0)
    assert (options.without, options.only) == (("a",), ("b",))
    assert (options.safe_mode, options.discover) == (True, False)


def test_tables_of_names_and_of_seconds() -> None:
    """Providers, distributions and the time-outs of single plugins are tables."""
    given = {
        "providers": {"acme.ledger": "acme-billing"},
        "distributions": {"acme-billing": "acme"},
        "start_timeouts": {"acme-billing": 5},
        "stop_timeouts": {"acme-billing": math.inf},
    }
    options = kernel_options(None, given)
    assert {name: getattr(options, name) for name in given} == given


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("start_timeout", 0),
        ("start_timeout", -1.5),
        ("start_timeout", True),
        ("start_timeout", "30"),
        ("start_timeout", None),
        ("drain_timeout", math.nan),
        ("discover", 1),
        ("safe_mode", "yes"),
        ("optional", "acme"),
        ("optional", [1]),
        ("without", None),
        ("only", "acme"),
        ("providers", ["a"]),
        ("providers", {"a": 1}),
        ("start_timeouts", {"a": "5"}),
        ("start_timeouts", {"a": 0}),
        ("stop_timeouts", 5),
    ],
)
def test_a_value_of_another_form_is_refused(option: str, value: Any) -> None:
    """A value that an option does not take is a problem, and the option has its default."""
    options = kernel_options(None, {option: value})
    (problem,) = options.problems
    assert isinstance(problem, HostOptionInvalid)
    assert (problem.facts["option"], problem.where) == (option, "argument")
    assert options == KernelOptions()


def test_a_problem_has_its_line_and_how_to_write_it(tmp_path: Path) -> None:
    """The message of a refused option says where it stands, and shows one that is accepted."""
    path = tmp_path / "objectkernel.toml"
    path.write_text('[kernel]\nsafe_mode = false\nstart_timeout = "5"\n')
    (problem,) = kernel_options(Document.read(path), {}).problems
    assert str(problem) == (
        "[K109] HostOptionInvalid: the host option 'start_timeout' is '5', "
        "which is not a number of seconds above 0\n"
        f"  where  {path}:3\n"
        "  fix    give a number of seconds above 0, such as start_timeout = 30"
    )


def test_unknown_options_are_told_with_the_nearest() -> None:
    """An option that does not exist is a problem with near names; all problems are listed."""
    document = Document.read({"kernel": {"start_timout": 5, "stop_timeout": 0}})
    options = kernel_options(document, {"savemode": True})
    assert [p.facts["option"] for p in options.problems] == ["start_timout", "stop_timeout", "savemode"]
    assert options.problems[0].facts["known"][0] == "start_timeout"


def test_an_option_given_twice_is_a_problem() -> None:
    """``start-timeout`` and ``start_timeout`` are one option."""
    (problem,) = kernel_options(Document.read({"kernel": {"start-timeout": 1, "start_timeout": 2}}), {}).problems
    assert "given twice" in problem.what


def test_only_and_without_must_not_contradict() -> None:
    """A plugin cannot be both taken and left out."""
    (problem,) = kernel_options(None, {"only": ["a", "b"], "without": ["b"]}).problems
    assert isinstance(problem, HostOptionInvalid)
    assert "'b'" in problem.what


def test_options_cost_no_reader() -> None:
    """Host options need neither typed-settings nor a TOML parser."""
    code = (
        "import sys\n"
        "from objectkernel.options import kernel_options\n"
        "assert kernel_options(None, {'start_timeout': 3}).start_timeout == 3\n"
        "assert not {'typed_settings', 'tomllib', 'objectkernel.config'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
