"""The spool: segments wait in their order, in a file that outlives the process, or in memory as the last resort."""

from pathlib import Path

from tests.training.made_experience import made_segment
from training.spool import Spool


def drained(spool: Spool) -> list[int]:
    """First decisions of all that wait, in order."""
    found = []
    while (segment := spool.first()) is not None:
        found.append(int(segment.steps["seq"][0]))
        spool.drop_first()
    return found


def test_segments_wait_in_order_and_across_processes(tmp_path: Path) -> None:
    """What an earlier process left waits again; the file goes with its last segment."""
    path = tmp_path / "spool.db"
    spool = Spool(path)
    for seq in (0, 10, 20):
        spool.add(made_segment(seq))
    assert (len(spool), spool.volatile, spool.place) == (3, 0, str(path))
    spool.close()
    again = Spool(path)
    assert len(again) == 3
    assert drained(again) == [0, 10, 20]
    assert list(tmp_path.iterdir()) == []


def test_memory_is_the_last_resort(tmp_path: Path) -> None:
    """Without a file, or where it can't be written either, segments wait in memory and are counted as volatile."""
    (tmp_path / "taken").write_text("a file")
    for path in (None, tmp_path / "taken" / "spool.db"):
        spool = Spool(path)
        spool.add(made_segment(0))
        spool.add(made_segment(10))
        assert (len(spool), spool.volatile, spool.place) == (2, 2, "memory")
        assert drained(spool) == [0, 10]
