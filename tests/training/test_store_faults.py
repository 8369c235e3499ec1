"""Nothing lost: kills, torn logs, full disks, flipped bytes, other versions, several processes at once."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from broker.errors import BadInput, StorageFault
from tests.training.made_experience import FEATURES, SET, made_segment
from tests.training.store_process import STEPS
from training.locks import trainer_lock
from training.quality import Half
from training.store_maintenance import ExperienceMaintenance
from training.store_reader import ExperienceReader
from training.store_rows import canonical
from training.store_scan import read_segment, segment_ids
from training.store_schema import MIGRATIONS, SCHEMA_VERSION, connect
from training.store_writer import ExperienceWriter

ROOT = Path(__file__).parents[2]
PLENTY = 10_000_000


def start(*arguments: object) -> subprocess.Popen[str]:
    """A process of store_process.py."""
    command = [sys.executable, "-m", "tests.training.store_process", *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def check_whole(path: Path) -> int:
    """How many segments there are: numbers 0 to n - 1, each as it was made."""
    db = connect(path)
    numbers = []
    for key in segment_ids(db):
        segment = read_segment(db, key)
        number = segment.first_seq // STEPS
        made = made_segment(number * STEPS, STEPS, pips=float(number % 17 - 8))
        assert segment.steps.tobytes() == canonical(made.steps).tobytes()
        assert segment.trade == made.trade
        numbers.append(number)
    assert numbers == list(range(len(numbers)))
    assert db.execute("SELECT count(*) FROM step").fetchone()[0] == len(numbers) * STEPS
    assert db.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    db.close()
    return len(numbers)


def test_killed_writers_lose_nothing(tmp_path: Path) -> None:
    """kill -9 at any instant: every acknowledged segment is there, whole; none in part; learners meanwhile too."""
    path, stored, rng = tmp_path / "e.db", 0, random.Random(11)
    ExperienceWriter(path, PLENTY).close()
    for _ in range(4):
        writer, learner = start("write", path, stored, PLENTY, PLENTY), start("learn", path, 1, PLENTY)
        assert writer.stdout is not None
        acknowledged = [int(writer.stdout.readline()) for _ in range(rng.randrange(1, 120))]
        for process in (writer, learner):
            os.kill(process.pid, signal.SIGKILL)
        acknowledged += [int(line) for line in writer.communicate()[0].splitlines(keepends=True) if line[-1] == "\n"]
        learner.communicate()
        stored = check_whole(path)
        assert stored > max(acknowledged)


@pytest.mark.parametrize("seed", range(6))
def test_a_torn_log_is_a_prefix(tmp_path: Path, seed: int) -> None:
    """A log cut or overwritten at any byte, as a power cut leaves it: what is before the tear is there, whole."""
    path, rng = tmp_path / "e.db", random.Random(seed)
    writer = start("write", path, 0, PLENTY, PLENTY)
    assert writer.stdout is not None
    for _ in range(30):
        writer.stdout.readline()
    os.kill(writer.pid, signal.SIGKILL)
    writer.communicate()
    log = path.with_name("e.db-wal")
    content = bytearray(log.read_bytes())
    at = rng.randrange(len(content) // 2, len(content))
    if seed % 2:
        content[at : at + 512] = rng.randbytes(len(content[at : at + 512]))
    else:
        del content[at:]
    log.write_bytes(content)
    path.with_name("e.db-shm").unlink()
    assert check_whole(path) >= 1
    again = ExperienceWriter(path, PLENTY)
    assert again.append(made_segment(10**6))
    again.close()


def limit_pages(writer: ExperienceWriter, more: int) -> None:
    """Let the store's file grow by `more` pages only, or (0) without limit: SQLite then says that the disk is full."""
    pages = writer._db.execute("PRAGMA page_count").fetchone()[0]
    writer._db.execute(f"PRAGMA max_page_count = {pages + more if more else 2**31}")


