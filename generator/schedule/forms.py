"""The forms of engines with circulant weights (machine/units/circulant_forms.py): those that a board can best afford.

All of an engine's exact forms make the same integers in as many iterations. They differ in DSPs, LUTs and block RAM, so
that the board decides: a resource costs the more, the fewer the board has of it, and four times as much again
whenever the design still asks for too much of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from ..board import Board
from ..machine.hardware import Hardware
from ..machine.units.engine import EngineHardware
from .plan import Schedule

_PRICED = ("dsp", "bram18", "lut")
_DEARER = 4.0
_ROUNDS = 4
"""Up to 256 times the price: then one resource decides alone."""

Units = Mapping[str, Hardware]


def settle_forms(
    units: Units, board: Board, lanes: int, element_bits: int, short_of: Callable[[Units], tuple[str, ...]]
) -> Units:
    """The units, each with the cheapest of its forms with which the whole design fits, as far as prices find them.

    Units that are told their form keep it.

    Args:
        units: by name.
        board: what sets the prices.
        lanes: elements per word.
        element_bits: of activations.
        short_of: resources, as `Resources` names them, of which a design of such units needs more than there are.
    """
    forms = {
        name: found
        for name, unit in units.items()
        if isinstance(unit, EngineHardware) and not unit.unit.form and (found := unit.forms())
    }
    if not forms:
        return units
    prices = {name: 1.0 / max(getattr(board.resources, name), 1) for name in _PRICED}
    first: Units | None = None
    for _ in range(_ROUNDS):

        def price(unit: EngineHardware, prices: Mapping[str, float] = dict(prices)) -> float:
            need = unit.resources(lanes, element_bits)
            return sum(factor * float(getattr(need, name)) for name, factor in prices.items())

        tried = dict(units)
        for name, found in forms.items():
            unit = units[name]
            assert isinstance(unit, EngineHardware)
            tried[name] = min((unit.with_form(form) for form in found), key=price)
        short = short_of(tried)
        if not short:
            return tried
        first = first or tried
        prices = {name: factor * (_DEARER if name in short else 1.0) for name, factor in prices.items()}
    assert first is not None
    return first


def with_forms(schedule: Schedule, units: Units) -> Schedule:
    """The schedule, which says what forms its engines have."""
    chosen = {name: unit.unit for name, unit in units.items() if isinstance(unit, EngineHardware)}
    return replace(schedule, units=tuple(chosen.get(unit.name, unit) for unit in schedule.units))
