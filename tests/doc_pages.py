"""Markdown pages and their worked examples.

A comment before a fenced block says what the block is; readers do not see it. The blocks of a page work in order:

    <!-- run -->         a program in sh or python, which has to succeed
    <!-- output -->      what the program before printed; figures and kinds of schedules may
                         differ, and a line of `...` stands for any others
    <!-- file PATH -->   a file of this content is written
    <!-- patch -->       a patch (patch -p1) is applied

They work in a folder that holds the bundled model and its images; pages that change the generator, in a copy of the source.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
PAGES = sorted([README, ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")])
_COMMENT = re.compile(r"<!-- (run|output|file|patch)(?: (\S+))? -->")
_FOLDERS = ("boards", "generator", "hls_kernels", "templates", "tests", "verify")
_ELSEWHERE = ("boards", "hls_kernels", "templates", "verify")
"""Folders that are parts of the package `intarsia`, beside what `generator` holds (package-dir in pyproject.toml)."""
_PROGRAMS = {"sh": ["bash", "-euo", "pipefail", "-c"], "python": [sys.executable, "-c"]}
_COLUMNS = "80"
_TIMEOUT_S = 300


@dataclass(frozen=True)
class Block:
    """A marked block: its role and argument, its language, its content, and the lines of the page that the content fills."""

    role: str
    argument: str
    language: str
    content: str
    lines: slice


class ExampleError(Exception):
    """A worked example failed, or printed something else than the page shows."""


def tokens(page: Path) -> Iterator[Token]:
    """All tokens of a page, also those within lines."""
    for token in MarkdownIt("gfm-like", {"linkify": False}).parse(page.read_text(encoding="utf-8")):
        yield token
        yield from token.children or ()


def blocks(page: Path) -> list[Block]:
    """The marked blocks, in order."""
    result = []
    mark = None
    for token in tokens(page):
        if token.type == "fence" and mark:
            assert token.map is not None
            lines = slice(token.map[0] + 1, token.map[1] - 1)
            result.append(Block(mark[1], mark[2] or "", token.info, token.content, lines))
        if token.type in ("html_block", "fence"):
            mark = _COMMENT.fullmatch(token.content.strip())
    return result


def run_page(page: Path, folder: Path, model: Path, images: Path) -> list[tuple[Block, list[str]]]:
    """Run a page's blocks in an empty folder; returns each block `output` with the lines that it should show.

    Raises:
        ExampleError: a program failed, or a line of an output was not printed.
    """
    marked = blocks(page)
    environment = _prepare(
        folder,
        source=any(
            "generator/" in (block.argument or block.content)
            for block in marked
            if block.role in ("file", "patch")
        ),
    )
    shutil.copy(model, folder / "lenet5.onnx")
    shutil.copy(images, folder / "mnist.npz")
    shown = []
    printed = ""
    for block in marked:
        match block.role:
            case "run":
                printed = _run([*_PROGRAMS[block.language], block.content], folder, environment, page)
            case "output":
                shown.append((block, _as_printed(block.content, printed, page)))
            case "file":
                (folder / block.argument).write_text(block.content, encoding="utf-8")
            case "patch":
                patch = ["bash", "-c", f"patch -p1 --no-backup-if-mismatch <<'END'\n{block.content}END"]
                _run(patch, folder, environment, page)
    return shown


def _prepare(folder: Path, source: bool) -> dict[str, str]:
    """The environment of the programs, after links and copies were made in the folder."""
    tools = folder.parent / f"{folder.name}-tools"
    tools.mkdir()
    for name, start in (("intarsia", f'"{sys.executable}" -m intarsia'), ("python", f'"{sys.executable}"')):
        command = tools / name
        command.write_text(f'#!/bin/sh\nexec {start} "$@"\n')
        command.chmod(0o755)
    environment = os.environ | {"PATH": f"{tools}:{os.environ['PATH']}", "COLUMNS": _COLUMNS}
    if not source:
        return environment
    for name in _FOLDERS:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    package = tools / "package" / "intarsia"
    package.mkdir(parents=True)
    for path in (*(folder / "generator").iterdir(), *(folder / name for name in _ELSEWHERE)):
        (package / path.name).symlink_to(path)
    return environment | {"PYTHONPATH": str(package.parent)}


def _run(command: list[str], folder: Path, environment: dict[str, str], page: Path) -> str:
    done = subprocess.run(
        command, cwd=folder, env=environment, text=True, check=False, timeout=_TIMEOUT_S,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    if done.returncode:
        raise ExampleError(f"{page.name}: exit code {done.returncode}\n{command[-1]}\n{done.stdout}")
    return done.stdout


def _as_printed(content: str, printed: str, page: Path) -> list[str]:
    """The lines of an output as the program printed them, where only figures and spaces may differ."""
    rest = iter([line.rstrip() for line in printed.splitlines() if line.strip()])
    result = []
    for line in content.splitlines():
        if line.strip() in ("", "..."):
            result.append(line)
            continue
        found = next((other for other in rest if _without_figures(other) == _without_figures(line)), None)
        if found is None:
            raise ExampleError(
                f"{page.name}: not printed (any more), or not in this order:\n{line}\n---\n{printed}"
            )
        result.append(found)
    return result


def _without_figures(line: str) -> str:
    """The line without what a better schedule changes: numbers, and the kind of schedule."""
    for pattern, shown in (
        (r"-?\d[\d,.]*", "#"),
        (r"\b(dataflow|sequential|mixed)\b", "kind"),
        (r"\bphases\b", "phase"),
    ):
        line = re.sub(pattern, shown, line)
    return " ".join(line.split())
