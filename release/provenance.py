#!/usr/bin/env python3
"""Writes how the files of a release were made: an in-toto statement with SLSA provenance, version 1.

  release/provenance.py SHA256SUMS COMMIT

The subjects are the files in SHA256SUMS. The statement is not signed by itself: its checksum is in
the second list, which is signed.
"""

import hashlib
import json
import subprocess
import sys

NAME = "aliyun-acr-credential-provider"


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def digest(path):
    with open(path, "rb") as file:
        return {"sha256": hashlib.sha256(file.read()).hexdigest()}


def subjects(sums):
    with open(sums, encoding="utf-8") as file:
        for line in file:
            value, name = line.split()
            yield {"name": name.removeprefix("./"), "digest": {"sha256": value}}


def main(sums, commit):
    statement = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": list(subjects(sums)),
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                # What it names is in the project: release/build.sh, with no choice of the caller.
                "buildType": f"urn:{NAME}:release-build:1",
                "externalParameters": {"commit": commit},
                "resolvedDependencies": [
                    {"name": "source", "digest": {"gitCommit": commit}},
                    {"name": "Cargo.lock", "digest": digest("Cargo.lock")},
                    {"name": "release/requirements.txt", "digest": digest("release/requirements.txt")},
                    {"name": "rustc", "annotations": {"version": run("rustc", "--version")}},
                ],
            },
            # Whoever builds it again gets the same bytes, so nothing here says when or where.
            "runDetails": {"builder": {"id": f"urn:{NAME}:release/build.sh"}},
        },
    }
    print(json.dumps(statement, indent=2))


main(*sys.argv[1:])
