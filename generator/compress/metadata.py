"""What a compressed model says of itself, in the ONNX metadata property `intarsia.circulant`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import onnx

from ..circulant.blocks import check_block, task_block
from ..errors import IntarsiaError
from ..task_graph import TaskGraph
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


def notes(model: onnx.ModelProto, graph: TaskGraph) -> tuple[str, ...]:
    """What a user should know of a model's circulant layers, as they are in the task graph after the passes."""
    found = []
    blocks = {task.name: task_block(graph, task) for task in graph.tasks}
    described = read(model)
    for task in graph.tasks:
        wanted = (
            max((described.blocks.get(node, 1) for node in task.onnx_nodes), default=1) if described else 1
        )
        if blocks[task.name] < wanted:
            found.append(
                f"layer {task.name!r} is described as circulant in blocks of {wanted}, but its weights are not, after "
                "what was folded into them: it is dense"
            )
    if described and not described.tuned:
        found.append("NOT TUNED: the model was compressed without training, so expect a loss of accuracy")
    return tuple(found)


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
