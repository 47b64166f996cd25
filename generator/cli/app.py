"""The commands, and how their errors are shown."""

from __future__ import annotations

import os
from traceback import print_exc
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from ..errors import IntarsiaError
from .bisect import bisect
from .boards import boards
from .check_registers import check_registers
from .closed_pipe import output_closed
from .compile import compile_command
from .compress import compress
from .cut import cut
from .demo import demo
from .doctor import doctor
from .exit_codes import COULD_NOT_RUN, INTERRUPTED
from .explore import explore
from .import_reports import import_reports
from .operators import operators
from .setup_board import setup_board
from .verify import verify

COMMANDS = (
    ("compile", compile_command),
    ("explore", explore),
    ("verify", verify),
    ("compress", compress),
    ("cut", cut),
    ("bisect", bisect),
    ("demo", demo),
    ("boards", boards),
    ("operators", operators),
    ("check-registers", check_registers),
    ("doctor", doctor),
    ("import-reports", import_reports),
    ("setup-board", setup_board),
)
"""Names and functions, in the order of `intarsia --help`. What a command needs is imported when it runs."""

_DEBUG = "INTARSIA_DEBUG"


class ErrorsInOneLine(TyperGroup):
    """Shows every exception as one `error:` message, with exit code 2."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        from ..terminal import print_error

        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            print_error("interrupted")
            raise typer.Exit(INTERRUPTED) from None
        except Exception as error:
            if _is_usage(error) or (isinstance(error, BrokenPipeError) and output_closed()):
                raise
            if os.environ.get(_DEBUG):
                print_exc()
            if isinstance(error, IntarsiaError):
                print_error(str(error))
                raise typer.Exit(COULD_NOT_RUN) from None
            print_error(
                f"this is a bug in intarsia: {type(error).__name__}: {error}\n"
                f"`intarsia --debug ...` (or {_DEBUG}=1) shows where; please report it with the model"
            )
            raise typer.Exit(COULD_NOT_RUN) from None


def _is_usage(error: Exception) -> bool:
    """Typer's own exceptions (wrong options, --help, Exit) have an exit code."""
    return hasattr(error, "exit_code") or isinstance(error, typer.Abort)


app = typer.Typer(
    cls=ErrorsInOneLine, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False
)


def _show_version(wanted: bool) -> None:
    if wanted:
        from .. import __version__

        typer.echo(f"intarsia {__version__}")
        raise typer.Exit


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """From a trained ONNX model to an FPGA accelerator in Vitis HLS C++, verified layer by layer."""
    if debug:
        os.environ[_DEBUG] = "1"


for _name, _function in COMMANDS:
    app.command(_name)(_function)
