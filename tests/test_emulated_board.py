"""The board leg, from the runner over the unmodified driver and PYNQ client to the emulated board and its kernel."""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import board_project
import numpy as np
import pytest

import intarsia
from intarsia.board import board_names, load_board
from intarsia.boards import emulated_overlay, environment
from intarsia.boards.driver.arrays import save_arrays
from intarsia.boards.driver.errors import AcceleratorError
from intarsia.boards.driver.manifest import read_manifest
from intarsia.boards.emulated_faults import parse
from intarsia.boards.emulated_memory import BASE, PAGE, AddressError, Memory
from intarsia.boards.emulated_registers import ControlRegisters, RegisterError
from intarsia.simulation.build import build
from intarsia.verify.board_runner import LAUNCHER, BoardRunError, BoardRunner, EmulatedServer

Array = np.ndarray[Any, Any]


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return board_project.build_library(tmp_path_factory.mktemp("library"))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return board_project.write_project(tmp_path / "project")


@pytest.fixture(scope="session")
def python() -> Path:
    try:
        return environment.find()
    except environment.BoardClientError as error:
        pytest.skip(str(error))


@contextmanager
def faulty(python: Path, project: Path, library: Path, fault: str) -> Iterator[EmulatedServer]:
    """A server that shows a fault."""
    with tempfile.TemporaryDirectory() as folder:
        manifest = project / "deploy" / "manifest.json"
        server = EmulatedServer(python, manifest, library, Path(folder), fault)
        try:
            yield server
        finally:
            server.process.kill()
            server.close()


@pytest.fixture
def server(python: Path, project: Path, library: Path, tmp_path: Path) -> Iterator[EmulatedServer]:
    folder = tmp_path / "server"
    folder.mkdir()
    server = EmulatedServer(python, project / "deploy" / "manifest.json", library, folder)
    yield server
    server.close()


def images(count: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).integers(-60, 60, (count, 3, 2, 2)).astype(np.int8)


def run_client(
    python: Path, server: EmulatedServer, project: Path, script: str, kept_state: Path | None = None
) -> str:
    """Runs a script as a user of the board does, and returns what it prints; PYNQ starts afresh unless its state is kept."""
    path = project / "script.py"
    path.write_text(f"BITSTREAM = {str(server.bitstream)!r}\nMANIFEST = 'deploy/manifest.json'\n{script}")
    variables = os.environ | {"PYNQ_REMOTE_DEVICES": server.address, "PYTHONPATH": str(project / "deploy")}
    with tempfile.TemporaryDirectory() as state:
        done = subprocess.run(
            [str(python), "-W", "ignore", "-c", LAUNCHER, str(kept_state or state), str(path)],
            cwd=project,
            env=variables,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    return done.stdout


def edit_driver(project: Path, old: str, new: str) -> None:
    """Changes the driver, in whichever of its files the text is."""
    edited = 0
    for path in (project / "deploy" / "intarsia_driver").glob("*.py"):
        text = path.read_text()
        path.write_text(text.replace(old, new))
        edited += old in text
    assert edited == 1


def assert_traces_equal(found: dict[str, Array], expected: dict[str, Array]) -> None:
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)
        assert found[name].dtype == np.int64


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
            pytest.param("row * strides[name] for", "0 * strides[name] for", {"result"}, id="wrong sample"),
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


