"""First and last nodes of a model on the host: the split, samples in the model's own inputs, and the driver."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from local_pynq import run_script
from onnx import TensorProto, helper, numpy_helper
from onnx_models import make_model, node, random

import intarsia
from intarsia import golden, passes
from intarsia.boards.driver.host_part import HostPart, HostPartError
from intarsia.errors import IntarsiaError
from intarsia.frontend import import_model
from intarsia.host.split import parse_host_ops
from intarsia.samples import SamplesError
from intarsia.simulation.build import build
from intarsia.verify import run

WORDS, LENGTH, WIDTH, CLASSES = 11, 6, 8, 5
TABLES = {"words": random(WORDS, WIDTH), "places": random(LENGTH, WIDTH, seed=1)}
WEIGHTS = {"w1": random(WIDTH, WIDTH, seed=2), "w2": random(WIDTH, CLASSES, seed=3)}


def embedding_model(first: str = "ids") -> onnx.ModelProto:
    """Token ids and real weights of the tokens in; class probabilities and the best class of each token out."""
    nodes = [
        node("Gather", ["words", first], "e"),
        node("Add", ["e", "places"], "p"),
        node("MatMul", ["p", "w1"], "h"),
        node("Relu", ["h"], "r"),
        node("Mul", ["r", "scale"], "s"),
        node("MatMul", ["s", "w2"], "logits"),
        node("Softmax", ["logits"], "probabilities", axis=-1),
        node("ArgMax", ["logits"], "best", axis=-1, keepdims=0),
    ]
    graph = helper.make_graph(
        nodes,
        "tokens",
        [
            helper.make_tensor_value_info("ids", TensorProto.INT64, (1, LENGTH)),
            helper.make_tensor_value_info("scale", TensorProto.FLOAT, (1, LENGTH, WIDTH)),
        ],
        [
            helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, None),
            helper.make_tensor_value_info("best", TensorProto.INT64, None),
        ],
        [numpy_helper.from_array(values, name) for name, values in (TABLES | WEIGHTS).items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)


def names(part: onnx.ModelProto | None) -> list[str]:
    return [one.op_type for one in part.graph.node] if part else []


def test_integers_at_the_start_and_what_has_no_hardware_at_the_end() -> None:
    imported = import_model(embedding_model())
    assert names(imported.host_before) == ["Gather", "Add"]
    assert names(imported.host_after) == ["Softmax", "ArgMax"]
    assert imported.graph.inputs == ("scale", "p")
    assert imported.graph.outputs == ("logits",)
    assert (
        "the host runs the first nodes (Gather n_e, Add n_p), and gives the accelerator p" in imported.notes
    )


def test_parts_and_hardware_are_the_model() -> None:
    model = embedding_model()
    generator = np.random.default_rng(0)
    own = {
        "ids": generator.integers(0, WORDS, (3, 1, LENGTH)),
        "scale": generator.random((3, 1, LENGTH, WIDTH), np.float32),
    }
    whole = HostPart(model.SerializeToString()).run(own)
    imported = import_model(model)
    assert imported.host_before and imported.host_after
    p = HostPart(imported.host_before.SerializeToString()).run(own)["p"]
    logits = np.maximum(p @ WEIGHTS["w1"], 0) * own["scale"] @ WEIGHTS["w2"]
    after = HostPart(imported.host_after.SerializeToString()).run({"logits": logits})
    np.testing.assert_array_equal(after["best"], whole["best"])
    np.testing.assert_allclose(after["probabilities"], whole["probabilities"], rtol=1e-4, atol=1e-6)


def test_named_nodes_and_no_others() -> None:
    softmax = [node("MatMul", ["x", "w1"], "h"), node("Relu", ["h"], "r"), node("Softmax", ["r"], "y")]
    model = make_model(softmax, (1, LENGTH, WIDTH), WEIGHTS)
    assert names(import_model(model).host_after) == ["Softmax"]
    assert import_model(model, ()).host_after is None
    assert names(import_model(model, ("Relu", "n_y")).host_after) == ["Relu", "Softmax"]
    assert names(import_model(model, ("MatMul",)).host_before) == ["MatMul"]
    with pytest.raises(
        IntarsiaError, match=r"Relu node 'n_r' is in the middle.*before it \(MatMul node 'n_h'\) and after it"
    ):
        import_model(model, ("n_r",))
    with pytest.raises(IntarsiaError, match=r"names 'n_rr', which is no node.*n_r"):
        import_model(model, ("n_rr",))
    with pytest.raises(IntarsiaError, match="nothing is left for the accelerator"):
        import_model(model, ("MatMul", "Relu", "Softmax"))


def test_what_only_the_host_can_do_is_refused_where_it_may_not_run() -> None:
    with pytest.raises(IntarsiaError, match=r"ArgMax \(node 'n_best'\).*--host-ops auto leaves to the host"):
        import_model(embedding_model(), ())
    with pytest.raises(
        IntarsiaError, match=r"Gather node 'n_e' works on int64 tensor 'ids'.*--host-ops auto"
    ):
        import_model(embedding_model(), ("ArgMax",))
    nodes = [
        node("MatMul", ["x", "w1"], "h"),
        node("Cast", ["h"], "c", to=TensorProto.INT64),
        node("Cast", ["c"], "f", to=TensorProto.FLOAT),
        node("MatMul", ["f", "w2"], "y"),
    ]
    middle = r"before it \(MatMul node 'n_h'\)"
    with pytest.raises(IntarsiaError, match=f"Cast.*only run the first and the last nodes.*{middle}"):
        import_model(make_model(nodes, (1, LENGTH, WIDTH), WEIGHTS))


@pytest.mark.parametrize(("text", "wanted"), [("auto", None), ("none", ()), ("a, Softmax", ("a", "Softmax"))])
def test_option(text: str, wanted: tuple[str, ...] | None) -> None:
    assert parse_host_ops(text) == wanted


@pytest.mark.parametrize("text", ["", ",", "auto,Relu"])
def test_wrong_option(text: str) -> None:
    with pytest.raises(IntarsiaError, match="neither auto, nor none"):
        parse_host_ops(text)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The embedding model for the PYNQ-Z2, calibrated with token ids."""
    folder = tmp_path_factory.mktemp("tokens")
    np.savez(folder / "samples.npz", **samples(20))
    onnx.save(embedding_model(), folder / "tokens.onnx")
    design = intarsia.compile(
        folder / "tokens.onnx", board="pynq-z2", calibration=folder / "samples.npz", schedule="sequential"
    )
    return design.write(folder / "project")


