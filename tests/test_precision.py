"""Mixed precision: bits of single layers and tensors, in all worlds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from graphs import chain, conv, quantised, small_cnn
from test_requantisation import assert_all_agree

from intarsia.errors import IntarsiaError
from intarsia.quantise import Precision, QuantiseOptions, read_precision

FILE = """
[layers.layer0]
weight_bits = 4
activation_bits = 16

[layers."/2/Conv"]
weight_bits = 3

[tensors]
x = 5
"""


def test_file_decides_bits_and_all_worlds_agree(tmp_path: Path) -> None:
    file = tmp_path / "bits.toml"
    file.write_text(FILE)
    precision = read_precision(file)
    rng = np.random.default_rng(0)
    layers = [conv(rng, 2, 4, kernel=(3, 3)), conv(rng, 4, 3, kernel=(1, 1)), conv(rng, 3, 3, kernel=(2, 2))]
    graph = quantised(chain((2, 8, 6), layers), QuantiseOptions(8, 8, precision=precision))
    bits = {name: tensor.number.bits for name, tensor in graph.tensors.items()}
    assert bits == {"x": 5, "t0": 16, "t1": 8, "t2": 8}
    weights = [task.parameters["weight"].number.bits for task in graph.tasks]
    assert weights == [4, 8, 3]
    assert_all_agree(graph)


@pytest.mark.parametrize(("weights", "activations"), [(4, 16), (16, 8), (8, 16), (4, 8)])
def test_uniform_widths_in_all_worlds(weights: int, activations: int) -> None:
    assert_all_agree(quantised(small_cnn(), QuantiseOptions(weights, activations)))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[layers.conv9]\nweight_bits = 4", "layer 'conv9'; the model has layer0"),
        ("[tensors]\nz = 4", "tensor 'z'; the model has x"),
        ("[layers.layer0]\nbits = 4", r"layers\.layer0 has a key 'bits'.*weight_bits"),
        ("[layers.layer0]\nweight_bits = 1", "is 1. Supported: whole numbers from 2 to 16"),
        ("[layers.layer0]\nweight_bits = true", "is True"),
        ("[layers.layer1]\nweight_bits = 4", "layer1.*has no weights"),
        ("[layers.layer1]\nactivation_bits = 4", "layer1.*keeps the bits of its input 't0'"),
        ("layers = 3", "layers is 3, but must be a table"),
        ("[bits]", "has a key 'bits'. Supported: layers, tensors"),
        ("[", "is no TOML file"),
    ],
)
def test_what_a_file_says_wrongly_is_refused(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "bits.toml"
    file.write_text(text)
    with pytest.raises(IntarsiaError, match=message):
        quantised(small_cnn(), QuantiseOptions(precision=read_precision(file)))


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(IntarsiaError, match="there is no precision file"):
        read_precision(tmp_path / "none.toml")
    assert Precision() == QuantiseOptions().precision
