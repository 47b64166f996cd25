"""Which layers become circulant, with blocks of which size, and why the others stay dense."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..circulant.blocks import BLOCKS, check_block, padding_waste
from ..errors import IntarsiaError
from ..machine.resources import bram18
from .layers import Layer

MOST_WASTE = 1.25
"""Padded elements over real ones, beyond which a layer stays dense."""
LARGEST_AUTOMATIC = 16
"""Of `auto`: beyond it small networks lost accuracy even after fine-tuning (docs/compression.md)."""
_WEIGHT_BITS = 8
_LANES = 16
"""Of the word of weights whose BRAMs `auto` compares: 16 weights of 8 bits are read side by side."""


class NoLayerError(IntarsiaError):
    """No layer of the model can have such blocks."""


@dataclass(frozen=True)
class Choice:
    """What happens to a layer: `block` is 1 for one that stays dense, and `reason` says why."""

    layer: Layer
    block: int
    reason: str

    @property
    def circulant(self) -> bool:
        """True if the layer is to be circulant."""
        return self.block > 1

    @property
    def weights(self) -> int:
        """Weights to store, padding included."""
        return stored(self.layer, self.block)


def stored(layer: Layer, block: int) -> int:
    """Elements of the first columns, padding included."""
    positions = layer.index.size // (layer.outputs * layer.inputs)
    return -(-layer.outputs // block) * -(-layer.inputs // block) * block * positions


def fewer(choices: Sequence[Choice]) -> float:
    """Weights of the dense layers over stored ones, all layers together."""
    return sum(choice.layer.index.size for choice in choices) / sum(choice.weights for choice in choices)


def choose(
    layers: Sequence[Layer], block: int | str, wanted: Mapping[str, int | None] | None = None
) -> tuple[Choice, ...]:
    """A choice for every layer.

    Left dense: what cannot be circulant; the last layer, whose few outputs decide; layers of fewer channels than a
    block (the first of an image network, as a rule); and those whose padding would be over a quarter. A layer that is
    named in `wanted` skips the rule of the last layer, and with a size of its own that of the padding as well.

    Args:
        layers: of the model, in order.
        block: K, or "auto" for the size with which the weights take fewest BRAMs, up to 16.
        wanted: only these layers, by name, each with a size of its own or None; all layers if None.

    Raises:
        IntarsiaError: the size is none, or a named layer is unknown or cannot have its size.
        NoLayerError: no layer is left.
    """
    size = block if block == "auto" else check_block(_integer(block))
    names = [layer.name for layer in layers]
    if unknown := [name for name in wanted or () if name not in names]:
        raise IntarsiaError(
            f"--layers names {unknown[0]!r}, which is no convolution or matrix product of the model. "
            f"Layers: {', '.join(names)}"
        )
    choices = []
    for layer in layers:
        if wanted is not None and layer.name in wanted and (own := wanted[layer.name]) is not None:
            choices.append(_as_told(layer, own))
        elif wanted is not None and layer.name not in wanted:
            choices.append(Choice(layer, 1, "not among --layers"))
        elif wanted is None and layer is layers[-1]:
            choices.append(Choice(layer, 1, "the last layer: its few outputs decide"))
        else:
            choices.append(_by_rule(layer, size))
    if not any(choice.circulant for choice in choices):
        reasons = "; ".join(f"{choice.layer.name}: {choice.reason}" for choice in choices)
        raise NoLayerError(f"no layer can be circulant with --block {block}: {reasons}")
    return tuple(choices)


def parse_layers(text: str) -> dict[str, int | None]:
    """Layers and sizes of the option --layers: `fc1,conv2=4`.

    Raises:
        IntarsiaError: a size is no number, or a name is missing.
    """
    wanted: dict[str, int | None] = {}
    for entry in text.split(","):
        name, equals, size = entry.strip().rpartition("=") if "=" in entry else (entry.strip(), "", "")
        if not name or (equals and not size.isdecimal()):
            raise IntarsiaError(
                f"--layers cannot be {entry!r}. Supported: NAME or NAME=SIZE, with commas between"
            )
        wanted[name] = int(size) if equals else None
    return wanted


def _integer(block: int | str) -> int:
    try:
        return int(block)
    except ValueError:
        raise IntarsiaError(f"--block must be a number or auto, not {block!r}") from None


def _as_told(layer: Layer, block: int) -> Choice:
    """A layer with a size that the user gave it."""
    check_block(block)
    if layer.obstacle:
        raise IntarsiaError(f"layer {layer.name!r} cannot be circulant: {layer.obstacle}")
    if block > min(layer.outputs, layer.inputs):
        raise IntarsiaError(
            f"layer {layer.name!r} has {layer.outputs} outputs and {layer.inputs} input channels, fewer than a block of "
            f"{block}. Supported: up to {min(layer.outputs, layer.inputs)}"
        )
    waste = padding_waste(layer.outputs, layer.inputs, block)
    return Choice(layer, block, "as told" + (f", with padding of {waste:.2f}" if waste > 1 else ""))


def _by_rule(layer: Layer, size: int | str) -> Choice:
    if layer.obstacle:
        return Choice(layer, 1, layer.obstacle)
    if isinstance(size, int):
        refusal = _refusal(layer, size)
        return Choice(layer, 1, refusal) if refusal else Choice(layer, size, "as told")
    fitting = [block for block in BLOCKS if block <= LARGEST_AUTOMATIC and not _refusal(layer, block)]
    if not fitting:
        return Choice(layer, 1, f"even for blocks of 2, {_refusal(layer, 2)}")
    best = min(fitting, key=lambda block: (_brams(layer, block), block))
    if _brams(layer, best) >= _brams(layer, 1):
        return Choice(layer, 1, f"no size takes fewer BRAMs than the dense {_brams(layer, 1)}")
    return Choice(layer, best, f"{_brams(layer, best)} BRAM18 for weights in place of {_brams(layer, 1)}")


def _refusal(layer: Layer, block: int) -> str:
    """Why a layer cannot have blocks of a size; empty if it can."""
    for what, number in (("input channels", layer.inputs), ("outputs", layer.outputs)):
        if number < block:
            return f"it has {number} {what}, fewer than a block of {block}"
    waste = padding_waste(layer.outputs, layer.inputs, block)
    if waste > MOST_WASTE:
        return f"padding to blocks of {block} would make {waste:.2f} of every weight; at most {MOST_WASTE} is allowed"
    return ""


def _brams(layer: Layer, block: int) -> int:
    """BRAM18 for 8-bit weights."""
    return bram18(_LANES * _WEIGHT_BITS, -(-stored(layer, block) // _LANES))
