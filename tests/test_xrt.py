"""The unmodified driver on the emulated card, which speaks XRT's interface (boards/emulated_xrt.py). No XRT has seen it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import board_project
import numpy as np
import pytest
from typer.testing import CliRunner

import intarsia
from intarsia.__main__ import app
from intarsia.boards.emulated_xrt import write_xclbin
from intarsia.simulation.build import build
from intarsia.verify.board_runner import XRT_LAUNCHER, BoardRunError, BoardRunner

START = "import time\n" + board_project.START


@pytest.fixture
def project(tmp_path: Path) -> Path:
    project = board_project.write_project(tmp_path / "project")
    deploy = project / "deploy"
    about = board_project.manifest() | {"runtime": "xrt", "board": "u250", "family": "alveo"}
    about["arguments"][-1] |= {"kind": "pointer", "bits": 64, "bytes": 4, "bundle": "gmem_cycles"}
    (deploy / "manifest.json").write_text(json.dumps(about))
    return project


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return board_project.build_library(tmp_path_factory.mktemp("library"))


def write(project: Path, library: Path, fault: str = "") -> Path:
    return write_xclbin(project / "deploy/manifest.json", library, project / "deploy", fault)


def run_script(project: Path, script: str, launcher: str = XRT_LAUNCHER) -> str:
    """Runs a script in the deploy folder, on the emulated card."""
    path = project / "deploy" / "script.py"
    path.write_text(script)
    done = subprocess.run(
        [sys.executable, "-c", launcher, str(path)],
        cwd=project / "deploy",
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
    assert tiny.cycles == 0
    assert tiny.self_test() == 4
    first = tiny.run(x)["result"]
    kept = first.copy()
    assert (first == wanted).all()
    assert (tiny.run(-x)["result"] == wanted - 2 * x).all()
    assert (first == kept).all(), "a result changed when the accelerator ran again"
    assert set(tiny.trace(x)) == {"result", "/body/doubled", "file"}
    assert (tiny.taps(x, 1)["/body/doubled"] == 2 * x).all()
    assert tiny.cycles == 2000, "counted by the kernel, and read from the memory of the card"
    assert (tiny.run(np.repeat(x, 40, axis=0))["result"] == np.repeat(wanted, 40, axis=0)).all()
    with Accelerator("tiny.xclbin", device=1) as other, Accelerator("tiny.xclbin", device="0000:00:00.1") as same:
        assert (other.run(x)["result"] == wanted).all()
        assert (tiny.run(x)["result"] == wanted).all()
        assert (same.run(x)["result"] == wanted).all()
assert "it was closed" in error_of(tiny.run, x)
"""
    write(project, library)
    run_script(project, START + script)


def test_a_stuck_kernel(project: Path, library: Path) -> None:
    script = """
x[1, 0, 0, 0] = 124
with Accelerator("tiny.xclbin", timeout_s=0.3) as tiny:
    message = error_of(tiny.taps, x, 1)
    assert "XRT says ERT_CMD_STATE_TIMEOUT" in message and "launch 2 in 0.3 s" in message, message
    assert "phase 0 of 2: '/body/doubled' (2 of 4 words written)" in message, message
    assert "phase register" not in message, "pyxrt cannot read it"
    assert "its kernel is stuck" in error_of(tiny.run, x)
"""
    write(project, library)
    run_script(project, START + script)


def test_a_hang_in_a_later_phase(project: Path, library: Path) -> None:
    script = """
with Accelerator("tiny.xclbin", timeout_s=0.3) as tiny:
    message = error_of(tiny.taps, x, 2)
    assert "phase 1 of 2: 'file' (0 of 2 words written)" in message, message
"""
    write(project, library, "hang:1:1")
    run_script(project, START + script)


