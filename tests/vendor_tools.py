"""Stand-ins for the vendors' command-line tools, so that the Makefile of a project runs from end to end.

Each refuses what its table does not know, and makes the files that the real tool would leave behind. Sources: UG1702
"v++ General Options", "vitis-run"; UG894 for vivado; the XRT documentation for xclbinutil.
"""

from __future__ import annotations

import sys
from pathlib import Path

from vendor_check import SHELL

# Options with a value, and options without.
TOOLS: dict[str, tuple[frozenset[str], frozenset[str]]] = {
    "v++": (
        frozenset({"--mode", "--config", "--work_dir", "--target", "--platform", "--output"}),
        frozenset({"-c", "--link", "--package"}),
    ),
    "vitis-run": (
        frozenset({"--mode", "--config", "--work_dir", "--tcl"}),
        frozenset({"--csim", "--cosim", "--package"}),
    ),
    "vivado": (frozenset({"-mode", "-source"}), frozenset()),
    "xclbinutil": (frozenset({"--input", "--info"}), frozenset({"--quiet", "--force"})),
}


def install(folder: Path) -> dict[str, str]:
    """Writes one program per tool; returns what to give to make."""
    folder.mkdir()
    names = {"v++": "VPP", "vitis-run": "VITIS_RUN", "vivado": "VIVADO", "xclbinutil": "XCLBINUTIL"}
    for tool in TOOLS:
        path = folder / tool
        path.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{Path(__file__).resolve()}" {tool} "$@"\n')
        path.chmod(0o755)
    return {variable: str(folder / tool) for tool, variable in names.items()}


def main(tool: str, words: list[str]) -> None:
    """Does what the tool would leave behind."""
    valued, alone = TOOLS[tool]
    options: dict[str, str] = {}
    files = []
    rest = iter(words)
    for word in rest:
        if word in valued:
            options[word] = next(rest)
        elif word in alone:
            options[word] = ""
        elif word.startswith("-"):
            sys.exit(f"{tool}: unknown option {word}")
        else:
            files.append(word)
    for name in [*files, *(options[key] for key in ("--config", "--input", "-source") if key in options)]:
        if not Path(name).is_file():
            sys.exit(f"{tool}: there is no file {name}")
    if tool == "vivado":
        import subprocess
        import tempfile

        with tempfile.TemporaryDirectory() as trace:
            sys.exit(
                subprocess.run(["tclsh", SHELL, options["-source"], f"{trace}/trace"], check=False).returncode
            )
    if tool == "vitis-run" and "--package" in options:
        component = Path(options["--work_dir"])
        settings = dict(
            line.split("=", 1) for line in Path(options["--config"]).read_text().splitlines() if "=" in line
        )
        made = {"ip_catalog": "hls/impl/ip/component.xml", "xo": settings.get("package.output.file", "")}
        target = component / made[settings["package.output.format"]]
        target.parent.mkdir(parents=True, exist_ok=True)
        target.touch()
    for key in ("--output", "--info"):
        if key in options:
            Path(options[key]).write_text(f"{tool} {' '.join(words)}\n")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
