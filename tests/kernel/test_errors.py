"""Errors: their form, that the kernel really raises each of them, and their page in the documentation."""

from __future__ import annotations

import re
import sys
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import attrs
import pytest
from objectkernel import (
    BootError,
    Extension,
    KernelError,
    ObjectKernel,
    Plugin,
    Secret,
    Service,
    ShutdownError,
    collects,
    configured_by,
    deadlines,
    errors,
    hookimpl,
    needs,
    on,
    provides,
)
from objectkernel.testing.leaks import watch_for_leaks

pytestmark = pytest.mark.anyio

PAGE = Path(__file__).parents[2] / "kernel" / "docs" / "errors.md"
CLASSES = {
    kind.__name__: kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, KernelError) and "code" in vars(kind)
}

A = Service[str]("test.a")
B = Service[str]("test.b")
TENANT = Service[str]("test.tenant", scope="request")


# -- one scenario for each error, by the name of its class ---------------------------------------------

Scenario = Callable[[Path], Awaitable[None]]
SCENARIOS: dict[str, Scenario] = {}


def scenario(run: Scenario) -> Scenario:
    SCENARIOS[run.__name__] = run
    return run


def made(name: Any, **attributes: Any) -> type[Plugin]:
    """A plugin class of these attributes."""
    return type("Made", (Plugin,), {"name": name, **attributes})


def giving(key: Service[Any], value: Any = "value", **options: Any) -> Any:
    """A provider of one value."""
    return provides(key, **options)(lambda self: value)


def kernel_of(*plugins: Any, **options: Any) -> ObjectKernel:
    return ObjectKernel(plugins=plugins, discover=False, environ={}, **options)


async def boot(*plugins: Any, **options: Any) -> None:
    async with kernel_of(*plugins, **options):
        pass


def install(site: Path, distribution: str, name: str, reference: str, module: str) -> None:
    """A distribution with one entry point, and its module."""
    folder = site / f"{distribution}-1.0.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text(f"[objectkernel.plugins.v1]\n{name} = {reference}\n")
    (site / f"{reference.partition(':')[0]}.py").write_text(module)


@scenario
async def KernelError_(folder: Path) -> None:
    class Careful(Plugin):
        name = "careful"

        @hookimpl
        def kernel_findings(self) -> list[KernelError]:
            return [KernelError("the disk is nearly full", fix="make room")]

    async with kernel_of(Careful) as kernel:
        (finding,) = kernel.findings()
        raise finding


@scenario
async def PluginNameInvalid(folder: Path) -> None:
    await boot(made("Not A Name"))


@scenario
async def PluginDuplicate(folder: Path) -> None:
    one = made("one")
    await boot(one, one)


@scenario
async def DeclarationInvalid(folder: Path) -> None:
    await boot(made("one", a=giving(A, lifetime="singelton")))


@scenario
async def HookUnknown(folder: Path) -> None:
    @hookimpl
    def kernel_redy(self: Any) -> None: ...

    await boot(made("one", kernel_redy=kernel_redy))


@scenario
async def HookInvalid(folder: Path) -> None:
    @hookimpl
    async def kernel_findings(self: Any) -> None: ...

    await boot(made("one", kernel_findings=kernel_findings))


@scenario
async def KernelVersionMismatch(folder: Path) -> None:
    await boot(made("one", requires_kernel=">=99"))


@scenario
async def KeyConflict(folder: Path) -> None:
    await boot(made("one", a=giving(A)), made("two", items=collects(Extension[str]("test.a"))))


@scenario
async def PluginUnknown(folder: Path) -> None:
    await boot(made("billing"), optional=["biling"])


@scenario
async def HostOptionInvalid(folder: Path) -> None:
    await boot(start_timeout="soon")


@scenario
async def KeyInvalid(folder: Path) -> None:
    needs("test.a")  # type: ignore[arg-type]


@scenario
async def ServiceMissing(folder: Path) -> None:
    await boot(made("one", a=needs(A)))


@scenario
async def ServiceCycle(folder: Path) -> None:
    await boot(made("one", a=giving(A), b=needs(B)), made("two", b=giving(B), a=needs(A)))


@scenario
async def ServiceDuplicate(folder: Path) -> None:
    await boot(made("one", a=giving(A)), made("two", a=giving(A)))


@scenario
async def ServiceVersionMismatch(folder: Path) -> None:
    old = Service[str]("test.a", version="1.1")
    await boot(made("one", a=giving(old)), made("two", a=needs(A, version=">=1.2")))


@scenario
async def ScopeMismatch(folder: Path) -> None:
    await boot(made("one", tenant=needs(TENANT), a=giving(A)))


