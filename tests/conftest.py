"""Projects that several test files share: compiled once for each test process."""

from __future__ import annotations

import shutil
from importlib.resources import as_file, files
from pathlib import Path

import pytest

import intarsia


@pytest.fixture(scope="session")
def lenet_images() -> Path:
    """The bundled images, with labels."""
    with as_file(files("intarsia.demo") / "mnist.npz") as path:
        return path


@pytest.fixture(scope="session")
def lenet_model() -> Path:
    """The bundled LeNet-5."""
    with as_file(files("intarsia.demo") / "lenet5.onnx") as path:
        return path


@pytest.fixture(scope="session")
def compiled_lenet(lenet_model: Path, lenet_images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of the bundled LeNet-5; not to be changed."""
    design = intarsia.compile(lenet_model, board="kv260", calibration=lenet_images, schedule="sequential")
    return design.write(tmp_path_factory.mktemp("compiled") / "lenet5")


@pytest.fixture
def lenet_project(compiled_lenet: Path, tmp_path: Path) -> Path:
    """A copy of that project for one test."""
    return Path(shutil.copytree(compiled_lenet, tmp_path / "lenet5"))
