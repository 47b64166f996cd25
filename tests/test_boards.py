"""Board descriptions, the environment of the PYNQ client, and the pure parts of the driver."""

import ast
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from intarsia.board import BoardError, board_names, load_board
from intarsia.boards import driver, emulated_overlay, environment
from intarsia.boards.driver import dram_layout, number_formats
from intarsia.boards.driver.errors import AcceleratorError

BOARDS = Path(emulated_overlay.__file__).parent
KV260 = (BOARDS / "kv260.toml").read_text()


class TestBoard:
    def test_the_boards(self) -> None:
        assert set(board_names()) == {
            *("kv260", "zcu104", "zcu102", "ultra96-v2", "rfsoc4x2", "aup-zu3", "pynq-z1", "pynq-z2"),
            *("u250", "u280", "u55c", "vpk180"),
        }

    @pytest.mark.parametrize("name", board_names())
    def test_every_board_loads_and_cites_its_figures(self, name: str) -> None:
        board = load_board(name)
        assert board.name == name
        assert board.sources
        assert board.about_family.sources
        assert all(getattr(board.resources, key) > 0 for key in ("dsp", "bram18", "lut"))
        assert board.resources.ff in range(board.resources.lut * 2 - 60000, board.resources.lut * 2 + 60000)
        assert (board.about_family.ps is None) == (board.about_family.xrt is not None)

    def test_figures(self) -> None:
        kv260, z2 = load_board("kv260").resources, load_board("pynq-z2").resources
        assert (kv260.dsp, kv260.bram18, kv260.uram, kv260.lut, kv260.ff) == (1248, 288, 64, 117120, 234240)
        assert (z2.dsp, z2.bram18, z2.uram, z2.lut, z2.ff) == (220, 280, 0, 53200, 106400)

    def test_bandwidth_is_the_lower_of_ports_and_dram(self) -> None:
        assert load_board("kv260").bytes_per_cycle(200) == 4 * 16
        assert load_board("pynq-z2").bytes_per_cycle(100) == 21

    def test_a_board_of_the_users_own(self, tmp_path: Path) -> None:
        path = tmp_path / "mine.toml"
        path.write_text(KV260.replace('name = "kv260"', 'name = "mine"\nclock_uncertainty_percent = 12.5'))
        assert (load_board(path).name, load_board(path).clock_uncertainty_percent) == ("mine", 12.5)

    def test_an_unknown_board_lists_the_known(self) -> None:
        with pytest.raises(BoardError, match=r"unknown board 'kv26'\. Known: aup-zu3, kv260, .*\.toml"):
            load_board("kv26")

    def test_a_file_that_is_not_there(self) -> None:
        with pytest.raises(BoardError, match=r"cannot read board file nowhere\.toml"):
            load_board("nowhere.toml")

    @pytest.mark.parametrize(
        ("old", "new", "message"),
        [
            ("dsp = 1248\n", "", "bad.toml: key 'resources.dsp' is missing"),
            (
                "dsp = 1248",
                "dsp = 1248\ndps = 1",
                "bad.toml: key 'resources.dps' is not known. Known: dsp, bram18",
            ),
            ("dsp = 1248", 'dsp = "many"', "bad.toml: 'resources.dsp' must be an integer, not 'many'"),
            ("dsp = 1248", "dsp = true", "bad.toml: 'resources.dsp' must be an integer, not True"),
            ("dsp = 1248", "dsp = -1", "bad.toml: 'resources.dsp' must be 0 or more, not -1"),
            ("clock_mhz = 200.0", "clock_mhz = 0", "bad.toml: 'clock_mhz' must be more than 0, not 0"),
            (
                "zynq-ultrascale+",
                "spartan",
                "'family' must be \"zynq-ultrascale.\" or \"zynq-7000\" or .*, not 'spartan'",
            ),
            ("zynq-ultrascale+", "alveo", "bad.toml: key 'xrt' is missing; boards of family 'alveo' need it"),
            ("board_part =", "board_connections_2 =", "key 'board_connections_2' is not known"),
            ('board_part = "xilinx.com:kv260_som:part0:1.4"\n', "", "bad.toml: key 'board_part' is missing"),
            ("[memory]", '[xrt]\nplatform = "p"\nbanks = []\n[memory]', "key 'xrt' is not for boards of"),
            ("ports = 4", "ports = 5", "'memory.ports' must be at most 4 for family 'zynq-ultra.*', not 5"),
            ("ports = 4", "ports = 0", "'memory.ports' must be 1 or more, not 0"),
            ("[resources]", "[resources.more]", "key 'resources.dsp' is missing"),
            ('title = "AMD Kria KV260"', "title = 3", "bad.toml: 'title' must be a string, not 3"),
            ('  "DSP, BRAM', '  3, "DSP, BRAM', r"'sources\[0\]' must be a string, not 3"),
            ("sources = [", "sources = 3 #", "bad.toml: not valid TOML"),
        ],
    )
    def test_a_bad_file_is_told_by_file_and_key(
        self, tmp_path: Path, old: str, new: str, message: str
    ) -> None:
        assert old in KV260
        path = tmp_path / "bad.toml"
        path.write_text(KV260.replace(old, new, 1))
        with pytest.raises(BoardError, match=message):
            load_board(path)


