"""What `pip install` puts where: pyproject.toml lists packages and folders by hand, and forgets in silence."""

import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
SETUPTOOLS = PROJECT["tool"]["setuptools"]
FOLDERS = {package: ROOT / folder for package, folder in SETUPTOOLS["package-dir"].items()}


def folder_of(package):
    """The folder of a package: its own entry in package-dir, or a subfolder of its parent's."""
    if package in FOLDERS:
        return FOLDERS[package]
    parent, _, name = package.rpartition(".")
    return folder_of(parent) / name


def packages_on_disk():
    for package, folder in FOLDERS.items():
        for marker in folder.rglob("__init__.py"):
            yield ".".join([package, *marker.parent.relative_to(folder).parts])


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel's list of files. Built from a copy: setuptools leaves a build folder beside what it builds."""
    folder = tmp_path_factory.mktemp("packaging")
    source = folder / "source"
    ignore = shutil.ignore_patterns("__pycache__")
    for path in FOLDERS.values():
        shutil.copytree(path, source / path.relative_to(ROOT), ignore=ignore)
    for name in ["pyproject.toml", PROJECT["project"]["readme"], *PROJECT["project"]["license-files"]]:
        shutil.copy(ROOT / name, source)
    options = ["--quiet", "--no-deps", "--no-index", "--no-build-isolation", "--wheel-dir", str(folder)]
    built = subprocess.run(
        [sys.executable, "-m", "pip", "wheel", *options, str(source)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    (path,) = folder.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        return archive.namelist()


def test_every_package_is_listed():
    assert sorted(SETUPTOOLS["packages"]) == sorted(packages_on_disk())


def test_folders_belong_to_listed_packages():
    assert set(FOLDERS) <= set(SETUPTOOLS["packages"])
    assert set(SETUPTOOLS["package-data"]) <= set(SETUPTOOLS["packages"])


def test_nothing_lands_outside_the_package(wheel):
    tops = {Path(name).parts[0] for name in wheel}
    assert tops == {"intarsia", f"intarsia-{PROJECT['project']['version']}.dist-info"}


@pytest.mark.parametrize(
    ("package", "pattern"),
    [
        *((package, "*.py") for package in SETUPTOOLS["packages"]),
        ("intarsia", "py.typed"),
        ("intarsia.boards", "*.toml"),
        ("intarsia.demo", "*.md"),
        ("intarsia.demo", "*.npz"),
        ("intarsia.demo", "*.onnx"),
        ("intarsia.hls_kernels", "*.hpp"),
        ("intarsia.templates", "*.j2"),
    ],
)
def test_wheel_holds_every_file(wheel, package, pattern):
    expected = {f"{package.replace('.', '/')}/{path.name}" for path in folder_of(package).glob(pattern)}
    assert expected, f"{folder_of(package)} holds no {pattern}"
    assert expected <= set(wheel)
