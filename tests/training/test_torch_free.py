"""What the daemon needs of the school does without torch."""

import subprocess
import sys

WITHOUT = "training.registry training.recorder training.store_writer training.store_reader training.store_maintenance"


def test_the_validator_does_not_load_torch() -> None:
    """Validation plays models by the compiled kernels alone: the command and all that it imports."""
    code = "import sys, daemon.commands.validate; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_store_and_registry_do_not_load_torch() -> None:
    """The daemon starts fast and small: store, recorder and registry never import torch."""
    code = f"import sys, {', '.join(WITHOUT.split())}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
