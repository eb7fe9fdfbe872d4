"""The settings of the keyring."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import attrs
from objectkernel.secret import Secret

VARIABLE: Final = "OBJECTKERNEL_KEYS"


@attrs.frozen(kw_only=True)
class KeyringConfig:
    """Where the host's secrets come from.

    Attributes:
        keys: by name, the keys as ``id:base64``, the current one first; they win over the key file.
        data_dir: the folder of the key file.
    """

    keys: Mapping[str, tuple[Secret[str], ...]] = attrs.field(factory=dict, metadata={"env": VARIABLE})
    data_dir: Path = attrs.field(default=Path(".objectkernel"), metadata={"env": "OBJECTKERNEL_DATA_DIR"})
