"""Every code block of every page is run: README.md files and what lies in docs.

How a page writes its blocks:

    ```python                executed in page order, in one namespace; it may await at its top level,
                             on one event loop: a kernel started in one block may be stopped in another
    ```python file=NAME      written to the page's own temporary folder, importable from then on; not executed
    ```python raises=NAME    must raise that exception; its text counts as printed
    ```text output           what the page printed since the last such block; `...` stands for anything
    ```text                  a drawing or a message: not checked
    ```sh                    each line is a command that must succeed, in the page's temporary folder
    ```console               the same after a `$ `; the lines below a command, if any, are what it prints
    ```console usage         commands as a reader would type them: only sub-commands and options are checked
    ```toml, ```json         parsed; with file=NAME also written

Two kinds of command are checked but not run: `make TARGET`, which must exist, and `pip install`, which may
name distributions of this project only. A block without a language, or in another one, fails.
"""

from __future__ import annotations

import ast
import asyncio
import contextlib
import doctest
import inspect
import io
import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
import types
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest
from click.testing import CliRunner
from markdown_it import MarkdownIt
from objectkernel_cli.root import root

from tests.children import lean_pytest

ROOT = Path(__file__).parents[2]
PATTERNS = ("README.md", "kernel/**/*.md", "[a-z]*/*/README.md", "[a-z]*/*/docs/*.md")
PAGES = sorted({page for pattern in PATTERNS for page in ROOT.glob(pattern)})
PROJECTS = [path for level in ("kernel", "[a-z]*/*") for path in ROOT.glob(f"{level}/pyproject.toml")]


@attrs.frozen(kw_only=True)
class Block:
    """One fenced block: its language, the words after that, its text, and the line its text starts after."""

    language: str
    words: dict[str, str]
    text: str
    line: int


def blocks_of(page: Path) -> Iterator[Block]:
    for token in MarkdownIt().parse(page.read_text()):
        if token.type == "fence" and token.map:
            language, *words = token.info.split() or [""]
            options = {name: value for name, _, value in (word.partition("=") for word in words)}
            yield Block(language=language, words=options, text=token.content, line=token.map[0] + 1)


@attrs.define
class Runner:
    """What the blocks of one page share: a folder, a namespace, an event loop, and what was printed."""

    page: Path
    folder: Path
    namespace: dict[str, object]
    loop: asyncio.Runner
    printed: str = ""

    def run(self, block: Block) -> None:
        if "file" in block.words:
            (self.folder / block.words["file"]).write_text(block.text)
        match block.language:
            case "python":
                if "file" not in block.words:
                    self.python(block)
            case "toml":
                tomllib.loads(block.text)
            case "json":
                json.loads(block.text)
            case "sh":
                for command in block.text.splitlines():
                    self.command(command)
            case "console":
                self.console(block)
            case "text":
                if "output" in block.words:
                    compare(block.text, self.printed)
                    self.printed = ""
            case _:
                raise AssertionError(f"a block in {block.language or 'no language'}: nothing runs it")

    def python(self, block: Block) -> None:
        source = "\n" * block.line + block.text
        flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        code = compile(source, str(self.page), "exec", flags, dont_inherit=True)
        expected = block.words.get("raises")
        output = io.StringIO()
        try:
            with contextlib.redirect_stdout(output):
                waiting = eval(code, self.namespace)
                if inspect.iscoroutine(waiting):
                    self.loop.run(waiting)
            assert expected is None, f"{expected} was not raised"
        except Exception as error:
            if type(error).__name__ != expected:
                raise
            output.write(f"{error}\n")
        finally:
            self.printed += output.getvalue()

    def console(self, block: Block) -> None:
        for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
            command, _, expected = part.partition("\n")
            if "usage" in block.words:
                usage(command)
            elif expected.strip():
                compare(expected, self.command(command))
            else:
                self.command(command)

    def command(self, line: str) -> str:
        """What a command prints; "" for one that is only checked."""
        words = shlex.split(line, comments=True)
        if words[:1] == ["make"]:
            return shell(f"{line} --dry-run", ROOT) and ""
        if words[:2] == ["pip", "install"]:
            wanted = {word.partition("[")[0] for word in words[2:]}
            ours = {tomllib.loads(path.read_text())["project"]["name"] for path in PROJECTS}
            assert wanted <= ours, f"not ours to install: {wanted - ours}"
            return ""
        return shell(line, self.folder)