def test_what_cannot_be_loaded(project: Path, library: Path) -> None:
    script = """
from pathlib import Path
assert "Could not open device with index '7'" in error_of(Accelerator, "tiny.xclbin", None, 1.0, 7)
assert "there is no file none.xclbin" in error_of(Accelerator, "none.xclbin")
one = Accelerator("tiny.xclbin")
Path("other.xclbin").write_bytes(Path("tiny.xclbin").read_bytes() + b" ")
Accelerator("other.xclbin")
assert "another .xclbin was loaded over tiny.xclbin" in error_of(one.run, x)
Path("tiny.xclbin").write_bytes(b"something")
assert "cannot load tiny.xclbin: tiny.xclbin is not an .xclbin of the emulated card" in error_of(Accelerator, "tiny.xclbin")
"""
    write(project, library)
    run_script(project, START + script)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param("_TO_DEVICE, self._size, 0)", "_TO_DEVICE, 1, 0)", id="stale inputs"),
        pytest.param("_FROM_DEVICE, self._size, 0)", "_FROM_DEVICE, 1, 0)", id="stale results"),
        pytest.param("offset == 0", "True", id="wrong sample"),
        pytest.param("group_id(self._indices[name])", "group_id(0)", id="wrong bank"),
        pytest.param("alignment = 4096", "alignment = 64", id="parts that do not start at pages"),
        pytest.param(
            "self._indices[name], value if", "self._indices[name] ^ 1, value if", id="swapped arguments"
        ),
    ],
)
def test_faults_of_a_driver_are_seen(project: Path, library: Path, old: str, new: str) -> None:
    """The emulated card must not forgive what a real one does not."""
    path = project / "deploy" / "intarsia_driver" / "xrt_device.py"
    assert path.read_text().count(old) == 1
    path.write_text(path.read_text().replace(old, new))
    images = np.arange(24, dtype=np.int8).reshape(2, 3, 2, 2)
    expected = board_project.expected(images)
    with BoardRunner(project, library) as runner:
        try:
            found = runner.trace({"image": images})
        except BoardRunError:
            return
    assert any(not np.array_equal(found[name], expected[name]) for name in expected)


def test_the_runner(project: Path, library: Path) -> None:
    images = np.arange(-30, 30, dtype=np.int8).reshape(5, 3, 2, 2)
    with BoardRunner(project, library) as runner:
        found = runner.trace({"image": images})
        for name, wanted in board_project.expected(images).items():
            np.testing.assert_array_equal(found[name], wanted, err_msg=name)
        crash = images.copy()
        crash[1, 0, 0, 0] = 126
        with pytest.raises(BoardRunError, match="emulated board: "):
            runner.trace({"image": crash})
    with pytest.raises(BoardRunError, match=r"board 'u250' is driven by XRT.*--trace"):
        BoardRunner(project, address="192.0.2.1")


def test_without_xrt(project: Path, library: Path) -> None:
    write(project, library)
    script = 'assert "pyxrt cannot be imported" in error_of(Accelerator, "tiny.xclbin")'
    launcher = re.sub("sys.modules.*", "", XRT_LAUNCHER)
    run_script(project, START + script, launcher)


def test_a_compiled_model_is_verified(lenet_model: Path, lenet_images: Path, tmp_path: Path) -> None:
    """A project for an Alveo card, from the model to its own example script and to `verify`."""
    design = intarsia.compile(lenet_model, board="u250", calibration=lenet_images)
    project = design.write(tmp_path / "lenet")
    done = CliRunner().invoke(app, ["verify", str(project), "--json", str(tmp_path / "report.json")])
    assert done.exit_code == 0, done.output
    report = json.loads((tmp_path / "report.json").read_text())
    verdicts = {layer["edges"]["deployment"]["verdict"] for layer in report["layers"]}
    assert verdicts <= {"pass", "given"} and "pass" in verdicts
    write(project, build(project))
    shown = run_script(
        project,
        (project / "deploy/example.py").read_text().replace("Path(__file__)", f'Path("{project}/deploy/x")'),
    )
    assert "self-test: 4 samples, every integer right" in shown
    assert "output logits: (8, 10)" in shown
    assert f"the kernel counted {design.description['schedule']['latency_cycles']:,} cycles" in shown
    assert "m_axi port = cycles bundle = gmem_cycles" in (project / "src/top.cpp").read_text()
    assert "m_axi_gmem_cycles" in (project / "link/link.cfg").read_text()
    assert os.environ.get("PYNQ_REMOTE_DEVICES") is None
