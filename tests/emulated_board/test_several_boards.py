"""Several emulated boards, and what of the hardware each of them is like."""

from __future__ import annotations

import json
from pathlib import Path

import board_project
from board_session import START, edit_driver, faulty, run_client

from intarsia.verify.board_runner import EmulatedServer


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
