"""Measured costs as a file: what `intarsia import-reports` writes and `intarsia compile --measured-costs` takes.

JSON, so that it can be read and changed by hand. Kernels and resources that the file does not name stay as assumed.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .cost import ASSUMED, SHARED, Costs, Pipeline
from .errors import IntarsiaError
from .machine.units.kinds import KINDS

FORMAT = "intarsia measured costs 1"
_RESOURCES = ("dsp", "bram18", "uram", "lut", "ff")
_LARGEST_FACTOR = 100.0
_LARGEST_CYCLES = 10_000


class CostFileError(IntarsiaError):
    """A file of measured costs cannot be read, or says something impossible."""


@dataclass(frozen=True)
class MeasuredCosts:
    """Costs, with the part and clock that they were measured for."""

    costs: Costs
    part: str
    clock_mhz: float


def write_costs(measured: MeasuredCosts, path: Path) -> None:
    """Writes the file whole, or not at all.

    Raises:
        CostFileError: it cannot be written.
    """
    text = {
        "format": FORMAT,
        "source": measured.costs.source,
        "part": measured.part,
        "clock_mhz": measured.clock_mhz,
        "kernels": {name: asdict(kernel) for name, kernel in sorted(measured.costs.pipelines.items())},
        "resource_factors": {name: dict(factors) for name, factors in sorted(measured.costs.factors.items())},
    }
    temporary = path.with_name(f".{path.name}.new")
    try:
        temporary.write_text(json.dumps(text, indent=2) + "\n", encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise CostFileError(f"cannot write {path}: {error.strerror}") from error


def read_costs(path: Path) -> MeasuredCosts:
    """Reads measured costs; what the file leaves out is as assumed.

    Raises:
        CostFileError: the file cannot be read, has a key that is not known, or a value out of range.
    """
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CostFileError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise CostFileError(f"{path}: not valid JSON: {error}") from error
    if not isinstance(table, dict) or table.get("format") != FORMAT:
        raise CostFileError(
            f"{path}: 'format' must be {FORMAT!r}. `intarsia import-reports` writes such files"
        )
    _known(path, "", table, ("format", "source", "part", "clock_mhz", "kernels", "resource_factors"))
    kernels = _table(path, "kernels", table.get("kernels", {}))
    _known(path, "kernels.", kernels, tuple(ASSUMED.pipelines))
    factors = _table(path, "resource_factors", table.get("resource_factors", {}))
    _known(path, "resource_factors.", factors, (SHARED, *(kind.name for kind in KINDS)))
    costs = Costs(
        pipelines={
            **ASSUMED.pipelines,
            **{name: _pipeline(path, name, value) for name, value in kernels.items()},
        },
        factors={name: _factors(path, name, value) for name, value in factors.items()},
        source=str(table.get("source", path)),
    )
    clock = _number(path, "clock_mhz", table.get("clock_mhz", 0), 0, 10_000)
    return MeasuredCosts(costs, str(table.get("part", "")), float(clock))


def _pipeline(path: Path, kernel: str, value: Any) -> Pipeline:
    key = f"kernels.{kernel}"
    table = _table(path, key, value)
    _known(path, f"{key}.", table, ("depth", "interval"))
    assumed = ASSUMED.pipelines[kernel]
    figures = {}
    for name, default in (("depth", assumed.depth), ("interval", assumed.interval)):
        figure = _number(path, f"{key}.{name}", table.get(name, default), 1, _LARGEST_CYCLES)
        if figure != int(figure):
            raise CostFileError(f"{path}: '{key}.{name}' must be whole, not {figure}")
        figures[name] = int(figure)
    return Pipeline(**figures)


def _factors(path: Path, kind: str, value: Any) -> dict[str, float]:
    key = f"resource_factors.{kind}"
    table = _table(path, key, value)
    _known(path, f"{key}.", table, _RESOURCES)
    return {
        name: float(_number(path, f"{key}.{name}", factor, 0, _LARGEST_FACTOR))
        for name, factor in table.items()
    }


def _table(path: Path, key: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise CostFileError(f"{path}: '{key}' must be an object, not {value!r}")
    return value


def _known(path: Path, prefix: str, table: dict[str, Any], allowed: tuple[str, ...]) -> None:
    for key in table:
        if key not in allowed:
            raise CostFileError(f"{path}: key '{prefix}{key}' is not known. Known: {', '.join(allowed)}")


def _number(path: Path, key: str, value: Any, least: float, most: float) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not least <= value <= most:
        raise CostFileError(f"{path}: '{key}' must be a number from {least:g} to {most:g}, not {value!r}")
    return value
