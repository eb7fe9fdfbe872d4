"""What a row of the register is changed to, so that its URI is encrypted with the active key."""

from __future__ import annotations

from typing import Any

from objectkernel_system_dialect.contracts import DialectUnsupported

from objectkernel_project_life.encryption import UriCipher
from objectkernel_project_life.errors import UriUnreadable
from objectkernel_project_life.place import normal_place
from objectkernel_project_life.storage import Record


def encrypted_anew(cipher: UriCipher, record: Record) -> dict[str, Any]:
    """The columns of a row's URI, which is a plain one, or one of any key that the host has.

    Raises:
        UriUnreadable: it is none, or its key is not there.
    """
    uri = cipher.decrypt(record.uri, record.id)
    try:
        place = normal_place(record.dialect, uri)
    except DialectUnsupported:
        place = None  # and not raised from here: what is stored is to be found in no traceback
    if place is None:
        raise UriUnreadable(
            "the stored URI of a project is none",
            why=f"it is none of a database of {record.dialect}",
            fix="give the project its URI anew: `objectkernel projects rotate-uri`",
            key_id=record.uri_key,
        )
    stored, key = cipher.encrypt(uri, record.id)
    return {"uri": stored, "uri_key": key, "place": cipher.place_indexes(place)[0]}
