"""Bad input, through the command line: one clear error, exit code 2, and nothing left behind."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx_models import Shape, make_model, node, random
from refusals import assert_refused
from typer.testing import CliRunner

from intarsia.__main__ import app

WEIGHT = random(4, 1, 3, 3)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current directory, with a sound model ok.onnx in it."""
    monkeypatch.chdir(tmp_path)
    save("ok.onnx")
    return tmp_path


def save(name: str, weight: np.ndarray = WEIGHT, shape: Shape = (1, 1, 8, 8), last: str = "Relu") -> None:
    nodes = [node("Conv", ["x", "w"], "c"), node(last, ["c"], "y")]
    onnx.save(make_model(nodes, shape, {"w": weight}), name)


def not_onnx() -> None:
    Path("m.onnx").write_text("hello, I am no model\n")


def empty() -> None:
    Path("m.onnx").touch()


def truncated() -> None:
    Path("m.onnx").write_bytes(Path("ok.onnx").read_bytes()[:60])


def unsupported() -> None:
    nodes = [node("Conv", ["x", "w"], "c"), node("Sin", ["c"], "y"), node("Relu", ["y"], "z")]
    onnx.save(make_model(nodes, (1, 1, 8, 8), {"w": WEIGHT}), "m.onnx")


def dynamic() -> None:
    save("m.onnx", shape=(1, 1, "h", "w"))


def nan_weight() -> None:
    weight = WEIGHT.copy()
    weight[1, 0, 2, 0] = np.nan
    save("m.onnx", weight)


def all_padding() -> None:
    """A window without a pixel has no maximum."""
    nodes = [
        node("Conv", ["x", "w"], "c"),
        node("MaxPool", ["c"], "y", kernel_shape=[2, 1], dilations=[2, 1], pads=[1, 0, 1, 0]),
    ]
    onnx.save(make_model(nodes, (1, 1, 3, 5), {"w": WEIGHT}), "m.onnx")


def too_large() -> None:
    # Weights may come from DRAM, but the input of a fully-connected layer waits on chip.
    model = make_model([node("MatMul", ["x", "w"], "y")], (1, 1_000_000), {"w": random(1_000_000, 1)})
    onnx.save(model, "m.onnx")


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (not_onnx, ("m.onnx is not an ONNX model", "It looks like text")),
        (empty, ("m.onnx is empty", "Export or download")),
        (truncated, ("m.onnx",)),
        (
            unsupported,
            (
                "Sin (node 'n_y')",
                "Supported: Abs, Add,",
                "before it (Conv node 'n_c') and after it (Relu node 'n_z')",
                "Export the model without",
            ),
        ),
        (dynamic, ("input 'x'", "no fixed size on axis 2", "Fix it by: python -m onnxruntime.tools")),
        (nan_weight, ("Conv node 'n_c'", "'w' holds NaN", "(1, 0, 2, 0)", "Train or export")),
        (all_padding, ("MaxPool node 'n_y'", "nothing but padding", "Supported: dilations up to")),
        (too_large, ("does not fit kv260", "BRAM18: needs", "To make it fit, use", "--weight-bits")),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_model(here: Path, make: Callable[[], None], says: tuple[str, ...]) -> None:
    make()
    assert_refused("compile", "m.onnx", "-o", "out", says=says)


def test_model_is_absent(here: Path) -> None:
    assert_refused("compile", "absent.onnx", "-o", "out", says=("absent.onnx does not exist",))


def samples_of_a_wrong_shape() -> None:
    np.savez("s.npz", images=np.zeros((4, 3, 9, 9), np.float32))


def samples_too_large() -> None:
    np.savez("s.npz", images=np.zeros((4, 1, 9, 9), np.float32))


def nan_sample() -> None:
    images = np.zeros((4, 1, 8, 8), np.float32)
    images[2, 0, 1, 1] = np.nan
    np.savez("s.npz", images=images)


def no_samples() -> None:
    Path("s.npz").write_text("x")


SAMPLES = pytest.mark.parametrize(
    ("make", "says"),
    [
        (samples_of_a_wrong_shape, ("'images' has shape (4, 3, 9, 9)", "needs (samples, 1, 8, 8)")),
        (samples_too_large, ("9 x 9 images", "8 x 8", "Crop or resize")),
        (nan_sample, ("'images' has NaN", "in sample 2", "leave it out")),
        (no_samples, ("s.npz is no .npz or .npy file", "numpy.savez")),
        (lambda: None, ("there is no sample file s.npz",)),
    ],
    ids=["wrong shape", "too large", "NaN", "no npz", "absent"],
)


