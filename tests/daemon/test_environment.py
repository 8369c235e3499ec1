"""What a result was made with."""

import hashlib
import json
import platform
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from broker.errors import BadInput
from daemon.environment import environment, package_version


def test_inputs_carry_the_digest_of_the_file_as_given(tmp_path: Path) -> None:
    """interface: environment.json; SHA-256 in lowercase hex of the bytes on the disk, compressed or not."""
    path = tmp_path / "ticks.csv.gz"
    path.write_bytes(bytes(range(256)) * 9000)
    document = environment([path])
    expected = hashlib.sha256(path.read_bytes()).hexdigest()
    assert document["inputs"] == [{"path": str(path), "bytes": 256 * 9000, "sha256": expected}]
    assert document["versions"]["python"] == platform.python_version()
    assert document["versions"]["numpy"] == version("numpy")
    assert json.loads(json.dumps(document, allow_nan=False)) == document


def test_a_package_that_is_not_there_has_no_version() -> None:
    """Absence is null, not an error."""
    assert package_version("no-such-distribution-at-all") is None


def test_an_input_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    """A directory in a file's place is named."""
    with pytest.raises(BadInput, match="can't be read"):
        environment([tmp_path])


def test_torch_is_named_but_not_loaded() -> None:
    """The daemon's floor never imports torch, not even for its version."""
    program = (
        "import sys; from daemon.environment import environment; environment([]); sys.exit('torch' in sys.modules)"
    )
    root = Path(__file__).parents[2]
    assert subprocess.run((sys.executable, "-c", program), cwd=root, check=False).returncode == 0
