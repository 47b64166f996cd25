"""The documentation: links lead somewhere, options exist, and the worked examples run.

A fenced block whose info string is `sh run` or `python run` is an example. Those of a page run in order, in a folder that
holds the bundled model and images.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token
from typer.main import get_command

from intarsia.__main__ import app

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
PAGES = sorted([README, ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")])
WITH_EXAMPLES = [page for page in PAGES if re.search(r"^```\w+ run$", page.read_text(), re.MULTILINE)]


def tokens(page: Path) -> Iterator[Token]:
    """All tokens of a page, also those within lines."""
    for token in MarkdownIt("gfm-like", {"linkify": False}).parse(page.read_text(encoding="utf-8")):
        yield token
        yield from token.children or ()


def links(page: Path) -> list[str]:
    return [
        str(t.attrs.get("href") or t.attrs["src"]) for t in tokens(page) if t.type in ("link_open", "image")
    ]


def anchors(page: Path) -> set[str]:
    """Headings as GitHub names them."""
    found: dict[str, int] = {}
    result = set()
    previous = None
    for token in tokens(page):
        if token.type == "inline" and previous == "heading_open":
            text = "".join(
                child.content for child in token.children or () if child.type in ("text", "code_inline")
            )
            slug = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
            count = found.get(slug, 0)
            found[slug] = count + 1
            result.add(f"{slug}-{count}" if count else slug)
        previous = token.type
    return result


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    broken = []
    for link in links(page):
        if re.match(r"\w+:", link):
            continue
        name, _, anchor = unquote(link).partition("#")
        target = (page.parent / name).resolve() if name else page
        if not target.exists():
            broken.append(f"{link}: no such file")
        elif anchor and target.suffix == ".md" and anchor not in anchors(target):
            broken.append(f"{link}: no such heading")
    assert not broken


def test_every_page_is_reached() -> None:
    starts = [README, ROOT / "docs" / "index.md"]
    reached, front = set(starts), [*starts]
    while front:
        page = front.pop()
        for link in links(page):
            target = (page.parent / link.partition("#")[0]).resolve()
            if target.suffix == ".md" and target.exists() and target not in reached:
                reached.add(target)
                front.append(target)
    assert not set(PAGES) - reached


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_have_the_options_that_are_shown(page: Path) -> None:
    commands = get_command(app).commands  # type: ignore[attr-defined]
    wrong = []
    for token in tokens(page):
        if token.type not in ("code_inline", "code_block", "fence"):
            continue
        for line in token.content.replace("\\\n", " ").splitlines():
            if found := re.match(r"\s*intarsia (\w[\w-]*)(.*)", line):
                name, rest = found.groups()
                known = {option for p in commands[name].params for option in (*p.opts, *p.secondary_opts)}
                known.add("--help")
                wrong += [
                    f"{name} {o}" for o in re.findall(r"(?<![\w-])--?[a-z][a-z-]*", rest) if o not in known
                ]
    assert not wrong


def test_site_is_built(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs", reason="pip install mkdocs")
    config = ROOT / ".ci" / "mkdocs.yml"
    build = [
        sys.executable,
        "-m",
        "mkdocs",
        "build",
        "--quiet",
        "--strict",
        "-f",
        config,
        "-d",
        tmp_path / "site",
    ]
    done = subprocess.run(build, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert {page.stem for page in (ROOT / "docs").glob("*.md")} <= {
        p.stem for p in (tmp_path / "site").glob("*.html")
    }


@pytest.mark.parametrize("page", WITH_EXAMPLES, ids=lambda page: str(page.relative_to(ROOT)))
def test_examples_run(page: Path, lenet_model: Path, lenet_images: Path, tmp_path: Path) -> None:
    shutil.copy(lenet_model, tmp_path)
    shutil.copy(lenet_images, tmp_path)
    (tmp_path / "bin").mkdir()
    command = tmp_path / "bin" / "intarsia"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m intarsia "$@"\n')
    command.chmod(0o755)
    environment = os.environ | {"PATH": f"{command.parent}:{os.environ['PATH']}"}
    programs = {"sh": ["bash", "-euo", "pipefail", "-c"], "python": [sys.executable, "-c"]}
    for token in tokens(page):
        language, _, mode = token.info.partition(" ")
        if token.type != "fence" or mode != "run":
            continue
        done = subprocess.run(
            [*programs[language], token.content],
            cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip
        assert done.returncode == 0, f"{page.name}:\n{token.content}\n{done.stdout}{done.stderr}"
