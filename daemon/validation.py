"""A validation: a candidate, what trades now, and the baselines on ticks that the candidate has not seen.

    examination = examine_model(candidate, incumbent, stretches, config, tries, time=..., others=baselines())
    verdict = examination.verdict

is all that there is to it, in memory; `validate` finds the candidate and the ticks, keeps what was found, and promotes.
"""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from broker.errors import BadInput
from broker.rfc3339 import rfc3339
from broker.ticks import ReadOptions
from daemon.config import Config
from daemon.console import Ui
from daemon.contest import Contestant, baselines, perform, with_model
from daemon.models import Chosen, choose_model
from daemon.unseen import Stretch, name_of, recorded_files, stretches, usable_files
from daemon.verdict import CANDIDATE, INCUMBENT, Examination, Keep, act, document_of, ticks_document, warnings
from strategy.model import ABSTAINS, load
from training.gate import Bounds, Verdict, judge, loses
from training.locks import FileLock
from training.registry import Registry, State
from training.seen import seen_by
from training.tries import Try, tries_since_promotion
from training.validation import examine


@dataclass(frozen=True, slots=True)
class Request:
    """What to validate.

    Attributes:
        version: of the candidate; None: the newest one without a verdict, else the best one again.
        files: tick files; none: the recordings in the state folder. options, only: how to read them.
        promote: make it best if it passes, else reject it; retire an incumbent that loses.
    """

    version: str | None
    files: tuple[Path, ...]
    options: ReadOptions
    only: tuple[str, ...] = ()
    promote: bool = False


def examine_model(
    candidate: Contestant,
    incumbent: Contestant | None,
    parts: Sequence[Stretch],
    config: Config,
    tries: Sequence[Try],
    *,
    time: str,
    others: Sequence[Contestant] = (),
    played: Callable[[], None] = lambda: None,
) -> Examination:
    """Play the stretches with everyone, and judge the candidate.

    Args:
        incumbent: what trades now; None: nothing. tries: what was tried since the last promotion.
        time: of the validation, RFC 3339. contestants: others, for comparison alone. played: told after each play.
    """
    performances = {}
    for name, who in ((CANDIDATE, candidate), (INCUMBENT, incumbent), *((who.name, who) for who in others)):
        if who is not None:
            performances[name] = perform(who, parts, config)
            played()
    beside = performances[INCUMBENT].play if incumbent else None
    found = examine(
        candidate.name,
        performances[CANDIDATE].play,
        beside if beside is not None and beside.finite else None,
        tries,
        stretch=name_of(parts, config),
        time=time,
        seed=config.seed,
        resamples=config.validation.resamples,
        abstains=candidate.chosen is not None and candidate.chosen.model.status == ABSTAINS,
    )
    loser = beside is not None and (not beside.finite or loses(beside.bars, np.random.default_rng(config.seed)))
    return Examination(found, judge(found.scores, bounds_of(config)), performances, loser, config.seed)


def bounds_of(config: Config) -> Bounds:
    """The [validation] section as the gate's bounds."""
    asked = config.validation
    return Bounds(
        min_trades=asked.min_trades,
        significance=asked.significance,
        max_drawdown_share=asked.max_drawdown_share,
        max_drawdown_pips=asked.max_drawdown_pips,
        max_decision_ms=asked.max_decision_ms,
    )


def validate(request: Request, config: Config, now: Callable[[], int], ui: Ui, keep: Keep) -> dict[str, Any]:
    """Validate a model of the registry, write its verdict, and act on it where that was asked for.

    Args:
        now: ns.

    Returns:
        The document of `micro-trader validate --json`.

    Raises:
        BadInput: the model or the ticks can't be used, another validator runs, or another process owns the registry.
        StorageFault: the disk failed; the verdict is there whole or not at all.
    """
    state = Path(config.state.dir)
    registry = Registry(state / "models", "validator", now)
    with FileLock(state / "validator.lock", "validator", now), ExitStack() as held:
        if request.promote:
            registry.own()
            held.callback(registry.disown)
        version, best = chosen_version(registry, request.version), registry.best()
        candidate = choose_model(replace(config, model=replace(config.model, version=version)), ui)
        seen = seen_by(candidate.model.manifest, registry.folders)
        inputs = (
            usable_files(request.files, seen)
            if request.files
            else recorded_files(state / "ticks", config.instruments, seen)
        )
        files = [Path(document["path"]) for document in inputs]
        parts, caveats = stretches(files, request.options, request.only, config, seen)
        others, time = baselines(), rfc3339(now())
        rival = None if best in (None, version) else with_model(best, incumbent_of(registry, best))
        with ui.progress("validate", 1.0 + (rival is not None) + len(others), "plays") as meter:
            found = examine_model(
                with_model(version, candidate),
                rival,
                parts,
                config,
                tries_since_promotion(registry),
                time=time,
                others=others,
                played=lambda: meter.advance(1.0),
            )
        if version == best:
            found = again(found, config)
        document = document_of(version, best, found) | {
            "status": candidate.model.status,
            "time": time,
            "ticks": ticks_document(parts, inputs),
            "caveats": [*caveats, *warnings(candidate.model.status, found)],
        }
        act(registry, request.promote, document, found, keep)
    return document


def chosen_version(registry: Registry, wanted: str | None) -> str:
    """The model to validate.

    Raises:
        BadInput: there is none.
    """
    if wanted is not None:
        return registry.folders.find(wanted) if wanted != "best" else _best(registry)
    states, judged = registry.states(), registry.verdicts()
    waiting = [key for key, state in states.items() if state is State.CANDIDATE and key not in judged]
    return max(waiting, key=registry.folders.added) if waiting else _best(registry)


def incumbent_of(registry: Registry, best: str | None) -> Chosen:
    """What trades now, verified.

    Raises:
        BadInput: it is damaged or gone.
    """
    path = registry.folders.root / str(best)
    return Chosen(path, load(path))


def _best(registry: Registry) -> str:
    best = registry.best()
    if best is None:
        raise BadInput("no candidate waits for a verdict, and no model is best", mend="train one, or name a VERSION")
    return best


def again(found: Examination, config: Config) -> Examination:
    """Of the best model itself: it can't be promoted once more, but it can be found to lose."""
    play = found.performances[CANDIDATE].play
    lost = not play.finite or loses(play.bars, np.random.default_rng(config.seed))
    return replace(
        found, verdict=Verdict(False, ("it is the best one already", *found.verdict.reasons)), incumbent_loses=lost
    )