class TestDriver:
    """The driver as a user imports it."""

    def test_a_session(self, python: Path, server: EmulatedServer, project: Path) -> None:
        run_client(
            python,
            server,
            project,
            """
import numpy as np
from accelerator import Accelerator, AcceleratorError
x = np.arange(24, dtype=np.int8).reshape(2, 3, 2, 2)
with Accelerator(BITSTREAM, MANIFEST) as tiny:
    first = tiny.run(x)["result"]
    kept = first.copy()
    assert (first == x + np.array([1, 2, 3]).reshape(1, 3, 1, 1)).all()
    assert (tiny.run(-x)["result"] == first - 2 * x).all()
    assert (first == kept).all(), "a result changed when the accelerator ran again"
    assert (tiny.run(x[0])["result"] == first[:1]).all()
    assert (tiny.run({"image": x})["result"] == first).all()
    assert tiny.groups == [1, 2]
    assert set(tiny.taps(x, 1)) == {"result", "/body/doubled"}
    assert set(tiny.taps(x, 2)) == {"result", "file"}
    assert (tiny(x * 0.0625) == first * 0.0625).all()
    assert tiny.launches == 2 + 2 + 1 + 2 + 2 + 2 + 2
    assert tiny.cycles == 2000 and tiny.kernel_seconds == 1e-5  # as the kernel counted them, at 200 MHz
    from intarsia_driver import kernel
    kernel.CHUNK_BYTES = 300  # several transfers for one batch
    many = np.random.default_rng(0).integers(-50, 50, (11, 3, 2, 2))
    assert (tiny.run(many)["result"] == many + np.array([1, 2, 3]).reshape(1, 3, 1, 1)).all()
    try:
        tiny.taps(x, 3)
    except AcceleratorError as error:
        assert "there is no tap group 3; the groups are [1, 2]" in str(error)
try:
    tiny.run(x)
except AcceleratorError as error:
    assert "closed" in str(error)
    tiny.reload()
    assert (tiny.run(x)["result"] == first).all()
    tiny.close()
else:
    raise AssertionError("it ran after close")
with Accelerator(BITSTREAM, MANIFEST) as tiny:  # on-chip weights are lost, and loaded again
    assert tiny.cycles == 0
    assert (tiny.run(x[0])["result"] == first[:1]).all()
    assert tiny.cycles == 2001, "the launch that loads the weights takes longer"
    assert (tiny.run(x)["result"] == first).all()
    assert tiny.cycles == 2000
try:
    print(tiny.cycles)
except AcceleratorError as error:
    assert "closed" in str(error)
else:
    raise AssertionError("registers were read after close")
""",
        )

    def test_the_plain_pynq_interface(self, python: Path, server: EmulatedServer, project: Path) -> None:
        """A driver that somebody writes by hand, with the register map of the .hwh."""
        run_client(
            python,
            server,
            project,
            """
import numpy as np
from pynq import MMIO, Overlay, allocate
try:
    MMIO(0xA0000000, 4096)
except RuntimeError as error:
    assert "not configured" in str(error), error
else:
    raise AssertionError("there were registers before there was a bitstream")
try:
    MMIO(0x80000000, 4096)
except RuntimeError as error:
    assert "nothing answers at 0x80000000" in str(error), error
overlay = Overlay(BITSTREAM)
kernel = overlay.tiny_0
assert kernel.register_map.CTRL.AP_IDLE == 1
x, y = allocate((4, 16), np.int8), allocate((4, 16), np.int8)
weights, taps = allocate((16,), np.int8), allocate((96,), np.int8)
x[:], weights[:] = 5, 1
x.sync_to_device(), weights.sync_to_device()
for name, buffer in {"input_r": x, "output_r": y, "weights": weights, "taps": taps}.items():
    setattr(kernel.register_map, f"{name}_1", buffer.device_address & 0xFFFFFFFF)
    setattr(kernel.register_map, f"{name}_2", buffer.device_address >> 32)
kernel.register_map.load_weights = 1
kernel.register_map.CTRL.AP_START = 1
while not kernel.read(0) & 2:
    pass
assert kernel.read(0) == 4, "ap_done and ap_ready are cleared by reading"
y[:] = 0
assert not y.any(), "the local copy changes only when it is synchronised"
y.sync_from_device()
assert (y[:, :3] == 6).all() and (y[:, 3:] == 99).all()
""",
        )

    def test_a_changed_bitstream_of_the_same_name_is_sent(
        self, python: Path, server: EmulatedServer, project: Path
    ) -> None:
        """PYNQ.remote 4.0 alone would go on with the file that the board already has."""
        run_client(
            python,
            server,
            project,
            """
from pathlib import Path
from accelerator import Accelerator, AcceleratorError
good = Path(BITSTREAM).read_bytes()
Path(BITSTREAM).write_bytes(good[:-4] + bytes(4)[:3] + b"x")
try:
    Accelerator(BITSTREAM, MANIFEST)
except AcceleratorError as error:
    assert "is not the emulated one of this build" in str(error), error
else:
    raise AssertionError("a wrong bitstream was loaded")
Path(BITSTREAM).write_bytes(good)
Accelerator(BITSTREAM, MANIFEST).close()
""",
        )

    def test_a_handoff_of_another_build_is_refused(
        self, python: Path, server: EmulatedServer, project: Path
    ) -> None:
        handoff = server.bitstream.with_suffix(".hwh")
        handoff.write_text(handoff.read_text().replace('VALUE="0x34"', 'VALUE="0x3c"'))
        run_client(
            python,
            server,
            project,
            """
from accelerator import Accelerator, AcceleratorError
try:
    Accelerator(BITSTREAM, MANIFEST)
except AcceleratorError as error:
    assert "no register at 0x34" in str(error) and "argument 'taps'" in str(error), error
else:
    raise AssertionError("registers of another build were used")
""",
        )

    def test_the_cache_of_pynq_is_not_used(
        self, python: Path, server: EmulatedServer, project: Path, tmp_path: Path
    ) -> None:
        """PYNQ keeps the last .hwh that any program has parsed, and takes it for that of a bitstream it knows already."""
        state = tmp_path / "state"
        state.mkdir()
        session = """
from accelerator import Accelerator
with Accelerator(BITSTREAM, MANIFEST) as one:
    assert one.self_test() == 4
"""
        run_client(python, server, project, session, state)
        stranger = board_project.write_project(tmp_path / "stranger", kernel="stranger")
        library = board_project.build_library(tmp_path, kernel="stranger")
        with faulty(python, stranger, library, "") as another:
            run_client(python, another, stranger, session)
        run_client(python, server, project, session, state)

    def test_the_command_line_tells_errors_in_one_line(
        self, python: Path, project: Path, tmp_path: Path
    ) -> None:
        for arguments, message in [
            (["--bitstream", "no.bit", "--inputs", "no.npz"], "No such file or directory: 'no.npz'"),
            (["--bitstream", "no.bit", "--inputs", "in.npz"], "there is no file no.bit"),
        ]:
            save_arrays(tmp_path / "in.npz", {"image": images(1)})
            done = subprocess.run(
                [str(python), str(project / "deploy" / "accelerator.py"), *arguments, "--outputs", "out.npz"],
                cwd=tmp_path,
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 2
            assert done.stderr.startswith("error: ")
            assert message in done.stderr
            assert len(done.stderr.splitlines()) == 1

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"format": 2}, "has format 2, this driver knows format 1"),
            ({"word_bytes": 8}, "16 lanes of 8 bits do not make a word of 8 bytes"),
            ({"arguments": []}, "tensor 'image' names 'input', which is no pointer argument"),
        ],
    )
    def test_a_manifest_that_contradicts_itself(
        self, tmp_path: Path, change: dict[str, Any], message: str
    ) -> None:
        path = tmp_path / "manifest.json"
        path.write_text(json.dumps(board_project.manifest() | change))
        with pytest.raises(AcceleratorError, match=message):
            read_manifest(path)


