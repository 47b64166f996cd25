"""The board leg, from the runner over the unmodified driver and PYNQ client to the emulated board and its kernel."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import board_project
import numpy as np
import pytest
from board_session import assert_traces_equal, edit_driver, images

from intarsia.boards import emulated_overlay
from intarsia.verify.board_runner import BoardRunError, BoardRunner, EmulatedServer

Array = np.ndarray[Any, Any]


@pytest.mark.usefixtures("python")
class TestRunner:
    @pytest.mark.parametrize("board", ["kv260", "pynq-z2", "zcu104", "pynq-z1"])
    def test_trace_has_every_tensor_of_every_sample(self, tmp_path: Path, library: Path, board: str) -> None:
        project = board_project.write_project(tmp_path / board, board)
        with BoardRunner(project, library) as runner:
            assert runner.name == "emulated board"
            assert_traces_equal(runner.trace({"image": images(7)}), board_project.expected(images(7)))
            assert_traces_equal(
                runner.trace({"image": images(2, seed=1)}), board_project.expected(images(2, seed=1))
            )

    def test_two_boards_at_once(self, project: Path, library: Path) -> None:
        with BoardRunner(project, library) as one, BoardRunner(project, library) as other:
            one.trace({"image": images(1)})
            assert_traces_equal(other.trace({"image": images(2)}), board_project.expected(images(2)))
            assert_traces_equal(one.trace({"image": images(3)}), board_project.expected(images(3)))

    def test_a_board_elsewhere(self, project: Path, library: Path, server: EmulatedServer) -> None:
        with BoardRunner(project, address=server.address, bitstream=server.bitstream) as runner:
            assert runner.name == f"board {server.address}"
            assert_traces_equal(runner.trace({"image": images(2)}), board_project.expected(images(2)))

    def test_a_board_that_is_not_there(self, project: Path, tmp_path: Path) -> None:
        bitstream = emulated_overlay.write_overlay(board_project.manifest(), tmp_path)
        with (
            BoardRunner(project, address="127.255.0.1", bitstream=bitstream) as runner,
            pytest.raises(BoardRunError, match=r"board 127\.255\.0\.1: .*Is the board on.*7967"),
        ):
            runner.trace({"image": images(1)})

    def test_a_real_board_needs_a_bitstream(self, project: Path) -> None:
        with pytest.raises(BoardRunError, match=r"there is no bitstream .*tiny\.bit: build it with Vivado"):
            BoardRunner(project, address="192.0.2.1")

    def test_a_hanging_kernel_ends_in_a_timeout_that_shows_the_control_register(
        self, project: Path, library: Path
    ) -> None:
        stuck = images(3)
        stuck[1, 0, 0, 0] = 127
        with BoardRunner(project, library, launch_timeout_s=0.5) as runner:
            with pytest.raises(
                BoardRunError,
                match=r"did not finish launch 2 in 0\.5 s .the schedule says 0\.01 ms.\. CTRL = 0x1 \(ap_start=1 .*FIFO",
            ):
                runner.trace({"image": stuck})
            assert_traces_equal(runner.trace({"image": images(1)}), board_project.expected(images(1)))

    def test_a_run_that_takes_too_long_is_ended(self, project: Path, library: Path) -> None:
        stuck = np.full((1, 3, 2, 2), 127, np.int8)
        with (
            BoardRunner(project, library, timeout_s=3, launch_timeout_s=60) as runner,
            pytest.raises(BoardRunError, match="emulated board: no result in 3 s"),
        ):
            runner.trace({"image": stuck})

    def test_a_crash_of_the_kernel_is_told_apart_from_a_wrong_result(
        self, project: Path, library: Path
    ) -> None:
        crash = images(2)
        crash[1, 0, 0, 0] = 126
        with (
            BoardRunner(project, library) as runner,
            pytest.raises(BoardRunError, match=r"lost the board after 1 launches.*was killed by SIGABRT"),
        ):
            runner.trace({"image": crash})

    def test_a_fault_of_the_simulation_is_no_result(self, project: Path, library: Path) -> None:
        fault = images(1)
        fault[0, 0, 0, 0] = 125
        with (
            BoardRunner(project, library) as runner,
            pytest.raises(
                BoardRunError, match=r"the C-simulation reports a fault: read from empty stream 'pixels'"
            ),
        ):
            runner.trace({"image": fault})

    def test_a_dropped_server(self, project: Path, library: Path) -> None:
        with BoardRunner(project, library) as runner:
            runner.trace({"image": images(1)})
            assert runner._server is not None
            runner._server.process.kill()
            runner._server.process.wait()
            with pytest.raises(BoardRunError, match="the emulated board was killed by SIGKILL"):
                runner.trace({"image": images(1)})
            assert_traces_equal(runner.trace({"image": images(1)}), board_project.expected(images(1)))

    def test_changed_weights_are_not_loaded(self, project: Path, library: Path) -> None:
        (project / "deploy" / "weights.bin").write_bytes(bytes(16))
        with (
            BoardRunner(project, library) as runner,
            pytest.raises(BoardRunError, match=r"weights\.bin is not the file"),
        ):
            runner.trace({"image": images(1)})

    @pytest.mark.parametrize(
        ("inputs", "message"),
        [
            ({"image": images(1)[:, :2]}, r"has shape \(1, 2, 2, 2\), it must be \(samples, 3, 2, 2\)"),
            ({"image": images(1) * 1.5}, "quantise it first"),
            ({"picture": images(1)}, "input 'image' is missing; given: picture"),
        ],
    )
    def test_wrong_inputs(self, project: Path, library: Path, inputs: dict[str, Array], message: str) -> None:
        with BoardRunner(project, library) as runner, pytest.raises(BoardRunError, match=message):
            runner.trace(inputs)

    def test_a_library_without_the_kernel(self, project: Path, tmp_path: Path) -> None:
        source, library = tmp_path / "other.cpp", tmp_path / "other.so"
        source.write_text('extern "C" void other() {}')
        subprocess.run(["g++", "-shared", "-fPIC", "-o", str(library), str(source)], check=True)
        with (
            BoardRunner(project, library) as runner,
            pytest.raises(BoardRunError, match="cannot load kernel 'tiny'"),
        ):
            runner.trace({"image": images(1)})

    def test_missing_files(self, project: Path, library: Path, tmp_path: Path) -> None:
        with pytest.raises(BoardRunError, match=r"no file .*nowhere\.so"):
            BoardRunner(project, tmp_path / "nowhere.so")
        (project / "deploy" / "accelerator.py").unlink()
        with pytest.raises(BoardRunError, match="there is no driver"):
            BoardRunner(project, library)
        with pytest.raises(BoardRunError, match="cannot read manifest"):
            BoardRunner(tmp_path, library)


@pytest.mark.usefixtures("python")
class TestFaultsOfADriverAreSeen:
    """The emulated board must not forgive what a real one does not."""

    @pytest.mark.parametrize(
        ("old", "new", "wrong"),
        [
            pytest.param(
                "self._buffers[name].from_device()\n        for spec in wanted:",
                "pass\n        for spec in wanted:",
                {"result", "/body/doubled", "file"},
                id="stale results",
            ),
            pytest.param(
                "self._buffers[name].to_device()\n\n    def _mark",
                "pass\n\n    def _mark",
                {"result", "/body/doubled", "file"},
                id="stale inputs",
            ),
            pytest.param(
                'np.dtype(f"<{kind', 'np.dtype(f">{kind', {"/body/doubled", "file"}, id="swapped bytes"
            ),
            pytest.param(
                '"load_weights": int(self.launches == 0)', '"load_weights": 0', {"result"}, id="no weights"
            ),
            pytest.param(
                "launch * strides[name] for", "0 * strides[name] for", {"result"}, id="wrong sample"
            ),
            pytest.param(
                'np.moveaxis(samples, spec["channel_axis"], -1)',
                "samples.transpose(0, 3, 2, 1)",
                {"result"},
                id="transposed pixels",
            ),
        ],
    )
    def test_fault(self, project: Path, library: Path, old: str, new: str, wrong: set[str]) -> None:
        edit_driver(project, old, new)
        expected = board_project.expected(images(3))
        with BoardRunner(project, library) as runner:
            found = runner.trace({"image": images(3)})
        assert wrong <= {name for name in expected if not np.array_equal(found[name], expected[name])}

    def test_a_pointer_that_was_never_written_is_refused(self, project: Path, library: Path) -> None:
        edit_driver(project, "value[0].address + value[1]", "0")
        with (
            BoardRunner(project, library) as runner,
            pytest.raises(
                BoardRunError, match="'input': 64 bytes at 0x0 are not inside any allocated buffer"
            ),
        ):
            runner.trace({"image": images(1)})
