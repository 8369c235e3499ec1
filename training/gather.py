"""Rows out of a record array into columns, in one compiled pass.

A record's fields lie side by side, so a random row costs one walk over a few cache lines; the columns that a learner
wants are written from there. Copies whole words where a field allows it.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numba import njit

from broker.types import Int64s

Bytes = npt.NDArray[np.uint8]
Words = npt.NDArray[np.uint32]
Records = npt.NDArray[np.void]
Columns = dict[str, npt.NDArray[np.generic]]

_LINE = 64


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    base: np.dtype[np.generic]
    shape: tuple[int, ...]
    offset: int
    size: int


class Gather:
    """Copies rows of one record type out as columns.

    Args:
        dtype: structured, made with `align=True`; its item size is a multiple of 4.
    """

    def __init__(self, dtype: np.dtype[np.void]) -> None:
        self._fields = tuple(_fields(dtype))
        self._itemsize = dtype.itemsize
        self._plan = np.array(
            [(f.offset, f.size, int(f.offset % 4 == 0 and f.size % 4 == 0)) for f in self._fields], np.int64
        )

    def __call__(self, rows: Records, slots: Int64s) -> Columns:
        """Columns `[n, *shape]` of `rows[slots]`, freshly allocated; slots are `[n]` and within `rows`."""
        n = len(slots)
        starts = np.zeros(len(self._fields) + 1, np.int64)
        np.cumsum([-(-n * f.size // _LINE) * _LINE for f in self._fields], out=starts[1:])
        out = np.empty(max(int(starts[-1]), _LINE), np.uint8)
        raw = rows.view(np.uint8)
        _gather(raw, raw.view(np.uint32), self._itemsize, slots, self._plan, starts, out, out.view(np.uint32))
        return {
            f.name: out[start : start + n * f.size].view(f.base).reshape((n, *f.shape))
            for f, start in zip(self._fields, starts[:-1].tolist(), strict=True)
        }


def _fields(dtype: np.dtype[np.void]) -> list[_Field]:
    found = []
    for name in dtype.names or ():
        kind, offset = dtype.fields[name][:2]  # type: ignore[index]
        base, shape = kind.subdtype if kind.subdtype else (kind, ())
        found.append(_Field(name, base, tuple(shape), offset, kind.itemsize))
    return found


@njit(cache=True, nogil=True, error_model="numpy")
def _gather(
    raw: Bytes, words: Words, itemsize: int, slots: Int64s, plan: Int64s, starts: Int64s, out: Bytes, out_words: Words
) -> None:
    for f in range(len(plan)):
        offset, size = plan[f, 0], plan[f, 1]
        if plan[f, 2]:
            _column(words, out_words, itemsize >> 2, slots, offset >> 2, size >> 2, starts[f] >> 2)
        else:
            _column(raw, out, itemsize, slots, offset, size, starts[f])


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _column(source, target, itemsize, slots, offset, size, start):  # type: ignore[no-untyped-def]
    """One field. Positions are unsigned: a signed index is tested for being negative, which bars block copies."""
    n, to = np.uintp(size), np.uintp(start)
    if size == 1:
        for i in range(len(slots)):
            target[to + np.uintp(i)] = source[np.uintp(slots[i] * itemsize + offset)]
        return
    for i in range(len(slots)):
        at = np.uintp(slots[i] * itemsize + offset)
        for k in range(n):
            target[to + k] = source[at + k]
        to += n
