"""The crash tests use the plain RESP client of the command tests."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.faults import faults

__all__ = ["faults"]

sys.path.insert(0, str(Path(__file__).parents[1] / "commands"))
