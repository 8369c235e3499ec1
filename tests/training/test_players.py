"""Who plays does not matter to the learner, and a player that dies is replaced."""

import os
import signal

import numpy as np
import pytest

from broker.errors import Fatal
from strategy.network_layout import Sizes
from tests.training.made_tape import EDGE20, swinging, tape_of
from training.inputs import fit
from training.networks import Networks
from training.players import InProcess, Pool, Task, Worker
from training.selfplay import Lanes, Play, Visited
from training.targets import NEXT, legal_table

LEGAL = legal_table(allow_reverse=False)
SIZES = Sizes(inputs=EDGE20.size, hidden=16, bins=51)
TENSORS = {name: tensor.detach().numpy() for name, tensor in Networks(SIZES, 0).state_dict().items()}


@pytest.fixture(scope="module")
def lanes() -> Lanes:
    """Eight lanes on a short tape."""
    rows = tape_of(swinging(400, 9)).rows
    normaliser = fit(rows, EDGE20)
    return Lanes(normaliser.of(rows), normaliser, LEGAL, SIZES, Play(lanes=8, simulations=4), 0.96)


def same(one: Visited, other: Visited) -> bool:
    """Whether two plays are equal, bit for bit."""
    return all((getattr(one, name) == getattr(other, name)).all() for name in ("index", "position", "policy"))


def test_lanes_follow_the_tape_and_the_rules(lanes: Lanes) -> None:
    """Each lane goes on bar by bar, takes legal actions only, and its policies are distributions."""
    found = lanes.run(TENSORS, np.random.default_rng(1), 50)
    index, position = found.index.reshape(50, 8), found.position.reshape(50, 8)
    went_on = np.diff(index, axis=0) == 1
    assert went_on.mean() > 0.9
    reachable = (NEXT[position[:-1]][..., None] == position[1:, :, None, None]).any(-1) & LEGAL[position[:-1]]
    assert reachable.any(-1)[went_on].all()
    assert np.allclose(found.policy.sum(1), 1.0, atol=1e-6)
    assert (found.policy[~LEGAL[found.position]] == 0.0).all()


def test_a_pool_plays_what_one_process_plays(lanes: Lanes) -> None:
    """A worker's visits are those of the same seed in this process, handed over one call later."""
    alone = next(InProcess(lanes).play(TENSORS, 5, 20))
    pool = Pool(lanes, 1)
    try:
        assert list(pool.play(TENSORS, 5, 20)) == []
        assert same(next(pool.play(TENSORS, 6, 20)), alone)
    finally:
        pool.close()


def test_a_killed_worker_is_replaced(lanes: Lanes) -> None:
    """A worker killed mid-run costs time, not the run: its piece is played again."""
    alone = next(InProcess(lanes).play(TENSORS, 5, 20))
    pool = Pool(lanes, 1)
    try:
        list(pool.play(TENSORS, 5, 20))
        kill(pool.workers[0])
        assert same(next(pool.play(TENSORS, 6, 20)), alone)
        kill(pool.workers[0])  # before it is given anything, or with its first bars played
        assert len(next(pool.play(TENSORS, 7, 20)).index) == 8 * 20
    finally:
        pool.close()


def test_a_worker_that_always_dies_ends_the_run(lanes: Lanes) -> None:
    """A task that no worker survives is given up with a clear error, not begun for ever."""
    worker = Worker(Deadly(lanes))  # type: ignore[arg-type]
    try:
        worker.begin(Task(TENSORS, 1, 1))
        with pytest.raises(Fatal, match="died 4 times"):
            list(worker.collect())
    finally:
        worker.close()


class Deadly:
    """Lanes that end the process that runs them."""

    def __init__(self, lanes: Lanes) -> None:
        self.lanes = lanes

    def run(self, *_: object) -> Visited:
        """Die, as by the kernel's hand."""
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError


def kill(worker: Worker) -> None:
    """End its process without a word."""
    assert worker.pid is not None
    os.kill(worker.pid, signal.SIGKILL)
