"""Builds the C-simulation: the emitted sources as one shared library, cached by content."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from ..errors import IntarsiaError

FLAGS = (
    "-std=c++14",
    "-O2",
    "-shared",
    "-fPIC",
    # Tables inside templates would otherwise be one symbol for all libraries that a process loads.
    "-fno-gnu-unique",
    "-Wall",
    "-Wextra",
    "-Wno-unknown-pragmas",
    "-Wno-unused-label",
)


class BuildError(IntarsiaError):
    """The emitted C++ could not be compiled."""


def build(project: Path, extra_flags: tuple[str, ...] = ()) -> Path:
    """The shared library of the sources in a project's src/ folder, compiled if no cached one fits.

    Raises:
        BuildError: there is no compiler, or it refuses the sources (the message holds its first errors).
    """
    folder = project / "src"
    sources = {
        path.relative_to(folder).as_posix(): path.read_text() for path in sorted(folder.rglob("*.[ch]pp"))
    }
    if "top.cpp" not in sources:
        raise BuildError(f"{project} has no src/top.cpp: it is not a project of intarsia")
    return build_sources(sources, extra_flags, where=str(folder))


def build_sources(
    sources: Mapping[str, str], extra_flags: tuple[str, ...] = (), where: str = "the design"
) -> Path:
    """The shared library of sources given as text by relative path, with top.cpp among them.

    Raises:
        BuildError: there is no compiler, or it refuses the sources (the message holds its first errors).
    """
    compiler = find_compiler()
    wide = wide_vectors(compiler)
    digest = hashlib.sha256(repr((compiler, FLAGS, wide, extra_flags, sorted(sources.items()))).encode())
    library = cache_folder() / f"{digest.hexdigest()[:32]}.so"
    if not library.is_file():
        with tempfile.TemporaryDirectory(prefix="intarsia-") as folder:
            for path, text in sources.items():
                target = Path(folder) / path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(text)
            command, source = [compiler, *FLAGS, *extra_flags], Path(folder) / "top.cpp"
            try:
                _compile([*command, *wide], source, library, where)
            except BuildError:
                if not wide:
                    raise
                _compile(
                    command, source, library, where
                )  # it may be the compiler: g++ 12 breaks on some vector code
    return library


WIDE_MOVES = ("-mmove-max=256", "-mstore-max=256")
"""Words of streams are copied in one piece (g++ 12 and newer; clang does so by itself): a copy in halves, which the next
process reads whole, waits for the processor's store buffer. A fifth less time (measured)."""


@cache
def wide_vectors(compiler: str) -> tuple[str, ...]:
    """The flags for vectors of 256 bits, where this processor has them: a fifth to a quarter less time on CNNs (measured)."""
    about = Path("/proc/cpuinfo")
    has = (
        platform.machine() == "x86_64"
        and about.is_file()
        and re.search(r"^flags\b.*\bavx2\b", about.read_text(), re.MULTILINE)
    )
    if not has:
        return ()
    return ("-mavx2", *WIDE_MOVES) if _knows(compiler, WIDE_MOVES) else ("-mavx2",)


def _knows(compiler: str, flags: tuple[str, ...]) -> bool:
    """True if the compiler takes the flags: it is asked to preprocess nothing."""
    command = [compiler, *flags, "-x", "c++", "-E", os.devnull]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def find_compiler() -> str:
    """The C++ compiler: $CXX, g++ or clang++.

    Raises:
        BuildError: there is none.
    """
    for name in (os.environ.get("CXX"), "g++", "clang++"):
        if name and (path := shutil.which(name)):
            return path
    raise BuildError("no C++ compiler was found: install one (apt install g++) or set CXX")


def cache_folder() -> Path:
    """Where compiled libraries are kept between runs."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    folder = Path(base) / "intarsia" / "csim"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _compile(command: list[str], source: Path, library: Path, where: str) -> None:
    handle, draft = tempfile.mkstemp(suffix=".so", dir=library.parent)
    os.close(handle)
    try:
        done = subprocess.run(
            [*command, "-o", draft, str(source)], capture_output=True, text=True, check=False, timeout=600
        )
        if done.returncode:
            said = done.stderr.replace(str(source.parent), where)
            errors = [line for line in said.splitlines() if "error" in line][:5]
            raise BuildError(
                f"{command[0]} does not compile {where}:\n" + "\n".join(errors or [said[-2000:]])
            )
        Path(draft).replace(library)
    finally:
        Path(draft).unlink(missing_ok=True)
