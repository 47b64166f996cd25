"""`intarsia compress`: rules, models that stay plain ONNX, messages. What needs PyTorch is in test_compress_training.py."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx.parser
import pytest
from onnx_models import run_onnxruntime
from typer.testing import CliRunner

import intarsia
from intarsia import passes
from intarsia.__main__ import app
from intarsia.circulant.blocks import task_block
from intarsia.compress import Compression, compress_model, metadata
from intarsia.compress.fold_batch_norm import fold_batch_norm
from intarsia.compress.layers import find_layers, initializer_values
from intarsia.compress.rules import choose, parse_layers
from intarsia.errors import IntarsiaError
from intarsia.frontend import import_model


def parsed(body: str, initializers: dict[str, tuple[int, ...]], inputs: str, outputs: str) -> onnx.ModelProto:
    """A model with random initializers."""
    text = f'<ir_version: 8, opset_import: ["" : 17]> g ({inputs}) => ({outputs}) {{ {body} }}'
    model = onnx.parser.parse_model(text)
    rng = np.random.default_rng(0)
    for name, shape in initializers.items():
        values = rng.normal(size=shape) * (0.3 if len(shape) > 1 else 1)
        values = np.abs(values) + 0.1 if name.startswith("pos") else values
        model.graph.initializer.append(onnx.numpy_helper.from_array(values.astype(np.float32), name))
    return model


def many_forms() -> onnx.ModelProto:
    """Weights in every orientation: Conv, MatMul, Gemm with and without transB, a flattened and a transposed image."""
    return parsed(
        "a = Conv<pads=[1,1,1,1]>(x, w0) b = Relu(a) t = Transpose<perm=[0,2,3,1]>(b) f = Flatten(t)"
        "g = Gemm(f, w1, c1) h = Gemm<transB=1>(g, w2) m = MatMul(h, w3) y = Gemm<transB=1>(m, w4)",
        {"w0": (8, 8, 3, 3), "w1": (8 * 9, 16), "c1": (16,), "w2": (16, 16), "w3": (16, 8), "w4": (3, 8)},
        "float[N,8,3,3] x",
        "float[N,3] y",
    )


def untuned(model: onnx.ModelProto | Path, block: int | str = 4, **options: object) -> Compression:
    return compress_model(model, block, allow_untuned=True, **options)  # type: ignore[arg-type]


def test_every_orientation_of_weights_is_circulant_for_the_compiler() -> None:
    result = untuned(many_forms())
    assert [c.block for c in result.choices] == [4, 4, 4, 4, 1]
    graph = passes.run(import_model(result.model).graph)
    assert [task_block(graph, t) for t in graph.tasks if "weight" in t.parameters] == [4, 4, 4, 4, 1]


def test_the_result_is_a_plain_model(tmp_path: Path) -> None:
    result = untuned(many_forms())
    onnx.checker.check_model(result.model, full_check=True)
    assert {entry.domain for entry in result.model.opset_import} <= {"", "ai.onnx"}
    path = tmp_path / "sub" / "c.onnx"
    result.write(path)
    assert [file.name for file in path.parent.iterdir()] == ["c.onnx"]
    x = np.ones((2, 8, 3, 3), np.float32)
    assert run_onnxruntime(onnx.load(path), {"x": x}, ["y"])["y"].shape == (2, 3)


def test_dense_layers_and_biases_keep_their_values() -> None:
    model = many_forms()
    before, after = initializer_values(model), initializer_values(untuned(model).model)
    for name in ("c1", "w4"):
        np.testing.assert_array_equal(before[name], after[name])
    assert not np.array_equal(before["w1"], after["w1"])


def test_a_circulant_model_passes_unchanged() -> None:
    once = untuned(many_forms()).model
    twice = untuned(once).model
    for name, values in initializer_values(once).items():
        np.testing.assert_allclose(initializer_values(twice)[name], values, rtol=1e-6, err_msg=name)


def test_weights_shrink_by_the_size_of_the_blocks() -> None:
    result = untuned(many_forms(), 8)
    for choice in result.choices:
        if choice.circulant:
            assert choice.layer.index.size == 8 * choice.weights


def test_batch_normalisation_is_folded_first() -> None:
    model = parsed(
        "a = Conv(x, w0) b = BatchNormalization(a, s, o, mu, pos_v) r = Relu(b)"
        "f = Flatten(r) g = Gemm(f, w1) n = BatchNormalization(g, s1, o1, mu1, pos_v1) y = Gemm(n, w2)",
        {"w0": (8, 8, 3, 3), "w1": (8, 16), "w2": (16, 4)}
        | {name: (8,) for name in ("s", "o", "mu", "pos_v")}
        | {name: (16,) for name in ("s1", "o1", "mu1", "pos_v1")},
        "float[N,8,3,3] x",
        "float[N,4] y",
    )
    folded = fold_batch_norm(model)
    assert "BatchNormalization" not in [node.op_type for node in folded.graph.node]
    x = np.random.default_rng(1).normal(size=(3, 8, 3, 3)).astype(np.float32)
    expected, found = (run_onnxruntime(m, {"x": x}, ["y"])["y"] for m in (model, folded))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    graph = passes.run(import_model(untuned(model).model).graph)
    assert [task_block(graph, task) for task in graph.tasks] == [4, 4, 1]


def test_rules_on_lenet(lenet_model: Path) -> None:
    layers = find_layers(import_model(lenet_model))
    sizes = {c.layer.name: (c.block, c.reason) for c in choose(layers, 8)}
    assert [size for size, _ in sizes.values()] == [1, 1, 8, 8, 1]
    assert "1 input channels" in sizes["conv1"][1]
    assert "6 input channels" in sizes["conv2"][1]
    assert "last layer" in sizes["fc3"][1]
    told = choose(layers, 8, {"conv2": 4, "fc1": None})
    assert [c.block for c in told] == [1, 4, 8, 1, 1]
    assert "padding of 1.33" in told[1].reason
    assert "not among --layers" in told[3].reason
    assert "padding to blocks of 4 would make 1.33" in choose(layers, 4)[1].reason


def test_automatic_sizes_take_fewest_brams(lenet_model: Path) -> None:
    choices = choose(find_layers(import_model(lenet_model)), "auto")
    by_name = {choice.layer.name: choice for choice in choices}
    assert by_name["fc1"].circulant
    assert "BRAM18" in by_name["fc1"].reason
    assert not by_name["fc3"].circulant
    assert all(choice.reason for choice in choices)


@pytest.mark.parametrize(
    ("block", "layers", "message"),
    [
        (3, None, "size 3. Supported: 2, 4, 8"),
        ("big", None, "must be a number or auto, not 'big'"),
        (64, None, "no layer can be circulant with --block 64: conv1: it has 1 input channels"),
        (4, {"conv9": None}, "names 'conv9', which is no .* Layers: conv1, conv2, fc1, fc2, fc3"),
        (4, {"conv2": 8}, "'conv2' has 16 outputs and 6 input channels, fewer .* Supported: up to 6"),
    ],
)
def test_refusals(lenet_model: Path, block: int | str, layers: dict[str, int | None], message: str) -> None:
    with pytest.raises(IntarsiaError, match=message):
        untuned(lenet_model, block, layers=layers)


@pytest.mark.parametrize("text", ["=4", "fc1=x", "fc1,,fc2", ""])
def test_layers_that_cannot_be_read(text: str) -> None:
    with pytest.raises(IntarsiaError, match="NAME or NAME=SIZE"):
        parse_layers(text)


def test_layers_option() -> None:
    assert parse_layers("fc1, conv2=4") == {"fc1": None, "conv2": 4}


def test_grouped_and_shared_weights_stay_dense() -> None:
    model = parsed(
        "a = Conv<group=2>(x, w0) f = Flatten(a) g = Gemm(f, w1) h = Gemm(g, w1) y = Gemm(h, w2)",
        {"w0": (8, 4, 1, 1), "w1": (8, 8), "w2": (8, 8)},
        "float[N,8,1,1] x",
        "float[N,8] y",
    )
    choices = choose(find_layers(import_model(model)), 4, {name: None for name in names(model)})
    assert [c.block for c in choices] == [1, 1, 1, 4]
    assert "2 groups" in choices[0].reason
    assert "several nodes" in choices[1].reason


def names(model: onnx.ModelProto) -> list[str]:
    return [layer.name for layer in find_layers(import_model(model))]


def test_the_description_is_read_back_and_damage_is_told() -> None:
    result = untuned(many_forms())
    description = metadata.read(result.model)
    assert description is not None
    assert not description.tuned
    assert list(description.blocks.values()) == [4] * 4
    assert metadata.read(many_forms()) is None
    for text in (
        "{",
        "[]",
        '{"convention": "first row"}',
        '{"convention": "first column", "blocks": {"a": 3}}',
    ):
        onnx.helper.set_model_props(result.model, {metadata.KEY: text})
        with pytest.raises(IntarsiaError, match=r"'intarsia\.circulant' is damaged"):
            metadata.read(result.model)


def test_compile_says_what_is_circulant() -> None:
    model = untuned(many_forms()).model
    notes = intarsia.compile(model, fifo_sizing=False).notes
    assert any("circulant weights of" in note and "(K=4)" in note for note in notes)
    assert any("NOT TUNED" in note for note in notes)
    for tensor in model.graph.initializer:
        if tensor.name == "w2":
            broken = onnx.numpy_helper.to_array(tensor) + np.eye(16, dtype=np.float32)[::-1]
            tensor.CopyFrom(onnx.numpy_helper.from_array(broken, "w2"))
    notes = intarsia.compile(model, fifo_sizing=False).notes
    assert any("described as circulant in blocks of 4, but its weights are not" in note for note in notes)


def run(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["compress", *map(str, arguments)], env={"COLUMNS": "400"})
    return result.exit_code, result.output


def test_command_line(lenet_model: Path, lenet_images: Path, tmp_path: Path) -> None:
    output = tmp_path / "c.onnx"
    code, text = run(lenet_model, "--block", 8, "-o", output)
    assert code == 2
    assert "--allow-untuned" in text
    assert not output.exists()
    options = ("--block", 8, "--allow-untuned", "--test", lenet_images, "-o", output)
    code, text = run(lenet_model, *options)
    assert code == 0, text
    assert "accuracy" in text
    assert "NOT TUNED" in text
    assert "fc1    K=8       48,000 ->     6,000 weights" in text
    assert output.is_file()
    code, text = run(lenet_model, *options)
    assert code == 2
    assert "exists already" in text
    assert run(lenet_model, *options, "--force")[0] == 0
    code, text = run(
        lenet_model, "--block", 8, "--labels", lenet_images, "--allow-untuned", "-o", tmp_path / "d"
    )
    assert code == 2
    assert "--labels belong to" in text


def test_an_output_that_cannot_be_written(lenet_model: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    output = tmp_path / "file" / "c.onnx"
    code, text = run(lenet_model, "--block", 8, "--allow-untuned", "-o", output)
    assert code == 2
    assert "is no directory" in text
    with pytest.raises(IntarsiaError, match="cannot write"):
        untuned(lenet_model, 8).write(output)
