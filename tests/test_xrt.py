"""The unmodified driver on XRT's interface, with the C-simulation for a card (fake_xrt/pyxrt.py). No XRT has seen it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import board_project
import pytest

import intarsia
from intarsia.boards import accelerator
from intarsia.simulation.build import build

FAKE = Path(__file__).with_name("fake_xrt")
START = """
import time
import numpy as np
from accelerator import Accelerator, AcceleratorError
x = np.arange(36, dtype=np.int8).reshape(3, 3, 2, 2)
wanted = x + np.array([1, 2, 3]).reshape(1, 3, 1, 1)
def error_of(call, *arguments):
    try:
        call(*arguments)
    except AcceleratorError as error:
        return str(error)
    raise AssertionError("no error")
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    project = board_project.write_project(tmp_path / "project")
    deploy = project / "deploy"
    (deploy / "manifest.json").write_text(
        json.dumps(board_project.manifest() | {"runtime": "xrt", "board": "u250", "family": "alveo"})
    )
    driver = Path(accelerator.__file__).with_name("xrt_device.py")
    (deploy / "xrt_device.py").write_bytes(driver.read_bytes())
    (deploy / "pynq_device.py").unlink()
    (deploy / "tiny.xclbin").write_bytes(b"xclbin2")
    return project


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return board_project.build_library(tmp_path_factory.mktemp("library"))


def run_script(project: Path, library: Path | None, script: str) -> str:
    """Runs a script in the deploy folder, with the fake XRT unless there is no library."""
    (project / "script.py").write_text(script)
    path = [str(project / "deploy"), *([str(FAKE)] if library else [])]
    done = subprocess.run(
        [sys.executable, str(project / "script.py")],
        cwd=project / "deploy",
        env=os.environ | {"PYTHONPATH": os.pathsep.join(path), "FAKE_XRT_LIBRARY": str(library)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_session(project: Path, library: Path) -> None:
    script = """
with Accelerator("tiny.xclbin") as tiny:
    assert tiny.self_test() == 4
    first = tiny.run(x)["result"]
    kept = first.copy()
    assert (first == wanted).all()
    assert (tiny.run(-x)["result"] == wanted - 2 * x).all()
    assert (first == kept).all(), "a result changed when the accelerator ran again"
    assert set(tiny.trace(x)) == {"result", "/body/doubled", "file"}
    assert (tiny.taps(x, 1)["/body/doubled"] == 2 * x).all()
    with Accelerator("tiny.xclbin", device=1) as other:
        assert (other.run(x)["result"] == wanted).all()
        assert (tiny.run(x)["result"] == wanted).all()
assert "it was closed" in error_of(tiny.run, x)
"""
    run_script(project, library, START + script)


def test_a_stuck_kernel(project: Path, library: Path) -> None:
    script = """
x[1, 0, 0, 0] = 124
with Accelerator("tiny.xclbin", timeout_s=0.3) as tiny:
    message = error_of(tiny.taps, x, 1)
    assert "XRT says ERT_CMD_STATE_TIMEOUT" in message and "launch 2 in 0.3 s" in message, message
    assert "phase 0 of 2: '/body/doubled' (2 of 4 words written)" in message, message
"""
    run_script(project, library, START + script)


def test_what_cannot_be_loaded(project: Path, library: Path) -> None:
    script = """
from pathlib import Path
assert "No such device with index '7'" in error_of(Accelerator, "tiny.xclbin", None, 1.0, 7)
assert "there is no file none.xclbin" in error_of(Accelerator, "none.xclbin")
one = Accelerator("tiny.xclbin")
Path("other.xclbin").write_bytes(b"xclbin2 other")
Accelerator("other.xclbin")
assert "another .xclbin was loaded over tiny.xclbin" in error_of(one.run, x)
Path("tiny.xclbin").write_bytes(b"something")
assert "cannot load tiny.xclbin: invalid xclbin" in error_of(Accelerator, "tiny.xclbin")
"""
    run_script(project, library, START + script)


def test_without_xrt(project: Path) -> None:
    script = 'assert "pyxrt cannot be imported" in error_of(Accelerator, "tiny.xclbin")'
    run_script(project, None, START + script)


def test_the_example_of_a_compiled_model(lenet_model: Path, lenet_images: Path, tmp_path: Path) -> None:
    """A project for an Alveo card, from the model to its own example script."""
    design = intarsia.compile(lenet_model, board="u250", calibration=lenet_images, schedule="sequential")
    project = design.write(tmp_path / "lenet")
    (project / "deploy/lenet5.xclbin").write_bytes(b"xclbin2")
    shown = run_script(
        project,
        build(project),
        (project / "deploy/example.py")
        .read_text()
        .replace("HERE = Path(__file__).resolve().parent", 'HERE = Path("")'),
    )
    assert "self-test: 4 samples, every integer right" in shown
    assert "output logits: (8, 10)" in shown
