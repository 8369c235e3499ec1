"""What a result was made with: versions, processor, commit, input files."""

import hashlib
import os
import platform
import subprocess
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from broker.errors import BadInput

PACKAGES = ("micro-trader", "numpy", "numba", "torch")
CHUNK_BYTES = 1 << 20
GIT_TIMEOUT_S = 5.0


def environment(inputs: Iterable[Path]) -> dict[str, Any]:
    """The document of environment.json.

    Args:
        inputs: the tick files, hashed as they lie on disk.

    Raises:
        BadInput: an input can't be read.
    """
    return {
        "versions": {"python": platform.python_version(), **{name: package_version(name) for name in PACKAGES}},
        "platform": platform.platform(),
        "cpu": {"model": cpu_model(), "cores": os.cpu_count()},
        "git_commit": git_commit(),
        "inputs": [input_file(path) for path in inputs],
    }


def package_version(name: str) -> str | None:
    """Installed version, read without importing the package; None where it isn't installed."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def input_file(path: Path) -> dict[str, Any]:
    """Path, size in bytes and SHA-256 (lowercase hex) of a file as given."""
    digest = hashlib.sha256()
    size = 0
    try:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                digest.update(chunk)
                size += len(chunk)
    except OSError as error:
        raise BadInput(f"can't be read: {error.strerror}", where=str(path)) from error
    return {"path": str(path), "bytes": size, "sha256": digest.hexdigest()}


def cpu_model() -> str:
    """The processor's name."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def git_commit() -> str | None:
    """Commit of the source tree that runs, with `-dirty` where it was edited; None outside a checkout."""
    source = Path(__file__).resolve().parent.parent
    if not (source / ".git").exists():
        return None
    commit = _git(source, "rev-parse", "HEAD")
    changes = _git(source, "status", "--porcelain", "--untracked-files=no")
    return f"{commit}-dirty" if commit and changes else commit


def _git(source: Path, *arguments: str) -> str | None:
    try:
        answer = subprocess.run(
            ("git", "-C", str(source), *arguments), capture_output=True, text=True, timeout=GIT_TIMEOUT_S, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip() or None
