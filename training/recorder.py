"""Turns what a session did into experience: one piece of code for replay, paper, live and self-play.

A trade's steps are the decisions from the one that opened it to the one that closed it, or to the last before a held
stop, a limit or the end closed it. A reversing decision opens the next trade. All of them get the trade's final
reward (rules: AMDDP1, equal partners). Decisions made while flat are segments of their own.

A segment is handed on at the next bar of its instrument: only then are its last outcome and its session's end known.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

import numpy as np

from broker.canonical import built, plain
from broker.errors import BadInput
from broker.ledger import EXTERNAL
from broker.rfc3339 import rfc3339
from broker.types import Action, Bar, Cancel, Fill, Float64s, Instrument, Order, Trade
from strategy.features.market import OUTCOME_BARS, deviation
from strategy.plugin import Choice, Observation
from training.experience import Records, Segment, step_dtype
from training.quality import SessionExpectancy


@dataclass(slots=True)
class _Draft:
    """A decision on its way into a segment.

    Attributes:
        step: `[1]` of step_dtype, made at once, so that a segment costs little however long it has become.
        held: not flat after the orders in flight. enters: wants to hold something. changes: so it is, by its order.
    """

    step: Records
    time: int
    model: str
    held: bool
    enters: bool
    changes: bool

    @property
    def opens(self) -> bool:
        return self.changes and self.enters

    @property
    def flat(self) -> bool:
        return not (self.changes or self.held)


@dataclass(slots=True)
class _Ready:
    """A segment without its last outcome."""

    steps: list[_Draft]
    trade: Trade | None
    session: str
    expectancy: float

    def memory(self) -> dict[str, Any]:
        """All of it as JSON and arrays have it."""
        known = {"trade": plain(self.trade), "session": self.session, "expectancy": self.expectancy}
        return {"steps": _columns(self.steps), **known}

    @classmethod
    def recalled(cls, known: Mapping[str, Any]) -> "_Ready":
        """What `memory` told."""
        trade = built(Trade | None, known["trade"])
        return cls(_drafts(known["steps"]), trade, known["session"], known["expectancy"])


@dataclass(slots=True)
class _Track:
    """One instrument."""

    pending: list[_Draft] = field(default_factory=list)
    ready: list[_Ready] = field(default_factory=list)
    closes: deque[float] = field(default_factory=lambda: deque(maxlen=OUTCOME_BARS + 1))
    units: int = 0
    entries: deque[int] = field(default_factory=deque)
    parts: list[Trade] = field(default_factory=list)
    last: _Draft | None = None
    day: str = ""

    def forget(self, units: int) -> None:
        """What was held was not opened here, or added to, and is no experience; `units` are held since."""
        latest = [self.entries.pop()] if units and self.entries else []
        gone, self.units, self.entries = set(self.entries), units, deque(latest)
        self.parts.clear()
        start = _index(self.pending, latest[0]) if latest else len(self.pending)
        before, later = self.pending[:start], self.pending[start:]
        self.pending = [draft for draft in before if not draft.step["position"][0] and draft.time not in gone] + later

    def memory(self) -> dict[str, Any]:
        """All of it as JSON and arrays have it."""
        drafts = [*(draft for ready in self.ready for draft in ready.steps), *self.pending]
        last = next((n for n, draft in enumerate(drafts) if draft is self.last), None)
        return {
            "pending": _columns(self.pending),
            "ready": [ready.memory() for ready in self.ready],
            "closes": list(self.closes),
            "units": self.units,
            "entries": list(self.entries),
            "parts": plain(self.parts),
            "last": last,
            "day": self.day,
        }

    @classmethod
    def recalled(cls, known: Mapping[str, Any]) -> "_Track":
        """What `memory` told."""
        track = cls(
            pending=_drafts(known["pending"]),
            ready=[_Ready.recalled(ready) for ready in known["ready"]],
            units=known["units"],
            entries=deque(known["entries"]),
            parts=built(list[Trade], known["parts"]),
            day=known["day"],
        )
        track.closes.extend(known["closes"])
        drafts = [*(draft for ready in track.ready for draft in ready.steps), *track.pending]
        track.last = None if known["last"] is None else drafts[known["last"]]
        return track


class Recorder:
    """A sink of the trading session that makes segments; it fits strategy.session.Sink.

    Args:
        run: names the run; no two runs that share a store may have the same.
        feature_set: of the observations; None where the strategy has none.
        keep: takes each segment, such as ExperienceWriter.append.
        idle_penalty: pips taken from the reward of a flat step.
        flat_steps: longest flat segment.
        episode: names the one session of a self-play run; None: a session is a UTC day.

    Raises:
        BadInput: the penalty is negative, or a flat segment would have no step.
    """

    def __init__(
        self,
        run: str,
        feature_set: str | None,
        keep: Callable[[Segment], object],
        *,
        idle_penalty: float = 0.0,
        flat_steps: int = 64,
        episode: str | None = None,
    ) -> None:
        if idle_penalty < 0.0 or flat_steps < 1:
            raise BadInput("a negative idle penalty, or flat segments of no step", where="training.idle_penalty")
        self._run, self._feature_set, self._keep = run, feature_set or "", keep
        self._idle_reward, self._flat_steps, self._episode = 0.0 - idle_penalty, flat_steps, episode
        self._tracks: dict[str, _Track] = {}
        self._session = episode or ""
        self._expectancy = SessionExpectancy()
        self._booked: Fill | None = None
        deviation(np.zeros(1))  # compiled before the first decision

    @property
    def unfinished(self) -> int:
        """Decisions that belong to no segment yet."""
        return sum(len(track.pending) for track in self._tracks.values())

    def barred(self, instrument: Instrument, bar: Bar, open_pips: float) -> None:
        """A bar closed: the outcome of the decision before it is known, and so is whether its day is over."""
        track = self._tracks.setdefault(instrument.name, _Track())
        day = rfc3339(bar.end)[:10]
        if track.last is not None:
            track.last.step["change"] = (bar.close - track.closes[-1]) / instrument.points_per_pip
            if self._episode is None and day != track.day:
                track.last.step["done"] = True
                if all(draft.flat for draft in track.pending):
                    self._file_flat(track, len(track.pending))
            track.last = None
        track.closes.append(bar.close)
        track.day = day
        self._hand_on(instrument.name, track)

    def decided(self, observation: Observation, choice: Choice, target: int, veto: str | None, model: str) -> None:
        """A decision; one that is vetoed takes effect as HOLD."""
        track = self._tracks.setdefault(observation.instrument.name, _Track())
        if track.units and not observation.position:  # the account took it, without a trade
            track.forget(0)
        if observation.position == observation.expected == 0 and len(track.pending) >= self._flat_steps:
            self._file_flat(track, len(track.pending))
            self._hand_on(observation.instrument.name, track)
        changes = veto is None and target != observation.expected
        step = _step(observation, choice, changes, _deviation(track.closes, observation.instrument))
        held = bool(observation.position or observation.expected)
        draft = _Draft(step, observation.time, model, held, target != 0, changes)
        track.pending.append(draft)
        track.last = draft

    def ordered(self, order: Order, end: Fill | Cancel) -> None:
        """An order's end: a fill that opens names the decision that it came from; without a fill nothing changed."""
        track = self._tracks.setdefault(order.instrument, _Track())
        if isinstance(end, Cancel):
            for draft in track.pending:
                if draft.time == order.time:
                    draft.changes = False
            return
        self._booked = end
        track.units += end.units
        if order.opens:
            track.entries.append(order.time)

    def traded(self, trade: Trade, fill: Fill) -> None:
        """A completed trade, or a part of one: parts become one trade once the position is closed."""
        track = self._tracks.setdefault(trade.instrument, _Track())
        if fill is not self._booked:
            track.units += fill.units
        if trade.model == EXTERNAL or not (track.entries and track.entries[0] <= trade.open_time):
            track.forget(fill.units + trade.side * trade.units)
            return
        track.parts.append(trade)
        if track.units * trade.side > 0:
            return
        whole = _whole(track.parts)
        track.parts.clear()
        start = _index(track.pending, track.entries.popleft())
        later = (i for i in range(start + 1, len(track.pending)) if track.pending[i].opens)
        end = next(later, len(track.pending))
        self._file_flat(track, start)
        steps, track.pending = track.pending[: end - start], track.pending[end - start :]
        self._enter_session(trade.close_time)
        expectancy = self._expectancy.completed(whole.pips)
        if steps:
            track.ready.append(_Ready(steps, whole, self._session, expectancy))

    def memory(self) -> dict[str, Any]:
        """What has not been handed on yet, as JSON and arrays have it; `recall` takes it back."""
        return {
            "run": self._run,
            "session": self._session,
            "pips": self._expectancy.pips,
            "tracks": {name: track.memory() for name, track in self._tracks.items()},
        }

    def recall(self, known: Mapping[str, Any]) -> None:
        """Take up where `memory` was asked, as the same run."""
        self._run, self._session = known["run"], known["session"]
        self._expectancy = SessionExpectancy(known["pips"])
        self._tracks = {name: _Track.recalled(track) for name, track in known["tracks"].items()}

    def finish(self) -> None:
        """The run or episode is over: hand on all that is complete; decisions of a position still open stay behind."""
        for name, track in self._tracks.items():
            if track.last is not None:
                track.last.step["done"] = True
            flat = _index(track.pending, track.entries[0]) if track.entries else len(track.pending)
            self._file_flat(track, flat)
            self._hand_on(name, track)

    def _file_flat(self, track: _Track, count: int) -> None:
        """The first `count` pending decisions were made flat: segments of their own."""
        for first in range(0, count, self._flat_steps):
            steps = track.pending[first : min(first + self._flat_steps, count)]
            self._enter_session(steps[-1].time)
            track.ready.append(_Ready(steps, None, self._session, self._expectancy.mean))
        track.pending = track.pending[count:]

    def _enter_session(self, time: int) -> None:
        session = self._episode or rfc3339(time)[:10]
        if session > self._session:
            self._session, self._expectancy = session, SessionExpectancy()

    def _hand_on(self, instrument: str, track: _Track) -> None:
        while track.ready:
            self._keep(self._segment(instrument, track.ready.pop(0)))

    def _segment(self, instrument: str, ready: _Ready) -> Segment:
        trade = ready.trade
        return Segment(
            run=self._run,
            instrument=instrument,
            feature_set=self._feature_set,
            steps=_records(ready.steps),
            models=tuple(draft.model for draft in ready.steps),
            pips=trade.pips if trade else 0.0,
            reward=trade.reward if trade else self._idle_reward,
            session=ready.session,
            session_expectancy=ready.expectancy,
            trade=trade,
        )


