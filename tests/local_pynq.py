"""A user's script in the deploy folder of a project, on a board where PYNQ is local (fake_pynq)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def run_script(deploy: Path, script: str, library: Path) -> None:
    """Runs it, in a process of its own, with the kernel of a compiled library; what it asserts must hold."""
    path = [str(deploy), str(Path(__file__).with_name("fake_pynq")), os.environ.get("PYTHONPATH", "")]
    variables = {key: value for key, value in os.environ.items() if key != "PYNQ_REMOTE_DEVICES"}
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=deploy,
        env=variables | {"PYTHONPATH": os.pathsep.join(path), "FAKE_PYNQ_LIBRARY": str(library)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
