"""What keeps a kernel's routes from being served."""

from __future__ import annotations

from objectkernel.errors import KernelError


class RouteUndeclared(KernelError):
    """A route does not say who may use it. Attributes: route."""

    code = "H101"


class RouteInvalid(KernelError):
    """A router, or a route in it, cannot be served as it is declared. Attributes: route."""

    code = "H102"


class RouteConflict(KernelError):
    """Two routes have one method and one path. Attributes: route."""

    code = "H103"


class RouterBroken(KernelError):
    """A plugin's router could not be made; the cause is what was raised."""

    code = "H104"


class LifespanMissing(KernelError):
    """A request came to a kernel whose lifespan nobody runs."""

    code = "H105"


class MountInvalid(KernelError):
    """An application cannot be mounted as it is declared. Attributes: path."""

    code = "H106"


class MountConflict(KernelError):
    """An application is mounted where another one is, or a route. Attributes: path."""

    code = "H107"


class LifespanFailed(KernelError):
    """What a plugin serves did not start."""

    code = "H108"


class AddressUnusable(KernelError):
    """The host cannot listen where it should. Attributes: address."""

    code = "H201"


class CertificateUnusable(KernelError):
    """The TLS files cannot be read, or do not belong together."""

    code = "H202"
