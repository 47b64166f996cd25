"""The command line, with fakes of what it calls: these tests check options, messages and exit codes only."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import intarsia.compiler
import intarsia.verify
from intarsia.__main__ import app
from intarsia.cli.output_paths import write_text
from intarsia.errors import IntarsiaError
from intarsia.samples import Preprocess

Calls = list[dict[str, Any]]


class FakeDesign:
    def write(self, directory: Path, *, replace: bool = False) -> Path:
        directory.mkdir(exist_ok=replace)
        (directory / "design.json").write_text("{}")
        return directory

    def summary(self) -> str:
        return "SUMMARY"


class FakeReport:
    def __init__(self, passed: bool = True, first_divergence: str | None = None) -> None:
        self.passed, self.first_divergence = passed, first_divergence

    def print(self, console: Any) -> None:
        console.print("TABLE")

    def to_json(self) -> dict[str, Any]:
        return {"passed": self.passed}

    def to_html(self) -> str:
        return "<html>"

    def to_junit(self) -> str:
        return "<testsuites>"


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> Calls:
    calls: Calls = []

    def fake(model: Path, **options: Any) -> FakeDesign:
        calls.append({"model": model, **options})
        return FakeDesign()

    monkeypatch.setattr(intarsia.compiler, "compile_model", fake)
    return calls


@pytest.fixture
def verified(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], Calls]:
    def install(result: Any) -> Calls:
        calls: Calls = []

        def fake(directory: Path, inputs: Path | None, **options: Any) -> Any:
            calls.append({"directory": directory, "inputs": inputs, **options})
            if isinstance(result, BaseException):
                raise result
            return result

        monkeypatch.setattr(intarsia.verify, "run", fake)
        return calls

    return install


def run(*arguments: object) -> tuple[int, str, str]:
    """Exit code, standard output and standard error."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return result.exit_code, result.stdout, result.stderr


@pytest.mark.parametrize(
    "command", ["compile", "verify", "demo", "boards", "operators", "doctor", "setup-board"]
)
def test_every_command_has_help(command: str) -> None:
    code, out, _ = run(command, "--help")
    assert code == 0
    assert "Usage" in out


