"""Options that several commands have, and those with a few named values."""

from __future__ import annotations

from enum import Enum
from typing import Annotated

import typer


class Schedule(str, Enum):  # noqa: UP042  (typer shows the values of both alike)
    """Which schedules are searched."""

    AUTO = "auto"
    MIXED = "mixed"
    DATAFLOW = "dataflow"
    SEQUENTIAL = "sequential"


class Objective(str, Enum):  # noqa: UP042
    """What a schedule is the best for."""

    LATENCY = "latency"
    THROUGHPUT = "throughput"


class Fit(str, Enum):  # noqa: UP042
    """What happens to images smaller than the model's."""

    PAD = "pad"
    ERROR = "error"


class Spectra(str, Enum):  # noqa: UP042
    """Whether layers with circulant weights may be computed by spectra."""

    NEVER = "never"
    ALLOW = "allow"
    ALWAYS = "always"


BoardWorld = Annotated[str, typer.Option("--board", help="emulated, none, or the address of a real board.")]

InputScale = Annotated[float | None, typer.Option(help="Factor for uint8 samples; 1/255 if not given.")]
