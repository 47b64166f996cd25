"""The bundled LeNet-5 is the model that ORIGIN.md and the README describe."""

from importlib.resources import as_file, files

import numpy as np
import onnx
import onnxruntime
import pytest


@pytest.fixture(scope="module")
def samples():
    with as_file(files("intarsia.demo") / "mnist.npz") as path, np.load(path) as archive:
        return dict(archive)


@pytest.fixture(scope="module")
def model():
    return onnx.load_model_from_string((files("intarsia.demo") / "lenet5.onnx").read_bytes())


def test_samples_are_uint8_images(samples):
    assert {name: array.shape for name, array in samples.items()} == {
        "calibration": (100, 28, 28),
        "images": (200, 28, 28),
        "labels": (200,),
    }
    assert samples["calibration"].dtype == samples["images"].dtype == np.uint8
    assert samples["labels"].min() == 0
    assert samples["labels"].max() == 9


def test_no_image_serves_both_calibration_and_measurement(samples):
    calibration = {image.tobytes() for image in samples["calibration"]}
    assert len(calibration) == 100
    assert not calibration & {image.tobytes() for image in samples["images"]}


def test_versions_are_old_enough_for_every_supported_onnx(model):
    assert model.ir_version == 8
    assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", 17)]
    onnx.checker.check_model(model, full_check=True)


def test_interface_has_a_symbolic_batch(model):
    shapes = {
        value.name: [axis.dim_param or axis.dim_value for axis in value.type.tensor_type.shape.dim]
        for value in [*model.graph.input, *model.graph.output]
    }
    assert shapes == {"image": ["batch", 1, 28, 28], "logits": ["batch", 10]}


def test_nodes_are_named_after_the_layers(model):
    features = ["conv1", "relu1", "pool1", "conv2", "relu2", "pool2"]
    classifier = ["flatten", "fc1", "relu3", "fc2", "relu4"]
    assert [node.name for node in model.graph.node] == [*features, *classifier, "fc3"]
    assert [node.output[0] for node in model.graph.node] == [*features, *classifier, "logits"]


def test_nothing_describes_the_machine_that_exported_it(model):
    assert not model.metadata_props
    assert not any(node.doc_string or node.metadata_props for node in model.graph.node)


def test_float_accuracy(model, samples):
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    images = (samples["images"][:, np.newaxis] / 255).astype(np.float32)
    (logits,) = session.run(["logits"], {"image": images})
    assert (logits.argmax(axis=1) == samples["labels"]).mean() >= 0.975
