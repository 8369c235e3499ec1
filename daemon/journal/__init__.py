"""The journal: every event before it is applied, every output before it is acted on (docs/journal.md)."""

from daemon.journal.chain import Broken, Record
from daemon.journal.quotes import Group
from daemon.journal.reading import Event, Found, Snapshot, events, latest, resume
from daemon.journal.writing import DiskJournal, End

__all__ = [
    "Broken",
    "DiskJournal",
    "End",
    "Event",
    "Found",
    "Group",
    "Record",
    "Snapshot",
    "events",
    "latest",
    "resume",
]
