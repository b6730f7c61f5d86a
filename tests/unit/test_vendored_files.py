"""The browser's libraries: each file is listed, unchanged, licensed, and imports only its like."""

import base64
import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest

STATIC = Path(__file__).parents[2] / "api" / "static"
VENDOR = STATIC / "vendor"
PACKAGES: list[dict[str, Any]] = json.loads((VENDOR / "VENDOR.json").read_text())["packages"]
FILES = {
    f"{package['folder']}/{file['to']}": (package, file)
    for package in PACKAGES
    for file in package["files"]
}
IMPORT = re.compile(r"""^\s*(?:import|export)\b[^;]*?from\s+["']([^"']+)["']""", re.MULTILINE)
LICENCES = {
    "BSD-3-Clause": "Neither the name",
    "MIT": "The MIT License",
}


def sha384(content: bytes) -> str:
    return "sha384-" + base64.b64encode(hashlib.sha384(content).digest()).decode()


def test_what_is_there_is_what_is_listed() -> None:
    there = {
        path.relative_to(VENDOR).as_posix()
        for path in VENDOR.rglob("*")
        if path.is_file() and path.name != "VENDOR.json"
    }
    assert there == set(FILES)


@pytest.mark.parametrize("name", sorted(FILES))
def test_a_file_is_the_published_one_but_for_the_listed_replacements(name: str) -> None:
    _, file = FILES[name]
    content = (VENDOR / name).read_bytes()
    assert sha384(content) == file["sha384"]
    for before, after in file.get("replaced", {}).items():
        content = content.replace(after.encode(), before.encode())
    assert sha384(content) == file["sha384_published"]


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package["name"])
def test_a_package_names_its_version_and_keeps_its_licence(package: dict[str, Any]) -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", package["version"])
    text = (VENDOR / package["folder"] / "LICENSE").read_text()
    assert LICENCES[package["licence"]] in text


@pytest.mark.parametrize("path", sorted(STATIC.rglob("*.js")), ids=lambda path: path.name)
def test_a_module_imports_only_what_is_here(path: Path) -> None:
    for address in IMPORT.findall(path.read_text(encoding="utf-8")):
        assert address.startswith(("./", "../")), f"{path.name} imports {address}"
        imported = (path.parent / address).resolve()
        assert imported.is_relative_to(STATIC.resolve())
        assert imported.is_file(), f"{path.name} imports {address}"
