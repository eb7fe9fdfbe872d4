"""Where the SQLite files of projects lie: one folder for each account, below the projects folder."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from pathlib import Path
from typing import Final

import attrs
from objectkernel.secret import Secret

PROJECTS: Final = "projects"
FILE_NAME: Final = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,99})\.(?:db|sqlite|sqlite3)")
"""No file of SQLite's own beside a database (``-wal``, ``-journal``), and nothing that a URL means otherwise."""

_PLAIN: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")


@attrs.frozen
class ProjectFiles:
    """The projects folder of a host; `data_dir` is the setting."""

    data_dir: Path

    @property
    def folder(self) -> Path:
        """The projects folder, absolute, its links followed; it need not be there yet."""
        return Path(os.path.realpath(self.data_dir / PROJECTS))

    def account_folder(self, account: str) -> Path:
        """The folder of an account; an id that is no plain word has its hash there, so that none leads elsewhere."""
        digest = hashlib.sha256(account.encode("utf-8", "surrogatepass")).hexdigest()
        return self.folder / (account if _PLAIN.fullmatch(account) else f"_{digest}")

    def default_uri(self, account: str, project_id: str) -> Secret[str]:
        """The URI of the file that a project gets which names none."""
        return Secret(f"sqlite:///{self.account_folder(account) / f'{project_id}.db'}")

    def make_folder(self, account: str) -> None:
        """Make an account's folder, for the host's user alone, where it is missing.

        Raises:
            OSError: it cannot be made.
        """
        for folder in (self.folder, self.account_folder(account)):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def problem(self, account: str, path: str) -> str | None:
        """Why a path may not be the database of a project of this account; None: it may.

        Links are followed, also of the parts that are there when the file itself is not.
        """
        if not os.path.isabs(path):
            return "its path is not absolute"
        if FILE_NAME.fullmatch(os.path.basename(path)) is None:
            return (
                "the name of its file is not of letters, digits, dots, hyphens and underscores "
                "with .db, .sqlite or .sqlite3 at its end"
            )
        if not os.path.realpath(path).startswith(f"{self.account_folder(account)}{os.sep}"):
            return "it is not below the folder that projects of its account have"
        try:
            found = os.stat(path)
        except FileNotFoundError:
            return None
        except OSError as error:
            return f"its file cannot be looked at ({type(error).__name__})"
        return None if stat.S_ISREG(found.st_mode) else "it is no regular file"
