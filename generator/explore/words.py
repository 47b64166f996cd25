"""Every point in words: what it is, how it stands, and what a user would not have guessed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from .choice import Choice
from .cost import Cost
from .front import OBJECTIVES, Point, Standing
from .quality import Quality

NOTABLE = 1.02
"""Ratio from which a gain is worth a word."""

MOST_LOST = 0.05
"""Share of right answers, and LEAST_DB without labels, beyond which a point is too bad to be worth a word."""
LEAST_DB = 10.0


def title(choice: Choice) -> str:
    """The choice in a few words."""
    numeric = choice.numeric
    if numeric.weight_bits == numeric.activation_bits:
        bits = f"{numeric.weight_bits} bits"
    else:
        bits = f"{numeric.weight_bits}-bit weights, {numeric.activation_bits}-bit activations"
    block = f", circulant blocks of {numeric.circulant}" if numeric.circulant > 1 else ""
    clock = f", {choice.clock_mhz:g} MHz" if choice.clock_mhz is not None else ""
    return f"{bits}{block}, {choice.lanes} lanes, {choice.schedule}, {choice.budget:g} % of {board_name(choice.board)}{clock}"


def board_name(board: str) -> str:
    """Name of a board, of whose file the path is long."""
    return Path(board).stem if board.endswith(".toml") else board


def explanations(
    points: Sequence[Point], standing: Mapping[int, Standing], weights: Mapping[int, str]
) -> dict[int, str]:
    """By number, a few sentences on every point.

    Args:
        points: in the order of the grid.
        standing: of feasible points, by number.
        weights: by size of circulant blocks, what was done to the model's weights.
    """
    fronts = {
        board: [p for p in points if p.choice.board == board and _on_front(p, standing)]
        for board in dict.fromkeys(point.choice.board for point in points)
    }
    result = {}
    for point in points:
        if point.cost is None or point.quality is None:
            result[point.number] = f"Infeasible: {point.reason}"
            continue
        sentences = [
            weights[point.choice.numeric.circulant],
            _design(point.cost),
            _time(point.cost),
            _needs(point.cost),
            _accuracy(point),
            _stands(point, points, standing[point.number], fronts[point.choice.board]),
        ]
        result[point.number] = " ".join(sentence for sentence in sentences if sentence)
    return result


@dataclass(frozen=True)
class Surprise:
    """A point on the front that a user would not have guessed; `gain` is the ratio by which it is better."""

    gain: float
    number: int
    text: str


def surprises(points: Sequence[Point], standing: Mapping[int, Standing]) -> list[Surprise]:
    """On each board, the largest surprise of each kind, among points that lose little accuracy."""
    found: list[Surprise] = []
    for board in dict.fromkeys(point.choice.board for point in points):
        mine = [point for point in points if point.choice.board == board]
        front = [point for point in mine if _on_front(point, standing) and _usable(point)]
        for kind in (_mixed, _circulant, _fewer_lanes, _fewer_bits):
            found += kind(mine, front)
    return found


def _usable(point: Point) -> bool:
    quality = point.quality
    assert quality is not None
    if quality.accuracy is None or quality.float_accuracy is None:
        return quality.sqnr_db >= LEAST_DB
    return quality.accuracy >= quality.float_accuracy - MOST_LOST


def _on_front(point: Point, standing: Mapping[int, Standing]) -> bool:
    return point.reason is None and standing[point.number].on_front


def _design(cost: Cost) -> str:
    engines = [f"{outputs} output{'s' if outputs > 1 else ''}" for outputs in cost.engines]
    if len(engines) == 1:
        hardware = f"One engine of {engines[0]} per pass serves every layer with weights"
    elif len(set(engines)) == 1:
        hardware = f"{len(engines)} engines, each of {engines[0]} per pass, share the layers with weights"
    else:
        hardware = f"{len(engines)} engines ({', '.join(map(str, cost.engines))} outputs per pass) share the layers with weights"
    if not engines:
        hardware = "No layer has weights"
    counts = {
        pattern: sum(p.pattern == pattern for p in cost.phases) for pattern in ("sequential", "dataflow")
    }
    parts = [f"{count} {pattern}" for pattern, count in counts.items() if count]
    if len(cost.phases) == 1:
        phases = (
            "all tasks run at once as one pipeline"
            if cost.phases[0].pattern == "dataflow"
            else "there is one phase"
        )
    elif len(parts) == 2:
        phases = f"of {len(cost.phases)} phases, {parts[0]} (one layer on all engines) and {parts[1]} (several layers as a pipeline)"
    else:
        phases = f"there are {len(cost.phases)} phases, all {cost.phases[0].pattern}"
    where = "; weights come from DRAM, phase by phase" if cost.streamed else ""
    return f"{hardware}; {phases}{where}."


def _time(cost: Cost) -> str:
    bound = cost.cycles / cost.lower_bound_cycles if cost.lower_bound_cycles else 0
    longest = max(cost.phases, key=lambda phase: phase.cycles)
    share = longest.cycles / max(cost.cycles, 1)
    most = f", and {', '.join(longest.tasks[:3])} takes {share:.0%} of it" if len(cost.phases) > 1 else ""
    if len(longest.tasks) > 3 and most:
        most = f", and the phase from {longest.tasks[0]} to {longest.tasks[-1]} takes {share:.0%} of it"
    return (
        f"A sample takes {cost.cycles:,} cycles = {micro(cost.latency_us)} at {cost.clock_mhz:g} MHz{most}. "
        f"The {cost.multipliers:,} multipliers are busy {cost.utilisation:.0%} of the time"
        + (f", {bound:.1f} times the lower bound." if bound else ".")
    )


def _needs(cost: Cost) -> str:
    uram = f", {cost.uram} URAM" if cost.uram else ""
    return f"It needs {cost.dsp:,} DSPs, {cost.bram18:,} BRAM18{uram}, and moves {cost.off_chip_bytes:,} bytes per sample."


def _accuracy(point: Point) -> str:
    quality = point.quality
    assert quality is not None
    if quality.accuracy is None or quality.float_accuracy is None:
        return f"Its outputs have a signal-to-noise ratio of {quality.sqnr_db:.1f} dB to the float model."
    lost = 100 * (quality.float_accuracy - quality.accuracy)
    against = (
        "as the float model"
        if abs(lost) < 0.005
        else f"{abs(lost):.1f} points {'below' if lost > 0 else 'above'} the float model"
    )
    return f"Its accuracy is {quality.accuracy:.1%} on {quality.samples} samples, {against} ({quality.sqnr_db:.1f} dB)."


def _stands(point: Point, points: Sequence[Point], standing: Standing, front: Sequence[Point]) -> str:
    if standing.same_as is not None:
        return f"It is no other design than #{standing.same_as}: what it may use in addition gains nothing."
    if standing.beaten_by is not None:
        return f"Not on the front: #{standing.beaten_by} {_gains(points[standing.beaten_by], point)}."
    best = [name for position, name in enumerate(OBJECTIVES) if _alone_best(point, front, position)]
    if best:
        return f"On the front: it is the best of its board in {_and(best)}."
    near = min((p for p in front if p is not point), key=lambda p: _distance(p, point), default=None)
    if near is None:
        return "On the front, alone."
    return f"On the front: against its neighbour #{near.number} it {_gains(point, near)}, at the price of {_price(point, near)}."


def _gains(better: Point, worse: Point) -> str:
    """What is better in one point than in another."""
    one, two = _known(better), _known(worse)
    parts = (
        [f"is {two.latency_us / one.latency_us:.2f} times as fast"] if one.latency_us < two.latency_us else []
    )
    fewer = [f"{b - a:,} fewer {name}" for name, a, b in _amounts(one, two) if a < b]
    if fewer:
        parts.append(f"needs {_and(fewer)}")
    if better.merits[-1] < worse.merits[-1]:
        parts.append(f"is {_by(better, worse)} {'better' if _decibels(better) else 'more accurate'}")
    return _and(parts)


def _price(point: Point, other: Point) -> str:
    """What is worse in one point than in another."""
    one, two = _known(point), _known(other)
    parts = (
        [f"{one.latency_us / two.latency_us:.2f} times the time"] if one.latency_us > two.latency_us else []
    )
    parts += [f"{a - b:,} more {name}" for name, a, b in _amounts(one, two) if a > b]
    if point.merits[-1] > other.merits[-1]:
        parts.append(_by(other, point) + ("" if _decibels(point) else " of accuracy"))
    return _and(parts)


def _known(point: Point) -> Cost:
    assert point.cost is not None
    return point.cost


def _amounts(one: Cost, two: Cost) -> Sequence[tuple[str, int, int]]:
    return (
        ("DSPs", one.dsp, two.dsp),
        ("BRAM18", one.bram18, two.bram18),
        ("URAM", one.uram, two.uram),
        ("bytes of traffic", one.off_chip_bytes, two.off_chip_bytes),
    )


def _decibels(point: Point) -> bool:
    return point.quality is not None and point.quality.accuracy is None


def _by(better: Point, worse: Point) -> str:
    """By how much accuracy differs."""
    gain = worse.merits[-1] - better.merits[-1]
    return f"{gain:.1f} dB" if _decibels(better) else f"{100 * gain:.1f} points"


def _alone_best(point: Point, front: Sequence[Point], position: int) -> bool:
    mine = point.merits[position]
    return all(mine < other.merits[position] for other in front if other is not point) and len(front) > 1


def _distance(one: Point, other: Point) -> float:
    """How unlike two designs are: in time, DSPs and memory, as ratios; and in accuracy."""
    total = 0.0
    for a, b in zip(one.merits[:-1], other.merits[:-1], strict=True):
        total += abs(a - b) / max(a, b, 1e-9)
    return total + 5 * abs(one.merits[-1] - other.merits[-1])


def _mixed(points: Sequence[Point], front: Sequence[Point]) -> list[Surprise]:
    """Mixed schedules faster than every pure one with the same bits, clock and share of the board, whatever its lanes."""
    found = []
    for point in front:
        rivals = [
            p
            for p in points
            if p.cost is not None
            and p.cost.kind != "mixed"
            and replace(point.choice, schedule=p.choice.schedule, lanes=p.choice.lanes) == p.choice
        ]
        if point.cost is None or point.cost.kind != "mixed" or not rivals:
            continue
        rival = min(rivals, key=lambda p: p.merits)
        gain = rival.merits[0] / point.merits[0]
        text = (
            f"Mixing pays: on {_where(point)}, a schedule of {len(point.cost.phases)} phases, some pipelined and some one layer "
            f"at a time, is {gain:.2f} times as fast as the best pure one with these bits (#{rival.number}, "
            f"{rival.choice.schedule}, {rival.choice.lanes} lanes)."
        )
        found.append(Surprise(gain, point.number, text))
    return _largest(found)


def _fewer_bits(points: Sequence[Point], front: Sequence[Point]) -> list[Surprise]:
    """Fewer bits with more correct answers."""
    found = []
    for point in front:
        for other in points:
            if point.quality is None or other.quality is None or other.quality.accuracy is None:
                continue
            mine, theirs = point.choice.numeric, other.choice.numeric
            fewer = mine.weight_bits + mine.activation_bits < theirs.weight_bits + theirs.activation_bits
            gain = point.quality.merit - other.quality.merit
            alike = mine.circulant == theirs.circulant and replace(other.choice, numeric=mine) == point.choice
            if fewer and gain > 0 and alike:
                text = (
                    f"Fewer bits, more accurate: {mine.label} beats {theirs.label} (#{other.number}) by {100 * gain:.1f} points "
                    f"on these {point.quality.samples} samples, by luck of rounding more than by merit."
                )
                found.append(Surprise(1 + gain, point.number, text))
    return _largest(found)


def _fewer_lanes(points: Sequence[Point], front: Sequence[Point]) -> list[Surprise]:
    """Narrower words that are faster."""
    by_choice = {point.choice: point for point in points}
    found = []
    for point in front:
        wider = by_choice.get(replace(point.choice, lanes=2 * point.choice.lanes))
        if (
            wider is None
            or wider.cost is None
            or point.cost is None
            or wider.cost.streamed != point.cost.streamed
        ):
            continue
        gain = wider.cost.cycles / point.cost.cycles
        text = (
            f"Narrower words are faster: {point.choice.schedule}, on {_where(point)}, {point.choice.lanes} lanes take {point.cost.cycles:,} cycles and "
            f"{wider.choice.lanes} lanes (#{wider.number}) {wider.cost.cycles:,}, {gain:.2f} times as many. Layers with few "
            "channels leave lanes of a wide word empty, and narrow ones leave room for more output channels at once."
        )
        found.append(Surprise(gain, point.number, text))
    return _largest(found)


def _circulant(points: Sequence[Point], front: Sequence[Point]) -> list[Surprise]:
    """Block-circulant weights that pay."""
    by_choice = {point.choice: point for point in points}
    found = []
    for point in front:
        numeric = point.choice.numeric
        dense = by_choice.get(replace(point.choice, numeric=replace(numeric, circulant=1)))
        if numeric.circulant == 1 or dense is None or dense.cost is None or point.cost is None:
            continue
        assert dense.quality is not None and point.quality is not None
        gain = dense.cost.cycles / point.cost.cycles
        text = (
            f"Circulant blocks of {numeric.circulant}, on {_where(point)}: {gain:.2f} times as fast as dense weights "
            f"(#{dense.number}), with {point.cost.bram18:,} BRAM18 in place of {dense.cost.bram18:,}, and {_merit(point.quality)} "
            f"in place of {_merit(dense.quality)}."
        )
        found.append(Surprise(gain, point.number, text))
    return _largest(found)


def _where(point: Point) -> str:
    return f"{point.choice.budget:g} % of {board_name(point.choice.board)} with {point.choice.numeric.label}"


def _merit(quality: Quality) -> str:
    return (
        f"{quality.sqnr_db:.1f} dB" if quality.accuracy is None else f"an accuracy of {quality.accuracy:.1%}"
    )


def _largest(found: list[Surprise]) -> list[Surprise]:
    """The largest gain, if there is one worth a word."""
    notable = [
        surprise for surprise in found if surprise.gain >= NOTABLE or surprise.text.startswith("Fewer bits")
    ]
    return sorted(notable, key=lambda surprise: (-surprise.gain, surprise.number))[:1]


def micro(microseconds: float) -> str:
    """A time in words."""
    return f"{microseconds / 1e3:,.2f} ms" if microseconds >= 1e3 else f"{microseconds:,.1f} us"


def _and(parts: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(parts[:-1]), *parts[-1:])))
