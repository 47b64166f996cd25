from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from intarsia.samples import Preprocess, Samples, SamplesError, load_samples, samples_bytes, synthetic_samples
from intarsia.task_graph import Tensor

IMAGE = (Tensor("image", (1, 1, 28, 28), 1),)
COLOUR = (Tensor("image", (1, 3, 8, 8), 1),)
VECTOR = (Tensor("v", (1, 6), 1),)
PAIR = (Tensor("a", (1, 4), 1), Tensor("b", (1, 4), 1))


def load(
    tmp_path: Path,
    inputs: tuple[Tensor, ...],
    *,
    options: dict[str, Any] | None = None,
    **arrays: NDArray[Any],
) -> Samples:
    np.savez(tmp_path / "s.npz", **arrays)
    return load_samples(tmp_path / "s.npz", inputs, **(options or {}))


def ramp(*shape: int, kind: Any = np.float32) -> NDArray[Any]:
    return np.arange(np.prod(shape)).reshape(shape).astype(kind)


@pytest.mark.parametrize("shape", [(5, 28, 28), (5, 1, 28, 28), (5, 1, 1, 28, 28), (5, 784)])
@pytest.mark.parametrize("name", ["image", "in:image", "x", "images", "input", "calibration", "anything"])
def test_usual_shapes_and_names(tmp_path: Path, shape: tuple[int, ...], name: str) -> None:
    values = ramp(*shape)
    samples = load(tmp_path, IMAGE, **{name: values})
    assert samples.arrays["image"].shape == (5, 1, 1, 28, 28)
    assert samples.arrays["image"].dtype == np.float32
    np.testing.assert_array_equal(samples.arrays["image"].ravel(), values.ravel())
    assert samples.notes == ()
    assert samples.count == 5


def test_vectors_one_sample_and_npy(tmp_path: Path) -> None:
    assert load(tmp_path, VECTOR, x=ramp(4, 6)).arrays["v"].shape == (4, 1, 6)
    assert load(tmp_path, VECTOR, x=ramp(6)).arrays["v"].shape == (1, 1, 6)
    assert load(tmp_path, VECTOR, x=ramp(4, 2, 3)).arrays["v"].shape == (4, 1, 6)
    assert load(tmp_path, COLOUR, x=ramp(3, 8, 8)).arrays["image"].shape == (1, 1, 3, 8, 8)
    np.save(tmp_path / "s.npy", ramp(2, 28, 28))
    assert load_samples(tmp_path / "s.npy", IMAGE).count == 2


def test_uint8_is_scaled_and_said(tmp_path: Path) -> None:
    samples = load(tmp_path, IMAGE, x=np.full((2, 28, 28), 255, np.uint8))
    np.testing.assert_allclose(samples.arrays["image"], 1)
    assert "1/255" in samples.notes[0]
    raw = load(
        tmp_path, IMAGE, x=np.full((2, 28, 28), 255, np.uint8), options={"preprocess": Preprocess(scale=1)}
    )
    assert raw.arrays["image"].max() == 255
    assert raw.notes == ()
    other = {"preprocess": Preprocess(scale=0.5), "purpose": "calibration"}
    reals = load(tmp_path, IMAGE, x=ramp(2, 28, 28), options=other)
    assert reals.arrays["image"].max() == 2 * 28 * 28 - 1
    assert "not scaled" in reals.notes[0]


def test_smaller_images_are_padded_in_the_centre(tmp_path: Path) -> None:
    samples = load(tmp_path, IMAGE, x=np.ones((2, 25, 28), np.float32))
    image = samples.arrays["image"][0, 0, 0]
    assert image.sum() == 25 * 28
    assert not image[0].any()
    assert image[1].all()
    assert not image[26:].any()
    assert "25 x 28 images are padded" in samples.notes[0]
    with pytest.raises(SamplesError, match="--fit pad"):
        load(tmp_path, IMAGE, x=np.ones((2, 25, 28)), options={"preprocess": Preprocess(fit="error")})
    with pytest.raises(SamplesError, match="Crop or resize"):
        load(tmp_path, IMAGE, x=np.ones((2, 25, 32)))


def test_purpose_picks_the_array_and_the_labels(tmp_path: Path) -> None:
    arrays = {
        "calibration": np.ones((3, 28, 28)),
        "images": np.ones((4, 28, 28)),
        "labels": np.arange(4, dtype=np.uint8),
    }
    verification = load(tmp_path, IMAGE, **arrays)
    assert verification.count == 4
    assert verification.labels is not None
    assert verification.labels.tolist() == [0, 1, 2, 3]
    calibration = load(tmp_path, IMAGE, options={"purpose": "calibration"}, **arrays)
    assert calibration.count == 3
    assert calibration.labels is None