@scenario
async def ServiceUndeclared(folder: Path) -> None:
    class Curious(Plugin):
        name = "curious"

        @hookimpl
        def kernel_ready(self, kernel: Any) -> None:
            kernel.get(A)

    await boot(Curious, made("one", a=giving(A)))


@scenario
async def ServiceTypeMismatch(folder: Path) -> None:
    await boot(made("one", a=giving(A, 5)))


@scenario
async def ServiceNotReady(folder: Path) -> None:
    async with kernel_of(made("one", a=giving(A, lifetime="lazy"))) as kernel:
        kernel.get(A)


@scenario
async def ServiceUnavailable(folder: Path) -> None:
    async with kernel_of(made("one", a=giving(A))) as kernel:
        await kernel.disable("one")
        kernel.get(A)


@scenario
async def ServiceUnset(folder: Path) -> None:
    _ = made("one", a=needs(A)).fake().a  # type: ignore[attr-defined]


@scenario
async def ScopeInvalid(folder: Path) -> None:
    async with kernel_of() as kernel, kernel.scope("request") as scope:
        await scope.aget(TENANT)


@attrs.frozen
class Settings:
    url: str = "local"
    port: int = attrs.field(default=80, validator=attrs.validators.gt(0))


@attrs.frozen
class Demanding:
    url: str


def configured(kind: type = Settings) -> type[Plugin]:
    return made("one", config=configured_by(kind))


@scenario
async def ConfigUnknownKey(folder: Path) -> None:
    await boot(configured(), config={"plugins": {"one": {"ulr": "x"}}})


@scenario
async def ConfigUnknownSection(folder: Path) -> None:
    await boot(configured(), config={"plugins": {"oen": {"url": "x"}}})


@scenario
async def ConfigTypeInvalid(folder: Path) -> None:
    await boot(configured(), config={"plugins": {"one": {"port": "eighty"}}})


@scenario
async def ConfigMissing(folder: Path) -> None:
    await boot(configured(Demanding))


@scenario
async def ConfigInvalid(folder: Path) -> None:
    await boot(configured(), config={"plugins": {"one": {"port": -1}}})


@scenario
async def ConfigFileMissing(folder: Path) -> None:
    await boot(config=folder / "absent.toml")


@scenario
async def ConfigFileInvalid(folder: Path) -> None:
    (folder / "objectkernel.toml").write_text("[kernel\n")
    await boot(config=folder / "objectkernel.toml")


@scenario
async def ConfigError(folder: Path) -> None:
    file = folder / "objectkernel.toml"
    file.write_text("[plugins.one]\nport = 1\n")
    async with kernel_of(configured(), config=file) as kernel:
        file.write_text("[plugins.one]\nport = 'x'\n")
        await kernel.reload("one")


@scenario
async def PluginImportFailed(folder: Path) -> None:
    install(folder, "acme", "acme", "acme_that_fails:Acme", "import a_module_that_is_not_there")
    await ObjectKernel(only=["acme"]).bootstrap()


@scenario
async def EntryPointInvalid(folder: Path) -> None:
    install(folder, "acme", "acme", "acme_without_plugin:Acme", "Acme = 5")
    await ObjectKernel(only=["acme"]).bootstrap()


@scenario
async def EntryPointConflict(folder: Path) -> None:
    install(folder, "acme", "acme", "acme_one:Acme", "")
    install(folder, "emca", "acme", "acme_two:Acme", "")
    await ObjectKernel(only=["acme"]).bootstrap()


@scenario
async def KernelStateInvalid(folder: Path) -> None:
    kernel_of(made("one", a=giving(A))).get(A)


def hanging(**options: Any) -> type[Plugin]:
    """A plugin whose provider takes far longer than any limit."""

    async def hang(self: Any) -> str:
        await anyio.sleep(10)
        raise AssertionError

    return made("one", a=provides(A)(hang), **options)


@scenario
async def StartTimeout(folder: Path) -> None:
    await boot(hanging(start_timeout=0.01))


@scenario
async def StopTimeout(folder: Path) -> None:
    async def slow(self: Any) -> AsyncIterator[str]:
        yield "value"
        await anyio.sleep(10)

    await boot(made("one", a=provides(A)(slow), stop_timeout=0.01))


@scenario
async def ProviderInvalid(folder: Path) -> None:
    def twice(self: Any) -> Iterator[str]:
        yield "one"
        yield "two"

    await boot(made("one", a=provides(A)(twice)))


@scenario
async def PluginExited(folder: Path) -> None:
    await boot(made("one", a=provides(A)(lambda self: sys.exit(3))))


