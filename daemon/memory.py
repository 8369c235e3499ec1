"""What of a service outlives it, and how the next one goes on from it.

A snapshot stands in the journal wherever its records can be folded from: where a run begins, and where a day does. A
start with the same rules takes up the latest and folds what is behind it, so that it knows and has written what an
uninterrupted service would. A start with other rules can't: it takes the state marked lately, and begins anew.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from broker.canonical import plain, text
from broker.durable import Writer
from broker.types import DAY, Instrument
from daemon.config import Config
from daemon.desk import Desk
from daemon.events import Activated
from daemon.heritage import inherited
from daemon.journal import DiskJournal, Found, Record, Snapshot, drop_some, marked, pack_some, verified
from daemon.recovery import Counter, Folded, Rehearsal, fold
from strategy.plugin import Strategy
from strategy.session import Session
from training.recorder import Recorder

RULING = ("mode", "instruments", "bar", "strategy", "strategies", "seed", "account", "paper", "risk", "model")
"""Sections of the config that decide what comes of an input."""

LAYOUT = 2
"""Of the experience in a snapshot. One of another layout is not folded from; its state is taken as by other rules."""

DAYS_KEPT = 400
CHUNKS = 4  # packed at once, so that a day of a hundred thousand records is packed within the next


class Models(Protocol):
    """Who makes strategies; `folder` of the model that decides."""

    folder: str

    def prepared(self, event: Activated) -> Iterable[Strategy]:
        """The strategies of a model's folder, one for each lane."""
        ...


class Folders(Counter, Protocol):
    """The folders of days; while `again`, rows go to the last folder of their day, written anew."""

    again: bool


class Memory:
    """Keeps the state of one service.

    Args:
        config, pairs, account: what runs; the account that orders go to, or "".
        desk, session, recorder, models: what has a state.
        journal: where it is kept. disk: under it.

    Attributes:
        closed: profit at which paper positions were closed at the start, in instruments that are not traded any more.
    """

    def __init__(
        self,
        config: Config,
        pairs: Iterable[Instrument],
        account: str,
        desk: Desk,
        session: Session,
        recorder: Recorder,
        models: Models,
        journal: DiskJournal,
        disk: Writer,
    ) -> None:
        self._config, self._pairs, self._account = config, tuple(pairs), account
        self._desk, self._session, self._recorder, self._models = desk, session, recorder, models
        self._journal, self._disk = journal, disk
        self._noted: Any = None
        self.closed: Mapping[str, float] = {}

    @property
    def records(self) -> int:
        """How many the journal has."""
        return self._journal.records

    def begin(self) -> None:
        """Keep a state from which all that comes can be folded."""
        self._journal.remember({**self._tree(), "recorder": self._recorder.memory()})

    def mark(self) -> None:
        """Keep the state as it is now, but for experience that is not complete: that takes long to tell."""
        self._journal.mark(self._tree())

    def note(self) -> None:
        """Mark where something has changed that outlives a restart under any rules: a limit, an order, the balance."""
        risk = self._session.risk
        now = self._desk.state, self._session.halted, risk.tripped, risk.balance, tuple(risk.reasons().items())
        if now != self._noted:
            self._noted = now
            self.mark()

    async def failure(self) -> None:
        """Never return; raise StorageFault when the disk fails."""
        await self._disk.failure()

    def look_after(self) -> None:
        """A step of keeping it small, and the state as it is now."""
        self.mark()
        oldest = self._desk.clock // DAY - DAYS_KEPT
        for _ in range(CHUNKS):
            self._disk.put(pack_some)
        self._disk.put(lambda db: drop_some(db, oldest))

    def take_up(self, found: Found, rehearsal: Rehearsal, folders: Folders, *, anew: bool) -> Folded | None:
        """Go on from what the journal has; the session's run is then the one that goes on.

        Args:
            rehearsal: hears what the desk puts out; over afterwards.
            anew: begin a new run, whatever there is.

        Returns:
            What was folded; None where nothing could be, and a new run begins.

        Raises:
            Differs: the fold does something else than is on record.
            BadInput: the model that decided can't be used any more.
        """
        run, base, folded = self._session.run, found.snapshot, None
        if base is not None and not anew and base.tree["rules"] == rules(self._config, self._pairs):
            folded = self._fold(base, rehearsal, folders)
        else:
            self._recall_lately(base)
        rehearsal.over()
        if folded is None or found.cut:
            self._session.run = run
            self._recorder.recall({**self._recorder.memory(), "run": run})
        if folded is None:
            self.begin()
        return folded

    def _fold(self, base: Snapshot, rehearsal: Rehearsal, folders: Folders) -> Folded:
        take(base.tree, self._desk, self._session, self._models)
        self._recorder.recall(base.tree["recorder"])

        def behind(db: Any) -> list[Record]:
            return list(verified(db, base.seq + 1, base.digest))

        folders.again = True
        folded = fold(self._desk, rehearsal, self._disk.ask(behind), folders)
        folders.again = False
        return folded

    def _recall_lately(self, base: Snapshot | None) -> None:
        """Take the latest state: all of it where it is of the same shape, else what outlives a change of that."""
        known = [tree for tree in (self._disk.ask(marked), base.tree if base else None) if tree is not None]
        if not known:
            return
        tree = max(known, key=lambda tree: int(tree["desk"]["clock"]))
        mine = self._tree()
        money = [
            (one["wired"], one.get("account", self._account), one["config"]["account"]["currency"])
            for one in (tree, mine)
        ]
        if money[0] == money[1] and tree["shape"] == mine["shape"]:
            self._desk.recall(tree["desk"])
            return
        kept = [str(pair["name"]) for pair in mine["pairs"] if pair in tree["pairs"]]
        same, wired = money[0] == money[1], bool(self._account)
        heritage = inherited(mine["desk"], tree["desk"], kept, same_account=same, wired=wired)
        self._desk.recall(heritage.desk)
        self.closed = heritage.closed

    def _tree(self) -> dict[str, Any]:
        return {
            "rules": rules(self._config, self._pairs),
            "shape": shape(self._config, self._pairs),
            "config": plain(self._config),
            "pairs": [plain(pair) for pair in self._pairs],
            "wired": bool(self._account),
            "account": self._account,
            "folder": self._models.folder,
            "desk": self._desk.memory(),
        }


def take(tree: Any, desk: Desk, session: Session, models: Models) -> None:
    """Put a desk and its strategies into a kept state."""
    if tree["folder"] != models.folder:
        strategies = models.prepared(Activated(0, "", tree["folder"]))
        for lane, strategy in zip(session.lanes, strategies, strict=True):
            lane.strategy = strategy
    desk.recall(tree["desk"])


def rules(config: Config, pairs: Iterable[Instrument]) -> str:
    """All of the config that decides what comes of an input, as one text."""
    ruling = {name: plain(getattr(config, name)) for name in RULING}
    return text({**ruling, "pairs": [plain(pair) for pair in pairs], "layout": LAYOUT}).decode()


def shape(config: Config, pairs: Iterable[Instrument]) -> str:
    """What a state must have been of, to be taken up under other rules."""
    names = [(pair.name, pair.precision, pair.pip_location) for pair in pairs]
    features = config.model.features if config.strategy == "muzero" else ""
    return repr((names, config.bar, config.strategy, features, config.mode))
