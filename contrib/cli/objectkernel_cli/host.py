"""Finding the host: the kernel that a command is about."""

from __future__ import annotations

import inspect
import sys
import tomllib
import traceback
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import attrs
from objectkernel.errors import KernelError, nearest

from objectkernel_cli.errors import HostImportFailed, HostInvalid, HostMissing, HostUnreadable

if TYPE_CHECKING:
    from objectkernel.kernel import ObjectKernel

CONFIG_FILE: Final = "objectkernel.toml"
PROJECT_FILE: Final = "pyproject.toml"


@attrs.frozen(kw_only=True)
class Host:
    """Where a kernel comes from.

    Attributes:
        name: what the output calls it: the app, the configuration file, or the installed plugins.
        make: makes its kernel; raises HostError.
    """

    name: str
    make: Callable[[], ObjectKernel] = attrs.field(repr=False)


def find_host(app: str | None, config: str | None, folder: Path, *, safe_mode: bool) -> Host:
    """The host that the command line names, else the one that `folder` is about.

    In this order: `app`, `config`, ``[tool.objectkernel] app`` in the pyproject.toml of `folder` or of
    one above it, objectkernel.toml in `folder`, the installed plugins.

    Raises:
        HostInvalid: pyproject.toml cannot be read, or its `app` is no text.
    """
    if app is not None:
        return _app_host(app, folder, "--app", safe_mode)
    if config is not None:
        return _config_host(config, safe_mode)
    for project in _projects(folder):
        named = _app_of(project)
        if named is not None:
            return _app_host(named, project.parent, str(project), safe_mode)
    if (folder / CONFIG_FILE).is_file():
        return _config_host(CONFIG_FILE, safe_mode)
    return installed_plugins(safe_mode=safe_mode)


def installed_plugins(*, safe_mode: bool) -> Host:
    """The host that takes whatever is installed, with no configuration."""

    def make() -> ObjectKernel:
        from objectkernel.kernel import ObjectKernel

        return ObjectKernel(safe_mode=safe_mode)

    return Host(name="the installed plugins", make=make)


def _config_host(config: str, safe_mode: bool) -> Host:
    def make() -> ObjectKernel:
        from objectkernel.kernel import ObjectKernel

        kernel = ObjectKernel(config=config)
        return kernel.set_options(safe_mode=True) if safe_mode else kernel

    return Host(name=config, make=make)


def unreadable(error: KernelError) -> HostUnreadable:
    """The kernel's error about a configuration file, as one about the host."""
    return HostUnreadable(error.what, where=error.where, why=error.why, fix=error.fix, cause=error.code)


# --- pyproject.toml -------------------------------------------------------------------------------


def _projects(folder: Path) -> Iterator[Path]:
    for place in (folder, *folder.parents):
        if (place / PROJECT_FILE).is_file():
            yield place / PROJECT_FILE


def _app_of(project: Path) -> str | None:
    """``[tool.objectkernel] app`` of a pyproject.toml, None where it has none."""
    try:
        document = tomllib.loads(project.read_bytes().decode())
        app = document.get("tool", {}).get("objectkernel", {}).get("app")
    except (OSError, ValueError, AttributeError) as error:
        raise HostInvalid(
            f"{project} cannot be read",
            where=str(project),
            why=str(error),
            fix="correct the file, or name the host with --app or --config",
        ) from None
    if app is None or isinstance(app, str):
        return app
    raise HostInvalid(
        f"[tool.objectkernel] app is {app!r}",
        where=str(project),
        why='it names the host, as text of the form "module:attribute"',
        fix='write app = "myapp.main:make_kernel"',
        app=app,
    )


# --- module:attribute -----------------------------------------------------------------------------


def _app_host(app: str, folder: Path, said: str, safe_mode: bool) -> Host:
    def make() -> ObjectKernel:
        kernel = _kernel_of(app, folder, said)
        return kernel.set_options(safe_mode=True) if safe_mode else kernel

    return Host(name=app, make=make)


def _kernel_of(app: str, folder: Path, said: str) -> ObjectKernel:
    from objectkernel.kernel import ObjectKernel

    module_name, colon, path = app.partition(":")
    if not (module_name and colon and path):
        raise HostInvalid(
            f"{app!r} does not name a host",
            where=said,
            why="a host is a kernel, or a function that returns one, in a module",
            fix="write module:attribute, such as myapp.main:make_kernel",
            app=app,
        )
    found = _attribute(_imported(module_name, folder, said), path, app, said)
    if callable(found) and not isinstance(found, ObjectKernel):
        found = _called(found, app)
    if isinstance(found, ObjectKernel):
        return found
    if inspect.iscoroutine(found):
        found.close()
    raise HostInvalid(
        f"{app} gives {_article(type(found).__name__)}",
        where=said,
        why="a command needs an ObjectKernel, or a plain function that returns one",
        fix="let it name `kernel = ObjectKernel(...)`, or `def make_kernel() -> ObjectKernel`",
        app=app,
    )


def _imported(name: str, folder: Path, said: str) -> Any:
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    try:
        return import_module(name)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        if isinstance(error, ModuleNotFoundError) and f"{name}.".startswith(f"{error.name}."):
            modules = [p.stem for p in folder.glob("*.py")] + [p.parent.name for p in folder.glob("*/__init__.py")]
            close = nearest(name, modules)
            raise HostMissing(
                f"there is no module {error.name!r}",
                where=said,
                why=f"looked for in {folder} and where Python packages are installed",
                fix=f"did you mean {close[0]!r}?" if close else "go to the folder it is in, or install it",
                app=name,
                known=close,
            ) from None
        raise _raised(f"importing {name!r} raised {type(error).__name__}", error, name) from error


def _attribute(module: Any, path: str, app: str, said: str) -> Any:
    found = module
    for name in path.split("."):
        try:
            found = getattr(found, name)
        except AttributeError:
            close = (
                nearest(name, [n for n in vars(found) if not n.startswith("_")]) if hasattr(found, "__dict__") else ()
            )
            raise HostMissing(
                f"{app.partition(':')[0]!r} has no attribute {path!r}",
                where=getattr(module, "__file__", None) or said,
                why=f"{said} says {app}",
                fix=f"did you mean {close[0]!r}?" if close else "name what holds or makes the kernel",
                app=app,
                known=close,
            ) from None
    return found


def _called(factory: Any, app: str) -> Any:
    try:
        return factory()
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise _raised(f"making the kernel with {app} raised {type(error).__name__}", error, app) from error


def _raised(what: str, error: BaseException, app: str) -> HostImportFailed:
    """The error of a host's own code, with its last lines of traceback; the first is ours and left out."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if "importlib" not in f.filename][1:]
    told = traceback.format_exception_only(error)
    return HostImportFailed(
        what,
        where=f"{frames[-1].filename}:{frames[-1].lineno}" if frames else "",
        why="".join([*traceback.format_list(frames[-3:]), *told]).rstrip(),
        fix="correct the host's code; -v shows the whole traceback",
        app=app,
    )


def _article(name: str) -> str:
    return f"{'an' if name[0] in 'AEIOUaeiou' else 'a'} {name}"
