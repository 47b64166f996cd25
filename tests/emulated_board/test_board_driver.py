"""The unmodified driver and PYNQ client, as a user imports them, on the emulated board."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import board_project
import pytest
from board_session import faulty, images, run_client

from intarsia.boards.driver.arrays import save_arrays
from intarsia.boards.driver.errors import AcceleratorError
from intarsia.boards.driver.manifest import read_manifest
from intarsia.verify.board_runner import EmulatedServer


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