def samples(count: int, words: int = WORDS) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(count)
    ids = generator.integers(0, words, (count, LENGTH))
    return {"ids": ids, "scale": generator.random((count, LENGTH, WIDTH), np.float32)}


def test_verify_in_the_models_own_inputs(project: Path, tmp_path: Path) -> None:
    assert run(project, board="none").passed
    np.savez(tmp_path / "ids.npz", **samples(7))
    report = run(project, tmp_path / "ids.npz", board="none")
    assert report.passed and report.samples == 7
    part = HostPart.read(project / "deploy" / "host_before.onnx")
    own = samples(3)
    np.savez(tmp_path / "processed.npz", p=part.run(own)["p"], scale=own["scale"])
    assert run(project, tmp_path / "processed.npz", board="none").passed
    np.savez(tmp_path / "beyond.npz", **samples(30, words=99))
    with pytest.raises(SamplesError, match=r"host_before\.onnx fails on sample \d+:.*idx=\d+"):
        run(project, tmp_path / "beyond.npz", board="none")
    np.savez(tmp_path / "reals.npz", **(samples(2) | {"ids": np.full((2, LENGTH), 0.5)}))
    with pytest.raises(SamplesError, match="input 'ids', int64, cannot take"):
        run(project, tmp_path / "reals.npz", board="none")


def test_without_samples_token_ids_stay_within_their_table(project: Path, tmp_path: Path) -> None:
    design = intarsia.compile(embedding_model(), schedule="sequential", fifo_sizing=False)
    ids = design.own_samples["ids"]
    assert ids.dtype == np.int64 and ids.min() == 0 and ids.max() == WORDS - 1
    assert any("NOT CALIBRATED" in note for note in design.notes)
    about = json.loads((project / "design.json").read_text())
    assert about["host_ops"] == {"before": ["n_e", "n_p"], "after": ["n_probabilities", "n_best"]}


