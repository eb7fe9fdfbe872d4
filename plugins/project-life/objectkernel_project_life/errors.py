"""What goes wrong with projects. No message shows a URI, a user or a password."""

from __future__ import annotations

from http import HTTPStatus
from typing import ClassVar

from objectkernel.errors import KernelError


class ProjectError(KernelError):
    """The base of this plugin's errors. `http_status` is what a host answers."""

    code = "L100"
    http_status: ClassVar[int] = HTTPStatus.CONFLICT


class InvalidProject(ProjectError, ValueError):
    """What is asked for a project is not allowed; all problems are in `why`. Attributes: problems."""

    code = "L101"
    http_status = HTTPStatus.UNPROCESSABLE_ENTITY


class ProjectMissing(ProjectError):
    """There is no such project in this account."""

    code = "L102"
    http_status = HTTPStatus.NOT_FOUND


class ProjectConflict(ProjectError):
    """Somebody else has changed the project, is changing it, or has taken what it needs: slug, database."""

    code = "L103"


class ProjectUnavailable(ProjectError):
    """A project's database cannot be opened, or not be brought to the project's schemas."""

    code = "L104"
    http_status = HTTPStatus.SERVICE_UNAVAILABLE


class ProjectNotServed(ProjectError):
    """A project is paused, being paused, or not there yet: its data is not to be had until somebody resumes it."""

    code = "L105"


class UriRefused(ProjectError, ValueError):
    """A project may not have its database at this place; `why` names the rule, `fix` the setting."""

    code = "L106"
    http_status = HTTPStatus.UNPROCESSABLE_ENTITY


class EncryptionKeyMissing(ProjectError):
    """There is no key to encrypt URIs with, or what is given as one is none."""

    code = "L107"
    http_status = HTTPStatus.SERVICE_UNAVAILABLE


class UriUnreadable(ProjectError):
    """A stored URI cannot be decrypted: its key is gone, or it was cut, altered or moved. Attributes: key_id."""

    code = "L108"
    http_status = HTTPStatus.SERVICE_UNAVAILABLE


class UriNotEncryptable(ProjectError, ValueError):
    """What is to be encrypted is no text, or already encrypted."""

    code = "L109"
    http_status = HTTPStatus.UNPROCESSABLE_ENTITY


class PreconditionFailed(ProjectError):
    """A project is not at the version that `If-Match` names. Attributes: version."""

    code = "L110"
    http_status = HTTPStatus.PRECONDITION_FAILED


class PlaintextAllowed(ProjectError):
    """A finding of `doctor`: URIs are stored as they are, since there is no key and a setting allows it."""

    code = "L111"


class ProjectNotOpened(ProjectError):
    """A project's database could not be opened for its owner, who has just asked for it: `why` says why."""

    code = "L112"
