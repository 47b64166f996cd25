"""The server process of the emulated board."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

from intarsia.boards import emulated_overlay
from intarsia.verify.board_runner import EmulatedServer


class TestServerProcess:
    def test_it_listens_on_loopback_only(self, python: Path, project: Path, library: Path) -> None:
        script = Path(emulated_overlay.__file__).with_name("emulated_board.py")
        manifest = project / "deploy" / "manifest.json"
        command = [str(python), str(script), "--manifest", str(manifest), "--library", str(library)]
        done = subprocess.run([*command, "--address", "0.0.0.0"], capture_output=True, text=True, check=False)
        assert done.returncode == 2
        assert "error: 0.0.0.0 is not a loopback address" in done.stderr

    def test_it_ends_with_its_input(self, server: EmulatedServer) -> None:
        assert server.process.stdin is not None
        server.process.stdin.close()
        assert server.process.wait(timeout=5) == 0

    def test_it_ends_on_sigterm(self, server: EmulatedServer) -> None:
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(timeout=5) == 0

    def test_an_address_is_not_shared(
        self, python: Path, server: EmulatedServer, project: Path, library: Path
    ) -> None:
        script = Path(emulated_overlay.__file__).with_name("emulated_board.py")
        manifest = project / "deploy" / "manifest.json"
        command = [str(python), str(script), "--manifest", str(manifest), "--library", str(library)]
        done = subprocess.run(
            [*command, "--address", server.address], capture_output=True, text=True, check=False
        )
        assert done.returncode == 2
        assert "bind" in done.stderr
