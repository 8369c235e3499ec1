"""The store against a naive one kept in lists, over long random histories, and the same after reopening."""

from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from broker.errors import BadInput
from tests.training.made_experience import FEATURES, SET, made_segment
from training.experience import Segment
from training.quality import Half, score
from training.store import Maintenance, Reader, Writer
from training.store_maintenance import ExperienceMaintenance
from training.store_reader import ExperienceReader
from training.store_rows import canonical
from training.store_scan import read_segment, segment_ids
from training.store_schema import connect
from training.store_writer import ExperienceWriter

CAPACITY = 120


@dataclass
class NaiveStore:
    """The rules, word by word: two lists of segments, sorted when one is full."""

    kept: dict[Half, list[tuple[Segment, list[float]]]] = field(default_factory=lambda: {half: [] for half in Half})
    seen: set[int] = field(default_factory=set)

    def append(self, segment: Segment) -> None:
        if segment.first_seq in self.seen:
            return
        self.seen.add(segment.first_seq)
        half = self.kept[segment.half]
        n, capacity = len(segment.steps), CAPACITY // 2
        steps = sum(len(kept.steps) for kept, _ in half)
        if steps + n > capacity:
            order = range(len(half))
            if segment.half is Half.QUALITY:
                order = sorted(order, key=lambda i: (self.quality(half[i]), i))
            gone, victims = 0, set()
            for i in order:
                if gone >= Fraction(steps, 50) and steps - gone + n <= capacity:
                    break
                victims.add(i)
                gone += len(half[i][0].steps)
            self.kept[segment.half] = [kept for i, kept in enumerate(half) if i not in victims]
        self.kept[segment.half].append((segment, [0.0] * n))

    def learn(self, seq: int, error: float) -> None:
        for segment, errors in (item for half in self.kept.values() for item in half):
            for i, known in enumerate(segment.steps["seq"]):
                if known == seq:
                    errors[i] = error

    @staticmethod
    def scores(item: tuple[Segment, list[float]]) -> list[float]:
        segment, errors = item
        return [
            score(
                segment.pips,
                segment.trade is not None,
                bool(step["position_change"]),
                bool(step["done"]),
                error,
                segment.reward,
                segment.session_expectancy,
            )
            for step, error in zip(segment.steps, errors, strict=True)
        ]

    @classmethod
    def quality(cls, item: tuple[Segment, list[float]]) -> float:
        scores = [Fraction(value) for value in cls.scores(item)]
        return float(sum(scores)) / len(scores)

    def by_step(self) -> dict[tuple[Half, int], float]:
        return {
            (half, int(seq)): value
            for half, items in self.kept.items()
            for item in items
            for seq, value in zip(item[0].steps["seq"], self.scores(item), strict=True)
        }


def served(reader: ExperienceReader) -> dict[tuple[Half, int], float]:
    """Half, seq and score of every step that the reader can draw."""
    found = {}
    for half in Half:
        if reader.size(half):
            batch = reader.sample(half, 10 * CAPACITY)
            columns = {name: batch.columns[name][:, 0].tolist() for name in ("seq", "score")}
            found.update({(half, seq): value for seq, value in zip(columns["seq"], columns["score"], strict=True)})
    return found


STEPS = st.tuples(
    st.integers(1, 12),
    st.sampled_from([None, -30.0, -1.0, -1.0, 0.0, 2.0, 2.0, 40.0]),
    st.sampled_from([-1.0, 0.0, 3.0]),
)
LEARNED = st.lists(st.tuples(st.integers(0, 400), st.floats(-9, 9)), max_size=6)


@settings(max_examples=25)
@given(st.lists(st.tuples(STEPS, LEARNED), min_size=30, max_size=120), st.booleans())
def test_store_follows_the_rules(
    history: list[tuple[tuple[int, float | None, float], list[tuple[int, float]]]], cached: bool
) -> None:
    """Halves, capacity, evictions with ties, TD errors and scores are the naive store's, and so after reopening."""
    with TemporaryDirectory() as folder:
        path, cache = Path(folder) / "experience.db", Path(folder) / "cache" if cached else None
        writer, naive, seq = ExperienceWriter(path, CAPACITY), NaiveStore(), 0
        reader = ExperienceReader(path, SET, FEATURES, np.random.default_rng(0), cache)
        for number, ((n, pips, expectancy), learned) in enumerate(history):
            segment = made_segment(seq, n, pips=pips, expectancy=expectancy)
            writer.append(segment)
            naive.append(segment)
            if number % 5 == 4:  # the same again changes nothing
                assert not writer.append(segment)
            seq += n
            if learned:
                reader.refresh()
                teach(reader, naive, learned)
        reader.refresh()
        assert served(reader) == naive.by_step()
        reader.close()
        writer.close()
        again = ExperienceReader(path, SET, FEATURES, np.random.default_rng(0), cache)
        assert served(again) == naive.by_step()
        again.close()
        fresh = ExperienceReader(path, SET, FEATURES, np.random.default_rng(0))
        assert served(fresh) == naive.by_step()
        fresh.close()


def teach(reader: ExperienceReader, naive: NaiveStore, learned: list[tuple[int, float]]) -> None:
    """Give both stores the same TD errors, by seq."""
    places = {}
    for half in Half:
        if reader.size(half):
            batch = reader.sample(half, 10 * CAPACITY)
            seqs = batch.columns["seq"][:, 0].tolist()
            places.update({seq: (batch.slots[i, 0], batch.ids[i, 0]) for i, seq in enumerate(seqs)})
    for seq, error in learned:
        if seq in places:
            slot, key = places[seq]
            assert reader.learned(np.array([slot]), np.array([key]), np.array([error])) == 1
            naive.learn(seq, error)
    reader.flush()


