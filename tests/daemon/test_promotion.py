"""Promotion on a real registry: what passed trades, what loses goes, and a restart goes on from there."""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from broker.errors import Refused
from daemon.canary import NotFit
from daemon.events import Activated
from daemon.probation import Terms
from daemon.promotion import Hands, Promotion
from strategy.model import MANIFEST
from tests.training.test_registry import made_model
from training.registry import Registry, State

Harm = Callable[[Path], None]


class House:
    """A registry with three candidates, and a session that keeps what it is handed."""

    def __init__(self, state: Path) -> None:
        self.state = state
        ticks = iter(range(1, 10**6))
        self.registry = Registry(state / "models", "daemon", lambda: next(ticks) * 10**9)
        self.keys = [self.registry.folders.add(made_model(number)) for number in range(3)]
        self.unfit: set[str] = set()
        self.does: list[str] = []
        self.told: list[tuple[str, Mapping[str, Any]]] = []
        self.harms: dict[tuple[str, str], Callable[[], None]] = {}
        self.hours = 0

    def promotion(self, **terms: Any) -> Promotion:
        """As after a start."""
        hands = Hands(self._prepare, self._activate, self._observe, lambda kind, facts: self.told.append((kind, facts)))
        return Promotion(self.registry, self.state / "probation.json", Terms(**terms), hands)

    async def _prepare(self, version: str) -> Activated:
        if version in self.unfit:
            raise NotFit("a decision takes it 80.0 ms")
        self.harms.get(("while it is prepared", version), lambda: None)()
        if damage := self.registry.folders.damage(version):
            raise NotFit(damage)
        self.harms.get(("before it is the best", version), lambda: None)()
        return Activated(0, version, str(self.registry.folders.root / version))

    def _activate(self, event: Activated) -> None:
        self.does.append(event.model)

    def _observe(self, why: str) -> None:
        if why:
            self.does.append(f"observe: {why}")

    def verdict(self, number: int, *, passed: bool = True, loses: bool = False, incumbent: str | None = None) -> None:
        """What the validator would write, an hour after the one before."""
        self.hours += 1
        self.registry.write_verdict(
            self.keys[number],
            {
                "version": self.keys[number],
                "incumbent": incumbent if incumbent is not None else self.registry.best(),
                "time": f"2026-01-01T{self.hours:02}:00:00.000000000Z",
                "gate": {"passed": passed, "reasons": [] if passed else ["12 trades are fewer than 30"]},
                "incumbent_loses": loses,
                "trades": 50,
                "expectancy_pips": 2.0,
                "expectancy_ci95": [0.5, 3.5],
                "quality_score": 20.0,
            },
        )


@pytest.fixture
def house(tmp_path: Path) -> House:
    """A new one."""
    return House(tmp_path)


async def test_what_passed_trades_and_what_did_not_is_rejected(house: House) -> None:
    """Each verdict is acted on once, with its reason in the history."""
    promotion = house.promotion()
    house.verdict(0, passed=False)
    house.verdict(1)
    await promotion.look()
    await promotion.look()
    assert house.does == [house.keys[1]]
    assert house.registry.best() == promotion.watch.version == house.keys[1]
    states = house.registry.states()
    assert (states[house.keys[0]], states[house.keys[2]]) == (State.REJECTED, State.CANDIDATE)
    assert [kind for kind, _ in house.told] == ["rejected", "promoted"]
    assert "passed the gate" in house.registry.history()[-1].why


async def test_a_verdict_against_another_incumbent_says_nothing(house: House) -> None:
    """It has to be validated again against what trades now."""
    promotion = house.promotion()
    house.verdict(0)
    house.verdict(1)
    await promotion.look()
    await promotion.look()
    assert house.does == [house.keys[0]]
    assert house.registry.states()[house.keys[1]] is State.CANDIDATE


async def test_a_model_that_is_not_fit_is_refused(house: House) -> None:
    """Whatever its verdict: what traded before goes on; asked for by hand, the refusal is told."""
    promotion = house.promotion()
    await promotion.swap(house.keys[0], "by hand")
    house.unfit = {house.keys[1]}
    house.verdict(1)
    await promotion.look()
    assert (house.does, house.registry.best()) == ([house.keys[0]], house.keys[0])
    assert "80.0 ms" in str(house.told[-1][1]["why"])
    with pytest.raises(Refused, match=r"80\.0 ms"):
        await promotion.swap(house.keys[1], "by hand")


def vanished(folder: Path) -> None:
    """Gone."""
    shutil.rmtree(folder)


