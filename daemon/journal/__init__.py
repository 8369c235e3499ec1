"""The journal: every event before it is applied, every output before it is acted on (docs/journal.md)."""

from daemon.journal.chain import Broken, Record, verified
from daemon.journal.keeping import back_up, drop_some, pack_some
from daemon.journal.quotes import Group
from daemon.journal.reading import Event, Found, Snapshot, events, latest, marked, resume
from daemon.journal.writing import DiskJournal, End, opened

__all__ = [
    "Broken",
    "DiskJournal",
    "End",
    "Event",
    "Found",
    "Group",
    "Record",
    "Snapshot",
    "back_up",
    "drop_some",
    "events",
    "latest",
    "marked",
    "opened",
    "pack_some",
    "resume",
    "verified",
]
