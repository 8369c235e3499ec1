"""`python -m training < job.json`: the train process.

Started by this name, not as `training.process`: a self-play worker imports its parent's main module, unless that is a
package's, and has no use for torch.
"""

import sys

from training.process import main

if __name__ == "__main__":
    sys.exit(main())
