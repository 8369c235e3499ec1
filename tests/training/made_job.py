"""A small job for the trainer."""

from pathlib import Path

from training.job import Job


def job_in(folder: Path, steps: int) -> Job:
    """Passes of six steps over a small file, in this process."""
    ticks = folder / "EUR_USD-swing.csv"
    write_quotes(ticks, 2700)
    return Job(
        files=(str(ticks),), options={}, bar=(True, 60 * 10**9), feature_set="edge20", warmup_bars=512,
        allow_reverse=False, simulations=4, models=str(folder / "models"),
        checkpoint=str(folder / "training" / "checkpoint.pt"), parent=None, fresh=False, minutes=None, steps=steps,
        seed=1, workers=0, recipe={}, code_version=None,
    )  # fmt: skip


def write_quotes(path: Path, bars: int) -> None:
    """A quote a minute on a swinging mid."""
    lines = ["time,bid,ask"]
    for i in range(bars):
        points = 110_000 + round(30 * ((i * i * 7919) % 101 - 50) / 50)
        time = f"2024-01-{1 + i // 1440:02}T{i // 60 % 24:02}:{i % 60:02}:30Z"
        lines.append(f"{time},{(points - 5) / 1e5:.5f},{(points + 5) / 1e5:.5f}")
    path.write_text("\n".join(lines) + "\n")
