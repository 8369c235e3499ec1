"""Options for reading files become read options, whatever the command adds."""

import argparse

from broker.ticks import ReadOptions
from daemon.reading import add_reading_options, reading_options


def test_options_become_read_options() -> None:
    """Given flags arrive, and left-out ones are the reader's own defaults."""
    parser = argparse.ArgumentParser()
    add_reading_options(parser)
    assert reading_options(parser.parse_args([])) == ReadOptions()
    flags = ["--date", "2012-12-03", "--tz", "UTC-5", "--spread-pips", "1.5", "--on-bad-line", "skip"]
    found = reading_options(parser.parse_args(flags), instrument="EUR_USD", fix="swap")
    assert found == ReadOptions("EUR_USD", "2012-12-03", "UTC-5", 1.5, "skip", "swap")
