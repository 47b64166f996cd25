"""The documentation: links lead somewhere, options exist, worked examples run and print what is shown, the reference is
made from the code, and the pages become a web site."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from doc_pages import PAGES, README, ROOT, ExampleError, blocks, run_page, tokens
from doc_reference import REFERENCE
from typer.main import get_command

from intarsia import verify
from intarsia.__main__ import app
from intarsia.explore.grid import Grid
from intarsia.explore.sweep import explore_model

WITH_EXAMPLES = [page for page in PAGES if blocks(page)]


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
    broken = [p.name for p in (tmp_path / "site").glob("*.html") if "```" in p.read_text(encoding="utf-8")]
    assert not broken, "a fenced block that the site does not know"
    assert {page.stem for page in (ROOT / "docs").glob("*.md")} <= {
        p.stem for p in (tmp_path / "site").glob("*.html")
    }


@pytest.mark.parametrize("page", WITH_EXAMPLES, ids=lambda page: str(page.relative_to(ROOT)))
def test_examples_run_and_print_what_is_shown(
    page: Path, lenet_model: Path, lenet_images: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    run_page(page, folder, lenet_model, lenet_images)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<!-- run -->\n```sh\nfalse\n```\n", "exit code 1"),
        (
            "<!-- run -->\n```python\nprint('3 cats')\n```\n<!-- output -->\n```text\n4 dogs\n```\n",
            "not printed",
        ),
    ],
)
def test_wrong_examples_are_found(
    text: str, message: str, lenet_model: Path, lenet_images: Path, tmp_path: Path
) -> None:
    page = tmp_path / "page.md"
    page.write_text(text)
    (tmp_path / "work").mkdir()
    with pytest.raises(ExampleError, match=message):
        run_page(page, tmp_path / "work", lenet_model, lenet_images)


@pytest.mark.parametrize("name", REFERENCE)
def test_reference_is_that_of_the_code(name: str) -> None:
    shown = (ROOT / "docs" / name).read_text(encoding="utf-8")
    assert shown == REFERENCE[name](), "run: python tests/refresh_docs.py"


def keys(value: Any, path: str, anything: Collection[str]) -> set[str]:
    """Paths of all leaves of a JSON value; in dictionaries whose path is in `anything`, names are {}."""
    if isinstance(value, dict) and value:
        names = ["{}" if path in anything else name for name in value]
        pairs = zip(names, value.values(), strict=True)
        return set().union(*(keys(each, f"{path}.{name}".lstrip("."), anything) for name, each in pairs))
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return set().union(*(keys(each, f"{path}[]", anything) for each in value))
    return {path}


def documented_keys(heading: str) -> set[str]:
    """What the first column of the table under a heading names."""
    text = (ROOT / "docs" / "reference-files.md").read_text(encoding="utf-8")
    section = text.split(f"## {heading}\n")[1].split("\n## ")[0]
    return {
        key
        for line in re.findall(r"^\| (`.*?) \|", section, re.MULTILINE)
        for key in re.findall(r"`(.*?)`", line)
    }


def test_keys_of_design_json(compiled_lenet: Path) -> None:
    design = json.loads((compiled_lenet / "design.json").read_text())
    by_name = ("schedule.baselines", "schedule.phases[].lanes")
    assert keys(design, "", by_name) - {"schedule.phases[].lanes"} == documented_keys("design.json")


def test_keys_of_points_json(lenet_model: Path, lenet_images: Path, tmp_path: Path) -> None:
    grid = Grid(
        boards=("pynq-z2",), bits=((8, 8),), circulant=(1, 4), lanes=(16,), schedules=("dataflow",), budgets=(1.0, 100.0)
    )  # fmt: skip
    explore_model(lenet_model, tmp_path, grid, samples=lenet_images)
    points = json.loads((tmp_path / "points.json").read_text())
    found = keys(points, "", ("boards", "circulant", "points[].cost.baselines"))
    shown = documented_keys("points.json") - {"points[].quality"}  # null in no point here
    if not points["surprises"]:
        found, shown = found - {"surprises"}, {key for key in shown if not key.startswith("surprises")}
    assert found == shown


def test_keys_of_verify_json(lenet_project: Path, lenet_images: Path) -> None:
    rounding = lenet_project / "src" / "intarsia" / "requantise.hpp"
    exact = "value + half - Wide(1) + odd"
    assert exact in rounding.read_text()
    rounding.write_text(rounding.read_text().replace(exact, "value + half"))
    result = verify.run(lenet_project, lenet_images, board="none", samples=8).to_json()
    assert result.pop("first_divergence") == result["divergences"][0]
    found = keys(result, "", ("worlds", "layers[].edges")) | {"first_divergence"}
    elements = {key for key in found if re.search(r"\.(first|worst)\.", key)}
    assert {key.rpartition(".")[2] for key in elements} == {"sample", "index", "expected", "got"}
    assert found - elements == documented_keys("verify --json")