def test_help_needs_no_heavy_module() -> None:
    script = (
        "import sys; sys.argv = ['intarsia', '--help']\n"
        "from intarsia.__main__ import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print(*(name for name in ('numpy', 'onnx', 'onnxruntime', 'networkx') if name in sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "Usage: intarsia" in done.stdout
    assert done.stderr.strip() == ""


def test_version_boards_and_operators() -> None:
    assert run("--version")[1].startswith("intarsia 0.")
    assert "kv260" in run("boards")[1]
    assert "Y[o, y, x]" in run("operators")[1]  # brackets are no markup


def test_compile_passes_its_options(compiled: Calls, tmp_path: Path) -> None:
    code, out, _ = run(
        "compile", "m.onnx", "-o", tmp_path / "out", "--board", "pynq-z2", "--schedule", "dataflow", "--weight-bits", 4,
        "--objective", "throughput", "--batch", 6,
        "--activation-bits", 16, "--clock-mhz", 150, "--input-scale", 1, "--fit", "error", "--calibration", "c.npz",
        "--per-tensor", "--precision", "bits.toml", "--no-fifo-sizing", "--lanes", 8, "--budget", 50,
        "--host-ops", "none",
        "--circulant-fft", "allow",
    )  # fmt: skip
    assert code == 0
    assert "SUMMARY" in out
    assert "intarsia verify" in out
    del compiled[0]["progress"]
    assert compiled == [
        {
            "model": Path("m.onnx"),
            "board": "pynq-z2",
            "calibration": Path("c.npz"),
            "schedule": "dataflow",
            "objective": "throughput",
            "batch": 6,
            "weight_bits": 4,
            "activation_bits": 16,
            "per_channel": False,
            "precision": Path("bits.toml"),
            "clock_mhz": 150.0,
            "lanes": [8],
            "budget": 50.0,
            "host_ops": "none",
            "circulant_fft": "allow",
            "dense": None,
            "preprocess": Preprocess(1.0, "error"),
            "fifo_sizing": False,
            "measured_costs": None,
        }
    ]


def test_compile_keeps_what_it_did_not_make(compiled: Calls, tmp_path: Path) -> None:
    (tmp_path / "precious.txt").write_text("thesis")
    code, _, error = run("compile", "m.onnx", "-o", tmp_path)
    assert (code, "exists already" in error) == (2, True)
    code, _, error = run("compile", "m.onnx", "-o", tmp_path, "--force")
    assert (code, "is not a project of intarsia" in error) == (2, True)
    assert compiled == []
    (tmp_path / "design.json").write_text("{}")
    assert run("compile", "m.onnx", "-o", tmp_path)[0] == 2
    assert run("compile", "m.onnx", "-o", tmp_path, "--force")[0] == 0


@pytest.mark.parametrize(
    ("report", "code"),
    [(FakeReport(), 0), (FakeReport(False, "conv1"), 1), (FakeReport(False), 2)],
    ids=["agrees", "diverges", "nothing compared"],
)
def test_verify_exits_by_the_verdict(
    verified: Callable[[Any], Calls], tmp_path: Path, report: FakeReport, code: int
) -> None:
    calls = verified(report)
    files = {kind: tmp_path / "new" / f"report.{kind}" for kind in ("json", "junit", "html")}
    options = [text for kind, path in files.items() for text in (f"--{kind}", path)]
    got, out, _ = run("verify", "DIR", "--inputs", "x.npz", "--board", "none", "--samples", 7, *options)
    assert got == code
    assert "TABLE" in out
    assert json.loads(files["json"].read_text()) == {"passed": report.passed}
    assert files["html"].read_text() == "<html>"
    assert files["junit"].read_text() == "<testsuites>"
    assert {key: calls[0][key] for key in ("directory", "inputs", "board", "samples")} == {
        "directory": Path("DIR"),
        "inputs": Path("x.npz"),
        "board": "none",
        "samples": 7,
    }


def test_verify_uses_the_emulated_board_unless_told(verified: Callable[[Any], Calls]) -> None:
    calls = verified(FakeReport())
    assert run("verify", "DIR")[0] == 0
    assert calls[0]["board"] == "emulated"


@pytest.mark.parametrize(
    ("raised", "code", "message"),
    [
        (IntarsiaError("no [red]such[/red] layer 'a'"), 2, "error: no [red]such[/red] layer 'a'\n"),
        (ZeroDivisionError("oops"), 2, "error: this is a bug in intarsia: ZeroDivisionError: oops\n"),
        (KeyboardInterrupt(), 130, "error: interrupted\n"),
    ],
    ids=["user's error", "bug", "Ctrl-C"],
)
def test_errors_are_one_message_without_a_traceback(
    verified: Callable[[Any], Calls], raised: BaseException, code: int, message: str
) -> None:
    verified(raised)
    got, out, error = run("verify", "DIR")
    assert (got, out) == (code, "")
    assert error.startswith(message)
    assert "Traceback" not in error


def test_debug_shows_the_traceback(verified: Callable[[Any], Calls], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTARSIA_DEBUG", "")  # restored afterwards
    verified(ZeroDivisionError("oops"))
    code, _, error = run("--debug", "verify", "DIR")
    assert code == 2
    assert "Traceback" in error
    assert "ZeroDivisionError: oops" in error


def test_unwritable_report_is_an_error(verified: Callable[[Any], Calls], tmp_path: Path) -> None:
    verified(FakeReport())
    (tmp_path / "file").write_text("")
    code, out, error = run("verify", "DIR", "--json", tmp_path / "file" / "r.json")
    assert code == 2
    assert "file is no directory. Choose another place with --json" in error
    assert out == ""  # nothing was run for it


def test_a_file_that_cannot_be_written_whole_leaves_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "r.json"
    write_text(path, "before")

    def full(self: Path, text: str, encoding: str) -> None:
        self.write_bytes(text[:2].encode(encoding))
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(IntarsiaError, match=r"cannot write .*r\.json: No space left on device"):
        write_text(path, "after")
    assert [(one.name, one.read_text()) for one in tmp_path.iterdir()] == [("r.json", "before")]


@pytest.mark.parametrize(
    "arguments", [["compile"], ["verify"], ["nonsense"], ["verify", "DIR", "--samples", "0"]]
)
def test_wrong_usage_exits_with_2(arguments: list[str]) -> None:
    assert run(*arguments)[0] == 2


def test_demo_compiles_verifies_and_says_where(
    compiled: Calls, verified: Callable[[Any], Calls], tmp_path: Path
) -> None:
    calls = verified(FakeReport())
    code, out, _ = run("demo", "-o", tmp_path / "demo")
    assert code == 0
    assert compiled[0]["model"].name == "lenet5.onnx"
    assert calls[0]["inputs"].name == "mnist.npz"
    assert calls[0]["board"] == "emulated"
    assert str(tmp_path / "demo" / "verification.html") in out
    assert run("demo", "-o", tmp_path / "demo")[0] == 0  # replaces its own project


def test_setup_board(monkeypatch: pytest.MonkeyPatch) -> None:
    from intarsia.boards import environment

    monkeypatch.setattr(environment, "create", lambda: Path("/client/bin/python"))
    code, out, _ = run("setup-board")
    assert (code, "/client/bin/python" in out) == (0, True)


def test_doctor_tells_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)
    code, out, _ = run("doctor")
    assert code == 2
    assert "missing   C++ compiler" in out
    assert "optional  vivado" in out


def test_compile_is_a_function_whatever_was_imported_before() -> None:
    import intarsia
    import intarsia.compiler
    from intarsia.compiler import compile_model

    assert intarsia.compile is compile_model
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = intarsia.nonsense


@pytest.mark.parametrize("arguments", [["compile", "--help"], ["boards"], ["operators"], ["--version"]])
def test_a_closed_pipe_ends_quietly(arguments: list[str]) -> None:
    """As of `| head`, when it has what it wants."""
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "intarsia", *arguments]
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, "")


def test_a_pipe_of_its_own_that_breaks_is_a_bug(verified: Callable[[Any], Calls]) -> None:
    """Not all broken pipes are those of the output."""
    verified(BrokenPipeError(32, "Broken pipe"))
    code, _, error = run("verify", "DIR")
    assert code == 2 and error.startswith("error: this is a bug in intarsia: BrokenPipeError")
