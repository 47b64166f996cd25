"""Layers with circulant weights handed over to spectra: fewer multiplications, for a rounding that is bounded."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import fields, replace
from math import ceil

import numpy as np

from ..arithmetic.accumulator_bound import WIDEST
from ..board import Board
from ..errors import IntarsiaError
from ..machine.units.circulant_form import block_of
from ..ops.conv import Conv
from ..ops.dense import Dense
from ..ops.spectral import TOLERANCE, Spectral, SpectralConv, SpectralDense
from ..schedule.plan import ScheduleError
from ..schedule.search import LATENCY, Decision, decide
from ..task_graph import Parameter, Task, TaskGraph
from .fft import EXACT_UP_TO, GUARD, WIDE_GUARD

NEVER, ALLOW, ALWAYS = "never", "allow", "always"

_MOST_SINGLE = 8
"""Layers, at most, that are tried the other way one by one."""

_NARROW = 8
"""Bits of inputs that have the larger guard."""


def decide_with_spectra(
    graph: TaskGraph,
    board: Board,
    kind: str,
    lanes: Sequence[int],
    wanted: str,
    batches: Sequence[int] = LATENCY,
) -> tuple[TaskGraph, Decision, tuple[str, ...]]:
    """The graph to build, with spectra where they are wanted; its schedule; and what a user should know of that.

    Args:
        graph: quantised task graph.
        board: what it has to fit.
        kind: of schedules, as in `decide`.
        lanes: elements per word to try.
        wanted: NEVER; ALWAYS, where layers can be computed so; or ALLOW, for the layers with which the schedule has the
            better rank.
        batches: samples per launch to try.

    Raises:
        IntarsiaError: `wanted` is something else, or no schedule fits.
    """
    if wanted not in (NEVER, ALLOW, ALWAYS):
        raise IntarsiaError(f"--circulant-fft must be {NEVER}, {ALLOW} or {ALWAYS}, not {wanted!r}")

    def choose(candidate: TaskGraph, kind: str = kind, lanes: Sequence[int] = lanes) -> Decision:
        return decide(candidate, board, kind, lanes, batches=batches)

    if wanted == NEVER:
        return graph, choose(graph), ()
    other, notes = spectral(graph)
    changed = [task.name for task in other.tasks if isinstance(task.operator, Spectral)]
    if not changed:
        return graph, choose(graph), (*notes, "no layer is computed by spectra")
    rounds = f"{', '.join(changed)} are computed by spectra, which rounds: `verify` knows the bounds"
    if wanted == ALWAYS:
        return other, choose(other), (*notes, rounds)
    exact = choose(graph)
    try:
        rounded = choose(other)
    except ScheduleError as error:
        return graph, exact, (f"no layer is computed by spectra: {error}",)
    best: tuple[Decision, tuple[str, ...]] = min(
        (exact, ()), (rounded, tuple(changed)), key=lambda one: one[0].chosen.rank
    )
    best = _layer_by_layer(graph, choose, changed, best)
    figures = (
        f"{best[0].chosen.interval:,} cycles and {best[0].chosen.resources.dsp:,} DSPs; with spectra wherever they can be "
        f"{rounded.chosen.interval:,} and {rounded.chosen.resources.dsp:,}, with none "
        f"{exact.chosen.interval:,} and {exact.chosen.resources.dsp:,}"
    )
    if not best[1]:
        return graph, exact, (f"spectra were allowed, but no layer is better so: {figures}",)
    some = ", ".join(best[1])
    rounds = f"{some} are computed by spectra, which rounds: `verify` knows the bounds ({figures})"
    return spectral(graph, best[1])[0], best[0], (*notes, rounds)


def _layer_by_layer(
    graph: TaskGraph,
    choose: Callable[[TaskGraph, str, Sequence[int]], Decision],
    layers: Sequence[str],
    best: tuple[Decision, tuple[str, ...]],
) -> tuple[Decision, tuple[str, ...]]:
    """The best decision with the layers that it computes by spectra, after each layer was tried the other way.

    Only schedules of the kind and word of the best one so far are tried: a whole search for each layer takes too long.
    """
    if len(layers) > _MOST_SINGLE:
        return best
    for layer in layers:
        decision, taken = best
        schedule = decision.chosen.schedule
        other = tuple(name for name in layers if (name in taken) != (name == layer))
        try:
            found = choose(spectral(graph, other)[0], schedule.kind, (schedule.lanes,))
        except ScheduleError:
            continue
        best = min(best, (found, other), key=lambda one: one[0].chosen.rank)
    return best


def spectral(graph: TaskGraph, layers: Collection[str] | None = None) -> tuple[TaskGraph, tuple[str, ...]]:
    """The quantised graph with all layers computed by spectra that can be, and why others with circulant weights are not.

    Blocks of 2 and 4 stay as they are: spectra have no fewer products there than the exact form.

    Args:
        graph: quantised task graph.
        layers: names of those to consider; all if None.
    """
    tasks, notes = [], []
    for task in graph.tasks:
        block = block_of(graph, task) if layers is None or task.name in layers else 1
        obstacle = _obstacle(graph, task, block) if block > 1 else ""
        made = None if block == 1 or obstacle else _replaced(graph, task, block)
        if block > 1 and made is None:
            why = obstacle or f"its numbers would need more than {WIDEST} bits"
            notes.append(f"layer {task.name!r} is not computed by spectra: {why}")
        tasks.append(made or task)
    return graph.with_tasks(tuple(tasks)), tuple(notes)


def _obstacle(graph: TaskGraph, task: Task, block: int) -> str:
    """Why a layer with circulant weights cannot be handed over; empty if it can, as far as its numbers fit."""
    if type(task.operator) not in (Conv, Dense):
        return f"{task.operator.name} has no such form"
    if block <= EXACT_UP_TO:
        return f"blocks of {block} have no fewer products so"
    source = graph.input_tensors(task)[0]
    if source.number.zero:
        return "its input has a zero point"
    if source.channels % block and task.operator.weights_by_position(task, graph).shape[1] > 1:
        return f"{source.channels} channels are no whole blocks of {block}"
    return ""


def _replaced(graph: TaskGraph, task: Task, block: int) -> Task | None:
    """The task with its spectral operator; None if its numbers are too wide."""
    source, output = graph.input_tensors(task)[0], graph.output_tensor(task)
    guard = GUARD if source.number.bits <= _NARROW else WIDE_GUARD
    old = {field.name: getattr(task.operator, field.name) for field in fields(task.operator)}  # type: ignore[arg-type]
    operator: SpectralConv | SpectralDense
    if isinstance(task.operator, Conv):
        operator = SpectralConv(**old, block=block, guard=guard)
    else:
        operator = SpectralDense(**old, block=block, guard=guard, channel_axis=source.channel_axis)
    largest = max(source.number.magnitude, -source.number.minimum)
    found = operator.widths(task.values, largest, source)
    if found.bits > WIDEST:
        return None
    weight = task.parameters["weight"]
    steps = np.max(weight.number.scales) * source.number.scale / output.number.scale
    lsb = (
        ceil(found.error * float(steps)) + 1
    )  # and one for the rounding at the output, which may go the other way
    parameters = {**task.parameters, TOLERANCE: Parameter(np.array([lsb], dtype=np.int64))}
    return replace(task, operator=operator, parameters=parameters)
