"""Trains the LeNet-5 of `intarsia demo` and writes lenet5.onnx and mnist.npz.

A stand-alone script: nothing in intarsia imports it, and it imports nothing of intarsia. It needs the extra `train`:

    pip install -e .[train]
    python generator/demo/train_lenet.py --train train.npz --test test.npz -o generator/demo

Both archives hold `x`, the images as uint8 (N, 28, 28), and `y`, their labels. The run is seeded and uses one thread,
so the same archives, seed and version of torch give the same model. ORIGIN.md, beside this file, records the run that made
the bundled files.
"""

import argparse
from collections import OrderedDict
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

OPSET = 17
IR_VERSION = 8
CALIBRATION_PER_DIGIT = 10
BUNDLED_TEST_IMAGES = 200

Samples = tuple[NDArray[np.uint8], NDArray[np.int64]]


def lenet5() -> nn.Sequential:
    """LeNet-5 in its usual modern form: ReLU and maximum pooling, and 28 x 28 images padded by 2."""
    layers: list[tuple[str, nn.Module]] = [
        ("conv1", nn.Conv2d(1, 6, kernel_size=5, padding=2)),
        ("relu1", nn.ReLU()),
        ("pool1", nn.MaxPool2d(2)),
        ("conv2", nn.Conv2d(6, 16, kernel_size=5)),
        ("relu2", nn.ReLU()),
        ("pool2", nn.MaxPool2d(2)),
        ("flatten", nn.Flatten()),
        ("fc1", nn.Linear(16 * 5 * 5, 120)),
        ("relu3", nn.ReLU()),
        ("fc2", nn.Linear(120, 84)),
        ("relu4", nn.ReLU()),
        ("fc3", nn.Linear(84, 10)),
    ]
    return nn.Sequential(OrderedDict(layers))


def to_float(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The network's input: (N, 1, 28, 28) float32 in [0, 1]."""
    return (images[:, np.newaxis] / 255).astype(np.float32)


def augment(images: Tensor, generator: torch.Generator) -> Tensor:
    """Turns by up to 12 degrees, scales by up to 10 % and shifts by up to 2 pixels, each image by its own draw."""
    draws = torch.rand(4, len(images), generator=generator) * 2 - 1
    angle, scale = draws[0] * (12 * torch.pi / 180), 1 + 0.1 * draws[1]
    shift_x, shift_y = draws[2:] * (2 / 14)  # affine_grid measures from the centre: 14 pixels are 1.
    cosine, sine = torch.cos(angle) * scale, torch.sin(angle) * scale
    rows = [torch.stack([cosine, -sine, shift_x], dim=1), torch.stack([sine, cosine, shift_y], dim=1)]
    grid = functional.affine_grid(torch.stack(rows, dim=1), list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, align_corners=False)


def train(model: nn.Module, images: Tensor, labels: Tensor, epochs: int, seed: int) -> None:
    """Adam with a one-cycle learning rate; the last epochs are as augmented as the first."""
    generator = torch.Generator().manual_seed(seed)
    batch = 64
    steps = epochs * -(-len(images) // batch)
    optimiser = torch.optim.Adam(model.parameters(), weight_decay=1e-5)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=4e-3, total_steps=steps)
    model.train()
    for epoch in range(epochs):
        total = 0.0
        for index in torch.split(torch.randperm(len(images), generator=generator), batch):
            loss = functional.cross_entropy(model(augment(images[index], generator)), labels[index])
            optimiser.zero_grad()
            torch.autograd.backward(loss)
            optimiser.step()
            schedule.step()
            total += loss.item() * len(index)
        print(f"epoch {epoch + 1:3d} of {epochs}: mean loss {total / len(images):.4f}", flush=True)


def tidy(model: onnx.ModelProto) -> onnx.ModelProto:
    """Names every node and its output after the layer, and drops what describes only the exporter's machine.

    The exporter names nodes `/conv1/Conv` and tensors `/conv1/Conv_output_0`; here both become `conv1`.
    The graph's input and output and the weights (`conv1.weight`) keep the names they have.
    """
    outputs = {value.name for value in model.graph.output}
    renamed = {}
    for node in model.graph.node:
        node.name = node.name.strip("/").split("/")[0]
        node.doc_string = ""
        if node.output[0] not in outputs:
            renamed[node.output[0]] = node.name
    for node in model.graph.node:
        node.input[:] = [renamed.get(name, name) for name in node.input]
        node.output[:] = [renamed.get(name, name) for name in node.output]
    model.graph.name = "lenet5"
    model.graph.doc_string = model.doc_string = ""
    del model.graph.value_info[:], model.metadata_props[:]
    model.ir_version = IR_VERSION
    onnx.checker.check_model(model, full_check=True)
    return model


def export(model: nn.Module, path: Path) -> None:
    """Writes the float model with a symbolic batch, its weights as initializers."""
    model.eval()
    torch.onnx.export(
        model,
        (torch.zeros(1, 1, 28, 28),),
        str(path),
        dynamo=False,  # the newer exporter renames every node and starts at opset 18
        opset_version=OPSET,
        input_names=["image"],
        output_names=["logits"],
        dynamic_axes={"image": {0: "batch"}, "logits": {0: "batch"}},
    )
    onnx.save(tidy(onnx.load(path)), path)


def accuracy(path: Path, images: NDArray[np.uint8], labels: NDArray[np.int64]) -> float:
    """The share of images that ONNX Runtime classifies as their labels say."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (logits,) = session.run(["logits"], {"image": to_float(images)})
    return float((logits.argmax(axis=1) == labels).mean())


def write_samples(path: Path, train_set: Samples, test_set: Samples) -> None:
    """The images that the demo calibrates with (ten of each digit) and those that it measures and verifies with."""
    images, labels = train_set
    chosen = np.concatenate([np.flatnonzero(labels == digit)[:CALIBRATION_PER_DIGIT] for digit in range(10)])
    np.savez_compressed(
        path,
        calibration=images[np.sort(chosen)],
        images=test_set[0][:BUNDLED_TEST_IMAGES],
        labels=test_set[1][:BUNDLED_TEST_IMAGES],
    )


def load(path: Path) -> Samples:
    """The images and labels of an archive."""
    with np.load(path) as archive:
        return archive["x"].astype(np.uint8), archive["y"].astype(np.int64)


def main() -> None:
    """Trains, exports, measures, and writes the samples."""
    parser = argparse.ArgumentParser(description="Train the LeNet-5 of `intarsia demo`.")
    parser.add_argument("--train", type=Path, required=True, help="archive with x (uint8, N x 28 x 28) and y")
    parser.add_argument("--test", type=Path, required=True, help="archive of the same form, to measure with")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder to write into")
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()

    torch.set_num_threads(1)
    torch.manual_seed(arguments.seed)
    torch.use_deterministic_algorithms(True)
    train_set, test_set = load(arguments.train), load(arguments.test)
    model = lenet5()
    images, labels = torch.from_numpy(to_float(train_set[0])), torch.from_numpy(train_set[1])
    train(model, images, labels, arguments.epochs, arguments.seed)

    arguments.output.mkdir(parents=True, exist_ok=True)
    path = arguments.output / "lenet5.onnx"
    export(model, path)
    write_samples(arguments.output / "mnist.npz", train_set, test_set)
    for count in sorted({BUNDLED_TEST_IMAGES, len(test_set[0])}):
        share = accuracy(path, test_set[0][:count], test_set[1][:count])
        print(f"{path}: {share:.2%} of the first {count} test images (ONNX Runtime, float)")


if __name__ == "__main__":
    main()
