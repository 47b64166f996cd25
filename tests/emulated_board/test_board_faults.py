"""Faults of the board, and of compiled kernels that hang, as the unmodified driver tells them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from board_session import START, edit_driver, faulty, run_client

import intarsia
from intarsia.boards.emulated_faults import parse
from intarsia.simulation.build import build
from intarsia.verify.board_runner import EmulatedServer


class TestFaultsOfTheBoard:
    """What the unmodified driver does when the board fails: it says so, in seconds."""

    def run(self, python: Path, project: Path, library: Path, fault: str, script: str) -> None:
        with faulty(python, project, library, fault) as server:
            run_client(python, server, project, START + script)

    def test_a_hang_ends_in_time_and_the_board_can_be_used_again(
        self, python: Path, project: Path, library: Path
    ) -> None:
        script = """
with Accelerator(BITSTREAM, MANIFEST, timeout_s=0.3) as tiny:
    message, seconds = error_of(tiny.run, x)
    assert "did not finish launch 2 in 0.3 s" in message, message
    assert "The phase register says phase 0 of 2 (/body/doubled)" in message, message
    assert "freshly loaded bitstream, with taps: every launch ended there" in message, message
    assert seconds < 10
    assert (tiny.run(x[:1])["result"] == wanted[:1]).all(), "it can be used after a diagnosis"
    tiny.manifest["taps"].clear()
    tiny.reload()
    message, seconds = error_of(tiny.run, x)
    assert seconds < 2 and "with taps" not in message
    message, seconds = error_of(tiny.run, x)
    assert "its kernel is stuck" in message and "reload()" in message, message
    tiny.reload()
    assert (tiny.run(x[:1])["result"] == wanted[:1]).all()
"""
        self.run(python, project, library, "hang:2", script)

    def test_the_phase_of_a_hang_is_found(self, python: Path, server: EmulatedServer, project: Path) -> None:
        """An image that begins with 124 stops the kernel half way through its first tapped tensor."""
        script = """
x[1, 0, 0, 0] = 124
with Accelerator(BITSTREAM, MANIFEST, timeout_s=0.3) as tiny:
    message, _ = error_of(tiny.taps, x, 1)
    assert "it stands in phase 0 of 2: '/body/doubled' (2 of 4 words written)" in message, message
    tiny.reload()
    message, seconds = error_of(tiny.run, x)  # without taps: they are run afterwards
    assert "taps: it stands in phase 0 of 2: '/body/doubled' (2 of 4 words written)" in message, message
    assert seconds < 10
    text = tiny.diagnose(x[1:2])
    assert text == "it stands in phase 0 of 2: '/body/doubled' (2 of 4 words written)", text
    assert (tiny.run(x[:1])["result"] == wanted[:1]).all(), "it can be used after a diagnosis"
    assert "every launch ended there" in tiny.diagnose(x[:1])
"""
        run_client(python, server, project, START + script)

    def test_a_hang_in_a_later_phase(self, python: Path, project: Path, library: Path) -> None:
        script = """
with Accelerator(BITSTREAM, MANIFEST, timeout_s=0.3) as tiny:
    message, _ = error_of(tiny.run, x)
    assert "The phase register says phase 1 of 2 (file, result)" in message, message
    assert "with taps: it stands in phase 1 of 2: 'file' (0 of 2 words written)" in message, message
"""
        self.run(python, project, library, "hang:1:1", script)

    def test_a_failed_transfer(self, python: Path, project: Path, library: Path) -> None:
        script = """
with Accelerator(BITSTREAM, MANIFEST) as tiny:
    message, _ = error_of(tiny.run, x)
    assert "lost the board after 0 launches: transfer 5 failed" in message, message
    assert "it lost the board" in error_of(tiny.run, x)[0]
    tiny.reload()
    assert (tiny.run(x)["result"] == wanted).all()
"""
        self.run(python, project, library, "transfer-error:5", script)

    def test_lost_writes_are_found_by_the_self_test(self, python: Path, project: Path, library: Path) -> None:
        script = """
with Accelerator(BITSTREAM, MANIFEST) as tiny:
    assert tiny.self_test() == 4
    message, _ = error_of(tiny.self_test)
    assert message.startswith("self-test: ") and "elements of output 'result' are wrong" in message, message
"""
        edit_driver(
            project, "if tap:\n                    self._mark", "if True:\n                    self._mark"
        )
        self.run(python, project, library, "memory-error:6", script)

    def test_a_dropped_connection(self, python: Path, project: Path, library: Path) -> None:
        script = """
with Accelerator(BITSTREAM, MANIFEST) as tiny:
    message, seconds = error_of(tiny.run, x)
    assert "lost the board after 1 launches" in message, message
    assert seconds < 5
"""
        self.run(python, project, library, "drop:2", script)

    def test_a_board_that_falls_silent(self, python: Path, project: Path, library: Path) -> None:
        edit_driver(project, "SILENCE_S = 10.0", "SILENCE_S = 0.5")
        script = """
with Accelerator(BITSTREAM, MANIFEST) as tiny:
    message, seconds = error_of(tiny.run, x)
    assert "the board has not answered for" in message and "PYNQ.remote server" in message, message
    assert seconds < 5
"""
        self.run(python, project, library, "freeze:2", script)

    @pytest.mark.parametrize("text", ["hang", "hang:0", "fire:1", "hang:x", "hang:1:2:3", "drop:1:1"])
    def test_unknown_faults(self, text: str) -> None:
        with pytest.raises(ValueError, match="is not a fault: give KIND:NUMBER"):
            parse(text)


@pytest.mark.parametrize("board", ["kv260", "pynq-z2"])
def test_the_cycles_and_the_phases_of_a_compiled_design(
    python: Path, lenet_model: Path, lenet_images: Path, tmp_path: Path, board: str
) -> None:
    """From the timed C-simulation over the counter of the kernel, a register and PYNQ to the driver."""
    design = intarsia.compile(lenet_model, board=board, calibration=lenet_images, schedule="sequential")
    project = design.write(tmp_path / "project")
    about = json.loads((project / "deploy/manifest.json").read_text())
    last = len(about["phases"]) - 1
    script = f"""
import json
from accelerator import Accelerator, AcceleratorError
with Accelerator(BITSTREAM, MANIFEST, timeout_s=0.5) as lenet:
    assert lenet.self_test() == 4
    assert lenet.cycles == {design.description["schedule"]["latency_cycles"]}, lenet.cycles
    assert abs(lenet.kernel_seconds - lenet.expected_seconds) < 1e-9
    try:
        lenet.self_test()
    except AcceleratorError as error:
        message = str(error)
    assert "did not finish launch 5 in 0.5 s" in message, message
    assert "The phase register says phase {last} of {last + 1} ({about["phases"][last]["tasks"][0]}" in message, message
"""
    with faulty(python, project, build(project), f"hang:5:{last}") as server:
        run_client(python, server, project, script)
    stage = f"{about['phases'][last]['tasks'][-1]} makes '{about['phases'][last]['tensors'][-1]}' (0 of "
    script = f"""
from accelerator import Accelerator, AcceleratorError
with Accelerator(BITSTREAM, MANIFEST, timeout_s=0.5) as lenet:
    try:
        lenet.self_test()
    except AcceleratorError as error:
        message = str(error)
    assert "with taps: it stands in phase {last} of {last + 1}" in message and {stage!r} in message, message
"""
    with faulty(python, project, build(project), f"hang:1:{last}") as server:
        run_client(python, server, project, script)
