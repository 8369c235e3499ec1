"""The reader of lines: compiled and strict, broken lines, batches."""

from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.errors import BadInput
from broker.ticks.clocks import RFC3339, parse_time
from broker.ticks.lines import TIME, Layout, LineReader
from broker.ticks.numbers import number_text
from broker.ticks.packing import Packed
from broker.ticks.rows import BadLines

LAYOUT = Layout(("bid", "ask"), (TIME, 0, 1), RFC3339, header=1)
HEADER = "time,bid,ask\n"
STAMP = "2014-05-01T00:00:00.292Z"
PRICES = st.decimals(0, 200, places=5) | st.decimals(0, 2, places=3)
ODD = st.sampled_from(["NaN", "-1.5", "1e2", " 1.3", "inf"])
FIELDS = st.tuples(PRICES.map(str) | ODD, PRICES.map(str) | ODD)
Row = tuple[int, tuple[str, ...]]


def read(path: Path, content: bytes, policy: str = "fail", batch: int = 64) -> tuple[list[Row], BadLines, list[int]]:
    """All rows as `(time, texts)`, the broken lines, and the rows' line numbers."""
    path.write_bytes(content)
    bad = BadLines("file", policy)
    rows: list[Row] = []
    lines: list[int] = []
    for some in LineReader(Packed(path, "plain"), LAYOUT).read(bad, batch):
        assert 0 < len(some) <= batch
        texts = [
            [number_text(int(m), int(d)) for m, d in zip(*pair, strict=True)]
            for pair in zip(some.mantissa, some.digits, strict=True)
        ]
        rows += zip(some.time.tolist(), zip(*texts, strict=True), strict=True)
        lines += some.line.tolist()
    return rows, bad, lines


@given(
    st.lists(st.tuples(st.integers(0, 10**18), FIELDS), min_size=1, max_size=40),
    st.sampled_from(["\n", "\r\n"]),
    st.booleans(),
)
def test_reading_agrees_with_a_naive_parser(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int, tuple[str, str]]], end: str, last_end: bool
) -> None:
    """Whatever a line's shape, usual or odd: each number is what Decimal says, in file order, for any batch size."""
    path = tmp_path_factory.mktemp("lines") / "file.csv"
    stamps = [f"{np.datetime_as_string(np.datetime64(time, 'ns'))}Z" for time, _ in rows]
    text = end.join(["time,bid,ask", *(f"{s},{b},{a}" for s, (_, (b, a)) in zip(stamps, rows, strict=True))])
    content = b"\xef\xbb\xbf" + (text + (end if last_end else "")).encode()
    found, _, lines = read(path, content)
    assert [time for time, _ in found] == [time for time, _ in rows] == [parse_time(s, RFC3339) for s in stamps]
    for (_, texts), (_, given_texts) in zip(found, rows, strict=True):
        assert [str(Decimal(t).normalize()) for t in texts] == [
            str(Decimal(t.strip()).normalize()) for t in given_texts
        ]
    assert lines == list(range(2, len(rows) + 2))
    for batch in (1, 7):
        assert read(path, content, batch=batch)[0] == found


@pytest.mark.parametrize(
    ("line", "what"),
    [
        (f"{STAMP},1.1", "2 fields instead of 3"),
        (f"{STAMP},1.1,1.2,1.3", "4 fields instead of 3"),
        (f"{STAMP},1.1,", "an empty field"),
        (f"{STAMP},one,1.2", "'one' is not a number"),
        (f"{STAMP},1.1,1.", "'1.' is not a number"),
        (f"{STAMP},1.1,2_0", "not a number"),
        ("2014-05-01 25:00:00Z,1.1,1.2", "no such time"),
        ("2014-05-01T00:00:00,1.1,1.2", "lacks its zone"),
        ("", "an empty line"),
        (f"{STAMP},1.1,1.2\udcff", "not UTF-8"),
        (f"{STAMP},1e13,1.2", "too large"),
    ],
)  # fmt: skip
def test_a_broken_line_is_named_with_its_number(tmp_path: Path, line: str, what: str) -> None:
    """One clear message: file, line number and what is wrong; with `skip` it is counted and the rest is read."""
    good = f"{STAMP},1.1,1.2\n"
    content = (HEADER + good * 3 + line + "\n" + good * 2).encode(errors="surrogateescape")
    with pytest.raises(BadInput, match=rf"file:5: .*{what}"):
        read(tmp_path / "f.csv", content)
    rows, bad, lines = read(tmp_path / "f.csv", content, "skip")
    assert (len(rows), bad.skipped, lines) == (5, 1, [2, 3, 4, 6, 7])


@pytest.mark.parametrize("batch", [1, 64, 1000])
def test_a_last_line_cut_short_is_told_by_its_decimals(tmp_path: Path, batch: int) -> None:
    """Half a line: without an end and with fewer decimals than the hundred before it, a price is not believed."""
    content = (HEADER + f"{STAMP},1.10000,1.20000\n" * 150).encode()
    with pytest.raises(BadInput, match="file:151: .*cut short"):
        read(tmp_path / "f.csv", content[:-3], batch=batch)
    assert len(read(tmp_path / "f.csv", content[:-1], batch=batch)[0]) == 150


def test_empty_lines_at_the_end_are_no_fault(tmp_path: Path) -> None:
    """A file may end with empty lines."""
    content = (HEADER + f"{STAMP},1.1,1.2\r\n\r\n\n").encode()
    assert len(read(tmp_path / "f.csv", content)[0]) == 1


def test_a_line_without_end_is_bounded(tmp_path: Path) -> None:
    """Memory stays flat on a file that is no text: a line has at most a MiB."""
    with pytest.raises(BadInput, match="a line without an end"):
        read(tmp_path / "f.csv", HEADER.encode() + b"1" * (3 << 20))
