"""A stream of unknown length drawn with a bounded number of points."""

from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Buckets(Generic[T]):
    """Samples merged into at most `limit` buckets of equal count, whatever their number.

    When the buckets run out, neighbours are merged in pairs and each takes twice as many samples from then on.

    >>> extremes = Buckets[tuple[int, int]](limit=4, merge=lambda a, b: (min(a[0], b[0]), max(a[1], b[1])))
    >>> for sample in range(9):
    ...     extremes.add((sample, sample))
    >>> extremes.filled
    [(0, 3), (4, 7), (8, 8)]

    Args:
        limit: even, at least 2.
        merge: joins an earlier bucket with the next later one.
    """

    def __init__(self, limit: int, merge: Callable[[T, T], T]) -> None:
        assert limit >= 2
        assert limit % 2 == 0
        self.filled: list[T] = []
        self._limit = limit
        self._merge = merge
        self._size = 1
        self._in_last = 0

    def add(self, sample: T) -> None:
        """Take in the stream's next sample."""
        if self.filled and self._in_last < self._size:
            self.filled[-1] = self._merge(self.filled[-1], sample)
            self._in_last += 1
            return
        if len(self.filled) == self._limit:
            pairs = zip(self.filled[::2], self.filled[1::2], strict=True)
            self.filled = [self._merge(earlier, later) for earlier, later in pairs]
            self._size *= 2
        self.filled.append(sample)
        self._in_last = 1
