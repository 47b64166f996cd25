"""Emitted sources that crash or hang, as edited ones may: a verdict with exit code 2, and a verifier that is still there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from test_faults import verify

from intarsia.verify.csim_process import CsimProcess


def break_top(project: Path, statement: str) -> None:
    """Put a statement at the start of the top function."""
    top = project / "src" / "top.cpp"
    text = top.read_text()
    start = text.rindex('extern "C"')
    brace = text.index("{", start)
    top.write_text(f"{text[: brace + 1]}\n    {statement}\n{text[brace + 1 :]}")


@pytest.mark.parametrize(
    ("statement", "signal"),
    [("*(volatile int*)0 = 1;", "SIGSEGV"), ("__builtin_abort();", "SIGABRT")],
)
def test_a_crash(lenet_project: Path, statement: str, signal: str) -> None:
    break_top(lenet_project, statement)
    code, _, output = verify(lenet_project)
    text = " ".join(output.split())
    assert code == 2, output
    assert f"the C-simulation crashed ({signal})" in text
    assert "src/top.cpp was changed after compilation" in text


def test_a_loop_without_end(lenet_project: Path) -> None:
    break_top(lenet_project, "for (volatile int i = 0;;) i = 0;")
    code, _, output = verify(lenet_project, timeout=3)
    assert code == 2, output
    assert "has not ended after 3 s" in " ".join(output.split())


def test_the_process_ends(lenet_project: Path) -> None:
    with CsimProcess(lenet_project, 60) as csim:
        number = csim._process.pid
        os.kill(number, 0)
    with pytest.raises(ProcessLookupError):
        os.kill(number, 0)


def test_weights_of_another_size(lenet_project: Path) -> None:
    file = lenet_project / "weights.bin"
    file.write_bytes(file.read_bytes()[:-8])
    code, _, output = verify(lenet_project)
    assert code == 2
    assert "weights.bin has" in " ".join(output.split())