@pytest.mark.parametrize("filed", [False, True])
def test_a_full_disk_spools(tmp_path: Path, filed: bool) -> None:
    """A full disk: spooled, reported, tried again, and stored in order once there is room; nothing is dropped."""
    spool = tmp_path / "elsewhere.db" if filed else None
    writer = ExperienceWriter(tmp_path / "e.db", PLENTY, spool)
    limit_pages(writer, 12)
    faults = 0
    for number in range(60):
        try:
            assert writer.append(made_segment(number * STEPS, STEPS, pips=float(number % 17 - 8)))
        except StorageFault as fault:
            faults += 1
            assert writer.pending == faults
            assert f"{faults} segments wait in {spool or 'memory'}" in str(fault)
    assert faults > 10
    if filed:  # the process ends with the disk still full; the next one finds the spool
        writer.close()
        writer = ExperienceWriter(tmp_path / "e.db", PLENTY, spool)
    limit_pages(writer, 0)
    assert writer.append(made_segment(60 * STEPS, STEPS, pips=float(60 % 17 - 8)))
    assert writer.pending == 0
    assert not (tmp_path / "elsewhere.db").exists()
    writer.close()
    assert check_whole(tmp_path / "e.db") == 61


def append_many(writer: ExperienceWriter, count: int) -> None:
    """Append so many segments."""
    for number in range(count):
        writer.append(made_segment(number * STEPS, STEPS))


def test_closing_over_a_memory_spool_is_a_fault(tmp_path: Path) -> None:
    """What waits in memory alone can't be forgotten silently."""
    writer = ExperienceWriter(tmp_path / "e.db", PLENTY)
    limit_pages(writer, 1)
    with pytest.raises(StorageFault):
        append_many(writer, 60)
    with pytest.raises(StorageFault, match="1 segments wait in memory"):
        writer.close()


