"""Fixtures of the tests with an emulated board."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import board_project
import pytest

from intarsia.boards import environment
from intarsia.verify.board_runner import EmulatedServer


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return board_project.build_library(tmp_path_factory.mktemp("library"))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return board_project.write_project(tmp_path / "project")


@pytest.fixture(scope="session")
def python() -> Path:
    try:
        return environment.find()
    except environment.BoardClientError as error:
        pytest.skip(str(error))


@pytest.fixture
def server(python: Path, project: Path, library: Path, tmp_path: Path) -> Iterator[EmulatedServer]:
    folder = tmp_path / "server"
    folder.mkdir()
    server = EmulatedServer(python, project / "deploy" / "manifest.json", library, folder)
    yield server
    server.close()
