"""Fine-tuning and the PyTorch layers; skipped without PyTorch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx_models import run_onnxruntime
from test_compress import many_forms, parsed

from intarsia import passes
from intarsia.circulant.blocks import expand, project, task_block
from intarsia.compress import Recipe, compress_model
from intarsia.compress.layers import initializer_values
from intarsia.errors import IntarsiaError
from intarsia.frontend import import_model

torch = pytest.importorskip("torch")

from torch.nn import functional

from intarsia.compress import CirculantConv2d, CirculantLinear
from intarsia.compress.torch_layers import expand as torch_expand
from intarsia.compress.torch_network import Network
from intarsia.compress.training import moved


def test_expansion_is_that_of_the_compiler() -> None:
    columns = np.random.default_rng(0).normal(size=(3, 2, 4, 5))
    found = torch_expand(torch.from_numpy(columns), 10, 7).numpy()
    np.testing.assert_array_equal(found, expand(columns, 10, 7))


@pytest.mark.parametrize(("outputs", "inputs", "block"), [(8, 8, 4), (10, 13, 4), (16, 9, 8)])
def test_gradients_of_a_linear_layer_are_those_of_the_formula(outputs: int, inputs: int, block: int) -> None:
    """dL/dc_ij = IFFT(FFT(dL/da_i) conj(FFT(x_j))), dL/dx_j = sum over i of IFFT(conj(FFT(c_ij)) FFT(dL/da_i))."""
    torch.manual_seed(0)
    layer = CirculantLinear(inputs, outputs, block).double()
    x = torch.randn(5, inputs, dtype=torch.float64, requires_grad=True)
    upstream = torch.randn(5, outputs, dtype=torch.float64)
    (layer(x) * upstream).sum().backward()
    rows, across, _, _ = layer.columns.shape
    a = np.pad(upstream.numpy(), ((0, 0), (0, rows * block - outputs))).reshape(5, rows, block)
    padded = np.pad(x.detach().numpy(), ((0, 0), (0, across * block - inputs))).reshape(5, across, block)
    fa, fx = np.fft.fft(a), np.fft.fft(padded)
    fc = np.fft.fft(layer.columns.detach().numpy()[..., 0])
    by_columns = np.fft.ifft(np.einsum("nik,njk->ijk", fa, fx.conj())).real
    by_x = np.fft.ifft(np.einsum("ijk,nik->njk", fc.conj(), fa)).real.reshape(5, -1)[:, :inputs]
    np.testing.assert_allclose(layer.columns.grad.numpy()[..., 0], by_columns, atol=1e-10)
    np.testing.assert_allclose(x.grad.numpy(), by_x, atol=1e-10)


def test_gradients_are_those_of_the_expanded_form() -> None:
    """Against autograd of a dense layer: the gradient of a column is the sum over its wrapped diagonal."""
    torch.manual_seed(1)
    layer = CirculantConv2d(6, 10, (3, 2), block=4, stride=(2, 1), padding=(1, 0)).double()
    x = torch.randn(2, 6, 7, 6, dtype=torch.float64)
    weight = layer.weight.detach().clone().requires_grad_()
    upstream = torch.randn_like(layer(x))
    (layer(x) * upstream).sum().backward()
    dense = functional.conv2d(x, weight, layer.bias.detach(), (2, 1), (1, 0))
    (dense * upstream).sum().backward()
    gradient = weight.grad.flatten(2).numpy()
    ones = np.ones_like(gradient)
    counts = project(np.pad(ones, ((0, 2), (0, 2), (0, 0))), 4) * 4
    sums = project(np.pad(gradient, ((0, 2), (0, 2), (0, 0))), 4) * 4
    assert counts.max() == 4
    np.testing.assert_allclose(layer.columns.grad.numpy(), sums, atol=1e-10)


def test_numerical_gradients() -> None:
    torch.manual_seed(2)
    linear = CirculantLinear(12, 5, 4, positions=2).double()
    conv = CirculantConv2d(5, 4, 2, block=4, padding=1, dilation=2).double()
    for layer, shape in ((linear, (3, 12)), (conv, (2, 5, 4, 4))):
        x = torch.randn(shape, dtype=torch.float64, requires_grad=True)

        def run(x, columns, layer=layer):  # type: ignore[no-untyped-def]
            return torch.func.functional_call(layer, {"columns": columns}, (x,))

        assert torch.autograd.gradcheck(run, (x, layer.columns))


@pytest.mark.parametrize("positions", [1, 4])
def test_layers_from_dense_and_back(positions: int) -> None:
    linear = torch.nn.Linear(16, 12)
    circulant = CirculantLinear.from_dense(linear, 4, positions)
    assert circulant.columns.shape == (3, 16 // positions // 4, 4, positions)
    assert circulant.weight.norm().item() == pytest.approx(linear.weight.norm().item(), rel=1e-5)
    x = torch.randn(3, 16)
    torch.testing.assert_close(circulant.to_dense()(x), circulant(x))
    conv = torch.nn.Conv2d(8, 4, 3, stride=2, padding=1, bias=False)
    other = CirculantConv2d.from_dense(conv, 2)
    image = torch.randn(2, 8, 5, 5)
    torch.testing.assert_close(other.to_dense()(image), other(image))
    assert other(image).shape == conv(image).shape


def test_layers_that_are_refused() -> None:
    for block, message in ((3, "size 3"), (16, "blocks of 16 do not fit")):
        with pytest.raises(IntarsiaError, match=message):
            CirculantLinear(8, 32, block)
    with pytest.raises(IntarsiaError, match="no whole number of channels"):
        CirculantLinear(9, 8, 2, positions=4)
    with pytest.raises(IntarsiaError, match="one group"):
        CirculantConv2d.from_dense(torch.nn.Conv2d(4, 4, 3, groups=2), 2)


EVERY_OPERATOR = """
    a = Conv<auto_pad="SAME_UPPER", strides=[2,2]>(x, w0, b0) c = LeakyRelu<alpha=0.2>(a)
    m = MaxPool<kernel_shape=[3,3], pads=[1,1,1,1]>(c)
    v = AveragePool<kernel_shape=[2,2], pads=[1,0,0,1], count_include_pad=1>(c)
    s = Add(m, v) g = Sigmoid(s) p = Mul(s, g) h = HardSwish(p) t = Tanh(h)
    f = Flatten(t) k = Gemm<alpha=0.5, beta=2.0, transB=1>(f, w1, b1) e = Elu(k) q = MatMul(e, w2) y = Softmax(q)
