"""`python -m pydocker`: the same as the command `pydocker`."""

import sys

from pydocker.cli import main

sys.exit(main())
