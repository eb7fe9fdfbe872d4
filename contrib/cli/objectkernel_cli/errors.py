"""What the program itself finds wrong; everything else it shows is the kernel's or a plugin's."""

from __future__ import annotations

from objectkernel.errors import KernelError


class HostError(KernelError):
    """The host could not be had."""

    code = "C100"


class HostMissing(HostError):
    """What ``--app`` or ``[tool.objectkernel] app`` names is not there. Attributes: app, known."""

    code = "C101"


class HostImportFailed(HostError):
    """The host's own code raised while it was imported or made its kernel; the cause is kept."""

    code = "C102"


class HostInvalid(HostError):
    """What was named as the host is there and is no kernel, nor a function that returns one."""

    code = "C103"


class HostUnreadable(HostError):
    """The host's configuration cannot be read: file missing, or not TOML. The kernel's error is the cause."""

    code = "C104"


class CommandBroken(KernelError):
    """A plugin's command cannot be made. Attributes: plugin."""

    code = "C201"


class CommandConflict(KernelError):
    """Two commands have one name. Attributes: command, plugins."""

    code = "C202"


class FileTrouble(KernelError):
    """The operating system refused a file or a connection that a command used; the exception is the cause."""

    code = "C203"


class NameUnknown(KernelError):
    """No plugin, service or extension has the name asked for. Attributes: name, known (near names)."""

    code = "C301"


class PluginNotWritten(KernelError):
    """A new plugin cannot be written: the name will not do, or the folder is taken."""

    code = "C302"


class DataFolderUnusable(KernelError):
    """The folder that a plugin writes to cannot be written. Attributes: plugin, folder."""

    code = "C401"


class DistributionDuplicate(KernelError):
    """One distribution is installed twice on the import path. Attributes: name, places."""

    code = "C402"


class ServiceDown(KernelError):
    """A service of a kernel that has booted does not answer its ping."""

    code = "C403"
