"""Files of models: with weights beside them, absent, damaged, or no models at all."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from import_models import FLATTENS, conv_net
from onnx_models import check, node

from intarsia import passes
from intarsia.errors import IntarsiaError
from intarsia.frontend import import_model


def test_external_data(tmp_path: Path) -> None:
    file = tmp_path / "model.onnx"
    onnx.save(
        conv_net([node("Flatten", ["p"], "f")]),
        file,
        save_as_external_data=True,
        location="w.bin",
        size_threshold=0,
    )
    assert len(check(file).tasks) == 3
    with pytest.raises(IntarsiaError, match="given without its folder"):
        import_model(onnx.load(file, load_external_data=False))
    (tmp_path / "w.bin").write_bytes(b"short")
    with pytest.raises(IntarsiaError, match="cannot be read"):
        import_model(file)
    (tmp_path / "w.bin").unlink()
    with pytest.raises(IntarsiaError, match=r"'w\.bin', which is not beside it"):
        import_model(file)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"hello world, this is text\n", "looks like text"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (b"PK\x03\x04rest", "zip archive"),
        (b"\x89HDF\r\n\x1a\n", "HDF5"),
        (b"\x00\x01\x02\x03\x04", "not an ONNX model"),
    ],
)
def test_files_that_are_not_onnx(tmp_path: Path, content: bytes, message: str) -> None:
    file = tmp_path / "model.onnx"
    file.write_bytes(content)
    with pytest.raises(IntarsiaError, match=message):
        import_model(file)


def test_truncated_file(tmp_path: Path) -> None:
    content = conv_net([node("Flatten", ["p"], "f")]).SerializeToString()
    file = tmp_path / "model.onnx"
    for length in (10, 100, len(content) // 2, len(content) - 1):
        file.write_bytes(content[:length])
        with pytest.raises(IntarsiaError):
            import_model(str(file))


@given(st.binary(max_size=200))
@settings(max_examples=100, deadline=None)
def test_any_bytes_give_an_error_without_traceback(tmp_path_factory, content: bytes) -> None:
    file = tmp_path_factory.mktemp("bytes") / "model.onnx"
    file.write_bytes(content)
    with pytest.raises(IntarsiaError):
        import_model(file)


@given(position=st.floats(0, 1), value=st.integers(0, 255))
@settings(max_examples=200, deadline=None)
def test_a_damaged_file_gives_an_error_or_a_model(tmp_path_factory, position: float, value: int) -> None:
    content = bytearray(conv_net(*FLATTENS["shape_chain"]).SerializeToString())
    content[int(position * (len(content) - 1))] = value
    file = tmp_path_factory.mktemp("bytes") / "model.onnx"
    file.write_bytes(content)
    try:
        passes.run(import_model(file).graph)
    except IntarsiaError as error:
        assert str(error)


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(IntarsiaError, match="does not exist"):
        import_model(tmp_path / "missing.onnx")
    with pytest.raises(IntarsiaError, match=r"holds no \.onnx file"):
        import_model(tmp_path)
    (tmp_path / "net.onnx").write_bytes(b"")
    with pytest.raises(IntarsiaError, match=r"holds net\.onnx: name one"):
        import_model(tmp_path)
    with pytest.raises(IntarsiaError, match="not int"):
        import_model(3)  # type: ignore[arg-type]
