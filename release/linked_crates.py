"""Which crates are linked into the program for a target, as cargo resolves them.

`cargo metadata` also counts the features that tests and tools ask for, and so lists crates that the
program does not have. `cargo tree` resolves features as the build does. Build scripts and procedural
macros run only while compiling and are left out.
"""

import json
import re
import subprocess
from pathlib import Path

NAME = "aliyun-acr-credential-provider"


def cargo(*arguments):
    command = ["cargo", *arguments, "--locked"]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def linked(target):
    """The packages of `cargo metadata`, by (name, version), and for each the ones it uses."""
    tree = cargo(
        "tree", "--package", NAME, "--target", target, "--edges", "normal,no-proc-macro",
        "--no-dedupe", "--prefix", "depth", "--format", " {p}",
    )  # fmt: skip
    uses, path = {}, []
    for line in tree.splitlines():
        depth, name, version = re.match(r"(\d+) (\S+) v(\S+)", line).groups()
        crate = (name, version)
        del path[int(depth) :]
        if path:
            uses[path[-1]].add(crate)
        uses.setdefault(crate, set())
        path.append(crate)
    metadata = json.loads(cargo("metadata", "--format-version", "1", "--filter-platform", target))
    packages = {(package["name"], package["version"]): package for package in metadata["packages"]}
    return {crate: packages[crate] for crate in sorted(uses)}, uses


def checksums():
    """SHA-256 of each crate's archive, from Cargo.lock."""
    lock = Path("Cargo.lock").read_text()
    entry = r'name = "(.+)"\nversion = "(.+)"\nsource = ".+"\nchecksum = "(.+)"'
    return {(name, version): checksum for name, version, checksum in re.findall(entry, lock)}
