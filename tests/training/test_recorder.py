"""The recorder, told of made-up sessions: every decision ends up in one segment, and has what its trade earned."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.instruments import instrument
from broker.ledger import EXTERNAL
from broker.types import DAY, MINUTE, Action, Bar, Cancel, Exit, Fill, Order, Trade
from daemon.snapshot import pack, unpack
from strategy.plugin import Choice, Observation
from tests.training.made_experience import made_trade
from training.experience import Segment
from training.recorder import Recorder

PAIR = instrument("EUR_USD")


class Market:
    """A session in small: one bar, one decision and its fill at a time; what it tells is what a session would."""

    def __init__(self, recorder: Recorder, start: int = 0) -> None:
        self.recorder, self.time, self.seq = recorder, start, 0
        self.position = 0
        self.opened: tuple[int, int] = (0, 0)  # time of the fill, seq of the decision
        self.price = 110_000.0
        self.earned: dict[int, float] = {}  # seq of each trade's opening decision: pips

    def bar(self, move: float = 1.0) -> None:
        self.time += MINUTE
        self.price += move
        close = self.price
        bar = Bar(self.time - MINUTE, self.time, close, close, close, close, 1.0, int(close), int(close), 1)
        self.recorder.barred(PAIR, bar, 0.0)
        self.last = bar

    def decide(self, action: Action, *, veto: str | None = None, fate: str = "filled") -> None:
        target = {Action.HOLD: self.position, Action.BUY: 1, Action.SELL: -1, Action.CLOSE: 0}[action]
        seen = Observation(
            seq=self.seq, time=self.time, instrument=PAIR, bar=self.last, bid=1, ask=2, position=self.position,
            expected=self.position, legal=(True, True, True, True), features=np.full(3, float(self.seq)), sigma=1.0,
            spread=1.0, open_pips=0.0, bars_held=0,
        )  # fmt: skip
        self.recorder.decided(seen, Choice(action, (0.25,) * 4, (1, 2, 3, 4), (None, 1.0, 2.0, 3.0)), target, veto, "m")
        self.seq += 1
        if veto is None and target != self.position:
            units = 1000 * (target - self.position)
            reason = "entry" if target else "close"
            order = Order(f"o{self.seq}", self.time, PAIR.name, units, 0, 0, reason, target, "m")
            if fate == "filled":
                self.fill(order, units, target)
            else:
                self.recorder.ordered(order, Cancel(order.id, self.time, PAIR.name, "cancelled", "position_gone"))

    def fill(self, order: Order, units: int, target: int) -> None:
        fill = Fill(order.id, self.time + 1, PAIR.name, units, 1, 1, 1, order.reason)
        self.recorder.ordered(order, fill)
        if self.position:
            self.trade(fill, Exit.REVERSE if target else Exit.CLOSE)
        if target:
            self.opened = (self.time + 1, self.seq - 1)
        self.position = target

    def stop(self) -> None:
        self.trade(Fill("", self.time + 2, PAIR.name, -1000 * self.position, 1, 1, 1, "stop"), Exit.STOP)
        self.position = 0

    def trade(self, fill: Fill, why: Exit) -> None:
        pips = float((self.seq * 7) % 11 - 5)
        time, seq = self.opened
        self.earned[seq] = pips
        made = replace(
            made_trade(0, 1, pips), side=self.position, open_time=time, close_time=fill.time, exit_reason=why
        )
        self.recorder.traded(made, fill)


def recorded(play: Callable[[Market], None], start: int = 0, **options: object) -> tuple[list[Segment], Market]:
    """What the recorder makes of a session."""
    kept: list[Segment] = []
    market = Market(Recorder("run", "made3", kept.append, **options), start)  # type: ignore[arg-type]
    play(market)
    market.recorder.finish()
    return kept, market


MOVES = st.lists(st.sampled_from(["hold", "enter", "close", "reverse", "stop", "veto", "cancel"]), max_size=60)


def play_moves(market: Market, moves: list[str], first: int = 0, close: bool = True) -> None:
    """Play what is possible of the moves, numbered from `first`, then close what is open."""
    for i, move in enumerate(moves, first):
        market.bar(float(i % 5 - 2))
        entry = Action.BUY if i % 2 else Action.SELL
        if move == "veto":
            market.decide(Action.CLOSE if market.position else entry, veto="spread")
        elif move == "cancel":
            market.decide(Action.CLOSE if market.position else entry, fate="cancelled")
        elif move == "enter" and not market.position:
            market.decide(entry)
        elif move == "close" and market.position:
            market.decide(Action.CLOSE)
        elif move == "reverse" and market.position:
            market.decide(Action.SELL if market.position > 0 else Action.BUY)
        else:
            market.decide(Action.HOLD)
            if move == "stop" and market.position:
                market.stop()
    if close and market.position:
        market.stop()


@settings(max_examples=150)
@given(MOVES, st.integers(1, 9))
def test_each_decision_is_in_one_segment_with_its_reward(moves: list[str], flat_steps: int) -> None:
    """Every decision is held, once, in order; those of a trade all have its reward, the flat ones none."""
    kept, market = recorded(lambda market: play_moves(market, moves), flat_steps=flat_steps)
    seqs = [int(seq) for segment in kept for seq in segment.steps["seq"]]
    assert seqs == list(range(market.seq))
    trades = [segment for segment in kept if segment.trade]
    assert {segment.first_seq: segment.pips for segment in trades} == market.earned
    for segment in kept:
        assert segment.reward == (segment.trade.reward if segment.trade else 0.0)
        assert segment.steps["features"][:, 0].tolist() == segment.steps["seq"].tolist()
        if segment.trade is None:
            assert len(segment.steps) <= flat_steps
            assert not segment.steps["position"].any()
        else:
            assert segment.steps["position_change"][0]
            assert segment.steps["position"].tolist()[1:] == [segment.trade.side] * (len(segment.steps) - 1)
            assert segment.steps["position_change"].sum() == (2 if segment.trade.exit_reason == Exit.CLOSE else 1)


@given(MOVES)
def test_expectancy_is_that_of_the_session_so_far(moves: list[str]) -> None:
    """A trade is scored with the mean pips of its day's trades up to and with it."""
    kept, _ = recorded(lambda market: play_moves(market, moves))
    pips: list[float] = []
    for segment in kept:
        pips += [segment.pips] if segment.trade else []
        assert segment.session_expectancy == pytest.approx(sum(pips) / len(pips) if pips else 0.0)


