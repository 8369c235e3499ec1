"""Where compiled kernels are kept: a folder of their own for each state of their sources.

The compiler's cache looks at a function's own file only; a kernel that inlines another file's would go on running
the old code after an upgrade. So the folder's name holds a digest of every source that kernels are made from.
"""

import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Mapping, MutableMapping
from pathlib import Path

VARIABLE = "NUMBA_CACHE_DIR"
PACKAGES = ("broker", "strategy", "training", "daemon")
KEPT = 3
IMPORT = re.compile(rf"^from ((?:{'|'.join(PACKAGES)})[\w.]*) import", re.MULTILINE)


def use_kernel_cache(environ: MutableMapping[str, str]) -> None:
    """Point the compiler to the folder of these sources, unless the user chose one; before any kernel is imported."""
    if environ.get(VARIABLE):
        return
    base = _base(environ)
    environ[VARIABLE] = str(base / f"kernels-{digest(Path(__file__).resolve().parents[1])}")
    for old in sorted(base.glob("kernels-*"), key=lambda path: path.stat().st_mtime)[:-KEPT]:
        shutil.rmtree(old, ignore_errors=True)


def must_compile(environ: Mapping[str, str]) -> bool:
    """Whether the kernels of these sources were never compiled here."""
    folder = Path(environ.get(VARIABLE, ""))
    return not folder.is_dir() or not any(folder.iterdir())


def digest(root: Path) -> str:
    """Sixteen hex digits of all sources below `root` that kernels are made from."""
    found = hashlib.sha256()
    for path in sorted(kernel_sources(root)):
        found.update(f"{path.relative_to(root)}\0".encode())
        found.update(path.read_bytes())
    return found.hexdigest()[:16]


def kernel_sources(root: Path) -> set[Path]:
    """The modules of the four packages that import the compiler, and all that they import in turn."""
    texts = {path: path.read_text(encoding="utf-8") for package in PACKAGES for path in (root / package).rglob("*.py")}
    found: set[Path] = set()
    waiting = [path for path, text in texts.items() if "from numba import" in text or "import numba" in text]
    while waiting:
        path = waiting.pop()
        if path in found:
            continue
        found.add(path)
        for module in IMPORT.findall(texts[path]):
            place = root.joinpath(*module.split("."))
            waiting += [file for file in (place.with_suffix(".py"), place / "__init__.py") if file in texts]
    return found


def _base(environ: MutableMapping[str, str]) -> Path:
    """The first folder that can be written: the service's cache, the user's, a temporary one."""
    home = environ.get("XDG_CACHE_HOME") or os.path.join(environ.get("HOME") or "/nonexistent", ".cache")
    candidates = [Path(environ["CACHE_DIRECTORY"])] if environ.get("CACHE_DIRECTORY") else [Path(home) / "micro-trader"]
    for base in candidates:
        try:
            base.mkdir(parents=True, exist_ok=True)
            if os.access(base, os.W_OK):
                return base
        except OSError:
            continue
    base = Path(tempfile.gettempdir()) / f"micro-trader-{os.getuid()}"
    base.mkdir(mode=0o700, exist_ok=True)
    return base