START = """
import time
import numpy as np
import accelerator
from accelerator import Accelerator, AcceleratorError
x = np.arange(36, dtype=np.int8).reshape(3, 3, 2, 2)
wanted = x + np.array([1, 2, 3]).reshape(1, 3, 1, 1)
def error_of(call, *arguments):
    start = time.monotonic()
    try:
        call(*arguments)
    except AcceleratorError as error:
        return str(error), time.monotonic() - start
    raise AssertionError("no error")
"""


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


class TestBuild:
    """Files that do not belong together are refused before anything is loaded."""

    def test_sums_of_the_build(self, python: Path, server: EmulatedServer, project: Path) -> None:
        deploy, names = project / "deploy", [server.bitstream.name, server.bitstream.with_suffix(".hwh").name]
        for name in names:
            shutil.copyfile(server.bitstream.with_name(name), deploy / name)
        sums = subprocess.run(
            ["sha256sum", *names, "manifest.json"], cwd=deploy, capture_output=True, text=True, check=True
        )
        (deploy / "SHA256SUMS").write_text(sums.stdout)
        script = """
from pathlib import Path
bit = Path("deploy/tiny.bit")
with Accelerator(bit) as tiny:
    assert tiny.self_test() == 4
for name in ("tiny.bit", "tiny.hwh", "manifest.json"):
    path = bit.with_name(name)
    kept = path.read_bytes()
    path.write_bytes(kept + b"\\n")
    message, _ = error_of(Accelerator, bit)
    assert f"{name} is not the file that" in message and "one build" in message, message
    path.write_bytes(kept)
kept = bit.with_name("golden_vectors.npz")
kept.write_bytes(kept.read_bytes() + b"x")
with Accelerator(bit) as tiny:
    message, _ = error_of(tiny.self_test)
    assert "golden_vectors.npz is not the file the manifest was made with" in message, message
"""
        run_client(python, server, project, START + script)

    def test_the_self_test_of_the_command_line(
        self, python: Path, server: EmulatedServer, project: Path
    ) -> None:
        script = """
arguments = ["--bitstream", BITSTREAM, "--manifest", MANIFEST, "--self-test"]
assert accelerator.main(arguments) == 0
"""
        assert "self-test passed: 4 samples" in run_client(python, server, project, START + script)
        edit_driver(project, "packed[..., :channels] =", "packed[..., :channels] = 1 +")
        assert run_client(python, server, project, START + script.replace("== 0", "== 1")) == ""


