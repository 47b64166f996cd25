"""Which worlds take part in a verification, and how they are chained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from .edge import Edge
from .float_reference import FloatReference
from .runner import Runner

EMULATED_BOARD = "emulated board"


class World(StrEnum):
    """A place where the model runs, in chain order."""

    DENSE = "dense"
    FLOAT = "float"
    QUANTISED = "quantised"
    GOLDEN = "golden"
    CSIM = "csim"
    BOARD = "board"


@dataclass(frozen=True)
class Worlds:
    """The worlds of one verification; None where a world does not take part.

    `dense` is the float model before compression, `float_model` the one that was compiled, and `float_reference`
    what it is judged by, layer by layer. `emulated` is true if the board is an emulated one: it is then called so wherever its results appear.
    """

    golden: Runner
    dense: Runner | None = None
    float_model: Runner | None = None
    quantised: Runner | None = None
    csim: Runner | None = None
    board: Runner | None = None
    emulated: bool = False
    float_reference: FloatReference | None = None

    @property
    def runners(self) -> Mapping[World, Runner]:
        """The runners that take part, in chain order."""
        runners = {
            World.DENSE: self.dense,
            World.FLOAT: self.float_model,
            World.QUANTISED: self.quantised,
            World.GOLDEN: self.golden,
            World.CSIM: self.csim,
            World.BOARD: self.board,
        }
        return {world: runner for world, runner in runners.items() if runner is not None}

    @property
    def names(self) -> Mapping[World, str]:
        """Names for reports, in chain order."""
        names = {world: runner.name for world, runner in self.runners.items()}
        if self.emulated and World.BOARD in names:
            names[World.BOARD] = EMULATED_BOARD
        return names

    @property
    def image(self) -> World:
        """The world that stands for the quantised model."""
        return World.QUANTISED if self.quantised is not None else World.GOLDEN

    @property
    def accelerator(self) -> World | None:
        """The last world that runs the accelerator."""
        return World.BOARD if self.board is not None else World.CSIM if self.csim is not None else None

    @property
    def edges(self) -> Mapping[Edge, tuple[World, World]]:
        """The edges that can be checked, in order: (reference, world under test)."""
        edges = {
            Edge.COMPRESSION: (World.DENSE, World.FLOAT),
            Edge.QUANTISATION: (World.FLOAT, self.image),
            Edge.LOWERING: (World.QUANTISED, World.GOLDEN),
            Edge.MAPPING: (World.GOLDEN, World.CSIM),
            Edge.DEPLOYMENT: (World.CSIM if self.csim is not None else World.GOLDEN, World.BOARD),
        }
        return {edge: ends for edge, ends in edges.items() if all(end in self.runners for end in ends)}