def _index(drafts: Sequence[_Draft], time: int) -> int:
    """Place of the decision made at a time; the end where it is not there."""
    return next((i for i, draft in enumerate(drafts) if draft.time == time), len(drafts))


def _whole(parts: Sequence[Trade]) -> Trade:
    """One trade of its partial exits: units and money added, pips and reward weighted by units, ended as the last."""
    units = sum(part.units for part in parts)
    if len(parts) == 1:
        return parts[0]
    return replace(
        parts[-1],
        units=units,
        pips=sum(part.pips * part.units for part in parts) / units,
        reward=sum(part.reward * part.units for part in parts) / units,
        pnl=sum((part.pnl for part in parts), Decimal(0)),
    )


def _deviation(closes: Sequence[float], instrument: Instrument) -> float:
    """s of the market outcome, pips; NaN before enough changes are known."""
    if len(closes) <= OUTCOME_BARS:
        return np.nan
    changes: Float64s = np.diff(np.array(closes))
    return float(deviation(changes)) / instrument.points_per_pip


def _step(seen: Observation, choice: Choice, changes: bool, sigma: float) -> Records:
    """`[1]` of step_dtype; what the next bar tells is not in it yet."""
    row = seen.features
    step = np.zeros(1, step_dtype(0 if row is None else len(row)))
    for name in ("seq", "time", "bid", "ask", "sigma", "spread", "open_pips", "bars_held", "position"):
        step[name] = getattr(seen, name)
    step["change"], step["deviation"], step["position_change"] = np.nan, sigma, changes
    step["chosen"] = choice.action
    step["legal"] = sum(1 << action for action, legal in enumerate(seen.legal) if legal)
    step["value"] = np.nan if choice.value is None else choice.value
    step["searched"] = choice.policy is not None
    step["policy"] = choice.policy or 0.0
    step["visits"] = choice.visits or 0.0
    step["q"] = np.nan if choice.q is None else [np.nan if q is None else q for q in choice.q]
    step["outcome"] = np.nan if choice.outcome is None else choice.outcome
    if row is not None:
        step["features"] = row
    return step


