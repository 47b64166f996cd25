"""What a compressed model says of itself, in the ONNX metadata property `intarsia.circulant`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import onnx

from ..errors import IntarsiaError
from .blocks import check_block
from .rules import Choice

KEY = "intarsia.circulant"
CONVENTION = "first column"


@dataclass(frozen=True)
class Description:
    """Block sizes of circulant layers by node name, the reasons of the others, and whether training followed."""

    blocks: Mapping[str, int]
    dense: Mapping[str, str]
    tuned: bool


def describe(choices: Sequence[Choice], tuned: bool) -> Description:
    """The description of a compression."""
    return Description(
        {choice.layer.name: choice.block for choice in choices if choice.circulant},
        {choice.layer.name: choice.reason for choice in choices if not choice.circulant},
        tuned,
    )


def write(model: onnx.ModelProto, description: Description) -> None:
    """Put the description into the model, in the place of an earlier one."""
    content = {
        "convention": CONVENTION,
        "blocks": dict(description.blocks),
        "dense": dict(description.dense),
        "tuned": description.tuned,
    }
    kept = [(entry.key, entry.value) for entry in model.metadata_props if entry.key != KEY]
    onnx.helper.set_model_props(model, dict([*kept, (KEY, json.dumps(content))]))


def read(model: onnx.ModelProto) -> Description | None:
    """The description in a model; None if it has none.

    Raises:
        IntarsiaError: the property cannot be read.
    """
    text = next((entry.value for entry in model.metadata_props if entry.key == KEY), None)
    if text is None:
        return None
    try:
        content: dict[str, Any] = json.loads(text)
        if content["convention"] != CONVENTION:
            raise ValueError(f"convention {content['convention']!r} is not {CONVENTION!r}")
        blocks = {str(name): check_block(int(block)) for name, block in content["blocks"].items()}
        dense = {str(name): str(reason) for name, reason in content["dense"].items()}
        return Description(blocks, dense, bool(content["tuned"]))
    except (ValueError, KeyError, TypeError, AttributeError, IntarsiaError) as error:
        raise IntarsiaError(
            f"the model's metadata property {KEY!r} is damaged: {error}. Compress the model again, or remove the property"
        ) from error