def corrupt(folder: Path) -> None:
    """A byte flipped."""
    file = next(path for path in sorted(folder.iterdir()) if path.name != MANIFEST)
    file.write_bytes(bytes([file.read_bytes()[0] ^ 1]) + file.read_bytes()[1:])


@pytest.mark.parametrize("harm", [vanished, corrupt])
@pytest.mark.parametrize("when", ["before it is looked at", "while it is prepared", "before it is the best"])
async def test_a_candidate_lost_before_its_promotion_is_refused(house: House, harm: Harm, when: str) -> None:
    """Its folder vanishes or is damaged between verdict and promotion, at any moment: what traded trades on, the
    reason is told, once, and the next candidate gets its turn."""
    promotion = house.promotion()
    await promotion.swap(house.keys[0], "by hand")
    house.verdict(1)
    folder = house.registry.folders.root / house.keys[1]
    if when == "before it is looked at":
        harm(folder)
    else:
        house.harms[when, house.keys[1]] = lambda: harm(folder)
    await promotion.look()
    await promotion.look()
    assert (house.does, house.registry.best()) == ([house.keys[0]], house.keys[0])
    refused = [facts for kind, facts in house.told if kind == "rejected"]
    assert [facts["version"] for facts in refused] == [house.keys[1]]
    assert refused[0]["why"]
    if harm is corrupt:
        assert house.registry.states()[house.keys[1]] is State.REJECTED
    house.verdict(2)
    await promotion.look()
    assert house.registry.best() == house.keys[2]


async def test_a_pruned_model_is_not_missed(house: House) -> None:
    """The verdict of a model that was rejected, and deleted long since, says nothing."""
    house.verdict(1)
    house.registry.reject(house.keys[1], "by hand")
    shutil.rmtree(house.registry.folders.root / house.keys[1])
    await house.promotion().look()
    assert (house.told, house.does) == ([], [])


async def test_a_damaged_verdict_is_told_once(house: House) -> None:
    """And acted on by nobody; once it is whole, all goes on."""
    promotion = house.promotion()
    house.verdict(0)
    file = next((house.registry.folders.root / "verdicts").iterdir())
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    await promotion.look()
    await promotion.look()
    assert [(kind, file.name in str(facts["why"])) for kind, facts in house.told] == [("verdict_damaged", True)]
    file.write_bytes(whole)
    await promotion.look()
    assert house.registry.best() == house.keys[0]


async def test_a_loser_in_probation_is_rolled_back(house: House) -> None:
    """To the model before; its trades count, those of others do not."""
    promotion = house.promotion(trades=10)
    await promotion.swap(house.keys[0], "by hand")
    await promotion.swap(house.keys[1], "by hand")
    for n in range(10):
        promotion.traded(house.keys[0], -50.0)
        promotion.traded(house.keys[1], -1.0 - 0.1 * (n % 3))
    await promotion.look()
    assert house.does == [house.keys[0], house.keys[1], house.keys[0]]
    assert (promotion.watch.version, promotion.watch.probation) == (house.keys[0], False)
    assert house.told[-1][0] == "rolled_back"


async def test_a_loser_without_a_predecessor_leaves_none(house: House) -> None:
    """Then nothing decides, and what is held is closed."""
    promotion = house.promotion(trades=10, drawdown_pips=20)
    await promotion.swap(house.keys[0], "by hand")
    promotion.traded(house.keys[0], -21.0)
    await promotion.look()
    assert house.does == [house.keys[0], "observe: retired"]
    assert (house.registry.best(), promotion.watch.version) == (None, "")
    house.verdict(2)
    await promotion.look()
    assert house.does[-1] == house.keys[2]


async def test_an_incumbent_that_loses_out_of_sample_is_retired(house: House) -> None:
    """Even without a successor; a verdict of before its promotion does not count."""
    promotion = house.promotion()
    await promotion.swap(house.keys[0], "by hand")
    house.verdict(1, passed=False, loses=True)
    await promotion.look()
    assert house.does[-1] == "observe: retired"
    assert house.told[-1][0] == "retired"


async def test_a_restart_goes_on(house: House) -> None:
    """Half of a probation before it, half after it; a best model that another hand chose begins anew."""
    promotion = house.promotion(trades=10)
    await promotion.swap(house.keys[0], "by hand")
    await promotion.swap(house.keys[1], "by hand")
    for _ in range(5):
        promotion.traded(house.keys[1], -1.0)
    await promotion.look()
    again = house.promotion(trades=10)
    assert again.watch == promotion.watch
    for _ in range(5):
        again.traded(house.keys[1], -1.1)
    await again.look()
    assert house.registry.best() == house.keys[0]
    house.registry.promote(house.keys[2], "while no daemon ran")
    assert house.promotion().watch.version == house.keys[2]