class TestEnvironment:
    @pytest.fixture(autouse=True)
    def _no_environment(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv(environment.VARIABLE, raising=False)
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        monkeypatch.setattr("importlib.util.find_spec", lambda name: None)

    def test_none_says_how_to_get_one(self) -> None:
        with pytest.raises(
            environment.BoardClientError, match=r"intarsia setup-board.*INTARSIA_BOARD_PYTHON"
        ):
            environment.find()

    def test_a_named_python_must_exist(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(environment.VARIABLE, "/no/such/python")
        with pytest.raises(
            environment.BoardClientError, match="INTARSIA_BOARD_PYTHON names '/no/such/python'"
        ):
            environment.find()

    def test_a_named_python_must_have_the_client(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        broken = tmp_path / "python"
        broken.write_text('#!/bin/sh\necho "ModuleNotFoundError: No module named grpc" >&2\nexit 1\n')
        broken.chmod(0o755)
        monkeypatch.setenv(environment.VARIABLE, str(broken))
        with pytest.raises(
            environment.BoardClientError, match=r"does not work: ModuleNotFoundError.*setup-board"
        ):
            environment.find()

    def test_an_interrupted_environment_does_not_count(self) -> None:
        python = environment.folder() / "bin" / "python"
        python.parent.mkdir(parents=True)
        python.symlink_to(sys.executable)
        assert not environment.is_created()
        (environment.folder() / "intarsia-stamp").write_text(environment.REQUIREMENT)
        assert environment.find() == python
        assert environment.create() == python  # nothing to do

    def test_a_failed_creation_shows_the_reason_and_leaves_no_stamp(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(environment, "REQUIREMENT", "./no-such-folder")
        monkeypatch.setattr(environment, "_base_python", lambda: sys.executable)
        with pytest.raises(environment.BoardClientError, match="no-such-folder"):
            environment.create()
        assert not environment.is_created()


def spec(shape: list[int], axis: int, lanes: int, bits: int = 8, signed: bool = True) -> dict[str, Any]:
    channels = shape[axis]
    words = int(np.prod(shape)) // channels * -(-channels // lanes)
    number = {"bits": bits, "signed": signed, "exponent": -3}
    return {
        "tensor": "t",
        "shape": shape,
        "channel_axis": axis,
        "lanes": lanes,
        "words": words,
        "format": number,
    }


@st.composite
def tensors(draw: st.DrawFn) -> tuple[dict[str, Any], np.ndarray[Any, Any]]:
    shape = [1, *draw(st.lists(st.integers(1, 5), min_size=1, max_size=3))]
    entry = spec(
        shape,
        draw(st.integers(1, len(shape) - 1)),
        draw(st.sampled_from([1, 2, 4, 16])),
        draw(st.sampled_from([4, 8, 12, 16, 32])),
        draw(st.booleans()),
    )
    low, high = number_formats.limits(entry["format"])
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return entry, generator.integers(low, high, (draw(st.integers(1, 3)), *shape[1:]), endpoint=True)


class TestLayout:
    @given(tensors())
    def test_unpack_undoes_pack(self, case: tuple[dict[str, Any], np.ndarray[Any, Any]]) -> None:
        entry, values = case
        packed = dram_layout.pack(values, entry)
        assert packed.dtype == np.uint8
        assert packed.nbytes == len(values) * dram_layout.sample_bytes(entry)
        np.testing.assert_array_equal(dram_layout.unpack(packed, entry), values)

    @given(tensors())
    def test_pack_is_pixel_major_with_padded_words(
        self, case: tuple[dict[str, Any], np.ndarray[Any, Any]]
    ) -> None:
        entry, values = case
        expected = b""
        for sample in values:
            pixels = np.moveaxis(sample[None], entry["channel_axis"], -1).reshape(
                -1, entry["shape"][entry["channel_axis"]]
            )
            for pixel in pixels:
                row = list(pixel) + [0] * (-len(pixel) % entry["lanes"])
                size = number_formats.element_type(entry["format"]).itemsize
                expected += b"".join(
                    int(v).to_bytes(size, "little", signed=entry["format"]["signed"]) for v in row
                )
        assert dram_layout.pack(values, entry).tobytes() == expected

    def test_one_sample_may_come_without_its_axis(self) -> None:
        entry = spec([1, 3, 2], 1, 4)
        assert dram_layout.pack(np.zeros((3, 2), int), entry).nbytes == 8

    def test_what_does_not_fit_is_refused(self) -> None:
        entry = spec([1, 3], 1, 4)
        with pytest.raises(AcceleratorError, match=r"shape \(1, 4\), it must be \(samples, 3\)"):
            dram_layout.pack(np.zeros((1, 4), int), entry)
        with pytest.raises(AcceleratorError, match="from 0 to 128, its format allows -128 to 127"):
            dram_layout.pack(np.array([[0, 1, 128]]), entry)
        with pytest.raises(AcceleratorError, match="quantise it first"):
            dram_layout.pack(np.zeros((1, 3)), entry)
        with pytest.raises(AcceleratorError, match="5 bytes are not a number of samples of 4 bytes"):
            dram_layout.unpack(np.zeros(5, np.uint8), entry)

    def test_a_design_may_store_elements_wider_than_their_format(self) -> None:
        entry = spec([1, 3], 1, 4) | {"element_bytes": 2}
        packed = dram_layout.pack(np.array([[1, -2, 3]]), entry)
        assert packed.tobytes() == b"\x01\0\xfe\xff\x03\0\0\0"
        assert dram_layout.unpack(packed, entry).tolist() == [[1, -2, 3]]

    def test_no_loop_over_elements(self) -> None:
        """A million elements there and back in less than a loop in Python would take for one of the steps."""
        number = {"bits": 8, "signed": True, "exponent": -4}
        spec = {"tensor": "x", "shape": [1, 3, 512, 512], "channel_axis": 1, "lanes": 16, "format": number}
        spec |= {"words": 512 * 512, "word_offset": 0}
        values = np.random.default_rng(0).uniform(-9, 9, (1, 3, 512, 512))
        start = time.process_time()
        raw = number_formats.quantise(values, number)
        there = dram_layout.unpack(dram_layout.pack(raw, spec), spec)
        back = number_formats.dequantise(there, number)
        assert time.process_time() - start < 0.8
        assert np.abs(back - np.clip(values, -8, 127 / 16)).max() <= 2**-5

    def test_unpack_returns_a_copy(self) -> None:
        entry = spec([1, 4], 1, 4)
        buffer = np.zeros(4, np.uint8)
        values = dram_layout.unpack(buffer, entry)
        buffer[:] = 9
        assert not values.any()

    def test_quantise_rounds_half_to_even_and_saturates(self) -> None:
        number = {"bits": 8, "signed": True, "exponent": -1}
        raw = number_formats.quantise([0.25, 0.75, -0.25, 1.0, 1000.0, -np.inf], number)
        assert raw.tolist() == [0, 2, 0, 2, 127, -128]
        assert raw.dtype == np.int8
        assert number_formats.dequantise(raw, number).tolist() == [0, 1, 0, 1, 63.5, -64]
        with pytest.raises(AcceleratorError, match="NaN"):
            number_formats.quantise([np.nan], number)


def test_the_driver_stands_alone() -> None:
    """It is copied to boards that have NumPy, and PYNQ or XRT; what not every board has is imported when it is needed."""
    needed = {}
    for path in sorted(Path(driver.__file__).parent.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                assert node.level <= 1, f"{path.name} imports from outside the folder"
                names = [node.module or ""] if node.level == 0 else []
            for name in {name.partition(".")[0] for name in names} - sys.stdlib_module_names:
                needed.setdefault(name, set()).add(path.name)
                assert name == "numpy" or node.col_offset > 0  # type: ignore[attr-defined]
    assert needed.pop("numpy")
    assert needed == {
        "pynq": {"pynq_device.py"},
        "pyxrt": {"xrt_device.py"},
        "onnxruntime": {"host_part.py"},
    }
