"""What every refusal of the command line is."""

from __future__ import annotations

from pathlib import Path

from typer.testing import CliRunner

from intarsia.__main__ import app


def assert_refused(*arguments: object, says: tuple[str, ...]) -> None:
    """Exit code 2, one message on standard error that says all this, and no file that was not there before."""
    before = {path: path.stat().st_mtime_ns for path in Path().rglob("*")}
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert done.exit_code == 2, done.output
    assert done.stderr.startswith("error: ")
    assert sum(line.startswith("error: ") for line in done.stderr.splitlines()) == 1
    assert "bug in intarsia" not in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    for text in says:
        assert text in done.stderr, done.stderr
    assert {path: path.stat().st_mtime_ns for path in Path().rglob("*")} == before
