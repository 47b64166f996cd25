"""Reading an ONNX model: from a file or an object to a private, complete copy, or an error that says what is wrong."""

from __future__ import annotations

from pathlib import Path

import onnx
from google.protobuf.message import DecodeError
from onnx import external_data_helper, numpy_helper

from ..errors import IntarsiaError

Source = Path | str | onnx.ModelProto


def load(source: Source) -> onnx.ModelProto:
    """The model with all its data, as a copy that the caller owns.

    Raises:
        IntarsiaError: no such file, not ONNX, truncated, or a file of weights is missing.
    """
    if isinstance(source, onnx.ModelProto):
        model = onnx.ModelProto()
        model.CopyFrom(source)
        if missing := _external_files(model):
            raise IntarsiaError(
                f"the model keeps its weights in another file, {missing[0]!r}, and was given without its folder. "
                "Give the path of the .onnx file, or load it with onnx.load(path), which reads the weights too"
            )
    elif isinstance(source, str | Path):
        model = _read(Path(source))
    else:
        raise IntarsiaError(
            f"a model is the path of an .onnx file or an onnx.ModelProto, not {type(source).__name__}"
        )
    if not _is_text(model):
        raise IntarsiaError(
            f"{_title(source)} is damaged: a name in it is no text. Export or download it again"
        )
    for tensor in model.graph.initializer:
        try:
            numpy_helper.to_array(tensor)
        except Exception as error:  # of many kinds: wrong size, unknown type
            raise IntarsiaError(
                f"{_title(source)} is damaged: tensor {tensor.name!r} cannot be read: {_first_line(error)}"
            ) from error
    if not model.graph.node:
        raise IntarsiaError(f"{_title(source)} has no nodes: there is nothing to accelerate")
    return model


def _read(path: Path) -> onnx.ModelProto:
    if path.is_dir():
        inside = sorted(file.name for file in path.glob("*.onnx"))[:5]
        hint = f"It holds {', '.join(inside)}: name one of them" if inside else "It holds no .onnx file"
        raise IntarsiaError(f"{path} is a folder, but must be an ONNX file. {hint}")
    if not path.exists():
        raise IntarsiaError(f"{path} does not exist. Give the path of an ONNX file")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise IntarsiaError(f"{path} cannot be read: {error.strerror}") from error
    if not content:
        raise IntarsiaError(f"{path} is empty (0 bytes). Export or download the model again")
    model = onnx.ModelProto()
    try:
        model.ParseFromString(content)
    except DecodeError as error:
        raise IntarsiaError(
            f"{path} is not an ONNX model, or is truncated ({len(content)} bytes). {_what_it_is(content)}"
        ) from error
    if not model.opset_import or not model.ir_version:
        raise IntarsiaError(f"{path} is not an ONNX model: it names no operator set. {_what_it_is(content)}")
    if missing := [name for name in _external_files(model) if not (path.parent / name).is_file()]:
        raise IntarsiaError(
            f"{path} keeps its weights in another file, {missing[0]!r}, which is not beside it. Put it into "
            f"{path.parent.resolve()}, or save the model with its weights inside: "
            "onnx.save(model, path, save_as_external_data=False)"
        )
    try:
        external_data_helper.load_external_data_for_model(model, str(path.parent))
    except Exception as error:  # onnx raises many kinds: bad paths, bad offsets, bad permissions
        raise IntarsiaError(
            f"{path}: the weights beside it cannot be read: {_first_line(error)}. Copy or download them again, all files of "
            "the model together"
        ) from error
    return model


def _what_it_is(content: bytes) -> str:
    """A guess at a file that is not ONNX."""
    if content.startswith(b"version https://git-lfs"):
        return "It is a Git LFS pointer: run `git lfs pull`"
    if content.startswith(b"PK\x03\x04"):
        return "It is a zip archive, perhaps a PyTorch checkpoint: export it with torch.onnx.export"
    if content.startswith(b"\x89HDF"):
        return "It is an HDF5 file, perhaps a Keras model: convert it with tf2onnx"
    if content[4:8] == b"TFL3":
        return "It is a TensorFlow Lite model: convert it with tf2onnx"
    if b"\0" not in content[:1024]:
        return "It looks like text"
    return "Export or download it again"


def _external_files(model: onnx.ModelProto) -> list[str]:
    """Files outside the model that hold its tensors."""
    attributes = [
        attribute.t for node in model.graph.node for attribute in node.attribute if attribute.HasField("t")
    ]
    tensors = filter(external_data_helper.uses_external_data, (*model.graph.initializer, *attributes))
    return sorted({external_data_helper.ExternalDataInfo(tensor).location for tensor in tensors})


def _is_text(model: onnx.ModelProto) -> bool:
    """True if all names are valid UTF-8 (protobuf gives bytes for those that are not)."""
    graph = model.graph
    named = [*graph.node, *graph.initializer, *graph.input, *graph.output]
    texts = [graph.name, *(item.name for item in named), *(entry.domain for entry in model.opset_import)]
    for node in graph.node:
        texts += [node.op_type, node.domain, *node.input, *node.output, *(a.name for a in node.attribute)]
    for value in (*graph.input, *graph.output):
        texts += [dimension.dim_param for dimension in value.type.tensor_type.shape.dim]
    return all(isinstance(text, str) for text in texts)


def _title(source: Source) -> str:
    return "the model" if isinstance(source, onnx.ModelProto) else str(source)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
