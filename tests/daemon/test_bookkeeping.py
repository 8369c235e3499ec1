"""Counters of a replay: the marked curve, costs, and the time that decisions take."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

from broker.types import Fill, Order
from daemon.bookkeeping import Bookkeeper, Timed
from daemon.runfolder import RunFolder
from daemon.summary import Latency
from strategy.baselines import Hold
from strategy.plugin import Context
from tests.daemon.made_run import EUR_USD, observation, trade


def test_the_marked_drawdown_follows_open_and_closed_pips(tmp_path: Path) -> None:
    """Open profits count at every bar, and a closing trade replaces what it had open."""
    with RunFolder.create(tmp_path / "run") as folder:
        books = Bookkeeper(folder, [EUR_USD], 0.5)
        bar = observation(0).bar
        books.barred(EUR_USD, bar, 4.0)
        books.barred(EUR_USD, bar, -3.0)
        assert books.drawdown.largest == 7.0
        books.traded(trade(-2.0), Fill("", 0, "EUR_USD", -1000, 1, 137_000, 137_010, "stop"))
        books.barred(EUR_USD, bar, 0.0)
        assert books.drawdown.largest == 7.0
        books.barred(EUR_USD, bar, -1.5)
        assert books.drawdown.largest == 7.5
        assert (books.costs.commission_pips, books.costs.spread_pips, books.bars) == (0.5, 0.5, 4)


def test_each_part_bears_the_entry(tmp_path: Path) -> None:
    """Gross is net and all costs, also where a position is closed in parts; interest is added up by currency."""
    with RunFolder.create(tmp_path / "run") as folder:
        books = Bookkeeper(folder, [EUR_USD], 0.0)
        held = trade(-1.0)
        enter = Order("a", 0, "EUR_USD", 1000, 0, 0, "entry", 1, "m")
        books.ordered(enter, Fill("a", held.open_time, "EUR_USD", 1000, 110_010, 110_000, 110_010, "entry"))
        for number, units in (("b", 400), ("c", 600)):
            leave = Order(number, 1, "EUR_USD", -units, 0, 0, "close", 0, "m")
            fill = Fill(number, 1, "EUR_USD", -units, 110_000, 110_000, 110_010, "close")
            books.ordered(leave, fill)
            books.traded(replace(held, units=units, financing=Decimal("-0.1")), fill)
        assert books.costs.document(-2.0)["gross_pips"] == 0.0
        assert books.costs.financing == {held.currency: Decimal("-0.2")}


def test_a_timed_strategy_is_the_strategy() -> None:
    """Only its decisions are timed."""
    latency = Latency()
    hold = Hold(Context(EUR_USD, seed=None))  # type: ignore[arg-type]
    timed = Timed(hold, latency)
    assert timed.decide(observation(0)) == hold.decide(observation(0))
    assert (timed.model, timed.feature_set) == ("hold", None)
    assert latency.document()["max"] > 0.0
