"""``objectkernel serve``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import click
from objectkernel.kernel import ObjectKernel
from objectkernel_contracts import CommandContext

FILE = click.Path(dir_okay=False, path_type=Path)


@click.command("serve")
@click.option("--host", metavar="ADDRESS", help="An address of this machine.")
@click.option("--port", type=click.IntRange(0, 65535), help="A TCP port; 0 for any that is free.")
@click.option("--uds", type=FILE, help="A Unix socket in place of both.")
@click.option("--certfile", type=FILE, help="The certificate for TLS, in PEM.")
@click.option("--keyfile", type=FILE, help="Its key, unless it is in the same file.")
@click.option(
    "--proxy",
    "proxies",
    multiple=True,
    metavar="ADDRESS",
    help="A proxy whose X-Forwarded headers are true; `unix` for the one at --uds.",
)
@click.option("--workers", type=click.IntRange(1), help="How many processes.")
@click.option("--root-path", metavar="PATH", help="The prefix that a proxy takes away.")
@click.pass_obj
def serve(context: CommandContext, /, **given: Any) -> None:
    """Serve the routes of the plugins over HTTP, until SIGINT or SIGTERM.

    What an option does not say, the settings of the plugin `http` do. The first signal lets what runs finish, a second
    one cancels it.
    """
    from objectkernel_http.hosting import settings_of
    from objectkernel_http.listening import address_of, listener
    from objectkernel_http.logs import configure_logs
    from objectkernel_http.serving import serve_on
    from objectkernel_http.workers import inherited, supervise

    parent = inherited()
    kernel = context.kernel()
    assert isinstance(kernel, ObjectKernel)
    settings = settings_of(kernel)
    chosen = {name: value for name, value in given.items() if value not in (None, ())}
    try:
        config = attrs.evolve(settings, **chosen)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    configure_logs(config.log_format, config.access_log)
    if parent is not None:
        serve_on(parent.listener, kernel, config, parent.tell_ready, parent.parent_gone, shared=True)
        return
    with listener(config) as sock:

        def ready() -> None:
            click.echo(f"serving on {address_of(sock, config)}; Ctrl-C stops it", err=context.json)

        code = 0
        if config.workers == 1:
            serve_on(sock, kernel, config, ready)
        else:
            code = supervise(config.workers, sock, ready)
    if code:
        click.get_current_context().exit(code)
    click.echo("stopped", err=context.json)