def test_vetoed_and_cancelled_actions_take_no_effect() -> None:
    """What was chosen is kept; what took effect is HOLD, and nothing changed position."""

    def play(market: Market) -> None:
        for options in ({"veto": "spread"}, {"fate": "cancelled"}):
            market.bar()
            market.decide(Action.BUY, **options)  # type: ignore[arg-type]

    (flat,), _ = recorded(play)
    assert flat.steps["chosen"].tolist() == [Action.BUY] * 2
    assert flat.steps["action"].tolist() == [Action.HOLD] * 2
    assert not flat.steps["position_change"].any()


def test_the_last_step_of_a_day_is_done() -> None:
    """`done` marks the last decision of each UTC day and of the run, and of an episode only its end."""

    def play(market: Market) -> None:
        for _ in range(6):
            market.bar()
            market.decide(Action.HOLD)

    kept, _ = recorded(play, start=DAY - 3 * MINUTE)
    assert [segment.steps["done"].tolist() for segment in kept] == [[False, True], [False, False, False, True]]
    assert [segment.session for segment in kept] == ["1970-01-01", "1970-01-02"]
    (episode,), _ = recorded(play, start=DAY - 3 * MINUTE, episode="e7")
    assert (episode.session, episode.steps["done"].tolist()) == ("e7", [False] * 5 + [True])


def test_outcomes_are_known_once_the_next_bar_is() -> None:
    """`change` is the move of the mid to the next bar, `deviation` that of the last 20 changes before the decision."""
    moves = np.random.default_rng(2).integers(-9, 10, 40).astype(float)

    def play(market: Market) -> None:
        for move in moves:
            market.bar(move)
            market.decide(Action.HOLD)

    kept, _ = recorded(play, flat_steps=100)
    steps = np.concatenate([segment.steps for segment in kept])
    assert steps["change"][:-1] == pytest.approx(moves[1:] / 10)
    assert np.isnan(steps["change"][-1])
    expected = [np.std(moves[i - 19 : i + 1]) / 10 for i in range(20, 40)]
    assert np.isnan(steps["deviation"][:20]).all()
    assert steps["deviation"][20:] == pytest.approx(expected)


def test_idle_time_may_cost() -> None:
    """`idle_penalty` is taken from the reward of flat steps, and of no others."""

    def play(market: Market) -> None:
        market.bar()
        market.decide(Action.HOLD)
        market.bar()
        market.decide(Action.BUY)
        market.stop()

    flat, trade = recorded(play, idle_penalty=0.25)[0]
    assert (flat.reward, trade.reward) == (-0.25, trade.trade.reward if trade.trade else None)