class TestSeveral:
    """More than one accelerator in one program."""

    def test_two_boards_at_once(
        self, python: Path, server: EmulatedServer, project: Path, library: Path, tmp_path: Path
    ) -> None:
        other = board_project.write_project(tmp_path / "other", "pynq-z2")
        with faulty(python, other, library, "") as second:
            server.address += f",{second.address}"
            script = f"""
OTHER = {str(second.bitstream)!r}, {str(other / "deploy" / "manifest.json")!r}
with Accelerator(BITSTREAM, MANIFEST, device=0) as one, Accelerator(*OTHER, device=1) as two:
    for _ in range(3):
        assert (one.run(x)["result"] == wanted).all()
        assert (two.run(-x)["result"] == wanted - 2 * x).all()
    assert set(two.trace(x)) == set(one.trace(x)) == {{"result", "/body/doubled", "file"}}
assert "there is no device 2: PYNQ finds 2" in error_of(Accelerator, BITSTREAM, MANIFEST, 1.0, 2)[0]
"""
            run_client(python, server, project, START + script)

    def test_a_second_bitstream_on_the_same_board(
        self, python: Path, server: EmulatedServer, project: Path
    ) -> None:
        """The first accelerator must not go on with the hardware of the second."""
        script = """
one = Accelerator(BITSTREAM, MANIFEST)
assert (one.run(x)["result"] == wanted).all()
time.sleep(1.1)
two = Accelerator(BITSTREAM, MANIFEST)
assert "another bitstream was loaded over tiny.bit" in error_of(one.run, x)[0]
assert (two.run(x)["result"] == wanted).all()
"""
        run_client(python, server, project, START + script)


