"""How tick files are to be read."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """What a file doesn't say itself, and what is done about its faults.

    Attributes:
        instrument: `EUR_USD`; a file that says another one is refused.
        date: day of a file that holds times of day only, `2012-12-03`; with an hour for a .bi5.
        tz: the clock of a file that names none, over what its vendor usually keeps.
        spread_pips: what is added to the bid of bid-only bars to get the ask.
        on_bad_line: `fail` at a broken line, or `skip` and count it.
        fix: `drop` crossed quotes, or `swap` their sides; both are counted.
        batch: the most quotes handed on at once.
    """

    instrument: str | None = None
    date: str | None = None
    tz: str | None = None
    spread_pips: float | None = None
    on_bad_line: str = "fail"
    fix: str = "drop"
    batch: int = 65536
