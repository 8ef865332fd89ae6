"""The tables, and how a file of an older version gets them: the numbered scripts of `schema/`, each run once, in order.

A script is never changed once it has been released; a change of the tables is a new script. The number of the last one
that was run is SQLite's `user_version`, and is the format version of the data directory.
"""

from functools import cache
from pathlib import Path
from typing import Final

import apsw

APPLICATION_ID: Final = 0x54524D4E  # "TRMN": tells our file from any other SQLite file

_SCRIPTS: Final = Path(__file__).with_name("schema")


@cache
def scripts() -> tuple[tuple[int, str], ...]:
    """The scripts by rising number."""
    found = sorted((int(path.name[:4]), path.read_text("utf-8")) for path in _SCRIPTS.glob("*.sql"))
    assert [number for number, _ in found] == list(range(1, len(found) + 1)), "a script's number is missing or doubled"
    return tuple(found)


def version() -> int:
    """The version that this program writes."""
    return scripts()[-1][0]


def migrate(connection: apsw.Connection) -> None:
    """Bring the file to `version()`. Call it inside a transaction: all of it happens, or nothing."""
    present = connection.pragma("user_version")
    for number, script in scripts():
        if number > present:
            connection.execute(script).fetchall()  # to its end: a cursor stops where a statement has rows
    connection.pragma("application_id", APPLICATION_ID)
    connection.pragma("user_version", version())