@scenario
async def PluginStateInvalid(folder: Path) -> None:
    async with kernel_of(made("one", a=giving(A))) as kernel:
        await kernel.enable("one")


@scenario
async def LeaseTimeout(folder: Path) -> None:
    kernel = kernel_of(made("one", a=giving(A)), drain_timeout=0.01)
    await kernel.bootstrap()
    async with kernel.lease(A):
        await kernel.shutdown()


@scenario
async def KernelLeaked(folder: Path) -> None:
    from objectkernel import run

    kernel = kernel_of()
    try:
        with watch_for_leaks(run):
            await kernel.bootstrap()
    finally:
        await kernel.shutdown()


@scenario
async def BootAborted(folder: Path) -> None:
    kernel = kernel_of(hanging())
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(kernel.bootstrap)
        await anyio.wait_all_tasks_blocked()
        await kernel.shutdown()


@scenario
async def PluginStuck(folder: Path) -> None:
    release = anyio.Event()

    async def stubborn(self: Any) -> str:
        with anyio.CancelScope(shield=True):
            await release.wait()
        return "value"

    try:
        await boot(made("one", a=provides(A)(stubborn), start_timeout=0.01))
    finally:
        release.set()
        await anyio.wait_all_tasks_blocked()


@scenario
async def BootError_(folder: Path) -> None:
    await boot(made("one", a=needs(A)))


@scenario
async def ShutdownError_(folder: Path) -> None:
    def throwing(self: Any) -> Iterator[str]:
        yield "value"
        raise ValueError("no")

    await boot(made("one", a=provides(A)(throwing)))


@scenario
async def ChangeError_(folder: Path) -> None:
    runs: list[str] = []

    def second_time_no(self: Any) -> str:
        runs.append("run")
        if len(runs) == 2:
            raise ValueError("no")
        return "value"

    async with kernel_of(made("one", a=provides(A)(second_time_no))) as kernel:
        await kernel.reload("one")


@scenario
async def HandlerInvalid(folder: Path) -> None:
    async def handler(event: int) -> None: ...

    async with kernel_of() as kernel:
        kernel.on(int, handler)
        kernel.emit_sync(1)


@scenario
async def EventUndeclared(folder: Path) -> None:
    on("paid")  # type: ignore[arg-type]


def members(error: BaseException) -> list[BaseException]:
    """An error, and all that it groups."""
    inner = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
    return [error, *(m for e in inner for m in members(e))]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on the path, and a kernel that gives stuck code up at once."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("OBJECTKERNEL_NO_CACHE", "1")
    monkeypatch.setattr(deadlines, "STUCK_AFTER", 0.01)
    return tmp_path


@pytest.mark.parametrize("name", CLASSES)
async def test_the_kernel_raises_it(name: str, site: Path) -> None:
    """Every error class is raised through the kernel, says what and what to do, and is a KernelError."""
    run = SCENARIOS.get(name) or SCENARIOS[f"{name}_"]
    with pytest.raises(BaseException) as caught:
        await run(site)
    found = [e for e in members(caught.value) if type(e) is CLASSES[name]]
    assert found, f"{name} is not in {caught.value!r}"
    error = found[0]
    assert isinstance(error, KernelError)
    assert error.what
    assert error.fix or isinstance(error, ExceptionGroup)


# -- form ----------------------------------------------------------------------------------------------


def test_the_whole_text() -> None:
    """The text says code, kind, what, where, why, one line each, and what to do."""
    error = errors.ServiceMissing(
        "no service 'ledgr'", where="shop.py:3", why=["wanted by shop -> 'ledgr' ???", "close to\n'ledger'"], fix="ask"
    )
    assert str(error) == (
        "[K201] ServiceMissing: no service 'ledgr'\n"
        "  where  shop.py:3\n"
        "  why    wanted by shop -> 'ledgr' ???\n"
        "  why    close to\n"
        "         'ledger'\n"
        "  fix    ask"
    )


def test_facts_are_attributes() -> None:
    """A program reads the facts of an error as attributes, not out of its text."""
    error = errors.ServiceMissing("no", name="ledgr", known=("ledger",))
    assert (error.name, error.known) == ("ledgr", ("ledger",))  # type: ignore[attr-defined]
    assert error.facts == {"name": "ledgr", "known": ("ledger",)}


def test_an_error_for_machines() -> None:
    """`as_dict` gives code, class, what, where, why and fix; a report has its problems too."""
    problem = errors.KeyConflict("two kinds", where="a.py:1", why="b", fix="c")
    told = {"code": "K107", "error": "KeyConflict", "what": "two kinds", "where": "a.py:1", "why": ["b"], "fix": "c"}
    assert problem.as_dict() == told
    report = BootError([problem, ValueError("x")])
    assert report.as_dict()["code"] == "K510"
    assert report.as_dict()["problems"][0] == told
    assert report.as_dict()["problems"][1]["error"] == "ValueError"


