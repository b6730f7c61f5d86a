"""The contracts' artifacts, as they were compiled and committed."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """One contract: its interface and its code."""

    name: str
    abi: Sequence[Mapping[str, Any]]
    bytecode: bytes
    deployed_bytecode: bytes
    source_hash: str


@cache
def load(name: str) -> Artifact:
    """The artifact of a contract by name, from the package's own files."""
    file = resources.files("contracts") / "artifacts" / f"{name}.json"
    document = json.loads(file.read_text(encoding="utf-8"))
    return Artifact(
        name=document["contractName"],
        abi=document["abi"],
        bytecode=bytes.fromhex(document["bytecode"].removeprefix("0x")),
        deployed_bytecode=bytes.fromhex(document["deployedBytecode"].removeprefix("0x")),
        source_hash=document["sourceHash"],
    )
