"""Which model decides: verdicts become promotions, losses become rollbacks and retirements.

A model is prepared off the event loop, then made the best, then one input hands it the session. The registry changes
before the session does: a crash between the two is mended by the next start, which decides with what is best. Whatever
waits for the disk does so in another thread.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from broker.errors import BadInput, Refused, StorageFault
from daemon import probation
from daemon.events import Activated
from daemon.probation import Fate, Terms, Watch
from daemon.verdict import passing
from training.registry import Registry, State


@dataclass(frozen=True, slots=True)
class Hands:
    """What promotion may do.

    Attributes:
        prepare: loads a model by its version, asks it, and makes what will decide; off the loop.
        activate: hands the session to what was prepared. observe: closes what is held and opens nothing, for a reason;
            "": trade again.
        tell: says what happened, with its figures: to the log, the listeners, and whoever is to be notified.
    """

    prepare: Callable[[str], Awaitable[Activated]]
    activate: Callable[[Activated], None]
    observe: Callable[[str], None]
    tell: Callable[[str, Mapping[str, Any]], None]


class Promotion:
    """The one who changes what trades, while the daemon runs.

    Args:
        registry: owned. kept: file of the watch. terms: of probation.
    """

    def __init__(self, registry: Registry, kept: Path, terms: Terms, hands: Hands) -> None:
        self._registry, self._kept, self._terms, self._hands = registry, kept, terms, hands
        self._one = asyncio.Lock()
        self._judged: set[tuple[str, str]] = set()
        self._unread = ""
        self._fate: tuple[Fate, str] | None = None
        self._written = self.watch = probation.read(kept)
        best = registry.best()
        if self.watch.version != (best or ""):
            self._begin(best or "")

    # Verdicts.

    async def look(self) -> None:
        """Act on new verdicts, and on what became of the model that trades; to be called now and then."""
        if self.watch is not self._written:
            self._written = self.watch
            await asyncio.to_thread(probation.write, self._kept, self._written)
        if self._fate is not None:
            (fate, why), self._fate = self._fate, None
            await (self.rollback(why) if fate is Fate.ROLLED_BACK else self.retire(why))
        verdicts = await self._verdicts()
        best = self._registry.best()
        for verdict in sorted(verdicts.values(), key=lambda verdict: str(verdict["time"])):
            mark = str(verdict["version"]), str(verdict["time"])
            if mark in self._judged or verdict["incumbent"] != best:
                continue
            self._judged.add(mark)
            states = await asyncio.to_thread(self._registry.states)
            if states.get(mark[0], self._before(mark[0])) is State.CANDIDATE and await self._judge(verdict):
                return
            if verdict["incumbent_loses"] and best is not None and self._since_promotion(verdict):
                await self.retire(f"significantly negative out of sample, {verdict['time']}")
                return

    async def _verdicts(self) -> Mapping[str, Mapping[str, Any]]:
        """All of them; none while one can't be read, which is told once."""
        try:
            return await asyncio.to_thread(self._registry.verdicts)
        except StorageFault as fault:
            if self._unread != str(fault):
                self._unread = str(fault)
                self._hands.tell("verdict_damaged", {"outcome": "failed", "why": self._unread})
            return {}

    def _before(self, version: str) -> State:
        """What a model was whose folder is gone: a candidate, unless something became of it."""
        known = {change.id: change.state for change in self._registry.history()}
        return known.get(version, State.CANDIDATE)

    async def _judge(self, verdict: Mapping[str, Any]) -> bool:
        """Promote a candidate that passed, reject one that did not; whether another one trades now."""
        version, reasons = str(verdict["version"]), "; ".join(verdict["gate"]["reasons"])
        if not verdict["gate"]["passed"]:
            await self._reject(version, reasons)
            return False
        try:
            await self.swap(version, passing(verdict))
        except (BadInput, Refused) as refusal:
            await self._reject(version, str(refusal))
            return False
        return True

    async def _reject(self, version: str, why: str) -> None:
        with suppress(BadInput):  # its folder is gone, and nothing is left to mark
            await asyncio.to_thread(self._registry.reject, version, why)
        self._hands.tell("rejected", {"version": version, "why": why})

    def _since_promotion(self, verdict: Mapping[str, Any]) -> bool:
        changes = [change for change in self._registry.history() if change.id == verdict["incumbent"]]
        return not changes or str(verdict["time"]) > changes[-1].time

    # Changes.

    async def swap(self, version: str, why: str) -> str:
        """Let a model decide; its id.

        Raises:
            BadInput: there is none. Refused: it is not fit; what decides goes on.
        """
        async with self._one:
            key = self._registry.folders.find(version)
            prepared = await self._hands.prepare(key)
            previous = self._registry.best()
            await asyncio.to_thread(self._registry.promote, key, why)
            self._activate(prepared, key)
            self._hands.tell("promoted", {"version": key, "previous": previous, "why": why})
        return key

    async def rollback(self, why: str) -> str | None:
        """Return to the model that was best before; without one, or where it is no longer fit, none decides. Its id."""
        async with self._one:
            lost = self._registry.best()
            try:
                key = await asyncio.to_thread(self._registry.rollback, why)
                prepared = await self._hands.prepare(key)
            except (BadInput, Refused) as error:
                await self._stand_down(f"{why}; {error}")
                return None
            self._activate(prepared, key, probation_again=False)
            self._hands.tell("rolled_back", {"version": key, "previous": lost, "why": why})
        return key

    async def retire(self, why: str) -> None:
        """Let no model decide: what is held is closed, nothing is opened."""
        async with self._one:
            await self._stand_down(why)

    async def _stand_down(self, why: str) -> None:
        lost = self._registry.best()
        if lost is not None:
            await asyncio.to_thread(self._registry.retire, why)
        self._hands.observe("retired")
        self._begin("")
        self._hands.tell("retired", {"version": lost, "why": why})

    def _activate(self, prepared: Activated, key: str, *, probation_again: bool = True) -> None:
        self._hands.activate(prepared)
        self._hands.observe("")
        self._begin(key, probation_again)

    def _begin(self, key: str, in_probation: bool = True) -> None:
        self.watch, self._fate = Watch.begin(key, probation=in_probation and bool(key)), None

    # The model that trades.

    def traded(self, model: str, pips: float) -> None:
        """A trade ended: it counts for the model that opened it, if that one still trades."""
        if not self.watch.version or model != self.watch.version or self._fate is not None:
            return
        self.watch, fate, why = self.watch.traded(pips, self._terms)
        if fate is Fate.PASSED:
            self._hands.tell("probation_passed", {"version": model, "why": why})
        elif fate is not Fate.STAYS:
            self._fate = fate, why
