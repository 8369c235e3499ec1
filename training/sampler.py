"""Weighted sampling without replacement inside a batch: a compiled tree of sums.

Every node has eight children, whose weights lie side by side in one cache line; a node is the sum of its children,
always added in the same order, never a running difference, so no rounding error is left behind by updates. Drawing
an item and changing a weight cost O(log n).

A batch is drawn as successive sampling: each draw is proportional to the weights of what is not yet in the batch.
That is the same as drawing with replacement and skipping what is already there, which is what the kernel does; an
item that comes up a second time loses its weight until the batch is complete, so a heavy one costs one skip at most.
"""

import numpy as np
import numpy.typing as npt
from numba import njit

from broker.errors import BadInput
from broker.types import Float64s, Int64s

FAN = 8
_SHIFT = 3
_TOGETHER = 64  # draws that go down the tree side by side

_kernel = njit(cache=True, nogil=True, error_model="numpy")


class SumTree:
    """Weights of `capacity` slots, all 0 at first.

    Attributes:
        weights: `[capacity]` float64, a view of the leaves; change it through `assign` or `fill` only.
    """

    def __init__(self, capacity: int) -> None:
        if capacity < 1:
            raise BadInput(f"a tree of {capacity} weights", mend="ask for at least one")
        sizes = [_padded(capacity)]
        while sizes[-1] > FAN:
            sizes.append(_padded(-(-sizes[-1] // FAN)))
        self._starts: Int64s = np.concatenate(([0], np.cumsum(sizes))).astype(np.int64)
        self._nodes: Float64s = _aligned(int(self._starts[-1]))
        self._touched: Int64s = np.empty(FAN, np.int64)
        self._found: Int64s = np.empty(_TOGETHER, np.int64)
        self._mark: npt.NDArray[np.uint8] = np.zeros(capacity, np.uint8)
        self.weights: Float64s = self._nodes[:capacity]

    def __len__(self) -> int:
        return len(self.weights)

    @property
    def total(self) -> float:
        """Sum of all weights."""
        return float(_total(self._nodes, self._starts))

    def assign(self, slots: Int64s, weights: Float64s) -> None:
        """Set the weights `[n]` (finite, not negative) of `slots` `[n]`; where a slot is named twice, the last counts.

        Raises:
            BadInput: a slot is outside the tree, or a weight is negative or not finite; then nothing has changed.
        """
        if len(self._touched) < len(slots):
            self._touched = np.empty(2 * len(slots), np.int64)
        if not _assign(self._nodes, self._starts, len(self.weights), slots, weights, self._touched):
            raise BadInput("a weight is negative or not finite, or its slot is outside the store")

    def fill(self, weights: Float64s) -> None:
        """Set the first `len(weights)` weights and clear the rest, in O(capacity).

        Raises:
            BadInput: a weight is negative or not finite.
        """
        if len(weights) > len(self.weights) or not np.all(np.isfinite(weights) & (weights >= 0.0)):
            raise BadInput("weights are negative or not finite, or more than the store holds")
        self.weights[: len(weights)] = weights
        self.weights[len(weights) :] = 0.0
        _rebuild(self._nodes, self._starts)

    def draw(self, n: int, rng: np.random.Generator) -> Int64s:
        """Up to `n` different slots, drawn in proportion to the weights of what is left.

        Returns:
            `[k]` int64 in the order drawn; k < n only where fewer than n slots have a weight.
        """
        drawn = np.empty(n, np.int64)
        got, hidden = 0, 0
        kept = np.empty(n, np.float64)
        repeats = np.empty(n, np.int64)
        while got < n:
            uniforms = rng.random(n - got + 8)
            before = got + hidden
            got, hidden = _draw(
                self._nodes, self._starts, self._mark, uniforms, self._found, drawn, got, repeats, kept, hidden
            )
            if got + hidden == before:
                break
        _restore(self._nodes, self._starts, self._mark, drawn[:got], repeats[:hidden], kept[:hidden])
        return drawn[:got]


def _padded(n: int) -> int:
    return -(-n // FAN) * FAN


def _aligned(n: int) -> Float64s:
    """Zeros `[n]` float64 that begin on a cache line."""
    raw = np.zeros(n + FAN, np.float64)
    skip = (-raw.ctypes.data // 8) % FAN
    return raw[skip : skip + n]


@_kernel
def _node_sum(nodes: Float64s, first: int) -> float:
    left = (nodes[first] + nodes[first + 1]) + (nodes[first + 2] + nodes[first + 3])
    right = (nodes[first + 4] + nodes[first + 5]) + (nodes[first + 6] + nodes[first + 7])
    return float(left + right)


@_kernel
def _total(nodes: Float64s, starts: Int64s) -> float:
    return _node_sum(nodes, starts[len(starts) - 2])


@_kernel
def _set(nodes: Float64s, starts: Int64s, slot: int, weight: float) -> None:
    nodes[slot] = weight
    for level in range(len(starts) - 2):
        slot >>= _SHIFT
        nodes[starts[level + 1] + slot] = _node_sum(nodes, starts[level] + (slot << _SHIFT))


@_kernel
def _rebuild(nodes: Float64s, starts: Int64s) -> None:
    for level in range(len(starts) - 2):
        for block in range((starts[level + 1] - starts[level]) >> _SHIFT):
            nodes[starts[level + 1] + block] = _node_sum(nodes, starts[level] + (block << _SHIFT))


@_kernel
def _assign(nodes: Float64s, starts: Int64s, capacity: int, slots: Int64s, weights: Float64s, touched: Int64s) -> bool:
    for i in range(len(slots)):
        if not (0 <= slots[i] < capacity and 0.0 <= weights[i] < np.inf):
            return False
    for i in range(len(slots)):
        nodes[slots[i]] = weights[i]
    n = len(slots)
    touched[:n] = slots
    for level in range(len(starts) - 2):
        blocks = (starts[level + 1] - starts[level]) >> _SHIFT
        if blocks <= n:  # most of a small level has changed: add it up in order
            n = blocks
            for i in range(n):
                nodes[starts[level + 1] + i] = _node_sum(nodes, starts[level] + (i << _SHIFT))
                touched[i] = i
            continue
        kept = 0
        for i in range(n):
            block = touched[i] >> _SHIFT
            if kept and touched[kept - 1] == block:
                continue
            touched[kept] = block
            kept += 1
            nodes[starts[level + 1] + block] = _node_sum(nodes, starts[level] + (block << _SHIFT))
        n = kept
    return True


@_kernel
def _find(nodes: Float64s, starts: Int64s, targets: Float64s, found: Int64s, n: int) -> None:
    """The slots whose shares of the total hold the first n `targets`, which are used up.

    All of them go down a level before any goes on, each by halves and without a branch, so that the waits for memory
    overlap. Where rounding carries a target past the end of a share, the slot found may have no weight.
    """
    found[:n] = 0
    for level in range(len(starts) - 2, -1, -1):
        last = starts[level + 1] - starts[level] - FAN
        for i in range(n):
            x, at = targets[i], starts[level] + min(found[i] << _SHIFT, last)
            part = (nodes[at] + nodes[at + 1]) + (nodes[at + 2] + nodes[at + 3])
            beyond = x >= part
            at += 4 * beyond
            x -= part if beyond else 0.0
            part = nodes[at] + nodes[at + 1]
            beyond = x >= part
            at += 2 * beyond
            x -= part if beyond else 0.0
            part = nodes[at]
            beyond = x >= part
            targets[i] = x - part if beyond else x
            found[i] = at + beyond - starts[level]


@_kernel
def _draw(
    nodes: Float64s,
    starts: Int64s,
    mark: npt.NDArray[np.uint8],
    uniforms: Float64s,
    found: Int64s,
    drawn: Int64s,
    got: int,
    repeats: Int64s,
    kept: Float64s,
    hidden: int,
) -> tuple[int, int]:
    for first in range(0, len(uniforms), len(found)):
        total = _total(nodes, starts)
        if got == len(drawn) or not total > 0.0:
            break
        targets = uniforms[first : first + len(found)]
        targets *= total
        _find(nodes, starts, targets, found, len(targets))
        for slot in found[: len(targets)]:
            if got == len(drawn):
                break
            if not nodes[slot] > 0.0:  # hidden since it was found, or rounding
                continue
            if mark[slot]:
                repeats[hidden], kept[hidden] = slot, nodes[slot]
                hidden += 1
                _set(nodes, starts, slot, 0.0)
            else:
                mark[slot] = 1
                drawn[got] = slot
                got += 1
    return got, hidden


@_kernel
def _restore(
    nodes: Float64s, starts: Int64s, mark: npt.NDArray[np.uint8], drawn: Int64s, repeats: Int64s, kept: Float64s
) -> None:
    for i in range(len(drawn)):
        mark[drawn[i]] = 0
    for i in range(len(repeats)):
        _set(nodes, starts, repeats[i], kept[i])
