"""What a training takes from the store: what of it, what it must leave alone, and what it says about it."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from broker.errors import BadInput
from strategy import features
from training.course import Course, first_held
from training.job import Job
from training.memory import NEVER, Spans, Stored, open_store
from training.quality import Half
from training.seen import Window, joined
from training.tape import Tape

OUTCOMES = 3
"""Of the market, that an observed bar is told apart by."""


def take(job: Job, instruments: Sequence[str], tapes: Sequence[Tape]) -> Stored | None:
    """What the store holds for a training; None: nothing, or it is not to be asked.

    What fell into the held-out part of a tape is left out, since the store may know the same quotes from an earlier
    session; and so is what came after it, which stays unseen for a validation.

    Args:
        instruments: of the tapes.

    Raises:
        BadInput: there is no tape, and nothing of the feature set is stored.
        StorageFault: the disk failed.
    """
    if job.store is None or not Path(job.store).exists():
        if not tapes:
            what = "neither tick files nor an experience store to learn from"
            raise BadInput(what, where=job.store or "TICKS", mend="give tick files, or store some: `replay --store`")
        return None
    stored = open_store(
        Path(job.store), features.get(job.feature_set), OUTCOMES, job.seed, held_spans(instruments, tapes)
    )
    if any(len(memory) for memory in stored.known.values()):
        return stored
    others = [name or "none" for name in stored.reader.feature_sets() if name != job.feature_set]
    stored.reader.abandon()
    if tapes:
        return None
    what = f"the store holds nothing that {job.feature_set} can learn from"
    what += f", only steps of feature set {', '.join(others)}" if others else ""
    raise BadInput(what, where=job.store, mend="give tick files, or store some: `replay --store` with a model")


def held_spans(instruments: Sequence[str], tapes: Sequence[Tape]) -> Spans:
    """Times from the held-out parts of tapes on."""
    pairs = zip(instruments, tapes, strict=True)
    return {name: (int(tape.time[first_held(tape)]), NEVER) for name, tape in pairs if len(tape)}


def provenance(data: Mapping[str, Any], stored: Stored) -> dict[str, Any]:
    """The document of the data with what was taken from the store."""
    windows = {name: Window.of(document) for name, document in data["windows"].items()}
    for name, window in stored.windows.items():
        windows[name] = joined(windows[name], window) if name in windows else window
    return {
        **data,
        "instruments": [*data["instruments"], *(name for name in stored.windows if name not in data["instruments"])],
        "windows": {name: window.document() for name, window in windows.items()},
        "store": {
            "revision": stored.revision,
            "quality": len(stored.known[Half.QUALITY]),
            "unbiased": len(stored.known[Half.UNBIASED]),
            "held_out": len(stored.held),
            "left_out": stored.left_out,
            "damaged_segments": len(stored.reader.damaged),
        },
    }


def still_good(
    saved: dict[str, Any] | None, stored: Stored | None, tell: Callable[[Mapping[str, Any]], None], *, alone: bool
) -> dict[str, Any] | None:
    """The checkpoint, if it may be gone on from although the store may have changed since.

    Beside tapes it may: what is drawn from now on differs. Alone it may not: other decisions are held out now, some of
    which have been learned from.

    Args:
        alone: there is no tape.
    """
    before = saved["course"].get("remembered") if saved else None
    if (before and before["revision"]) == (stored and stored.revision) or saved is None:
        return saved
    what = "the store has changed since the run was interrupted: "
    tell({"note": what + ("it begins anew" if alone else "it goes on with what is there now")})
    return None if alone else saved


def figures(course: Course) -> dict[str, int]:
    """What a course did with the store so far: situations drawn, searched again, and TD errors written back."""
    remembered = course.remembered
    if remembered is None:
        return {"drawn": 0, "searched": 0, "td_errors_written": 0}
    return {"drawn": remembered.drawn, "searched": remembered.searched, "td_errors_written": remembered.written}
