"""The predicted register map against maps that Vitis wrote (`control.h` of public projects)."""

from pathlib import Path
from typing import Any

import board_project
import pytest
from typer.testing import CliRunner

from intarsia.__main__ import app
from intarsia.boards import emulated_overlay
from intarsia.project.register_check import RegisterCheckError, check_registers
from intarsia.project.register_map import Argument, assign_offsets


def scalar(bits: int = 32, direction: str = "in") -> Argument:
    return Argument("s", "scalar", direction, bits)  # type: ignore[arg-type]


def pointer(bits: int = 64) -> Argument:
    return Argument("p", "pointer", "inout", bits)


GOLDEN = {
    "pablo1318/TFGVitis": ([scalar(), scalar(), pointer()], [0x10, 0x18, 0x20]),
    "Xilinx/Vitis_Model_Composer mm2s": ([pointer(), scalar()], [0x10, 0x1C]),
    "silvenachen/allo-dataflow-dse": ([pointer(), pointer(), pointer()], [0x10, 0x1C, 0x28]),
    "bol-edu/caravel-soc_fpga-lab": (
        [
            scalar(direction="out"),
            scalar(),
            scalar(),
            scalar(),
            pointer(),
            scalar(direction="out"),
            scalar(8),
            pointer(),
        ],
        [0x10, 0x20, 0x28, 0x30, 0x38, 0x44, 0x54, 0x5C],
    ),
}


@pytest.mark.parametrize("project", GOLDEN)
def test_offsets_match_what_vitis_wrote(project: str) -> None:
    arguments, offsets = GOLDEN[project]
    assert [a.offset for a in assign_offsets(arguments)] == offsets


def test_the_kernel_of_the_contract() -> None:
    names = ["input", "output", "weights", "taps"]
    arguments = [Argument(n, "pointer", "in", 64) for n in names] + [scalar(), scalar()]
    assert [a.offset for a in assign_offsets(arguments)] == [16, 28, 40, 52, 64, 72]


def test_narrow_scalars_and_32_bit_pointers_take_one_word_and_64_bit_scalars_two() -> None:
    arguments = assign_offsets([scalar(1), scalar(32), scalar(33), scalar(64), pointer(32), scalar()])
    assert [a.offset for a in arguments] == [0x10, 0x18, 0x20, 0x2C, 0x38, 0x40]


def test_everything_but_the_offset_is_kept() -> None:
    (argument,) = assign_offsets([Argument("w", "pointer", "in", 64, bytes=4096, bundle="gmem_w")])
    assert argument == Argument("w", "pointer", "in", 64, bytes=4096, bundle="gmem_w", offset=16)
    assert argument.manifest() == {
        "name": "w",
        "kind": "pointer",
        "direction": "in",
        "bits": 64,
        "offset": 16,
        "bytes": 4096,
        "bundle": "gmem_w",
    }


@pytest.mark.parametrize("argument", [scalar(0), scalar(65), scalar(64, "out"), scalar(32, "inout")])
def test_layouts_that_nobody_checked_are_refused(argument: Argument) -> None:
    with pytest.raises(ValueError, match="argument 's'"):
        assign_offsets([argument])


def test_a_manifest_entry_needs_an_offset() -> None:
    with pytest.raises(ValueError, match="no offset"):
        scalar().manifest()


HEADER = """// control
// 0x00 : Control signals
//        bit 0  - ap_start (Read/Write/COH)
// 0x10 : Data signal of input_r
//        bit 31~0 - input_r[31:0] (Read/Write)
// 0x14 : Data signal of input_r
//        bit 31~0 - input_r[63:32] (Read/Write)
// 0x18 : reserved
// 0x1c : Data signal of output_r
// 0x20 : Data signal of output_r
// 0x24 : reserved
// 0x28 : Data signal of weights
// 0x2c : Data signal of weights
// 0x34 : Data signal of taps
// 0x38 : Data signal of taps
// 0x40 : Data signal of load_weights
// 0x48 : Data signal of tap
// 0x50 : Data signal of phase
// 0x54 : Control signal of phase
//        bit 0  - phase_ap_vld (Read/COR)
// 0x60 : Data signal of cycles
// 0x64 : Control signal of cycles
#define XTINY_CONTROL_ADDR_TAP_DATA 0x48
"""


class TestCheck:
    """`intarsia check-registers` on files in the form of Vitis HLS 2022.2 and of Vivado."""

    @pytest.fixture
    def project(self, tmp_path: Path) -> Path:
        return board_project.write_project(tmp_path / "project")

    def check(self, project: Path) -> Any:
        return CliRunner().invoke(app, ["check-registers", str(project)])

    def write_header(self, project: Path, text: str) -> None:
        path = project / "vitis/component/hls/impl/ip/drivers/tiny_v1_0/src/xtiny_hw.h"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def test_agreement(self, project: Path) -> None:
        self.write_header(project, HEADER)
        emulated_overlay.write_overlay(board_project.manifest(), project / "deploy")
        done = self.check(project)
        assert done.exit_code == 0, done.output
        assert done.output.count("agrees") == 2
        assert "weights       predicted 0x28, found 0x28" in done.output

    @pytest.mark.parametrize(
        ("old", "new", "shown"),
        [
            ("0x34 : Data signal of taps", "0x30 : Data signal of taps", "predicted 0x34, found 0x30  <--"),
            ("signal of tap\n", "signal of tip\n", "predicted 0x48, found missing  <--"),
        ],
    )
    def test_differences(self, project: Path, old: str, new: str, shown: str) -> None:
        assert old in HEADER
        self.write_header(project, HEADER.replace(old, new))
        done = self.check(project)
        assert done.exit_code == 1
        assert shown in done.output
        assert "DIFFERS" in done.output

    def test_a_difference_in_the_handoff(self, project: Path) -> None:
        handoff = emulated_overlay.write_overlay(board_project.manifest(), project / "deploy").with_suffix(
            ".hwh"
        )
        handoff.write_text(handoff.read_text().replace('VALUE="0x48"', 'VALUE="80"'))
        done = self.check(project)
        assert done.exit_code == 1
        assert "predicted 0x48, found 0x50  <--" in done.output

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (None, "there is no xtiny_hw.h, control.h or .hwh"),
            ("<nonsense", "is not a hardware handoff"),
            ("<EDKSYSTEM/>", "has no block 'tiny_0'"),
        ],
    )
    def test_nothing_to_compare(self, project: Path, content: str | None, message: str) -> None:
        if content is not None:
            (project / "deploy" / "tiny.hwh").write_text(content)
        with pytest.raises(RegisterCheckError, match=message):
            check_registers(project)

    def test_no_project(self, tmp_path: Path) -> None:
        with pytest.raises(RegisterCheckError, match=r"cannot read .*manifest\.json"):
            check_registers(tmp_path)
