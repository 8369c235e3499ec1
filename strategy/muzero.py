"""The MuZero strategy: observe, search, choose what the improved policy likes best."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from broker.errors import BadInput, Fatal
from broker.types import Action, Bar
from strategy.model import ABSTAINS, load
from strategy.plugin import Choice, Context, Observation
from strategy.search import new_search
from strategy.search_tree import ONE_SIDE, REVERSIBLE, ROOT, Rules, rules

ACTIONS = tuple(Action)


class NotFinite(Fatal):
    """The networks answered something that is not a finite number: the model can't be trusted any more."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The strategy's settings.

    Attributes:
        simulations: model evaluations a decision; 0: the network's own policy, without search (`gumbel`).
        root: `gumbel` or `muzero`.
        allow_reverse: the opposite side is legal in a position.
        gumbel_scale: of the root's Gumbel noise; 0: none, decisions are a function of the observation alone.
        dirichlet_share: of Dirichlet noise in the root's priors (`muzero`); `dirichlet_alpha` is its concentration.
    """

    simulations: int = 25
    root: str = "gumbel"
    allow_reverse: bool = False
    gumbel_scale: float = 0.0
    dirichlet_share: float = 0.0
    dirichlet_alpha: float = 0.5


class MuZero:
    """Stochastic MuZero with a model folder.

    Raises:
        BadInput: no model, a bad one, or a bad setting.
    """

    def __init__(self, context: Context) -> None:
        if context.model is None:
            raise BadInput(
                "the strategy muzero needs a model", where="--model", mend="give best, a version or a folder"
            )
        settings = _settings(context.settings)
        model = load(context.model)
        self._model, self._settings = model, settings
        self._generator = np.random.Generator(np.random.PCG64(context.seed))
        self._search = new_search(
            model.network(), search_rules(settings, model.search, model.discount, model.sizes.outcomes)
        )
        self._rehearse()
        self._noisy = (settings.gumbel_scale if settings.root == "gumbel" else settings.dirichlet_share) > 0.0

    def _rehearse(self) -> None:
        """Search once from a neutral observation, so that the first decision finds its kernels compiled."""
        self._search.work.features[0] = 0.0
        self._search.roots.legal[0] = True
        self._search.run()

    @property
    def model(self) -> str:
        """Name of the model that decides."""
        return self._model.name

    @property
    def feature_set(self) -> str:
        """The model's feature set."""
        return self._model.feature_set

    def on_bar(self, bar: Bar) -> None:
        """Nothing to keep: the features hold what was seen."""

    def memory(self) -> dict[str, Any]:
        """Where the root's noise is drawn from."""
        return dict(self._generator.bit_generator.state)

    def recall(self, known: dict[str, Any]) -> None:
        """Go on drawing from there."""
        self._generator.bit_generator.state = known

    def decide(self, observation: Observation) -> Choice:
        """The most probable action of the improved policy; flat where the model abstains.

        Raises:
            NotFinite: an observation or a network's answer is not finite.
        """
        search, model = self._search, self._model
        if model.status == ABSTAINS:
            return Choice(Action.CLOSE if observation.legal[Action.CLOSE] else Action.HOLD)
        if observation.features is None:
            raise NotFinite(f"no features at decision {observation.seq}")
        search.work.features[0] = (observation.features - model.mean) / model.deviation
        search.roots.side[0] = observation.expected
        search.roots.legal[0] = observation.legal
        if self._noisy:
            self._draw_noise()
        found = search.run()
        if search.tree.nodes["broken"][0, ROOT]:
            raise NotFinite(f"model {model.name} answered a number that is not finite at decision {observation.seq}")
        visits, q = found.visits[0].tolist(), found.q[0].tolist()
        return Choice(
            action=ACTIONS[found.best[0]],
            policy=tuple(found.policy[0].tolist()),
            visits=tuple(visits),
            q=tuple(value if count else None for value, count in zip(q, visits, strict=True)),
            outcome=tuple(found.outcome[0].tolist()),
            value=float(found.value[0]),
        )

    def _draw_noise(self) -> None:
        """Noise for the root: four draws a decision, whatever is legal."""
        settings, roots = self._settings, self._search.roots
        if settings.root == "gumbel":
            roots.noise[0] = settings.gumbel_scale * self._generator.gumbel(size=len(ACTIONS))
            return
        drawn = self._generator.gamma(settings.dirichlet_alpha, size=len(ACTIONS)) * roots.legal[0]
        roots.noise[0] = drawn / max(drawn.sum(), np.finfo(np.float64).tiny)


def search_rules(settings: Settings, chosen: Any, discount: float, outcomes: int) -> Rules:
    """The model's search rules with the run's settings.

    Raises:
        BadInput: the model names a rule that does not exist.
    """
    try:
        return rules(
            gumbel=settings.root == "gumbel",
            simulations=settings.simulations,
            outcomes=outcomes,
            legality=REVERSIBLE if settings.allow_reverse else ONE_SIDE,
            discount=discount,
            dirichlet_share=settings.dirichlet_share,
            **chosen,
        )
    except (TypeError, ValueError) as error:
        raise BadInput(
            f"bad search rules in the manifest: {error}", where="search", mend="export the model again"
        ) from error


def _settings(given: dict[str, Any]) -> Settings:
    known = Settings.__dataclass_fields__
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise BadInput(f"unknown setting {unknown[0]!r}", where="strategy muzero", mend=f"known: {', '.join(known)}")
    settings = Settings(**given)
    if settings.root not in ("gumbel", "muzero"):
        raise BadInput(f"unknown root {settings.root!r}", where="model.root", mend="gumbel or muzero")
    least = 0 if settings.root == "gumbel" else 1
    if not least <= settings.simulations <= 10_000:
        mend = f"{least} to 10000 with the root {settings.root}"
        raise BadInput(f"{settings.simulations} simulations", where="model.simulations", mend=mend)
    shares = 0.0 <= settings.dirichlet_share <= 1.0 and settings.dirichlet_alpha > 0.0 and settings.gumbel_scale >= 0.0
    if not shares:
        raise BadInput("noise out of range", where="strategy muzero", mend="shares in 0..1, scales not negative")
    return settings
