"""The kernel cache follows the sources, and finds a folder that it may write to."""

import os
from pathlib import Path

from daemon.kernels import PACKAGES, VARIABLE, digest, use_kernel_cache


def test_any_source_changes_the_digest(tmp_path: Path) -> None:
    """A change in any package, a new file or a renamed one gives another folder; other files do not."""
    for package in PACKAGES:
        (tmp_path / package).mkdir()
        (tmp_path / package / "a.py").write_text("x = 1\n")
    seen = {digest(tmp_path)}
    (tmp_path / "broker" / "notes.txt").write_text("x")
    assert digest(tmp_path) in seen
    for package in PACKAGES:
        (tmp_path / package / "a.py").write_text("x = 2\n")
        seen.add(digest(tmp_path))
    (tmp_path / "broker" / "a.py").rename(tmp_path / "broker" / "b.py")
    seen.add(digest(tmp_path))
    assert len(seen) == 6


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