def test_reports_are_kernel_errors_and_groups() -> None:
    """BootError and ShutdownError are KernelErrors and ExceptionGroups, also after `split`."""
    for kind in (BootError, ShutdownError, errors.ConfigError):
        report = kind([errors.KeyConflict("a"), ValueError("b")])
        assert isinstance(report, KernelError)
        assert isinstance(report, ExceptionGroup)
        assert report.codes == ("K107", "ValueError")
        matched, rest = report.split(ValueError)
        assert type(matched) is kind
        assert type(rest) is kind
        assert rest.codes == ("K107",)


def test_a_report_numbers_its_members() -> None:
    """The text of a report holds the whole text of each problem, with its notes."""
    other = ValueError("b")
    other.add_note("and this")
    text = str(BootError([errors.KeyConflict("a", fix="c"), other]))
    assert text == (
        "[K510] BootError: the kernel did not start: 2 problems\n"
        "  1. [K107] KeyConflict: a\n"
        "       fix    c\n"
        "  2. ValueError: b\n"
        "     and this"
    )


async def test_one_problem_is_a_report_too() -> None:
    """A boot that fails with one problem raises a BootError of one member, the plugin's own exception unwrapped."""
    broken = ValueError("mine")

    def fails(self: Any) -> str:
        raise broken

    with pytest.raises(BootError) as caught:
        await boot(made("one", a=provides(A)(fails)))
    assert caught.value.exceptions == (broken,)


# -- secrets -------------------------------------------------------------------------------------------


SECRET = "s3cr3t-default"


@attrs.frozen
class WithSecret:
    token: Secret[str] = attrs.field(default=Secret(SECRET))
    port: int = 80


def everything_told(error: BaseException) -> str:
    """The traceback with all causes, and the facts of each member."""
    told = "".join(traceback.format_exception(error))
    return told + "".join(repr(vars(e)) for e in members(error) if isinstance(e, KernelError))


@pytest.mark.parametrize("table", [{"token": 5, "port": "s"}, {"token": ["s3cr3t"]}, {"token": "s3cr3t", "prot": 1}])
async def test_no_refused_configuration_tells_a_secret(table: dict[str, Any]) -> None:
    """Neither text, facts nor traceback of a refused configuration hold the value of a Secret."""
    with pytest.raises(BootError) as caught:
        await boot(configured(WithSecret), config={"plugins": {"one": table}})
    assert "s3cr3t" not in everything_told(caught.value)


async def test_no_failing_provider_tells_a_secret() -> None:
    """A provider that returns a secret where something else is meant is refused without its value."""
    secret = Service[str]("test.secret")
    wrong = made("one", config=configured_by(WithSecret), a=provides(secret)(lambda self: self.config.token))
    with pytest.raises(BootError) as caught:
        await boot(wrong)
    assert caught.value.codes == ("K207",)
    assert SECRET not in everything_told(caught.value)


# -- the page ------------------------------------------------------------------------------------------


def sections() -> dict[str, str]:
    """Heading → text of the page."""
    parts = re.split(r"^## (.+)$", PAGE.read_text(), flags=re.M)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_codes_are_unique() -> None:
    """No two errors have one code."""
    codes = [kind.code for kind in CLASSES.values()]
    assert len(codes) == len(set(codes))


def test_every_error_has_a_code_of_its_own() -> None:
    """No public error class goes by the code of the class that it derives from."""
    public = [k for k in vars(errors).values() if isinstance(k, type) and issubclass(k, KernelError)]
    assert [k.__name__ for k in public if "code" not in vars(k) and not k.__name__.startswith("_")] == []


def test_the_page_has_a_section_for_every_code() -> None:
    """`kernel/docs/errors.md` has one section for each code, in order, and no other."""
    expected = sorted(f"{kind.code} {name}" for name, kind in CLASSES.items())
    assert list(sections()) == expected


@pytest.mark.parametrize("name", CLASSES)
def test_a_section_explains(name: str) -> None:
    """A section has what it means, an example of the message, and what to do."""
    text = sections()[f"{CLASSES[name].code} {name}"]
    meaning, example, fix = re.fullmatch(r"\s*(.+?)\s*```text\n(.+?)```\s*(.+?)\s*", text, flags=re.S).groups()  # type: ignore[union-attr]
    assert meaning
    assert example.startswith(f"[{CLASSES[name].code}] {name}: ")
    assert fix