def flip(path: Path, what: bytes) -> None:
    """Change one byte of the only place that holds `what`."""
    content = bytearray(path.read_bytes())
    assert content.count(what) == 1
    content[content.index(what) + len(what) // 2] ^= 0x10
    path.write_bytes(content)


@pytest.mark.parametrize("of", ["features", "pnl"])
def test_a_flipped_byte_is_quarantined(tmp_path: Path, of: str) -> None:
    """One wrong byte: `verify` names the segment, it is no longer served, and the rest is."""
    path = tmp_path / "e.db"
    writer = ExperienceWriter(path, PLENTY)
    made = [made_segment(number * STEPS, STEPS, run="a-run", pips=float(number)) for number in range(40)]
    for segment in made:
        writer.append(segment)
    writer.close()
    writer = ExperienceWriter(path, PLENTY)
    writer._db.execute("UPDATE segment SET pnl = '-0.987654321' WHERE id = 18")  # as damage would: its checksum stays
    writer.close()
    flip(path, made[17].steps["features"][3].tobytes() if of == "features" else b"-0.987654321")
    reader = ExperienceReader(path, SET, FEATURES, np.random.default_rng(0), tmp_path / "cache")
    assert list(reader.damaged) == [18]
    assert sum(reader.size(half) for half in Half) == 39 * STEPS
    reader.close()
    keeper = ExperienceMaintenance(path)
    found = keeper.verify()
    assert found["integrity"] == "damaged"
    assert [row["segment"] for row in found["quarantined"]] == [18]
    assert keeper.stats()["size"] == 39 * STEPS
    assert [row["segment"] for row in keeper.verify()["quarantined"]] == [18]
    keeper.prune()
    assert keeper.verify()["integrity"] == "ok"
    keeper.close()
    reader = ExperienceReader(path, SET, FEATURES, np.random.default_rng(0), tmp_path / "cache")
    assert (sum(reader.size(half) for half in Half), reader.damaged) == (39 * STEPS, {})
    reader.close()


def test_a_destroyed_page_costs_its_rows_only(tmp_path: Path) -> None:
    """A page of steps that can't be read at all: its segments are named, the others are served."""
    path = tmp_path / "e.db"
    writer = ExperienceWriter(path, PLENTY)
    made = [made_segment(number * STEPS, STEPS, run="a-run") for number in range(60)]
    for segment in made:
        writer.append(segment)
    writer.close()
    content = bytearray(path.read_bytes())
    page = content.index(made[30].steps["features"][3].tobytes()) // 4096
    content[page * 4096 : page * 4096 + 64] = b"\xff" * 64
    path.write_bytes(content)
    reader = ExperienceReader(path, SET, FEATURES, np.random.default_rng(0))
    assert 31 in reader.damaged
    assert 0 < len(reader.damaged) < 10
    assert sum(reader.size(half) for half in Half) == (60 - len(reader.damaged)) * STEPS
    damaged = set(reader.damaged)
    reader.close()
    keeper = ExperienceMaintenance(path)
    assert damaged <= {row["segment"] for row in keeper.verify()["quarantined"]}
    keeper.close()


def test_the_second_trainer_is_refused(tmp_path: Path) -> None:
    """Two trainers at once: the second is told who is first, and takes over once that one is gone."""
    named = rf"trainer \(process {os.getpid()}, since 1970-01-01T00:00:00"
    with trainer_lock(tmp_path, lambda: 0), pytest.raises(BadInput, match=named):
        trainer_lock(tmp_path, lambda: 0).acquire()
    with trainer_lock(tmp_path, lambda: 0) as again:
        assert again.held


def test_an_older_store_is_backed_up_and_migrated(tmp_path: Path) -> None:
    """A file of the first version opens, keeps what it holds, and leaves a copy as it was."""
    path = tmp_path / "e.db"
    old = sqlite3.connect(path)
    old.executescript(MIGRATIONS[0] + f"PRAGMA application_id = {0x4D545845}; PRAGMA user_version = 1;")
    old.execute("UPDATE store SET epoch = 77")
    old.commit()
    old.close()
    writer = ExperienceWriter(path, 500)
    writer.append(made_segment(0))
    writer.close()
    backup = sqlite3.connect(tmp_path / "e.db.v1.bak")
    assert backup.execute("PRAGMA user_version").fetchone() == (1,)
    assert backup.execute("SELECT epoch FROM store").fetchone() == (77,)
    backup.close()
    keeper = ExperienceMaintenance(path)
    assert (keeper.stats()["schema_version"], keeper.stats()["size"]) == (SCHEMA_VERSION, 5)
    keeper.close()


def test_a_newer_store_is_refused_untouched(tmp_path: Path) -> None:
    """A file of a later version is not opened, and not a byte of it changes."""
    path = tmp_path / "e.db"
    ExperienceWriter(path, 500).close()
    new = sqlite3.connect(path)
    new.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    new.close()
    before = path.read_bytes()
    with pytest.raises(BadInput, match="newer version"):
        ExperienceWriter(path, 500)
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", [b"time,bid,ask\n" * 100, None])
def test_other_files_are_refused(tmp_path: Path, content: bytes | None) -> None:
    """A file that is no store is said to be none, and left alone."""
    path = tmp_path / "e.db"
    if content is None:
        other = sqlite3.connect(path)
        other.execute("CREATE TABLE mine (x)")
        other.close()
    else:
        path.write_bytes(content)
    before = path.read_bytes()
    with pytest.raises(BadInput, match="not an experience store"):
        connect(path)
    assert path.read_bytes() == before


def test_three_processes_at_once(tmp_path: Path) -> None:
    """Writer, trainer and validator at full rate: all come to their end without a word of locks, and all agree."""
    path = tmp_path / "e.db"
    ExperienceWriter(path, 800).close()
    processes = [start("write", path, 0, 800, 400), start("learn", path, 1, 60), start("learn", path, 2, 60)]
    for process in processes:
        said, complaints = process.communicate(timeout=300)
        assert (process.returncode, complaints) == (0, "")
        assert said
    keeper = ExperienceMaintenance(path)
    stats = keeper.stats()
    assert keeper.verify()["integrity"] == "ok"
    assert stats["size"] + stats["evicted_steps"] == 400 * STEPS
    keeper.close()
    reader = ExperienceReader(path, SET, FEATURES, np.random.default_rng(0), path.with_name("cache-1"))
    assert sum(reader.size(half) for half in Half) == stats["size"]
    reader.close()
