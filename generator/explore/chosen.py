"""A point of points.json as the options of `intarsia.compile`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..errors import IntarsiaError
from ..samples import Preprocess
from .files import FORMAT


def compile_options(reference: str) -> dict[str, Any]:
    """Keyword arguments of `intarsia.compile` for a point, `model` among them.

    Args:
        reference: `DIR/points.json#N`, or `DIR#N`.

    Raises:
        IntarsiaError: there is no such point, it is infeasible, or the model or the samples have gone.
    """
    name, mark, number = reference.rpartition("#")
    if not mark or not number.isdecimal():
        raise IntarsiaError(
            f"--from must be DIR/points.json#N, with the number of a point; not {reference!r}"
        )
    path = Path(name) / "points.json" if Path(name).is_dir() else Path(name)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        points = content["points"]
        known = content["format"] == FORMAT
    except OSError as error:
        raise IntarsiaError(
            f"cannot read {path}: {error.strerror}. `intarsia explore -o DIR` writes it"
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise IntarsiaError(f"{path} is no points.json of `intarsia explore`") from error
    if not known:
        raise IntarsiaError(f"{path} is of another version of intarsia: run `intarsia explore` again")
    if int(number) >= len(points):
        raise IntarsiaError(f"{path} has points 0 to {len(points) - 1}, and no #{number}")
    point = points[int(number)]
    if not point["feasible"]:
        raise IntarsiaError(f"point #{number} of {path} is infeasible: {point['reason']}")
    files = {what: Path(content[what]) for what in ("model", "calibration") if content[what]}
    if point["circulant"] > 1:
        files["circulant model"] = path.parent / content["circulant"][str(point["circulant"])]
    for what, file in files.items():
        if not file.is_file():
            raise IntarsiaError(f"the {what} of {path} has gone: {file}. Put it back, or explore again")
    return {
        "model": files.get("circulant model", files["model"]),
        "dense": files["model"] if "circulant model" in files else None,
        "board": point["board"],
        "calibration": files.get("calibration"),
        "schedule": point["schedule"],
        "weight_bits": point["weight_bits"],
        "activation_bits": point["activation_bits"],
        "clock_mhz": point["clock_mhz"],
        "lanes": (point["lanes"],),
        "budget": point["budget"],
        "preprocess": Preprocess(**content["preprocess"]),
    }
