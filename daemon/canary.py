"""Before a model may decide: it is loaded, made, and asked what it would have done lately.

All of this happens off the event loop, on strategies of its own; those that will decide are made anew, so that they
have seen nothing and a journal that is folded again finds them as they were. There is one interpreter, and the event
loop comes first: each question is followed by a rest.
"""

import math
from collections.abc import Callable, Sequence
from time import perf_counter_ns, sleep

from broker.errors import BadInput, Refused, StorageFault
from broker.types import SECOND
from strategy.plugin import Choice, Observation, Strategy

MILLISECOND_NS = 1_000_000
ASKED = 64  # recent observations of each lane
TOLERANCE = 1e-6
REST, LONGEST_REST_S = 10, 0.01  # times as long as the answer took


class NotFit(Refused):
    """The model may not decide; what decides now goes on."""


def fit(
    make: Callable[[], Sequence[Strategy]], lately: Sequence[Sequence[Observation]], longest_ms: float
) -> Sequence[Strategy]:
    """The strategies of a model that answered as it should.

    Args:
        make: makes one for each lane. lately: recent observations of each lane.
        longest_ms: of the median answer; slower ones tell of the machine's other work.

    Raises:
        NotFit: the model can't be used, or an answer was illegal, not finite, or too slow.
    """
    try:
        for strategy, seen in zip(make(), lately, strict=True):
            _ask(strategy, seen[-ASKED:], longest_ms)
        return make()
    except (BadInput, StorageFault) as error:
        raise NotFit(str(error)) from error


def _ask(strategy: Strategy, seen: Sequence[Observation], longest_ms: float) -> None:
    times = []
    for observation in seen:
        began = perf_counter_ns()
        choice = strategy.decide(observation)
        times.append(perf_counter_ns() - began)
        if fault := fault_of(choice, observation):
            raise NotFit(f"asked about {observation.instrument.name} as it was lately, its answer {fault}")
        sleep(min(REST * times[-1] / SECOND, LONGEST_REST_S))
    if times and (middle := sorted(times)[len(times) // 2] / MILLISECOND_NS) > longest_ms:
        limit = f"longer than {longest_ms:g}: see [validation] max_decision_ms"
        raise NotFit(f"a decision takes it {middle:.1f} ms, {limit}")


def fault_of(choice: Choice, seen: Observation) -> str:
    """What is wrong with an answer, or ""."""
    if not seen.legal[choice.action]:
        return f"was illegal: {choice.action.name}"
    figures = [*(choice.policy or ()), *(choice.outcome or ()), *(q for q in choice.q or () if q is not None)]
    figures += [choice.value] if choice.value is not None else []
    if not all(map(math.isfinite, figures)):
        return "was not a finite number"
    if choice.policy and abs(sum(choice.policy) - 1.0) > TOLERANCE:
        return "had probabilities that do not add up to 1"
    return ""
