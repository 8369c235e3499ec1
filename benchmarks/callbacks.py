"""How long the callbacks of an event loop take, and histograms of it."""

import contextlib
import time
from asyncio import events
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

MICROSECOND = 1000
LABELS, QUANTILES = ("p50", "p99", "p99.9", "max"), (0.5, 0.99, 0.999, 1.0)


@dataclass(frozen=True, slots=True)
class Callbacks:
    """How long each callback of an event loop took, ns: by the wall, less its waits for a core, and of CPU."""

    wall: list[int] = field(default_factory=list)
    blocked: list[int] = field(default_factory=list)
    cpu: list[int] = field(default_factory=list)

    @contextlib.contextmanager
    def timing(self) -> Iterator[None]:
        """Time those of this thread's loop meanwhile."""
        real = events.Handle._run
        with open("/proc/thread-self/schedstat", "rb", buffering=0) as known:

            def starved() -> int:
                known.seek(0)
                return int(known.read().split()[1])

            def timed(handle: events.Handle) -> None:
                waited, (began, worked) = starved(), (time.perf_counter_ns(), time.thread_time_ns())
                real(handle)
                ended, done = time.perf_counter_ns(), time.thread_time_ns()
                if known.closed:  # the callback that ended the timing
                    return
                self.wall.append(ended - began)
                self.blocked.append(max(ended - began - (starved() - waited), done - worked))
                self.cpu.append(done - worked)

            events.Handle._run = timed  # type: ignore[method-assign]
            yield
            events.Handle._run = real  # type: ignore[method-assign]


def show(name: str, samples: list[int]) -> list[float]:
    """Print quantiles and a histogram; the quantiles in microseconds."""
    times = np.array(samples) / MICROSECOND
    quantiles = [float(np.quantile(times, q)) for q in QUANTILES]
    figures = ", ".join(f"{label} {value:,.0f}" for label, value in zip(LABELS, quantiles, strict=True))
    print(f"{name}: {len(times):,} samples, microseconds: {figures}")
    edges = 2.0 ** np.arange(np.floor(np.log2(times.min())), np.ceil(np.log2(times.max())) + 1)
    for low, count in zip(edges, np.histogram(times, [*edges, np.inf])[0], strict=True):
        print(f"  {low:>8,.0f} to {low * 2:>8,.0f} us {count:>9,} {'#' * int(np.ceil(60 * count / len(times)))}")
    return quantiles
