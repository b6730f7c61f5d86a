"""Compiles the contracts and writes their artifacts; the only module that knows the compiler.

    python -m contracts.build           rewrite the artifacts
    python -m contracts.build --check   compare bit for bit, exit 1 when one is stale

solc comes from py-solc-x where it can install it, else from npm's `solc` (WebAssembly, run by node)
behind a small executable. Both give the same bytes: source names are relative and no metadata is
appended. Needs `npm ci` for OpenZeppelin's sources; installing and testing need no compiler.
"""

import argparse
import hashlib
import json
import os
import posixpath
import re
import stat
import sys
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parent.parent
SOLC_VERSION: Final = "0.8.37"
OPENZEPPELIN: Final = "@openzeppelin/contracts"
PACKAGE_ARTIFACTS: Final = PurePosixPath("contracts/artifacts")
TEST_FOLDERS: Final = (PurePosixPath("tests/bench"), PurePosixPath("tests/chain"))
SETTINGS: Final[dict[str, Any]] = {
    "evmVersion": "prague",
    "viaIR": True,
    "optimizer": {"enabled": True, "runs": 1},
    "metadata": {"bytecodeHash": "none", "appendCBOR": False},
    "outputSelection": {"*": {"*": ["abi", "evm.bytecode.object", "evm.deployedBytecode.object"]}},
}
# The market needs small code, the escrow cheap code and has room.
OPTIMIZER_RUNS: Final = {"contracts/ChargingEscrow.sol": 10_000}
IMPORT: Final = re.compile(r'^import\s+(?:\{[^}]*\}\s+from\s+)?"([^"]+)";', re.MULTILINE)
SHIM: Final = """\
#!/usr/bin/env node
// Answers what py-solc-x asks of a native solc, with the compiler that npm installed.
const solc = require({solc_path});
if (process.argv.includes("--version")) {{
  console.log("solc, the solidity compiler commandline interface");
  console.log("Version: " + solc.version().replace(".Emscripten.clang", ".Linux.g++"));
}} else {{
  const input = require("fs").readFileSync(0, "utf8");
  process.stdout.write(solc.compile(input));
}}
"""


class BuildFailed(Exception):
    """The compiler, or something that it needs, is not there or said no."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One contract and where its artifact goes."""

    source: str  # Relative to the root, with slashes.
    artifacts: PurePosixPath

    @property
    def name(self) -> str:
        return PurePosixPath(self.source).stem

    @property
    def path(self) -> Path:
        return ROOT / self.artifacts / f"{self.name}.json"


def targets() -> tuple[Target, ...]:
    """The contracts of the package, then those that only tests deploy."""
    package = ("ChargingEscrow", "EnergyMarket", "MeterRegistry", "SettlementToken")
    return (
        *(Target(source=f"contracts/{name}.sol", artifacts=PACKAGE_ARTIFACTS) for name in package),
        *(
            Target(source=path.relative_to(ROOT).as_posix(), artifacts=folder / "artifacts")
            for folder in TEST_FOLDERS
            for path in sorted((ROOT / folder / "contracts").glob("*.sol"))
        ),
    )


def settings_of(source: str) -> dict[str, Any]:
    """What the compiler is told for a contract's file."""
    runs = OPTIMIZER_RUNS.get(source, SETTINGS["optimizer"]["runs"])
    return SETTINGS | {"optimizer": {"enabled": True, "runs": runs}}


def sources_of(source: str, modules: Path | None = None) -> dict[str, str]:
    """A file and all that it imports, by name relative to the root.

    Files of npm packages are left out unless `modules`, the folder they are in, is given.
    """
    found: dict[str, str] = {}
    waiting = [source]
    while waiting:
        name = waiting.pop()
        folder = modules if name.startswith("@") else ROOT
        if name in found or folder is None:
            continue
        found[name] = (folder / name).read_text(encoding="utf-8")
        waiting += [_resolve(name, target) for target in IMPORT.findall(found[name])]
    return found


