"""`python -m synchformer`: the command line of `synchformer.cli`."""

import sys

from synchformer.cli import main

sys.exit(main())