def _records(drafts: Sequence[_Draft]) -> Records:
    """`[n]`: what the drafts are now."""
    steps = np.frombuffer(bytearray(b"".join(draft.step.tobytes() for draft in drafts)), drafts[0].step.dtype)
    steps["position_change"] = [draft.changes for draft in drafts]
    steps["action"] = np.where(steps["position_change"], steps["chosen"], Action.HOLD)
    return steps


def _columns(drafts: Sequence[_Draft]) -> dict[str, Any]:
    """Drafts as arrays and a few names."""
    if not drafts:
        return {"models": []}
    names = {name: place for place, name in enumerate(dict.fromkeys(draft.model for draft in drafts))}
    steps = _records(drafts)
    return {
        "models": list(names),
        "model": np.array([names[draft.model] for draft in drafts]),
        "held": np.array([draft.held for draft in drafts]),
        "enters": np.array([draft.enters for draft in drafts]),
        "width": steps.dtype["features"].shape[0],
        "steps": steps.view(np.uint8),
    }


def _drafts(known: Mapping[str, Any]) -> list[_Draft]:
    """Those that `_columns` told."""
    if not known["models"]:
        return []
    steps = known["steps"].view(step_dtype(known["width"]))
    columns = (known[name].tolist() for name in ("model", "held", "enters"))
    rest = zip(steps["time"].tolist(), steps["position_change"].tolist(), *columns, strict=True)
    return [
        _Draft(steps[n : n + 1].copy(), time, known["models"][model], held, enters, changes)
        for n, (time, changes, model, held, enters) in enumerate(rest)
    ]