class TestHardwareLikeness:
    """What software can see of hardware: how long it is busy, and what it cannot reach."""

    def test_a_launch_takes_as_long_as_the_schedule_says(
        self, python: Path, project: Path, library: Path
    ) -> None:
        manifest = project / "deploy" / "manifest.json"
        manifest.write_text(json.dumps(board_project.manifest() | {"cycles": 30_000_000}))
        script = """
with Accelerator(BITSTREAM, MANIFEST) as tiny:
    assert tiny.expected_seconds == 0.15
    tiny.run(x)
    assert 0.15 <= tiny.seconds < 1, tiny.seconds
"""
        with faulty(python, project, library, "") as server:
            run_client(python, server, project, START + script)

    def test_words_that_are_not_aligned_are_refused(
        self, python: Path, server: EmulatedServer, project: Path
    ) -> None:
        edit_driver(project, "value[0].address + value[1]", "value[0].address + value[1] + 4")
        script = """
with Accelerator(BITSTREAM, MANIFEST) as tiny:
    assert "is no multiple of 16 bytes" in error_of(tiny.run, x)[0]
"""
        run_client(python, server, project, START + script)

    def test_zynq_7000_has_half_a_gigabyte(self, python: Path, library: Path, tmp_path: Path) -> None:
        project = board_project.write_project(tmp_path / "z2", "pynq-z2")
        script = """
from pynq import allocate
with Accelerator(BITSTREAM, MANIFEST) as tiny:
    assert all(b.address < 1 << 29 for b in tiny._kernel._buffers.values())
    try:
        allocate((300 << 20,), np.uint8)
    except Exception as error:
        assert "256 MiB" in str(error), error
    else:
        raise AssertionError("more memory than there is")
"""
        with faulty(python, project, library, "") as server:
            run_client(python, server, project, START + script)