"""


def every_operator() -> onnx.ModelProto:
    return parsed(
        EVERY_OPERATOR,
        {"w0": (8, 4, 3, 3), "b0": (8,), "w1": (16, 8 * 9), "b1": (16,), "w2": (16, 4)},
        "float[N,4,5,6] x",
        "float[N,4] y",
    )


@pytest.mark.parametrize("model", [every_operator, many_forms])
def test_the_trained_network_is_the_model(model) -> None:  # type: ignore[no-untyped-def]
    imported = import_model(model())
    shape = imported.graph.tensors["x"].shape
    x = np.random.default_rng(3).normal(size=(4, *shape[1:])).astype(np.float32)
    (found,) = Network(imported.model, {}, ())(torch.from_numpy(x))
    expected = run_onnxruntime(imported.model, {"x": x}, ["y"])["y"]
    np.testing.assert_allclose(found.detach().numpy(), expected, rtol=1e-4, atol=1e-5)


def test_operators_that_cannot_be_trained_are_named() -> None:
    model = parsed("a = Gemm(x, w) y = Round(a)", {"w": (8, 8)}, "float[N,8] x", "float[N,8] y")
    with pytest.raises(IntarsiaError, match="cannot go through Round"):
        Network(import_model(model).model, {}, ())


def digits(path: Path, count: int = 200) -> Path:
    """Four classes of noisy patterns."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 4, count)
    patterns = np.random.default_rng(7).normal(size=(4, 4, 5, 6))
    x = patterns[y] + 0.7 * rng.normal(size=(count, 4, 5, 6))
    np.savez(path, x=x.astype(np.float32), y=y)
    return path


@pytest.mark.parametrize("gradual", [False, True])
def test_training_learns_repeats_itself_and_stays_circulant(tmp_path: Path, gradual: bool) -> None:
    data = digits(tmp_path / "d.npz")
    recipe = Recipe(epochs=10, batch=16, gradual=gradual, distil=0)  # the dense model is not trained
    told: list[str] = []

    def progress(text: str, done: int, total: int) -> None:
        told.append(f"{done}/{total} {text}")

    first, second = (
        compress_model(every_operator(), 4, training=data, recipe=recipe, progress=progress) for _ in range(2)
    )
    assert first.model.SerializeToString() == second.model.SerializeToString()
    assert first.measure is not None
    assert first.measure.samples == 20
    assert first.measure.accuracy is not None
    assert first.measure.accuracy >= 0.9
    assert told[9].startswith("10/10 Training: loss")
    graph = passes.run(import_model(first.model).graph)
    assert [task_block(graph, task) for task in graph.tasks if "weight" in task.parameters] == [4, 4, 1]


