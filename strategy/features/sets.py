"""The feature sets by name: the built-in ones and those of plugins (entry-point group `micro_trader.features`).

An entry point names a `FeatureSet` of kind NONE whose `plugin` makes the object that does the work, in Python, at the
bar's close. The entry point's name is the set's name; a built-in name can't be taken.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Protocol

from broker.errors import BadInput
from broker.types import Float64s
from strategy.features import edge20, micro15
from strategy.features.kernel import EDGE20, MICRO15, NONE

GROUP = "micro_trader.features"


class FeaturePlugin(Protocol):
    """The work of a plugin's set for one instrument: what `on_close` and `observe` do for the built-in ones.

    `state` is the head that the program keeps (`strategy.features.market`), already moved on by this bar; it is
    read, never written. What the set remembers it keeps itself, and a row never changes once made.
    """

    def on_close(
        self, state: Float64s, close_pips: float, spread_pips: float, point_pips: float, end_time: int
    ) -> None:
        """Take in a closed bar (units as in `strategy.features.on_close`)."""
        ...

    def observe(
        self,
        state: Float64s,
        row: Float64s,
        side: int,
        open_pips: float,
        from_peak: float,
        max_dd: float,
        dd_sum: float,
        bars_since_entry: int,
    ) -> None:
        """Fill `row` `[size]` float64 (units as in `strategy.features.observe`)."""
        ...


@dataclass(frozen=True, slots=True)
class FeatureSet:
    """What a model needs to know of its inputs.

    Attributes:
        name: as in a model's manifest.
        version: raised when a column changes its meaning.
        kind: code for the kernels; NONE for a plugin's set.
        columns: names of the inputs, in the row's order: market, then position.
        position: number of inputs at the end that describe the position.
        min_bars: closed bars from which on no input leans on the start.
        window: bars by columns at the start of the row, oldest bar first, or None.
        plugin: makes the object that does the work for one instrument; None for a built-in set.
    """

    name: str
    version: int
    kind: int
    columns: tuple[str, ...]
    position: int
    min_bars: int
    window: tuple[int, int] | None = None
    plugin: Callable[[], FeaturePlugin] | None = None

    @property
    def size(self) -> int:
        """Number of inputs."""
        return len(self.columns)

    @property
    def static(self) -> int:
        """Number of inputs after the window; all of them without one."""
        return self.size - (self.window[0] * self.window[1] if self.window else 0)


BUILT_IN = {
    "edge20": FeatureSet("edge20", 1, EDGE20, edge20.COLUMNS, 6, edge20.MIN_BARS),
    "micro15": FeatureSet("micro15", 1, MICRO15, micro15.COLUMNS, 6, micro15.MIN_BARS, (micro15.WINDOW, micro15.WIDTH)),
}


def names() -> tuple[str, ...]:
    """Every known set, sorted."""
    return tuple(sorted({*BUILT_IN, *(entry.name for entry in entry_points(group=GROUP))}))


def get(name: str) -> FeatureSet:
    """The feature set called `name`.

    Raises:
        BadInput: there is none, or the plugin that offers it is broken.

    >>> get("edge20").size, get("micro15").window, get("micro15").static
    (26, (32, 9), 6)
    """
    if name in BUILT_IN:
        return BUILT_IN[name]
    for entry in entry_points(group=GROUP, name=name):
        return _from_plugin(entry)
    raise BadInput(f"unknown feature set {name!r}", mend=f"known: {', '.join(names())}")


def _from_plugin(entry: EntryPoint) -> FeatureSet:
    where = f"entry point {entry.value} ({GROUP})"
    try:
        found = entry.load()
    except (ImportError, AttributeError) as error:
        raise BadInput(f"feature set {entry.name!r} can't be loaded: {error}", where=where) from error
    if not isinstance(found, FeatureSet) or found.plugin is None or found.kind != NONE:
        raise BadInput("not a FeatureSet of kind NONE with a plugin", where=where)
    if found.name != entry.name:
        raise BadInput(f"the set calls itself {found.name!r}, its entry point {entry.name!r}", where=where)
    if not 0 <= found.position <= found.static <= found.size:
        raise BadInput("window and position inputs don't fit the columns", where=where)
    return found
