"""Libraries of tests/crash that are put before libc's calls of a server under test."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

CRASH = Path(__file__).parent / "crash"


def compile_library(name: str, target: Path) -> Path:
    """tests/crash/<name>.c as a preload library in that folder."""
    library = target / f"{name}.so"
    compiler = os.environ.get("CC", "gcc").split()[-1]
    subprocess.run([compiler, "-shared", "-fPIC", "-O2", "-o", library, CRASH / f"{name}.c", "-ldl"], check=True)
    return library