DRIVER = """
import sys, warnings
import numpy as np
if {hidden}:
    sys.modules["onnxruntime"] = None
from accelerator import Accelerator, AcceleratorError
own, wanted = np.load("own.npz"), np.load("wanted.npz")
device = Accelerator("tokens.bit")
processed = {{"p": wanted["p"], "scale": own["scale"]}}
if {hidden}:
    try:
        device(dict(own))
    except AcceleratorError as error:
        assert "pip install onnxruntime" in str(error) and "tensors scale, p that they make of ids" in str(error), error
    else:
        raise AssertionError("no error")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert (device(processed) == wanted["logits"]).all()
    assert "results are those of the hardware, logits" in str(caught[0].message), caught
else:
    for given in (dict(own), processed):
        found = device(given)
        assert set(found) == {{"probabilities", "best"}} and found["best"].shape == (4, 6)
        assert (found["best"] == wanted["logits"].argmax(-1)).all()
    one = device({{"ids": own["ids"][1], "scale": own["scale"][1]}})
    assert (one["best"][0] == wanted["logits"][1].argmax(-1)).all()
    raw = Accelerator("tokens.bit", host_parts=False)
    assert (raw(processed) == wanted["logits"]).all()
"""


@pytest.mark.parametrize("hidden", [False, True])
def test_driver(project: Path, hidden: bool) -> None:
    from intarsia.graph_file import load_graph

    deploy = project / "deploy"
    for name in ("tokens.bit", "tokens.hwh"):
        (deploy / name).touch()
    graph = load_graph(project / "golden.npz")
    own = samples(4)
    p = HostPart.read(deploy / "host_before.onnx").run(own)["p"]
    real = {"p": p, "scale": own["scale"][:, np.newaxis]}
    raw = golden.run(graph, {name: graph.tensors[name].number.quantise(real[name]) for name in graph.inputs})
    logits = graph.tensors["logits"].number.dequantise(raw["logits"])[:, 0]
    np.savez(deploy / "own.npz", **own)
    np.savez(deploy / "wanted.npz", p=p[:, 0], logits=logits)
    run_script(deploy, DRIVER.format(hidden=hidden), build(project))


def test_a_part_says_what_does_not_fit() -> None:
    part = HostPart(make_model([node("Relu", ["x"], "y")], (1, 4)).SerializeToString(), "part.onnx")
    assert part.run({"x": np.ones((3, 4))})["y"].shape == (3, 1, 4)
    for values, message in (
        ({}, "part.onnx: input 'x' is missing"),
        ({"x": np.ones((3, 5))}, r"has shape \(3, 5\)"),
    ):
        with pytest.raises(HostPartError, match=message):
            part.run(values)
    with pytest.raises(HostPartError, match=r"ONNX Runtime cannot run the host's part"):
        HostPart(b"nothing")


def test_integer_masks_and_several_inputs() -> None:
    """Masks are computed on the host whatever their nodes become in hardware, and arrive as reals."""
    nodes = [
        node("Gather", ["words", "x"], "e"),
        node("Equal", ["x", "zero"], "empty"),
        node("Unsqueeze", ["empty", "axis"], "rows"),
        node("Where", ["rows", "low", "nought"], "bias"),
        node("Concat", ["x", "x"], "twice", axis=1),
        node("ReduceMax", ["twice"], "most", axes=[1], keepdims=1),
        node("Cast", ["most"], "m", to=TensorProto.FLOAT),
        node("Unsqueeze", ["m", "axis"], "factor"),
        node("MatMul", ["e", "w1"], "h"),
        node("Transpose", ["h"], "t", perm=[0, 2, 1]),
        node("MatMul", ["h", "t"], "scores"),
        node("Add", ["scores", "bias"], "masked"),
        node("Mul", ["masked", "factor"], "y"),
    ]
    constants = TABLES | WEIGHTS | {"zero": 0, "axis": [1], "low": np.float32(-9), "nought": np.float32(0)}
    model = make_model(nodes, (1, LENGTH), constants, elements=TensorProto.INT64)
    model.graph.output[0].type.tensor_type.elem_type = TensorProto.FLOAT
    ids = np.random.default_rng(3).integers(0, WORDS, (4, 1, LENGTH))
    whole = HostPart(model.SerializeToString()).run({"x": ids})["y"]
    imported = import_model(model)
    assert imported.host_before
    made = HostPart(imported.host_before.SerializeToString()).run({"x": ids})
    assert set(made) == set(imported.graph.inputs) == {"e", "bias", "factor"}
    found = golden.run_float(passes.run(imported.graph), made)["y"]
    np.testing.assert_allclose(found, whole, rtol=1e-4, atol=1e-4)