def test_partial_exits_are_one_trade() -> None:
    """Parts of a position are one segment: money added, pips and reward weighted by units."""

    def play(market: Market) -> None:
        market.bar()
        market.decide(Action.BUY)
        whole = replace(made_trade(0, 1, 6.0), open_time=market.time + 1, close_time=market.time + 2)
        for units, pips in ((250, 6.0), (750, 2.0)):
            part: Trade = replace(whole, units=units, pips=pips, reward=pips, pnl=Decimal(units))
            market.recorder.traded(part, Fill("", market.time + 2, PAIR.name, -units, 1, 1, 1, "stop"))

    (segment,), _ = recorded(play)
    assert segment.trade is not None
    assert (segment.trade.units, segment.pips, segment.reward, segment.trade.pnl) == (1000, 3.0, 3.0, Decimal(1000))


def test_positions_of_others_are_no_experience() -> None:
    """A position that was adopted from the broker isn't ours to learn from."""

    def play(market: Market) -> None:
        market.position, market.opened = 1, (-5, 0)
        market.recorder._tracks.clear()
        market.bar()
        market.decide(Action.HOLD)
        market.recorder.traded(
            replace(made_trade(0, 1, 5.0), open_time=-5), Fill("", market.time, PAIR.name, -1000, 1, 1, 1, "stop")
        )
        market.position = 0
        market.bar()
        market.decide(Action.HOLD)

    kept, _ = recorded(play)
    assert [segment.steps["seq"].tolist() for segment in kept] == [[1]]


@pytest.mark.parametrize("ended", ["by hand", "by a reversal", "unseen"])
def test_what_another_hand_added_to_is_no_experience(ended: str) -> None:
    """Nor is what is left of it when the account takes it away; the next trade of ours is counted as ever."""

    def play(market: Market) -> None:
        market.bar()
        market.decide(Action.BUY)
        market.bar()
        market.decide(Action.HOLD)
        external = replace(made_trade(0, 1, 5.0), units=3000, open_time=market.time, model=EXTERNAL)
        market.bar()
        if ended == "by hand":
            market.recorder.traded(external, Fill("", market.time, PAIR.name, -3000, 1, 1, 1, "external"))
            market.position = 0
        elif ended == "by a reversal":
            market.decide(Action.HOLD)
            order = Order("r", market.time, PAIR.name, -4000, 0, 0, "reverse", -1, "m")
            fill = Fill("r", market.time, PAIR.name, -4000, 1, 1, 1, "reverse")
            market.recorder.ordered(order, fill)
            market.recorder.traded(external, fill)
            market.position, market.opened = -1, (market.time, market.seq - 1)
        else:
            market.position = 0
        market.bar()
        market.decide(Action.CLOSE if market.position else Action.HOLD)
        market.bar()
        market.decide(Action.BUY)
        market.bar()
        market.decide(Action.CLOSE)
        market.bar()
        market.decide(Action.HOLD)

    kept, _ = recorded(play)
    traded = [segment for segment in kept if segment.trade is not None]
    assert len(traded) == (2 if ended == "by a reversal" else 1)
    assert len(traded[-1].steps) == 2
    assert [segment for segment in kept if segment.trade is not None and segment.trade.model == EXTERNAL] == []
    assert not any(step["position_change"] for segment in kept if segment.trade is None for step in segment.steps)


@settings(max_examples=50)
@given(moves=MOVES, cut=st.integers(0, 60), flat_steps=st.integers(1, 8), start=st.sampled_from([0, DAY - 9 * MINUTE]))
def test_a_restart_does_not_show(moves: list[str], cut: int, flat_steps: int, start: int) -> None:
    """Taken up from its memory at any moment, a recorder hands on what it would have, each segment once."""
    whole, _ = recorded(lambda market: play_moves(market, moves), start, flat_steps=flat_steps)

    def play(market: Market) -> None:
        play_moves(market, moves[:cut], close=False)
        kept = market.recorder._keep
        memory = unpack(pack(market.recorder.memory()))
        market.recorder = Recorder("another", "made3", kept, flat_steps=flat_steps)
        market.recorder.recall(memory)
        play_moves(market, moves[cut:], first=cut)

    again, _ = recorded(play, start, flat_steps=flat_steps)
    assert [(s.run, s.models, s.pips, s.session, s.session_expectancy, s.trade) for s in again] == [
        (s.run, s.models, s.pips, s.session, s.session_expectancy, s.trade) for s in whole
    ]
    for one, other in zip(again, whole, strict=True):
        assert one.steps.tobytes() == other.steps.tobytes()
