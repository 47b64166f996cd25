"""Flags of the C-simulation: what a compiler refuses is left out, until it compiles or nothing is left to leave out."""

from __future__ import annotations

from pathlib import Path

import pytest

from intarsia.simulation import build
from intarsia.simulation.build import BuildError, build_sources

WIDE = (("-mavx2", "-mmove-max=256"), ("-mavx2",))
COMPILER = """#!/bin/sh
echo "$@" >> {log}
case "$*" in *{refused}*) echo "error: cannot take {refused}" >&2; exit 1;; esac
while [ "$1" != -o ]; do shift; done
echo compiled > "$2"
"""


@pytest.mark.parametrize(
    ("refused", "tries"),
    [
        ("-mfoo", ["-mmove-max=256"]),
        ("-mmove-max", ["-mmove-max=256", "-mavx2"]),
        ("-mavx2", [*WIDE[0][1:], "-mavx2", ""]),
    ],
)
def test_flags_that_a_compiler_refuses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: str, tries: list[str]
) -> None:
    log = use_compiler(tmp_path, monkeypatch, refused)
    library = build_sources({"top.cpp": "int f();"})
    assert library.read_text() == "compiled\n"
    lines = log.read_text().splitlines()
    assert len(lines) == len(tries)
    assert all(flag in line for line, flag in zip(lines, tries, strict=True))
    assert "-mavx2" not in lines[-1] or refused != "-mavx2"
    assert build_sources({"top.cpp": "int f();"}) == library
    assert len(log.read_text().splitlines()) == len(tries), "a library in the cache is not compiled again"


def test_a_compiler_that_refuses_the_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = use_compiler(tmp_path, monkeypatch, "-O2")
    with pytest.raises(BuildError, match=r"does not compile the design:\n.*cannot take -O2"):
        build_sources({"top.cpp": "int f();"})
    assert len(log.read_text().splitlines()) == 3


def use_compiler(folder: Path, monkeypatch: pytest.MonkeyPatch, refused: str) -> Path:
    """A compiler that refuses a flag, and an empty cache; the file in which it notes its arguments."""
    log = folder / "arguments"
    compiler = folder / "compiler"
    compiler.write_text(COMPILER.format(log=log, refused=refused))
    compiler.chmod(0o755)
    monkeypatch.setenv("CXX", str(compiler))
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
    monkeypatch.setattr(build, "wide_vectors", lambda: WIDE)
    return log
