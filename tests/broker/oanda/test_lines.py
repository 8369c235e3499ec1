"""Lines come out whole however the bytes were cut, and every end of a stream is the same event."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.oanda.failures import StreamLost
from broker.oanda.lines import LineParser, Lines
from tests.broker.oanda.virtual import run


@given(
    st.lists(
        st.binary(min_size=1, max_size=20).map(lambda b: b.replace(b"\n", b".").replace(b"\r", b".")), max_size=20
    ),
    st.data(),
)
def test_cutting_changes_nothing(lines: list[bytes], data: st.DataObject) -> None:
    """Whatever the chunks, the lines are those that were sent."""
    ends = st.sampled_from([b"\n", b"\r\n", b"\n\n"])
    sent = b"".join(line + data.draw(ends) for line in lines)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(sent)), max_size=10)))
    parser, got = LineParser(), []
    for start, end in zip([0, *cuts], [*cuts, len(sent)], strict=True):
        got += parser.feed(sent[start:end])
    assert got == lines
    assert parser.rest == b""


@pytest.mark.parametrize("chunks", [[b"x" * 101], [b"x" * 60, b"x" * 60], [b"x" * 101 + b"\n"], [b"\n" + b"x" * 101]])
def test_a_line_has_a_bound(chunks: list[bytes]) -> None:
    """A peer that never ends its line can't fill the memory."""
    parser = LineParser(100)
    with pytest.raises(StreamLost, match="more than 100"):
        list(map(parser.feed, chunks))


class Scripted:
    """Bytes at their times."""

    def __init__(self, *script: tuple[float, bytes]) -> None:
        self._script = list(script)

    async def readany(self) -> bytes:
        wait, data = self._script.pop(0) if self._script else (1e9, b"")
        await asyncio.sleep(wait)
        return data


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ([(0.0, b"a\n"), (9.0, b"b\n"), (9.0, b"")], "ended$"),
        ([(0.0, b"a\n"), (9.0, b"b\nhalf"), (0.0, b"")], "inside a line"),
        ([(0.0, b"a\n"), (9.0, b"b\n"), (11.0, b"c\n")], "silent for 10 s"),
        ([(0.0, b"a\n"), (0.0, b"b\n"), *((4.0, b"x") for _ in range(9))], "silent for 10 s"),
    ],
)
def test_every_end_is_one_event(script: list[tuple[float, bytes]], why: str) -> None:
    """End, half a line, a stall, and bytes that dribble without ever ending a line: the stream is lost."""

    async def main() -> None:
        lines, got = Lines(Scripted(*script), 10.0), []

        async def follow() -> None:
            async for line in lines:
                got.append(line)

        with pytest.raises(StreamLost, match=why):
            await follow()
        assert got == [b"a", b"b"]

    run(main)