def source_hash(source: str) -> str:
    """SHA-256 over all that decides an artifact's bytes, computed without a compiler.

    OpenZeppelin's sources are not in the tree: its version and the integrity of its package, as
    npm's lock file states them, stand for them.
    """
    lock = json.loads((ROOT / "package-lock.json").read_text(encoding="utf-8"))
    package = lock["packages"][f"node_modules/{OPENZEPPELIN}"]
    facts = {
        "compiler": SOLC_VERSION,
        "settings": settings_of(source),
        "openzeppelin": [package["version"], package["integrity"]],
        "sources": sources_of(source),
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def build() -> dict[Path, str]:
    """Compiles everything; the text of each artifact by its path."""
    alike: dict[int, list[Target]] = {}  # One call of the compiler for all with the same settings.
    for target in targets():
        alike.setdefault(settings_of(target.source)["optimizer"]["runs"], []).append(target)
    texts: dict[Path, str] = {}
    for built in alike.values():
        sources: dict[str, str] = {}
        for target in built:
            sources |= sources_of(target.source, _node_modules())
        output = _compile(sources, settings_of(built[0].source))
        texts |= {target.path: _artifact(target, output["contracts"]) for target in built}
    return texts


def main(arguments: list[str] | None = None) -> int:
    """The command line: 0 when all is well, 1 when an artifact is stale or nothing compiles."""
    parser = argparse.ArgumentParser(prog="python -m contracts.build", description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    options = parser.parse_args(arguments)
    try:
        texts = build()
    except BuildFailed as failure:
        print(f"build failed: {failure}", file=sys.stderr)
        return 1
    stale = [path for path, text in texts.items() if not _is_current(path, text)]
    for path in stale:
        print(f"{'stale' if options.check else 'wrote'} {path.relative_to(ROOT)}")
        if not options.check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(texts[path], encoding="utf-8")
    return 1 if options.check and stale else 0


def _is_current(path: Path, text: str) -> bool:
    return path.exists() and path.read_text(encoding="utf-8") == text


def _resolve(importer: str, target: str) -> str:
    """The source name that an import statement means."""
    if target.startswith("@"):
        return target
    return posixpath.normpath(PurePosixPath(importer).parent / target)


def _node_modules() -> Path:
    path = Path(os.environ.get("WATTLEDGER_NODE_MODULES", ROOT / "node_modules"))
    if not (path / OPENZEPPELIN).is_dir():
        raise BuildFailed(f"{path / OPENZEPPELIN} is missing: run `npm ci`")
    return path


def _compile(sources: dict[str, str], settings: dict[str, Any]) -> dict[str, Any]:
    import solcx  # noqa: PLC0415 (heavy, and only building needs it)

    output: dict[str, Any] = solcx.compile_standard(
        {
            "language": "Solidity",
            "sources": {name: {"content": text} for name, text in sorted(sources.items())},
            "settings": settings,
        },
        solc_binary=compiler_path(),
    )
    return output


def compiler_path() -> Path:
    """A native compiler if py-solc-x has or can install it, else npm's behind the shim."""
    import solcx  # noqa: PLC0415
    from solcx.exceptions import SolcInstallationError  # noqa: PLC0415

    try:
        if SOLC_VERSION not in map(str, solcx.get_installed_solc_versions()):
            solcx.install_solc(SOLC_VERSION)
    except (OSError, SolcInstallationError):
        return _shim()
    return Path(solcx.install.get_executable(SOLC_VERSION))


def _shim() -> Path:
    """Writes the executable that makes npm's compiler look like a native one."""
    package = _node_modules() / "solc"
    installed = json.loads((package / "package.json").read_text(encoding="utf-8"))["version"]
    if installed != SOLC_VERSION:
        raise BuildFailed(f"npm has solc {installed}, not {SOLC_VERSION}: run `npm ci`")
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "wattledger"
    cache.mkdir(parents=True, exist_ok=True)
    shim = cache / f"solc-{SOLC_VERSION}"
    shim.write_text(SHIM.format(solc_path=json.dumps(str(package.resolve()))), encoding="utf-8")
    shim.chmod(shim.stat().st_mode | stat.S_IXUSR)
    return shim


def _artifact(target: Target, contracts: dict[str, Any]) -> str:
    compiled = contracts[target.source][target.name]
    artifact = {
        "contractName": target.name,
        "sourceName": target.source,
        "sourceHash": source_hash(target.source),
        "compiler": {"version": SOLC_VERSION, "settings": settings_of(target.source)},
        "abi": compiled["abi"],
        "bytecode": "0x" + compiled["evm"]["bytecode"]["object"],
        "deployedBytecode": "0x" + compiled["evm"]["deployedBytecode"]["object"],
    }
    return json.dumps(artifact, indent=1, sort_keys=True) + "\n"


if __name__ == "__main__":
    sys.exit(main())
