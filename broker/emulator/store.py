"""The emulator's state file: an account's transactions and what else a restart needs, in SQLite."""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from broker.errors import BadInput

Json = dict[str, Any]
_SCHEMA = """
CREATE TABLE IF NOT EXISTS transactions (id INTEGER PRIMARY KEY, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, body TEXT NOT NULL);
"""


class StateFile:
    """Transactions and meta data, written together.

    Args:
        path: the file; made where absent.

    Raises:
        BadInput: it is no such file.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self._db.executescript(f"PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; {_SCHEMA}")
        except sqlite3.Error as error:
            raise BadInput(f"no state file: {error}", where=str(path), mend="name another file with --state") from None

    def read(self) -> tuple[list[Json], Json]:
        """The transactions in order, and the meta data."""
        rows = self._db.execute("SELECT body FROM transactions ORDER BY id").fetchall()
        meta = self._db.execute("SELECT key, body FROM meta").fetchall()
        return [json.loads(body) for (body,) in rows], {key: json.loads(body) for key, body in meta}

    def write(self, transactions: Sequence[Json], meta: Mapping[str, Any]) -> None:
        """Append transactions and replace meta data, all or nothing."""
        self._db.execute("BEGIN")
        self._db.executemany(
            "INSERT INTO transactions VALUES (?, ?)", [(int(said["id"]), json.dumps(said)) for said in transactions]
        )
        self._db.executemany(
            "INSERT OR REPLACE INTO meta VALUES (?, ?)", [(key, json.dumps(value)) for key, value in meta.items()]
        )
        self._db.execute("COMMIT")

    def close(self) -> None:
        """Close the file."""
        self._db.close()
