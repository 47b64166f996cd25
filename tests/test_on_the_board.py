"""The unmodified driver on the board itself, where PYNQ is local: what `PYNQ_REMOTE_DEVICES` would bypass."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import board_project
import numpy as np
import pytest
from local_pynq import run_script

START = "import _thread\nimport signal\nimport threading\n" + board_project.START


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return board_project.build_library(tmp_path_factory.mktemp("library"))


@pytest.mark.parametrize("board", ["pynq-z2", "kv260"])
def test_a_session(board: str, tmp_path: Path, library: Path) -> None:
    deploy = board_project.write_project(tmp_path, board) / "deploy"
    for name in ("tiny.bit", "tiny.hwh"):
        (deploy / name).touch()
    script = """
tiny = Accelerator("tiny.bit", timeout_s=0.3)
assert tiny.self_test() == 4
first = tiny.run(x)["result"]
kept = first.copy()
assert (first == wanted).all()
assert (tiny.run(-x)["result"] == wanted - 2 * x).all() and (first == kept).all()
assert tiny.cycles == 2000
assert set(tiny.trace(x)) == {"result", "/body/doubled", "file"}
stuck = x.copy()
stuck[1, 0, 0, 0] = 124
message = error_of(tiny.taps, stuck, 1)
assert "CTRL = 0x1" in message and "phase 0 of 2: '/body/doubled' (2 of 4 words written)" in message, message
tiny.reload()
message = error_of(tiny.run, stuck)
assert "says phase 0 of 2" in message and "with taps: it stands in phase 0" in message, message
tiny.reload()
assert (tiny.run(x)["result"] == wanted).all()
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where tests run in the background
threading.Timer(0.2, _thread.interrupt_main).start()
tiny.timeout_s = 30
try:
    tiny.run(stuck)
except KeyboardInterrupt:
    pass
else:
    raise AssertionError("it was not interrupted")
assert "a launch was interrupted" in error_of(tiny.run, x)
tiny.reload()
assert (tiny.run(x)["result"] == wanted).all()
two = Accelerator("tiny.bit")
assert "another bitstream was loaded" in error_of(tiny.run, x)
assert (two.run(x)["result"] == wanted).all()
assert "there is no device 1: PYNQ finds 1" in error_of(Accelerator, "tiny.bit", None, 1.0, 1)
"""
    run_script(deploy, START + script, library)


def run(script: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(script), *arguments]
    return subprocess.run(command, cwd=script.parent, capture_output=True, text=True, timeout=60, check=False)


def test_a_folder_that_was_copied_in_part(tmp_path: Path) -> None:
    deploy = board_project.write_project(tmp_path) / "deploy"
    (deploy / "intarsia_driver" / "kernel.py").unlink()
    done = run(deploy / "accelerator.py", "--bitstream", "tiny.bit", "--self-test")
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert "No module named 'intarsia_driver.kernel'" in last and "copy the whole deploy folder again" in last


def test_inputs_that_are_no_archive(tmp_path: Path) -> None:
    deploy = board_project.write_project(tmp_path) / "deploy"
    np.save(deploy / "one.npy", np.zeros(3))
    np.savez(deploy / "objects.npz", image=np.array([None]))
    for name, why in (("one.npy", "not a zip file"), ("objects.npz", "Object arrays cannot be loaded")):
        done = run(
            deploy / "accelerator.py", "--bitstream", "tiny.bit", "--inputs", name, "--outputs", "out.npz"
        )
        assert done.returncode == 2 and done.stdout == ""
        (line,) = done.stderr.splitlines()
        assert line.startswith(f"error: {name} is no .npz file of arrays") and why in line


def test_everything_that_scripts_import_is_there(tmp_path: Path) -> None:
    deploy = board_project.write_project(tmp_path) / "deploy"
    (deploy / "script.py").write_text(
        "from accelerator import *\n"
        "x = quantise([0.5, -8.0], spec := {'bits': 8, 'signed': True, 'exponent': -4})\n"
        "assert dequantise(x, spec).tolist() == [0.5, -8.0] and limits(spec) == (-128, 127)\n"
        "about = read_manifest('manifest.json')\n"
        "entry = about['inputs'][0]\n"
        "image = element_type(entry['format']).type(range(12)).reshape(1, 3, 2, 2)\n"
        "assert (unpack(pack(image, entry), entry) == image).all() and sample_bytes(entry) == 64\n"
        "assert issubclass(SelfTestError, AcceleratorError) and callable(main) and callable(Accelerator)\n"
    )
    done = run(deploy / "script.py")
    assert done.returncode == 0, done.stderr