def test_the_handoff_of_every_board_is_parsed_by_pynq(python: Path, tmp_path: Path) -> None:
    """pynqmetadata finds the kernel, its registers and its place in the address map."""
    boards = {name: load_board(name) for name in board_names() if load_board(name).about_family.ps}
    assert len(boards) == 8
    for name in boards:
        (tmp_path / name).mkdir()
        emulated_overlay.write_overlay(board_project.manifest(name), tmp_path / name)
    script = """
import json, sys
from pathlib import Path
from pynqmetadata.frontends import Metadata
from pynq.metadata.runtime_metadata_parser import RuntimeMetadataParser
found = {}
for path in sorted(Path(sys.argv[1]).glob("*/*.hwh")):
    block = RuntimeMetadataParser(Metadata(input=path)).ip_dict["tiny_0"]
    offsets = {name: register["address_offset"] for name, register in block["registers"].items()}
    found[path.parent.name] = [block["phys_addr"], offsets]
print(json.dumps(found))
"""
    done = subprocess.run(
        [str(python), "-W", "ignore", "-c", script, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found.keys() == boards.keys()
    for name, (address, offsets) in found.items():
        system = boards[name].about_family.ps
        assert system is not None
        assert address == system.control_base
        assert (offsets["input_r_1"], offsets["taps_2"], offsets["tap"]) == (0x10, 0x38, 0x48)
        assert (offsets["phase"], offsets["phase_ctrl"], offsets["cycles"]) == (0x50, 0x54, 0x60)


class TestServerProcess:
    def test_it_listens_on_loopback_only(self, python: Path, project: Path, library: Path) -> None:
        script = Path(emulated_overlay.__file__).with_name("emulated_board.py")
        manifest = project / "deploy" / "manifest.json"
        command = [str(python), str(script), "--manifest", str(manifest), "--library", str(library)]
        done = subprocess.run([*command, "--address", "0.0.0.0"], capture_output=True, text=True, check=False)
        assert done.returncode == 2
        assert "error: 0.0.0.0 is not a loopback address" in done.stderr

    def test_it_ends_with_its_input(self, server: EmulatedServer) -> None:
        assert server.process.stdin is not None
        server.process.stdin.close()
        assert server.process.wait(timeout=5) == 0

    def test_it_ends_on_sigterm(self, server: EmulatedServer) -> None:
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(timeout=5) == 0

    def test_an_address_is_not_shared(
        self, python: Path, server: EmulatedServer, project: Path, library: Path
    ) -> None:
        script = Path(emulated_overlay.__file__).with_name("emulated_board.py")
        manifest = project / "deploy" / "manifest.json"
        command = [str(python), str(script), "--manifest", str(manifest), "--library", str(library)]
        done = subprocess.run(
            [*command, "--address", server.address], capture_output=True, text=True, check=False
        )
        assert done.returncode == 2
        assert "bind" in done.stderr


SIZE = 16 << 20


class TestMemory:
    def test_the_two_sides_of_a_buffer_meet_only_when_told(self) -> None:
        memory = Memory(SIZE)
        buffer = memory.allocate(8)
        dram = (ctypes.c_char * 8).from_address(memory.host_pointer(buffer.address, 8))
        assert bytes(buffer.cache) == dram.raw == b"\xcd" * 8
        buffer.cache[:] = b"12345678"
        assert dram.raw == b"\xcd" * 8
        memory.flush(buffer)
        assert dram.raw == b"12345678"
        dram[0] = b"x"
        assert buffer.cache[:1] == b"1"
        memory.invalidate(buffer)
        assert bytes(buffer.cache) == b"x2345678"

    def test_freed_memory_is_used_again_and_pages_do_not_overlap(self) -> None:
        memory = Memory(SIZE)
        first, second = memory.allocate(PAGE + 1), memory.allocate(1)
        assert (first.address, second.address) == (BASE, BASE + 2 * PAGE)
        memory.free(first)
        assert memory.allocate(2 * PAGE).address == BASE

    def test_what_is_not_allocated_is_not_reached(self) -> None:
        memory = Memory(SIZE)
        buffer = memory.allocate(100)
        memory.host_pointer(buffer.address + 50, 50)
        for address, size in [(buffer.address + 50, 51), (buffer.address - 1, 1), (0, 1)]:
            with pytest.raises(AddressError, match="not inside any allocated buffer"):
                memory.host_pointer(address, size)

    def test_it_is_not_endless(self) -> None:
        with pytest.raises(AddressError, match="16 MiB"):
            Memory(SIZE).allocate(SIZE + 1)


class TestControlRegisters:
    ARGUMENTS = (
        {"name": "data", "kind": "pointer", "bits": 64, "offset": 16},
        {"name": "count", "kind": "scalar", "direction": "out", "bits": 32, "offset": 28},
        {"name": "mode", "kind": "scalar", "bits": 8, "offset": 44},
    )

    def test_a_launch(self) -> None:
        started: list[dict[str, int]] = []
        registers = ControlRegisters(list(self.ARGUMENTS), started.append)
        assert registers.read(0) == 0b0100
        registers.write(16, 0x89ABCDEF)
        registers.write(20, 0x1)
        registers.write(44, 0x1FF)
        registers.write(0, 1)
        assert started == [{"data": 0x1_89AB_CDEF, "mode": 0xFF}]
        assert registers.read(0) == registers.read(0) == 0b0001
        registers.write(0, 0)  # ap_start cannot be cleared
        registers.write(0, 1)  # nor does a second start count
        assert (registers.read(0), len(started)) == (0b0001, 1)
        registers.finish({"count": 7})
        assert registers.read(0) == 0b1110
        assert registers.read(0) == 0b0100
        assert (registers.read(28), registers.read(32), registers.read(32)) == (7, 1, 0)

    def test_interrupt_status_toggles_on_write(self) -> None:
        registers = ControlRegisters([], lambda values: None)
        registers.write(8, 1)
        registers.write(0, 1)
        registers.finish({})
        assert registers.read(12) == 1
        registers.write(12, 1)
        assert registers.read(12) == 0

    def test_auto_restart_is_refused(self) -> None:
        with pytest.raises(RegisterError, match="auto_restart"):
            ControlRegisters([], lambda values: None).write(0, 0x81)
