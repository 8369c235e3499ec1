"""The kernel cache follows the sources, and finds a folder that it may write to."""

import os
from pathlib import Path

from daemon.kernels import PACKAGES, VARIABLE, digest, kernel_sources, must_compile, use_kernel_cache


def test_the_digest_is_of_what_kernels_are_made_from(tmp_path: Path) -> None:
    """A kernel's own file counts, and what it imports, however far; nothing else does."""
    for package in PACKAGES:
        (tmp_path / package).mkdir()
    kernel, constants = tmp_path / "strategy" / "kernel.py", tmp_path / "broker" / "constants.py"
    kernel.write_text("from numba import njit\nfrom strategy.middle import x\n")
    (tmp_path / "strategy" / "middle.py").write_text("from broker.constants import (\n    y,\n)\n")
    constants.write_text("y = 1\n")
    other = tmp_path / "daemon" / "page.py"
    other.write_text("from strategy.kernel import x\n")
    seen = [digest(tmp_path)]
    other.write_text("from strategy.kernel import z\n")
    assert digest(tmp_path) == seen[0]
    constants.write_text("y = 2\n")
    seen.append(digest(tmp_path))
    kernel.write_text(kernel.read_text() + "k = 1\n")
    seen.append(digest(tmp_path))
    assert len(set(seen)) == 3


def test_every_file_with_a_kernel_counts(root: Path) -> None:
    """In this very program: whatever defines a compiled function is among the sources, and so is what it imports."""
    sources = {str(path.relative_to(root)) for path in kernel_sources(root)}
    everything = [path for package in PACKAGES for path in (root / package).rglob("*.py")]
    compiled = {str(path.relative_to(root)) for path in everything if "@njit" in path.read_text()}
    assert compiled <= sources
    assert {"strategy/fastpath.py", "broker/bars.py", "strategy/features/market.py"} <= sources


def test_the_users_choice_comes_first(tmp_path: Path) -> None:
    """A cache folder already chosen stays; the service's cache folder comes before the user's."""
    chosen = {VARIABLE: "/somewhere"}
    use_kernel_cache(chosen)
    assert chosen[VARIABLE] == "/somewhere"
    service = {"CACHE_DIRECTORY": str(tmp_path / "service"), "HOME": str(tmp_path)}
    use_kernel_cache(service)
    assert Path(service[VARIABLE]).parent == tmp_path / "service"
    user = {"HOME": str(tmp_path)}
    use_kernel_cache(user)
    assert Path(user[VARIABLE]).parent == tmp_path / ".cache" / "micro-trader"


def test_a_home_that_cannot_be_written_is_no_obstacle(tmp_path: Path) -> None:
    """Kernels then go to a temporary folder."""
    (tmp_path / "home").write_text("a file")
    environ = {"HOME": str(tmp_path / "home")}
    use_kernel_cache(environ)
    assert os.access(Path(environ[VARIABLE]).parent, os.W_OK)


def test_old_folders_go(tmp_path: Path) -> None:
    """The newest three stay."""
    base = tmp_path / "micro-trader"
    for age in range(5):
        (base / f"kernels-{age}").mkdir(parents=True)
        os.utime(base / f"kernels-{age}", (age, age))
    use_kernel_cache({"XDG_CACHE_HOME": str(tmp_path)})
    assert sorted(path.name for path in base.iterdir()) == ["kernels-2", "kernels-3", "kernels-4"]


def test_a_cache_without_kernels_must_compile(tmp_path: Path) -> None:
    """So that the user can be told why the first run takes longer."""
    environ = {VARIABLE: str(tmp_path / "kernels")}
    assert must_compile(environ)
    (tmp_path / "kernels" / "x").mkdir(parents=True)
    assert not must_compile(environ)