def usage(line: str) -> None:
    """Check the sub-commands and options of a command that a reader would type."""
    program, *words = shlex.split(line, comments=True)
    if program != "objectkernel":
        shell(f"{line} --help", Path())
        return
    done = CliRunner().invoke(root, [*words, "--help"], prog_name=program)  # here: a process for each would take long
    assert done.exit_code == 0, f"$ {line}\n{done.output}"


def shell(line: str, folder: Path) -> str:
    environment = {name: value for name, value in lean_pytest().items() if not name.startswith(("MAKE", "MFLAGS"))}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    bash = ["bash", "-euo", "pipefail", "-c", line]
    done = subprocess.run(bash, cwd=folder, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, f"$ {line}\n{done.stdout}{done.stderr}"
    return done.stdout


def compare(expected: str, shown: str) -> None:
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    same = doctest.OutputChecker().check_output(expected, shown, flags)
    assert same, f"the page says:\n{expected}\nwhat it printed:\n{shown}"


@pytest.fixture
def runner(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Runner]:
    """A runner in an empty folder; the modules that a page writes there are forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("OBJECTKERNEL_DATA_DIR", str(tmp_path / "data"))
    module = types.ModuleType("page")
    module.__file__ = str(request.param)
    monkeypatch.setitem(sys.modules, "page", module)
    with asyncio.Runner() as loop:
        yield Runner(request.param, tmp_path, vars(module), loop)
    written = [path.stem for path in tmp_path.glob("*.py")]
    for name in set(written) & set(sys.modules):
        del sys.modules[name]


@pytest.mark.parametrize("runner", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix(), indirect=True)
def test_every_block_of_a_page_holds(runner: Runner) -> None:
    """What a reader copies works, and prints what the page says it prints."""
    for block in blocks_of(runner.page):
        try:
            runner.run(block)
        except BaseException as error:
            error.add_note(f"in the block at {runner.page.relative_to(ROOT)}:{block.line}")
            raise


WRONG = {
    "no language": Block(language="", words={}, text="x", line=1),
    "an unknown language": Block(language="cobol", words={}, text="x", line=1),
    "python that fails": Block(language="python", words={}, text="assert 1 == 2", line=1),
    "nothing raised": Block(language="python", words={"raises": "KeyError"}, text="1", line=1),
    "another output": Block(language="text", words={"output": ""}, text="hello", line=1),
    "a failing command": Block(language="sh", words={}, text="false", line=1),
    "another answer": Block(language="console", words={}, text="$ echo yes\nno\n", line=1),
    "an unknown option": Block(language="console", words={"usage": ""}, text="$ ruff --nonsense", line=1),
    "an unknown sub-command": Block(language="console", words={"usage": ""}, text="$ objectkernel coffee", line=1),
    "an unknown option of ours": Block(
        language="console", words={"usage": ""}, text="$ objectkernel doctor --coffee", line=1
    ),
    "an unknown target": Block(language="sh", words={}, text="make coffee", line=1),
    "a stranger installed": Block(language="sh", words={}, text="pip install left-pad", line=1),
    "no TOML": Block(language="toml", words={}, text="a = ", line=1),
}


@pytest.mark.parametrize("runner", [ROOT / "README.md"], ids=["page"], indirect=True)
@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_block_fails(what: str, runner: Runner) -> None:
    """The runner is worth its green only if it can turn red."""
    with pytest.raises((AssertionError, tomllib.TOMLDecodeError)):
        runner.run(WRONG[what])
