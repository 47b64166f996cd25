"""The window's trip counts equal a step-by-step transcription of its C++ loop."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intarsia.machine.units.window import Way, plan_patches, walk_rows
from intarsia.work import MacWork, PoolWork, Reduction, Window


def transcribed_iterations(window: Window, groups: int, lines: int, lead: int) -> int:
    """`rows_window` of hls_kernels/window.hpp, one iteration at a time."""
    arrived = (0, 0, 0)
    order = [
        (out_y * window.stride[0] - window.pad_top, dy * window.dilation[0], x, g, out_x)
        for out_y in range(window.out_height)
        for out_x in range(window.out_width)
        for g in range(groups)
        for dy in range(window.kernel[0])
        for x in (
            out_x * window.stride[1] - window.pad_left + dx * window.dilation[1]
            for dx in range(window.kernel[1])
        )
    ]
    iterations = sent = 0
    while sent < len(order) or arrived[0] < window.height:
        sending = sent < len(order)
        room = arrived[0] < window.height
        if sending:
            base, dy, x, g, out_x = order[sent]
            last_y = base + (window.kernel[0] - 1) * window.dilation[0]
            last_column = (
                out_x * window.stride[1] - window.pad_left + (window.kernel[1] - 1) * window.dilation[1] + 1
            )
            column = arrived[1] * groups + arrived[2]
            wanted = lead < 0 or (arrived[0], column) < (last_y, last_column * groups + lead)
            room = room and wanted and arrived[0] < base + lines
            y = base + dy
            padded = not (0 <= y < window.height and 0 <= x < window.width)
            if padded or (y, x, g) < arrived:
                sent += 1
        if room:
            y, x, g = arrived
            g += 1
            x, g = (x + 1, 0) if g == groups else (x, g)
            y, x = (y + 1, 0) if x == window.width else (y, x)
            arrived = (y, x, g)
        iterations += 1
        assert iterations < 100_000
    return iterations


@st.composite
def windows(draw: st.DrawFn) -> Window:
    size = [draw(st.integers(1, 9)) for _ in range(2)]
    kernel = [draw(st.integers(1, 4)) for _ in range(2)]
    dilation = [draw(st.integers(1, 2)) for _ in range(2)]
    stride = [draw(st.integers(1, 3)) for _ in range(2)]
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    pads = [draw(st.integers(0, r - 1)) for r in (*reach, *reach)]
    out = [
        (s + pads[i] + pads[i + 2] - r) // stride[i] + 1 if s + pads[i] + pads[i + 2] >= r else 0
        for i, (s, r) in enumerate(zip(size, reach, strict=True))
    ]
    if min(out) < 1:
        return Window(4, 4, (1, 1), out_height=4, out_width=4)
    return Window(size[0], size[1], tuple(kernel), tuple(stride), tuple(dilation), pads[0], pads[1], *out)


@given(windows(), st.integers(1, 3), st.integers(0, 3), st.integers(-1, 6))
@settings(max_examples=300, deadline=None)
def test_rows_iterations_equal_the_loop(window: Window, groups: int, extra: int, lead: int) -> None:
    needed = plan_patches(PoolWork(1, groups, window, Reduction.MAX), lanes=1).lines
    lines = needed + extra
    assert walk_rows(window, groups, lines, lead).iterations == transcribed_iterations(
        window, groups, lines, lead
    )


@pytest.mark.parametrize(
    ("work", "way", "words"),
    [
        (MacWork(64, 16, 8), Way.STRAIGHT, 1),
        (MacWork(1, 16, 8, in_pixels=25), Way.STRAIGHT, 25),
        (MacWork(576, 1, 6, Window(28, 28, (5, 5), out_height=24, out_width=24)), Way.PACKED, 2),
        (MacWork(100, 64, 6, Window(12, 12, (3, 3), out_height=10, out_width=10)), Way.ROWS, 36),
        # Lines shorter than the pipeline that updates them, and dilation, are left to the line buffer.
        (MacWork(16, 1, 6, Window(6, 6, (3, 3), out_height=4, out_width=4)), Way.ROWS, 9),
        (MacWork(64, 1, 6, Window(12, 12, (3, 3), dilation=(2, 2), out_height=8, out_width=8)), Way.ROWS, 9),
    ],
)
def test_each_kind_of_layer_takes_its_way(work: MacWork, way: Way, words: int) -> None:
    plan = plan_patches(work, lanes=16)
    assert (plan.way, plan.words) == (way, words)
