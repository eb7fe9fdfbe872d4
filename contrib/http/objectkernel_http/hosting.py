"""Serving a kernel from a program of one's own, as ``objectkernel serve`` does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
from objectkernel.kernel import ObjectKernel

from objectkernel_http.config import HttpConfig
from objectkernel_http.listening import address_of, listener
from objectkernel_http.logs import configure_logs
from objectkernel_http.plugin import NAME
from objectkernel_http.serving import serve_on


def serve(
    kernel: ObjectKernel,
    ready: Callable[[str], object] = lambda address: None,
    *,
    logs: bool = False,
    **options: Any,
) -> None:
    """Boot a kernel and serve it in this process, until SIGINT or SIGTERM, or until it stops by itself.

    Args:
        ready: called with the address once requests are answered.
        logs: give the log the shape of `HttpConfig.log_format`, with `HttpConfig.access_log`; else it is the program's
            own.
        options: fields of `HttpConfig`; what they do not say, the settings ``[plugins.http]`` do. There is one worker.

    Raises:
        AddressUnusable, CertificateUnusable, BootError, ShutdownError
        KernelError: the settings are refused; `TypeError` or `ValueError` for an option.
        KeyboardInterrupt: a signal ended the boot, or a second one the stop.
    """
    config = attrs.evolve(settings_of(kernel), **options)
    if logs:
        configure_logs(config.log_format, config.access_log)
    with listener(config) as sock:

        def tell() -> None:
            ready(address_of(sock, config))

        serve_on(sock, kernel, config, tell)


def settings_of(kernel: ObjectKernel) -> HttpConfig:
    """The settings of the kernel's plugin `http`, as file and environment say; the defaults where it has none.

    Raises:
        KernelError: they are refused.
    """
    configuration = kernel.compose().configuration
    if configuration is None:
        return HttpConfig()
    for problem in configuration.problems:
        if getattr(problem, "plugin", NAME) == NAME:
            raise problem
    return configuration.instances.get(NAME) or HttpConfig()
