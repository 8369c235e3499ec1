"""Rows out of a record array into columns, in one compiled pass.

A record's fields lie side by side, so a random row costs one walk over a few cache lines; the columns that a learner
wants are written from there, the widest first. Rows are asked for ahead of their turn, since memory answers many
requests at once. Copies whole words where a field allows it.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from broker.types import Int64s

Bytes = npt.NDArray[np.uint8]
Words = npt.NDArray[np.uint32]
Records = npt.NDArray[np.void]
Columns = dict[str, npt.NDArray[np.generic]]

_LINE = 64
_AHEAD = 8  # rows on their way while one is copied


class Gather:
    """Copies rows of one record type out as columns.

    Args:
        dtype: structured, made with `align=True`; its item size is a multiple of 4.
    """

    def __init__(self, dtype: np.dtype[np.void]) -> None:
        self._names = dtype.names or ()
        self._itemsize = dtype.itemsize
        places = {name: place[:2] for name, place in (dtype.fields or {}).items()}
        self._kinds = {name: places[name][0] for name in sorted(places, key=lambda name: -places[name][0].itemsize)}
        spans = [(places[name][1], kind.itemsize) for name, kind in self._kinds.items()]
        self._plan = np.array([(at, size, at % 4 == 0 and size % 4 == 0) for at, size in spans], np.int64)
        self._layout = self._layout_of(0)

    def __call__(self, rows: Records, slots: Int64s) -> Columns:
        """Columns `[n, *shape]` of `rows[slots]`, freshly allocated, under 2 GiB; slots are `[n]` and within `rows`."""
        if self._layout[0] != len(slots):
            self._layout = self._layout_of(len(slots))
        _, starts, kind = self._layout
        out = np.empty(kind.itemsize, np.uint8)
        raw = rows.view(np.uint8)
        _gather(raw, raw.view(np.uint32), self._itemsize, slots, self._plan, starts, out, out.view(np.uint32))
        columns = out.view(kind).reshape(())
        return {name: columns[name] for name in self._names}

    def _layout_of(self, n: int) -> tuple[int, Int64s, np.dtype[np.void]]:
        """n, where the columns of n rows start, and all of them as one record."""
        starts = np.zeros(len(self._plan) + 1, np.int64)
        np.cumsum(-(-n * self._plan[:, 1] // _LINE) * _LINE, out=starts[1:])
        kind = np.dtype(
            {
                "names": list(self._kinds),
                "formats": [(kind.base, (n, *kind.shape)) for kind in self._kinds.values()],
                "offsets": starts[:-1].tolist(),
                "itemsize": max(int(starts[-1]), _LINE),
            }
        )
        return n, starts, kind


def _prefetch(_typing: Any, array: Any, position: Any) -> Any:
    """Ask for the cache line of `array[position]` without waiting for it; any position is harmless."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        byte, word = ir.IntType(8).as_pointer(), ir.IntType(32)
        prefetch = builder.module.declare_intrinsic(
            "llvm.prefetch", (byte,), ir.FunctionType(ir.VoidType(), (byte, word, word, word))
        )
        line = builder.bitcast(builder.gep(data, [args[1]]), byte)
        builder.call(prefetch, [line, word(0), word(2), word(1)])  # to read, into the second cache, data
        return context.get_dummy_value()

    return types.void(array, position), generate


_request: Any = intrinsic(_prefetch)


@njit(cache=True, nogil=True, error_model="numpy")
def _gather(
    raw: Bytes, words: Words, itemsize: int, slots: Int64s, plan: Int64s, starts: Int64s, out: Bytes, out_words: Words
) -> None:
    for f in range(len(plan)):
        offset, size = plan[f, 0], plan[f, 1]
        lines = 0 if f else -(-itemsize // _LINE)
        if plan[f, 2]:
            _column(words, out_words, itemsize >> 2, slots, offset >> 2, size >> 2, starts[f] >> 2, lines)
        else:
            _column(raw, out, itemsize, slots, offset, size, starts[f], lines)


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _column(source, target, itemsize, slots, offset, size, start, lines):  # type: ignore[no-untyped-def]
    """One field, asking for the first `lines` lines of the rows to come.

    Positions are unsigned: a signed index is tested for being negative, which bars block copies.
    """
    n, to = np.uintp(size), np.uintp(start)
    if size == 1:
        for i in range(len(slots)):
            target[to + np.uintp(i)] = source[np.uintp(slots[i] * itemsize + offset)]
        return
    for i in range(len(slots)):
        if lines and i + _AHEAD < len(slots):
            for line in range(lines):
                _request(source, slots[i + _AHEAD] * itemsize + line * (_LINE // source.itemsize))
        at = np.uintp(slots[i] * itemsize + offset)
        for k in range(n):
            target[to + k] = source[at + k]
        to += n
