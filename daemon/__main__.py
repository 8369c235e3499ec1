"""`python -m daemon` is `micro-trader`."""

import sys

from daemon.cli import main

sys.exit(main())
