"""Events survive: what is read is what was written, and the same event is the same bytes."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given

from daemon.events import Beat, Decided, Input, Output
from daemon.journal.encoding import decode, encode
from tests.daemon.journal.made_events import ANY, of


@given(event=ANY)
def test_events_come_back(event: Input | Output) -> None:
    """Decoding undoes encoding, for every kind of event and any values; encoding again gives the same bytes."""
    body = encode(event)
    again = decode(type(event).__name__, body)
    assert encode(again) == body
    if isinstance(event, Decided):
        assert isinstance(again, Decided)
        assert (event.seen.features is None) == (again.seen.features is None)
        if event.seen.features is not None:
            assert np.array_equal(event.seen.features, again.seen.features)
        event, again = (replace(d, seen=replace(d.seen, features=None)) for d in (event, again))
    assert again == event


@given(event=of(Decided))
def test_the_fields_are_of_their_types(event: Decided) -> None:
    """A decision read back can be folded: enums, tuples and arrays, not what JSON has."""
    again = decode("Decided", encode(event))
    assert isinstance(again, Decided)
    assert type(again.choice.action) is type(event.choice.action)
    assert type(again.seen.legal) is tuple
    assert type(again.seen.features) is type(event.seen.features)
    assert again.seen.instrument == event.seen.instrument


def test_numbers_of_numpy_are_numbers() -> None:
    """A time that comes out of an array is kept like any other."""
    assert encode(Beat(np.int64(7))) == encode(Beat(7))
    with pytest.raises(TypeError, match="complex can't be kept"):
        encode(Beat(1j))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "body"),
    [("Nothing", b"{}"), ("Beat", b"{"), ("Beat", b'{"x":1}'), ("Operator", b'{"time":1,"command":"x"}')],
)
def test_what_is_not_understood_says_so(kind: str, body: bytes) -> None:
    """A kind or a field of another version is told, never guessed."""
    with pytest.raises(ValueError, match="this version knows"):
        decode(kind, body)
