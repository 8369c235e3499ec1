"""The end of a training: whether the candidate may trade, its model folder, and the transcript of how it came about."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from broker.ticks.synth import Plan as Market
from strategy.model import ABSTAINS, TRAINED
from strategy.model import load as load_model
from training import checkpoint, transcript
from training.course import Course
from training.export import export
from training.heldout import Score
from training.job import Job
from training.model_folders import ModelFolders
from training.networks import Networks
from training.selfplay import play_rules
from training.stock import figures
from training.stopwatch import Stopwatch
from training.targets import legal_table


def finish(
    job: Job, course: Course, data: Mapping[str, Any], watch: Stopwatch, elapsed: Callable[[], int]
) -> dict[str, Any]:
    """Decide whether it may trade, add the candidate, and keep the transcript."""
    with watch.part("final search"):
        beta, walked = course.play()
    score = walked.score()
    status = TRAINED if course.trades(score) else ABSTAINS
    networks = Networks(course.learner.networks.sizes)
    networks.load_state_dict({name: torch.from_numpy(values) for name, values in course.best.items()})
    last, recipe = course.looks[-1], course.learner.recipe
    parent = load_model(Path(job.parent)).id if job.parent is not None else None
    files = export(
        networks,
        job.feature_set,
        seed=job.seed,
        status=status,
        parent=parent,
        mean=course.normaliser.mean,
        deviation=course.normaliser.deviation,
        discount=recipe.discount,
        search=play_rules(beta),
        metrics={
            "held_out": asdict(score),
            "raw": asdict(course.raw.score()),
            "beta": beta,
            "looks": course.counted,
            "losses": asdict(last.losses),
        },
        data=data,
        config={"recipe": asdict(recipe), "steps": last.step, "workers": job.workers},
        code_version=job.code_version,
    )
    version = ModelFolders(Path(job.models)).add(files)
    document = {
        "version": version,
        "status": status,
        "parent": parent,
        "steps": last.step,
        **speeds(course, elapsed()),
        "losses": asdict(last.losses),
        "held_out": asdict(score),
        "raw": asdict(course.raw.score()),
        "beta": beta,
        "data": dict(data),
        "store": figures(course),
        "seconds": elapsed() / 1e9,
    }
    keep(job, course, networks, score, document, watch)
    checkpoint.remove(Path(job.checkpoint))
    return document


def keep(
    job: Job, course: Course, networks: Networks, score: Score, document: Mapping[str, Any], watch: Stopwatch
) -> None:
    """Keep the transcript of a training that ended."""
    market = document["data"]["market"]
    told = transcript.transcript(
        course,
        networks,
        score,
        legal_table(job.allow_reverse),
        None if market is None else Market(**market),
        job.warmup_bars,
    )
    spent = transcript.times(watch, round(document["seconds"] * 1e9))
    transcript.write(
        Path(job.checkpoint).parent / document["version"],
        {**document, **told, "times": spent, "job": asdict(job), "recipe": asdict(course.learner.recipe)},
    )


def speeds(course: Course, elapsed: int) -> dict[str, Any]:
    """Steps of self-play, and of both a second, over the whole run."""
    seconds = elapsed / 1e9
    return {
        "selfplay_steps": course.played,
        "selfplay_steps_per_s": course.played / seconds if seconds else 0.0,
        "learner_steps_per_s": course.learner.steps / seconds if seconds else 0.0,
    }
