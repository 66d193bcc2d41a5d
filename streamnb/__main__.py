"""``python -m streamnb``: the same as the command ``streamnb``."""

from __future__ import annotations

import sys

from streamnb.cli import main

sys.exit(main())
