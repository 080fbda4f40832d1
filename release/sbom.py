"""The bill of materials of one binary: CycloneDX 1.6 as JSON, on stdout.

    release/sbom.py TARGET

Run from the top folder, with SOURCE_DATE_EPOCH set.
"""

import json
import os
import re
import subprocess
import sys
from datetime import datetime, timezone

from linked_crates import NAME, checksums, linked


def main():
    (target,) = sys.argv[1:]
    packages, uses = linked(target)
    hashes = checksums()
    (program,) = (crate for crate in packages if crate[0] == NAME)
    rust = re.match(r"rustc (\S+)", run("rustc", "--version")).group(1)
    standard_library = {
        "type": "library",
        "bom-ref": f"rust-std@{rust}",
        "name": "rust-std",
        "version": rust,
        "description": f"Rust's standard library for {target}, with the musl C library it brings",
        "licenses": [{"expression": "(MIT OR Apache-2.0) AND MIT"}],
    }
    libraries = [
        {
            "type": "library",
            "bom-ref": reference(crate),
            "name": crate[0],
            "version": crate[1],
            "purl": reference(crate),
            "hashes": [{"alg": "SHA-256", "content": hashes[crate]}],
            "licenses": [{"expression": package["license"].replace("/", " OR ")}],
        }
        for crate, package in packages.items()
        if crate != program
    ]
    dependencies = [
        {"ref": reference(crate), "dependsOn": [reference(used) for used in sorted(uses[crate])]}
        for crate in packages
    ]
    dependencies[list(packages).index(program)]["dependsOn"].append(standard_library["bom-ref"])
    time = datetime.fromtimestamp(int(os.environ["SOURCE_DATE_EPOCH"]), timezone.utc)
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "component": {
                "type": "application",
                "bom-ref": reference(program),
                "name": NAME,
                "version": program[1],
                "purl": reference(program),
                "licenses": [{"expression": packages[program]["license"]}],
                "properties": [
                    {"name": "target", "value": target},
                    {"name": "rustc", "value": run("rustc", "--version")},
                ],
            },
        },
        "components": [*libraries, standard_library],
        "dependencies": dependencies,
    }
    json.dump(document, sys.stdout, indent=2)
    print()


def reference(crate):
    return "pkg:cargo/{}@{}".format(*crate)


def run(*command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


main()