@pytest.mark.parametrize(
    ("training", "test"),
    [("x_train y_train", "x_test y_test"), ("train_images train_labels", "val_images val_labels")],
)
def test_parts_of_a_data_set(tmp_path: Path, training: str, test: str) -> None:
    arrays: dict[str, NDArray[Any]] = {"note": np.array(["text"])}
    for names, count in ((training, 3), (test, 4)):
        images, labels = names.split()
        arrays[images] = np.full((count, 28, 28), count / 10)
        arrays[labels] = np.full(count, count)
    verification = load(tmp_path, IMAGE, **arrays)
    assert verification.labels is not None
    assert verification.labels.tolist() == [4] * 4
    assert verification.notes == (f"s.npz: array {test.split()[0]!r} is taken for verification",)
    for purpose, labels in (("calibration", None), ("training", [3] * 3)):
        found = load(tmp_path, IMAGE, options={"purpose": purpose}, **arrays)
        assert found.count == 3
        assert (found.labels.tolist() if found.labels is not None else None) == labels
    del arrays[test.split()[1]]
    assert load(tmp_path, IMAGE, **arrays).labels is None


@pytest.mark.parametrize(
    ("arrays", "inputs", "message"),
    [
        ({"x": np.zeros((0, 28, 28))}, IMAGE, "is empty"),
        ({"x": np.zeros((2, 27))}, IMAGE, r"needs \(samples, 1, 28, 28\)"),
        ({"x": np.zeros((2, 8, 8, 3))}, COLOUR, "moveaxis"),
        ({"q": np.zeros((2, 27)), "r": np.zeros(3)}, IMAGE, r"no array fits.*q \(2, 27\), r \(3,\)"),
        (
            {"q": np.zeros((2, 784)), "r": np.zeros((2, 28, 28))},
            IMAGE,
            "more than one array could be the input: q, r",
        ),
        ({"x": np.array(["a"])}, VECTOR, "numbers are needed"),
        ({"x": np.zeros((3, 6)), "y": np.zeros(2, int)}, VECTOR, "2 labels in 'y', but 3 samples"),
        ({"x": np.zeros((3, 6)), "y": np.zeros(3)}, VECTOR, "one integer per sample"),
        ({"a": np.zeros((3, 4)), "b": np.zeros((2, 4))}, PAIR, "different numbers of samples"),
        ({"x": np.zeros((3, 4))}, (PAIR[0], Tensor("c", (1, 7), 1)), "'c' needs"),
    ],
)
def test_errors_say_what_is_wrong(
    tmp_path: Path, arrays: dict[str, NDArray[Any]], inputs: tuple[Tensor, ...], message: str
) -> None:
    with pytest.raises(SamplesError, match=message):
        load(tmp_path, inputs, **arrays)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
def test_values_that_are_no_numbers_name_the_sample(tmp_path: Path, value: float) -> None:
    values = np.zeros((5, 6))
    values[3, 2] = value
    with pytest.raises(SamplesError, match="sample 3"):
        load(tmp_path, VECTOR, x=values)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(SamplesError, match="there is no sample file"):
        load_samples(tmp_path / "none.npz", IMAGE)
    (tmp_path / "text.npz").write_text("hello")
    with pytest.raises(SamplesError, match=r"is no \.npz"):
        load_samples(tmp_path / "text.npz", IMAGE)
    np.savez(tmp_path / "objects.npz", x=np.array([{}], dtype=object))
    with pytest.raises(SamplesError, match=r"is no \.npz"):
        load_samples(tmp_path / "objects.npz", IMAGE)


@pytest.mark.parametrize("options", [{"scale": 0.0}, {"scale": float("nan")}, {"fit": "stretch"}])
def test_preprocess_options_are_checked(options: dict[str, Any]) -> None:
    with pytest.raises(SamplesError, match="must be"):
        Preprocess(**options)


def test_own_samples_can_be_read_again(tmp_path: Path) -> None:
    synthetic = synthetic_samples(PAIR, seed=3)
    assert "NOT CALIBRATED" in synthetic.notes[0]
    (tmp_path / "s.npz").write_bytes(samples_bytes(synthetic.arrays))
    again = load_samples(tmp_path / "s.npz", PAIR)
    for name, values in synthetic.arrays.items():
        np.testing.assert_array_equal(again.arrays[name], values)