def test_without_labels_the_dense_outputs_are_the_goal(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    np.save(tmp_path / "x.npy", rng.normal(size=(300, 8, 3, 3)).astype(np.float32))
    before = compress_model(many_forms(), 2, allow_untuned=True, test=tmp_path / "x.npy")
    after = compress_model(
        many_forms(), 2, training=tmp_path / "x.npy", test=tmp_path / "x.npy", recipe=Recipe(epochs=20)
    )
    assert before.measure is not None
    assert after.measure is not None
    assert after.measure.accuracy is None
    assert after.measure.sqnr_db > before.measure.sqnr_db + 3


def test_labels_from_another_file(tmp_path: Path) -> None:
    data = np.load(digits(tmp_path / "d.npz"))
    np.save(tmp_path / "x.npy", data["x"])
    np.save(tmp_path / "y.npy", data["y"])
    options = {"training": tmp_path / "x.npy", "recipe": Recipe(epochs=1)}
    result = compress_model(every_operator(), 4, labels=tmp_path / "y.npy", **options)
    assert result.measure is not None
    assert result.measure.accuracy is not None
    np.save(tmp_path / "y.npy", data["y"][:-1])
    with pytest.raises(IntarsiaError, match="200 integers are needed"):
        compress_model(every_operator(), 4, labels=tmp_path / "y.npy", **options)


def test_distillation_follows_the_dense_model_whatever_the_labels(tmp_path: Path) -> None:
    path = digits(tmp_path / "d.npz")
    with np.load(path) as data:
        np.savez(tmp_path / "wrong.npz", x=data["x"], y=np.roll(data["y"], 1))
    recipe = Recipe(epochs=10, batch=16, distil=1)
    measure = compress_model(every_operator(), 4, training=tmp_path / "wrong.npz", recipe=recipe).measure
    assert measure is not None
    assert measure.agreement >= 0.9


def test_divergence_is_told(tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", x=np.full((8, 4, 5, 6), 1e38, np.float32), y=np.zeros(8, np.int64))
    model = parsed(
        "f = Flatten(x) a = Gemm(f, w) y = Gemm(a, v)",
        {"w": (120, 8), "v": (8, 4)},
        "float[N,4,5,6] x",
        "float[N,4] y",
    )
    with pytest.raises(IntarsiaError, match="training diverged in epoch 1"):
        compress_model(model, 4, training=tmp_path / "d.npz", test=tmp_path / "d.npz")


@pytest.mark.parametrize(
    "options",
    [
        {"epochs": 0},
        {"batch": 0},
        {"learning_rate": 0.0},
        {"learning_rate": 2.0},
        {"shift": -1},
        {"distil": 1.5},
        {"average": 1.0},
    ],
)
def test_recipes_that_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(IntarsiaError, match="must be"):
        Recipe(**options)  # type: ignore[arg-type]


def test_initializers_of_dense_layers_are_trained_as_well(tmp_path: Path) -> None:
    result = compress_model(every_operator(), 4, training=digits(tmp_path / "d.npz"), recipe=Recipe(epochs=1))
    before, after = initializer_values(every_operator()), initializer_values(result.model)
    assert not np.array_equal(before["w2"], after["w2"])
    assert not np.array_equal(before["b1"], after["b1"])


def test_images_aremoved_each_by_its_own_draw() -> None:
    images = torch.zeros(200, 2, 5, 7)
    images[:, :, 2, 3] = torch.tensor([1.0, 2.0])
    seen = moved(images, 2, torch.Generator().manual_seed(0))
    assert seen.shape == images.shape
    places = {tuple(image[0].nonzero()[0].tolist()) for image in seen}
    assert places == {(y, x) for y in range(5) for x in range(1, 6)}
    assert (seen.sum((2, 3)) == torch.tensor([1.0, 2.0])).all()
    assert moved(images[:, 0, 0], 2, torch.Generator()).equal(images[:, 0, 0])
