"""The predicted register map against maps that Vitis wrote (`control.h` of public projects)."""

import pytest

from intarsia.register_map import Argument, assign_offsets


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
