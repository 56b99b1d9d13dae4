"""`python -m runtime`: the command `pydocker-runtime` without an installation."""

import sys

from runtime.cli import main

sys.exit(main())
