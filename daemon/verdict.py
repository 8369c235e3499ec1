"""What a validation leaves: its document, the verdict in the registry, and what becomes of the models."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

from broker.rfc3339 import rfc3339
from daemon.contest import Performance
from daemon.unseen import Stretch
from strategy.model import UNTRAINED
from training.gate import Verdict
from training.registry import Registry
from training.tries import tries_of, without
from training.validation import Findings, figures_of, walk_forward

Keep: TypeAlias = Callable[[dict[str, Any], Mapping[str, Performance]], None]
"""Takes a validation's document and the performances, to keep them in its folder: before it is acted on, and after."""

CANDIDATE, INCUMBENT = "candidate", "incumbent"
FEW_TRADES = 100


@dataclass(frozen=True, slots=True)
class Examination:
    """What came of a validation.

    Attributes:
        found: the candidate's figures beside the incumbent's. verdict: of the gate.
        performances: of every contestant by name, the candidate and the incumbent first.
        incumbent_loses: what trades now is significantly negative, and to be retired even without a successor.
        seed: of the resamples.
    """

    found: Findings
    verdict: Verdict
    performances: Mapping[str, Performance]
    incumbent_loses: bool
    seed: int


def document_of(version: str, best: str | None, examination: Examination) -> dict[str, Any]:
    """The document, by the keys of the interface and some more."""
    found, scores = examination.found, examination.found.scores
    mine = examination.performances[CANDIDATE]
    beside = {
        name: figures_of(one.play, examination.seed).document()
        for name, one in examination.performances.items()
        if name != CANDIDATE
    }
    rival = beside.pop(INCUMBENT, None)
    return {
        "version": version,
        "incumbent": best,
        **found.figures.document(),
        "improvement_pips_per_1000_bars": found.improvement,
        "improvement_ci95": list(found.improvement_ci95 or (None, None)),
        "reality_check": {"tried": scores.tried, "p_earns": scores.p_earns, "p_improves": scores.p_improves},
        "drawdown_pips": asdict(found.drawdown),
        "decision_ms": {"p50": mine.play.decision_ms, "p99": mine.play.decision_ms_p99},
        "finite": scores.finite,
        "calibration_error": mine.calibration_error,
        "incumbent_figures": rival,
        "incumbent_loses": examination.incumbent_loses,
        "baselines": beside,
        "walk_forward": walk_forward(mine.play.bars),
        "gate": {"passed": examination.verdict.passed, "reasons": list(examination.verdict.reasons)},
        "promoted": False,
        "retired": None,
    }


def ticks_document(parts: Sequence[Stretch], inputs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What it was validated on."""
    return {
        "inputs": [dict(document) for document in inputs],
        "stretches": [
            {
                "instrument": part.instrument.name,
                "bar": part.bar,
                "from": rfc3339(part.first),
                "to": rfc3339(part.last),
                "ticks": len(part.quotes),
            }
            for part in parts
        ],
    }


def warnings(status: str, examination: Examination) -> Iterator[str]:
    """What the figures are not, in plain sentences."""
    scores = examination.found.scores
    if status == UNTRAINED:
        yield "Untrained model: its decisions carry no skill."
    if scores.finite and not scores.abstains and scores.trades < FEW_TRADES:
        yield f"Few trades ({scores.trades}): figures over fewer than {FEW_TRADES} trades are mostly chance."
    if examination.incumbent_loses:
        yield "What trades now is significantly negative on these ticks."


def act(
    registry: Registry, promote: bool, document: dict[str, Any], examination: Examination, keep: Keep
) -> dict[str, Any]:
    """Write the verdict, then promote, reject and retire where that was asked for; each is whole or doesn't happen.

    Args:
        document: gets `promoted` and `retired`.
    """
    version, best = document["version"], document["incumbent"]
    mine = examination.found.tried if version != best else None
    earlier = tries_of(version, registry.verdict(version))
    tries = [*without(earlier, mine), mine] if mine else earlier

    def write() -> None:
        keep(document, examination.performances)
        registry.write_verdict(version, {**document, "tries": [tried.document() for tried in tries]})

    write()
    if not promote:
        return document
    reasons = "; ".join(examination.verdict.reasons)
    if examination.verdict.passed:
        registry.promote(version, passing(document))
        document["promoted"] = True
    elif version != best:
        registry.reject(version, reasons)
    if examination.incumbent_loses and best is not None and not document["promoted"]:
        registry.retire(f"significantly negative out of sample, {document['time']}")
        document["retired"] = best
    if document["promoted"] or document["retired"]:
        write()
    return document


def passing(document: Mapping[str, Any]) -> str:
    """Why it was promoted, in a line."""
    low, high = document["expectancy_ci95"]
    return (
        f"passed the gate: {document['trades']} trades, {document['expectancy_pips']:.2f} pips each "
        f"({low:.2f} to {high:.2f}), quality {document['quality_score']:.1f}"
    )
