"""Snapshots: what is packed comes back, and what is not whole is told."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.bars import BAR_STATE
from broker.errors import BadInput
from daemon.snapshot import pack, unpack

LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
TREES = st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.text("abc"), inner))


@given(tree=TREES, numbers=st.lists(st.integers(-(2**63), 2**63 - 1)))
def test_what_is_packed_comes_back(tree: object, numbers: list[int]) -> None:
    """Numbers to the last digit, arrays of records too."""
    records = np.zeros(2, BAR_STATE)
    records["low"] = 7
    packed = pack({"tree": tree, "list": np.array(numbers, np.int64), "bars": records})
    found = unpack(packed)
    assert found["tree"] == tree
    assert found["list"].tolist() == numbers
    assert found["bars"].dtype == BAR_STATE
    assert (found["bars"] == records).all()
    found["bars"]["low"] = 8  # it is no view of the bytes


@given(cut=st.integers(1, 100), flip=st.integers(0, 200))
def test_half_a_snapshot_is_told(cut: int, flip: int) -> None:
    """A file cut short, and one with a byte changed anywhere."""
    packed = pack({"a": np.arange(20)})
    with pytest.raises(BadInput, match="no whole snapshot"):
        unpack(packed[:-cut])
    changed = bytearray(packed)
    changed[flip % len(packed)] ^= 1
    with pytest.raises(BadInput, match="no whole snapshot"):
        unpack(bytes(changed))
