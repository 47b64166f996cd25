"""Bring the documentation up to date with the code: the reference, and the outputs of the worked examples.

    python tests/refresh_docs.py [PAGE ...]      pages whose examples are run; all if none is given

An output whose words changed, not only its digits, is an error: then the text around it has to be read again, too.
"""

from __future__ import annotations

import sys
import tempfile
from importlib.resources import as_file, files
from pathlib import Path

from doc_pages import PAGES, ROOT, blocks, run_page
from doc_reference import write_reference


def refresh(page: Path) -> None:
    """Put what the programs print today into the page's outputs."""
    demo = files("intarsia.demo")
    with (
        tempfile.TemporaryDirectory() as scratch,
        as_file(demo / "lenet5.onnx") as model,
        as_file(demo / "mnist.npz") as images,
    ):
        folder = Path(scratch) / "work"
        folder.mkdir()
        shown = run_page(page, folder, model, images)
    lines = page.read_text(encoding="utf-8").splitlines()
    for block, printed in shown:
        lines[block.lines] = printed
    page.write_text("\n".join(lines) + "\n", encoding="utf-8")


def main() -> None:
    """Refresh the reference and the given pages."""
    write_reference(ROOT / "docs")
    for page in [Path(name).resolve() for name in sys.argv[1:]] or PAGES:
        if blocks(page):
            print(page)
            refresh(page)


if __name__ == "__main__":
    main()
