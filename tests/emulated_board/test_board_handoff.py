"""The .hwh of every board, parsed by PYNQ."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import board_project

from intarsia.board import board_names, load_board
from intarsia.boards import emulated_overlay


def test_the_handoff_of_every_board_is_parsed_by_pynq(python: Path, tmp_path: Path) -> None:
    """pynqmetadata finds the kernel, its registers and its place in the address map."""
    boards = {name: load_board(name) for name in board_names() if load_board(name).about_family.ps}
    assert len(boards) == 8
    for name in boards:
        (tmp_path / name).mkdir()
        emulated_overlay.write_overlay(board_project.manifest(name), tmp_path / name)
    script = """
import json, sys
from pathlib import Path
from pynqmetadata.frontends import Metadata
from pynq.metadata.runtime_metadata_parser import RuntimeMetadataParser
found = {}
for path in sorted(Path(sys.argv[1]).glob("*/*.hwh")):
    block = RuntimeMetadataParser(Metadata(input=path)).ip_dict["tiny_0"]
    offsets = {name: register["address_offset"] for name, register in block["registers"].items()}
    found[path.parent.name] = [block["phys_addr"], offsets]
print(json.dumps(found))
"""
    done = subprocess.run(
        [str(python), "-W", "ignore", "-c", script, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found.keys() == boards.keys()
    for name, (address, offsets) in found.items():
        system = boards[name].about_family.ps
        assert system is not None
        assert address == system.control_base
        assert (offsets["input_r_1"], offsets["taps_2"], offsets["tap"]) == (0x10, 0x38, 0x48)
        assert (offsets["phase"], offsets["phase_ctrl"], offsets["cycles"]) == (0x50, 0x54, 0x60)