def test_faces_are_what_they_promise(tmp_path: Path) -> None:
    """The three protocols are kept by the three classes (mypy holds the signatures)."""
    writer: Writer = ExperienceWriter(tmp_path / "e.db", CAPACITY)
    assert writer.append(made_segment(0))
    assert writer.pending == 0
    reader: Reader = ExperienceReader(tmp_path / "e.db", SET, FEATURES, np.random.default_rng(0))
    keeper: Maintenance = ExperienceMaintenance(tmp_path / "e.db")
    assert keeper.stats()["size"] == 5
    for face in (writer, reader, keeper):
        face.close()


@pytest.mark.parametrize("pips", [None, -3.0, 4.0])
def test_a_segment_comes_back_as_it_was(tmp_path: Path, pips: float | None) -> None:
    """Rows hold everything: what is read is what was written, bit by bit, NaN and -0.0 made one."""
    segment = made_segment(14, 9, pips=pips)
    writer = ExperienceWriter(tmp_path / "e.db", CAPACITY)
    writer.append(segment)
    writer.close()
    db = connect(tmp_path / "e.db")
    found = read_segment(db, segment_ids(db)[0])
    db.close()
    assert found.steps.tobytes() == canonical(segment.steps).tobytes()
    assert (found.trade, found.models, found.half, found.session) == (
        segment.trade,
        segment.models,
        segment.half,
        segment.session,
    )


def test_equal_partners(tmp_path: Path) -> None:
    """Rules, AMDDP1: every step of a trade has the trade's reward and pips; a flat one has none."""
    writer = ExperienceWriter(tmp_path / "e.db", 1000)
    for seq, pips in ((0, 12.0), (10, -4.0), (20, None)):
        writer.append(made_segment(seq, 10, pips=pips))
    rows = writer_rows(writer, tmp_path / "e.db")
    assert rows == [("flat", 0.0, 0.0, 10), ("trade", -4.02, -4.0, 10), ("trade", 11.98, 12.0, 10)]


def writer_rows(writer: ExperienceWriter, path: Path) -> list[tuple[str, float, float, int]]:
    """What a person reads in the view `experience`."""
    writer.close()
    db = connect(path)
    rows = db.execute(
        "SELECT kind, round(reward, 9), pip_pnl, count(*) FROM experience GROUP BY 1, 2, 3 ORDER BY 1, 2"
    ).fetchall()
    db.close()
    return rows


def test_unrolling_meets_no_hole(tmp_path: Path) -> None:
    """A drawn step comes with its successors up to its segment's end, and says where that is."""
    writer = ExperienceWriter(tmp_path / "e.db", 400)
    for i in range(120):
        writer.append(made_segment(i * 7, 7, pips=float(i % 9 - 4)))
    reader = ExperienceReader(tmp_path / "e.db", SET, FEATURES, np.random.default_rng(1))
    for half in Half:
        batch = reader.sample(half, 64, unroll=4)
        seq, segment = batch.columns["seq"], batch.columns["segment"]
        assert np.array_equal(batch.valid, seq[:, :1] % 7 + np.arange(5) < 7)
        assert np.array_equal(seq, np.minimum(seq[:, :1] + np.arange(5), seq[:, :1] // 7 * 7 + 6))
        assert np.all(segment == segment[:, :1])
    reader.close()
    writer.close()


def test_recycled_slots_are_not_scored(tmp_path: Path) -> None:
    """A TD error for a step that was evicted meanwhile goes nowhere, though its slot holds another step now."""
    writer = ExperienceWriter(tmp_path / "e.db", 100)
    reader = None
    for i in range(40):
        writer.append(made_segment(i * 5, 5, pips=float(i)))
        reader = reader or ExperienceReader(tmp_path / "e.db", SET, FEATURES, np.random.default_rng(1))
    assert reader is not None
    reader.refresh()
    batch = reader.sample(Half.QUALITY, 20)
    for i in range(40, 120):
        writer.append(made_segment(i * 5, 5, pips=100.0 + i))
    reader.refresh()
    before = served(reader)
    assert reader.learned(batch.slots[:, 0], batch.ids[:, 0], np.full(len(batch.ids), 5.0)) == 0
    assert served(reader) == before
    with pytest.raises(BadInput):
        reader.learned(batch.slots[:, 0], batch.ids[:, 0], np.full(len(batch.ids), np.nan))
    reader.close()
    writer.close()


def test_steps_are_drawn_by_score(tmp_path: Path) -> None:
    """The quality half draws in proportion to the score, the unbiased half uniformly (chi-squared)."""
    writer = ExperienceWriter(tmp_path / "e.db", 10_000)
    for i in range(60):
        writer.append(made_segment(i * 4, 4, pips=float(i % 13) * 3 - 6))
    reader = ExperienceReader(tmp_path / "e.db", SET, FEATURES, np.random.default_rng(8))
    known = served(reader)
    for half in Half:
        weights = {seq: (value if half is Half.QUALITY else 1.0) for (of, seq), value in known.items() if of is half}
        drawn = [int(reader.sample(half, 1).columns["seq"][0, 0]) for _ in range(6_000)]
        counts = [drawn.count(seq) for seq in weights]
        expected = np.array(list(weights.values())) / sum(weights.values()) * len(drawn)
        assert chisquare(counts, expected).pvalue > 1e-4
    reader.close()
    writer.close()


def test_a_step_belongs_to_one_segment(tmp_path: Path) -> None:
    """Another segment that claims a stored decision is refused, and leaves nothing behind."""
    writer = ExperienceWriter(tmp_path / "e.db", 100)
    writer.append(made_segment(0, 10))
    with pytest.raises(BadInput, match="another segment"):
        writer.append(made_segment(5, 10))
    assert writer.append(made_segment(10, 10))
    writer.close()
