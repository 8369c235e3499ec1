"""Feature sets by name, and plugins' sets (rules: new sets come as plugins under new names)."""

import sys
from dataclasses import replace
from importlib.metadata import EntryPoint, EntryPoints
from types import SimpleNamespace

import numpy as np
import pytest

from broker.errors import BadInput
from strategy.features import NONE, SIGMA, FeatureSet, get, names, new_state, on_close, sets


class Volatility:
    """A plugin's set: sigma, and how many bars it has seen."""

    def __init__(self):
        self.bars = 0

    def on_close(self, state, close_pips, spread_pips, point_pips, end_time):
        self.bars += 1

    def observe(self, state, row, side, open_pips, from_peak, max_dd, dd_sum, bars_since_entry):
        row[:] = state[SIGMA], self.bars, side


GOOD = FeatureSet("volatility", 1, NONE, ("sigma", "bars", "side"), 1, 1, plugin=Volatility)


@pytest.fixture
def offer(monkeypatch):
    """Installs a plugin that offers an object under a name."""

    def install(name, found, value="plugin_module:THING"):
        monkeypatch.setitem(sys.modules, "plugin_module", SimpleNamespace(THING=found))
        entries = EntryPoints([EntryPoint(name, value, sets.GROUP)])
        monkeypatch.setattr(sets, "entry_points", lambda **wanted: entries.select(**wanted))

    return install


def test_built_in_sets_describe_themselves():
    """A manifest's set is known with its sizes; the position comes last."""
    edge, micro = get("edge20"), get("micro15")
    assert (edge.size, edge.static, edge.window, edge.position) == (26, 26, None, 6)
    assert (micro.size, micro.static, micro.window, micro.position) == (294, 6, (32, 9), 6)
    assert max(edge.min_bars, micro.min_bars) <= 160


def test_unknown_set_is_refused(offer):
    """The message names what there is."""
    offer("volatility", GOOD)
    with pytest.raises(BadInput, match=r"nonsense.*edge20, micro15, volatility"):
        get("nonsense")


def test_plugin_set_is_found_and_works(offer):
    """A plugin's set runs on the shared figures beside the kernel's kind NONE."""
    offer("volatility", GOOD)
    found = get("volatility")
    plugin, state, row = found.plugin(), new_state(found.kind), np.empty(found.size)
    on_close(found.kind, state, 13867.65, 1.0, 0.1, 0)
    plugin.on_close(state, 13867.65, 1.0, 0.1, 0)
    plugin.observe(state, row, -1, 0.0, 0.0, 0.0, 0.0, 0)
    assert row == pytest.approx([0.01, 1, -1])
    assert names() == ("edge20", "micro15", "volatility")


def test_built_in_name_cannot_be_taken(offer):
    """A result by `edge20` means the same everywhere."""
    offer("edge20", replace(GOOD, name="edge20"))
    assert get("edge20").plugin is None


@pytest.mark.parametrize(
    "found",
    [
        "not a set",
        replace(GOOD, plugin=None),
        replace(GOOD, kind=1),
        replace(GOOD, name="other"),
        replace(GOOD, window=(2, 2)),
        replace(GOOD, position=4),
    ],
)
def test_broken_plugin_is_refused(offer, found):
    """What isn't a whole feature set of that name is refused with its entry point."""
    offer("volatility", found)
    with pytest.raises(BadInput, match="plugin_module:THING"):
        get("volatility")


@pytest.mark.parametrize("value", ["no_such_module_at_all:THING", "plugin_module:MISSING"])
def test_plugin_that_cannot_be_imported_is_refused(offer, value):
    """An import error becomes one line for the user."""
    offer("volatility", GOOD, value)
    with pytest.raises(BadInput, match="can't be loaded"):
        get("volatility")