@SAMPLES
def test_calibration(here: Path, make: Callable[[], None], says: tuple[str, ...]) -> None:
    make()
    assert_refused("compile", "ok.onnx", "--calibration", "s.npz", "-o", "out", says=says)


@SAMPLES
def test_inputs_of_verify(here: Path, make: Callable[[], None], says: tuple[str, ...]) -> None:
    assert CliRunner().invoke(app, ["compile", "ok.onnx", "-o", "out"]).exit_code == 0
    make()
    assert_refused("verify", "out", "--inputs", "s.npz", "--board", "none", says=says)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--board", "kv999"], ("unknown board 'kv999'", "Known: aup-zu3, kv260", ".toml")),
        (["--board", "my.toml"], ("cannot read board file my.toml",)),
        (["--weight-bits", 1], ("--weight-bits must be 2 to 16, not 1",)),
        (["--activation-bits", 17], ("--activation-bits must be 2 to 16, not 17",)),
        (["--clock-mhz", 0], ("--clock-mhz must be above 0 and at most 1000, not 0",)),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_options(here: Path, options: list[object], says: tuple[str, ...]) -> None:
    assert_refused("compile", "ok.onnx", "-o", "out", *options, says=says)


def test_output_exists(here: Path) -> None:
    Path("out").mkdir()
    Path("out/thesis.txt").write_text("precious")
    assert_refused("compile", "ok.onnx", "-o", "out", says=("out exists already", "--force"))
    assert_refused("compile", "ok.onnx", "-o", "out", "--force", says=("is not a project of intarsia",))


def test_output_cannot_be_written(here: Path) -> None:
    Path("file").touch()
    says = ("cannot make file/deep/out", "is no directory", "Choose another")
    assert_refused("compile", "ok.onnx", "-o", "file/deep/out", says=says)
    assert_refused("compile", "ok.onnx", "-o", "/proc/out", says=("cannot", "/proc", "Choose another"))


def test_no_compiler(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert CliRunner().invoke(app, ["compile", "ok.onnx", "-o", "out"]).exit_code == 0
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)
    says = ("no C++ compiler was found", "apt install g++", "CXX")
    assert_refused("compile", "ok.onnx", "-o", "new", says=says)
    assert_refused("verify", "out", "--board", "none", says=says)


def drop_weights(project: Path) -> None:
    (project / "weights.bin").unlink()


def shorten_weights(project: Path) -> None:
    (project / "weights.bin").write_bytes((project / "weights.bin").read_bytes()[:-1])


def damage_manifest(project: Path) -> None:
    (project / "deploy" / "manifest.json").write_text("{")


def empty_manifest(project: Path) -> None:
    (project / "deploy" / "manifest.json").write_text("{}")


def damage_design(project: Path) -> None:
    (project / "design.json").write_text("[]")


def damage_golden(project: Path) -> None:
    (project / "golden.npz").write_bytes((project / "golden.npz").read_bytes()[:99])


def damage_model(project: Path) -> None:
    (project / "quantised.onnx").write_text("no model")


def damage_source(project: Path) -> None:
    top = project / "src" / "top.cpp"
    top.write_text(top.read_text() + "\nthis is no C++;\n")


def rename_kernel(project: Path) -> None:
    path = project / "deploy" / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"kernel": "another"}))


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (drop_weights, ("weights.bin", "Compile the project again")),
        (shorten_weights, ("weights.bin has", "compile the project again")),
        (damage_manifest, ("manifest.json is damaged", "Compile the project again")),
        (empty_manifest, ("manifest.json", "format")),
        (damage_design, ("design.json is damaged",)),
        (damage_golden, ("golden.npz is damaged",)),
        (damage_model, ("quantised.onnx",)),
        (damage_source, ("does not compile", "out/src/top.cpp", "this")),
        (rename_kernel, ("no function 'another'",)),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_damaged_project(here: Path, damage: Callable[[Path], None], says: tuple[str, ...]) -> None:
    assert CliRunner().invoke(app, ["compile", "ok.onnx", "-o", "out"]).exit_code == 0
    damage(here / "out")
    assert_refused("verify", "out", "--board", "none", says=says)


def test_a_directory_that_is_no_project(here: Path) -> None:
    assert_refused("verify", "nowhere", says=("nowhere is no project of intarsia", "intarsia compile"))
