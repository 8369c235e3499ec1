"""Columns out of records, against plain indexing."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from training.experience import step_dtype
from training.gather import Gather

KINDS = st.sampled_from(["?", "i1", "<i2", "<i4", "<i8", "<f4", "<f8"])
FIELDS = st.lists(st.tuples(KINDS, st.sampled_from([(), (1,), (3,), (2, 5), (40,)])), min_size=1, max_size=8)


@settings(max_examples=40)
@given(FIELDS, st.lists(st.integers(0, 49), max_size=30), st.integers(0, 2**32))
def test_columns_are_the_rows(fields: list[tuple[str, tuple[int, ...]]], slots: list[int], seed: int) -> None:
    """Every field of every asked row arrives bit by bit, whatever its type, shape and place."""
    dtype = np.dtype([(f"f{i}", *field) for i, field in enumerate([("<i4", ()), *fields])], align=True)
    rows = np.frombuffer(np.random.default_rng(seed).bytes(50 * dtype.itemsize), dtype).copy()
    columns = Gather(dtype)(rows, np.array(slots, np.int64))
    assert list(columns) == list(dtype.names or ())
    for name, column in columns.items():
        assert column.dtype == dtype[name].base
        assert column.tobytes() == rows[name][slots].tobytes()


def test_steps_can_be_gathered() -> None:
    """The record of a step is laid out so that it can be copied in words, whatever its number of features."""
    assert all(step_dtype(n).itemsize % 8 == 0 and step_dtype(n).isalignedstruct for n in range(40))
