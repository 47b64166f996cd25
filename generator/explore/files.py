"""The files of a sweep: points.json, points.csv, front.svg and index.html, each written whole or not at all."""

from __future__ import annotations

import csv
import io
import json
import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..board import Board
from ..errors import IntarsiaError
from ..samples import Preprocess
from .choice import Choice
from .front import Point, Standing
from .page import page
from .scatter import scatter
from .words import board_name, explanations, surprises, title

FORMAT = 2
"""Version of points.json."""


@dataclass(frozen=True)
class About:
    """What all points have in common.

    `circulant` are the names of the model's files with circulant weights, by size of blocks, in the directory of the
    sweep, and `words` say of each what was done to its weights.
    """

    model: Path
    samples: Path | None
    calibration: Path | None
    preprocess: Preprocess
    digest: str
    boards: Mapping[str, Board]
    circulant: Mapping[int, str]
    words: Mapping[int, str]
    notes: tuple[str, ...]


def write_files(
    directory: Path, about: About, points: Sequence[Point], standing: Mapping[int, Standing]
) -> None:
    """Write all of them.

    Raises:
        IntarsiaError: one cannot be written.
    """
    rows = _rows(directory, about, points, standing)
    content = {
        "format": FORMAT,
        "model": str(about.model),
        "digest": about.digest,
        "samples": str(about.samples) if about.samples else None,
        "calibration": str(about.calibration) if about.calibration else None,
        "preprocess": asdict(about.preprocess),
        "circulant": {str(block): name for block, name in about.circulant.items()},
        "notes": list(about.notes),
        "boards": {board_name(name): asdict(board.resources) for name, board in about.boards.items()},
        "surprises": [{"number": s.number, "text": s.text} for s in surprises(points, standing)],
        "points": rows,
    }
    texts = {
        "points.json": json.dumps(content, indent=1) + "\n",
        "points.csv": _csv(rows),
        "front.svg": scatter(points, standing),
        "index.html": page(content, scatter(points, standing)),
    }
    for name, text in texts.items():
        _replace(directory / name, text)


def _rows(
    directory: Path, about: About, points: Sequence[Point], standing: Mapping[int, Standing]
) -> list[dict[str, Any]]:
    words = explanations(points, standing, about.words)
    rows = []
    for point in points:
        cost, quality, choice = point.cost, point.quality, point.choice
        placed = standing.get(point.number)
        rows.append(
            {
                "number": point.number,
                "title": title(choice),
                "board": choice.board,
                "weight_bits": choice.numeric.weight_bits,
                "activation_bits": choice.numeric.activation_bits,
                "circulant": choice.numeric.circulant,
                "lanes": choice.lanes,
                "clock_mhz": choice.clock_mhz,
                "schedule": choice.schedule,
                "budget": choice.budget,
                "feasible": point.reason is None,
                "front": bool(placed and placed.on_front),
                "beaten_by": placed.beaten_by if placed else None,
                "same_as": placed.same_as if placed else None,
                "cost": asdict(cost) | {"latency_us": cost.latency_us, "interval_us": cost.interval_us}
                if cost
                else None,
                "quality": asdict(quality) if quality else None,
                "reason": point.reason,
                "explanation": words[point.number],
                "command": _command(directory, about, choice, point.number),
            }
        )
    return rows


def _command(directory: Path, about: About, choice: Choice, number: int) -> str:
    """The `intarsia compile` that makes the point."""
    numeric = choice.numeric
    name = about.circulant.get(numeric.circulant)
    model = [str(directory.absolute() / name), "--dense", str(about.model)] if name else [str(about.model)]
    parts = ["intarsia", "compile", *model, "--board", choice.board, "--schedule", choice.schedule]
    parts += ["--weight-bits", str(numeric.weight_bits), "--activation-bits", str(numeric.activation_bits)]
    parts += ["--lanes", str(choice.lanes), "--budget", f"{choice.budget:g}"]
    if choice.clock_mhz is not None:
        parts += ["--clock-mhz", f"{choice.clock_mhz:g}"]
    if about.calibration:
        parts += ["--calibration", str(about.calibration)]
    if about.preprocess.scale != Preprocess.scale:
        parts += ["--input-scale", repr(about.preprocess.scale)]
    if about.preprocess.fit != Preprocess.fit:
        parts += ["--fit", about.preprocess.fit]
    return shlex.join([*parts, "-o", f"point-{number}"])


def _csv(rows: Sequence[dict[str, Any]]) -> str:
    """A table of figures: nested objects have a column for each figure."""
    cost = (
        "kind",
        "cycles",
        "latency_us",
        "interval_us",
        "dsp",
        "bram18",
        "uram",
        "lut",
        "ff",
        "off_chip_bytes",
    )
    more = ("multipliers", "utilisation", "lower_bound_cycles")
    quality = ("samples", "accuracy", "float_accuracy", "sqnr_db")
    simple = [name for name in rows[0] if name not in ("cost", "quality", "explanation", "command", "title")]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*simple, *cost, *more, *quality, "explanation"])
    for row in rows:
        found, judged = row["cost"] or {}, row["quality"] or {}
        figures = [*(found.get(name) for name in (*cost, *more)), *(judged.get(name) for name in quality)]
        writer.writerow([*(row[name] for name in simple), *figures, row["explanation"]])
    return text.getvalue()


def _replace(path: Path, text: str) -> None:
    """Write beside it, then take its place."""
    beside = path.with_name(f".{path.name}.new")
    try:
        with beside.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise IntarsiaError(
            f"cannot write {path}: {error.strerror}. All results are kept: make room, and give the same command again"
        ) from error
