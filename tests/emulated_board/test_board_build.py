"""Bitstream, .hwh, weights and manifest of different builds on the emulated board."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from board_session import START, edit_driver, run_client

from intarsia.verify.board_runner import EmulatedServer


class TestBuild:
    """Files that do not belong together are refused before anything is loaded."""

    def test_sums_of_the_build(self, python: Path, server: EmulatedServer, project: Path) -> None:
        deploy, names = project / "deploy", [server.bitstream.name, server.bitstream.with_suffix(".hwh").name]
        for name in names:
            shutil.copyfile(server.bitstream.with_name(name), deploy / name)
        sums = subprocess.run(
            ["sha256sum", *names, "manifest.json"], cwd=deploy, capture_output=True, text=True, check=True
        )
        (deploy / "SHA256SUMS").write_text(sums.stdout)
        script = """
from pathlib import Path
bit = Path("deploy/tiny.bit")
with Accelerator(bit) as tiny:
    assert tiny.self_test() == 4
for name in ("tiny.bit", "tiny.hwh", "manifest.json"):
    path = bit.with_name(name)
    kept = path.read_bytes()
    path.write_bytes(kept + b"\\n")
    message, _ = error_of(Accelerator, bit)
    assert f"{name} is not the file that" in message and "one build" in message, message
    path.write_bytes(kept)
kept = bit.with_name("golden_vectors.npz")
kept.write_bytes(kept.read_bytes() + b"x")
with Accelerator(bit) as tiny:
    message, _ = error_of(tiny.self_test)
    assert "golden_vectors.npz is not the file the manifest was made with" in message, message
"""
        run_client(python, server, project, START + script)

    def test_the_self_test_of_the_command_line(
        self, python: Path, server: EmulatedServer, project: Path
    ) -> None:
        script = """
arguments = ["--bitstream", BITSTREAM, "--manifest", MANIFEST, "--self-test"]
assert accelerator.main(arguments) == 0
"""
        assert "self-test passed: 4 samples" in run_client(python, server, project, START + script)
        edit_driver(project, "packed[..., :channels] =", "packed[..., :channels] = 1 +")
        assert run_client(python, server, project, START + script.replace("== 0", "== 1")) == ""
