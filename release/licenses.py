"""The licences of what is linked into the binaries, as plain text on stdout.

    release/licenses.py TARGET...

Every text is printed once, as the crate has it, with the names of its crates. A crate's folders may
hold code of others; their licences are printed, too. A crate without a licence is an error.
Run from the top folder, with the Python that has Zig.
"""

import re
import sys
from pathlib import Path

import ziglang
from linked_crates import NAME, linked

LICENCE_FILE = re.compile(r"(licen[cs]e|copying|copyright|notice|unlicense)", re.IGNORECASE)


def main():
    packages = {}
    for target in sys.argv[1:]:
        packages.update(linked(target)[0])
    others = {crate: package for crate, package in packages.items() if crate[0] != NAME}

    print(f"{NAME} is linked with the crates below, with the musl C library, and with the standard")
    print("library of Rust, whose licences are in RUST-STANDARD-LIBRARY-LICENSES.html.\n")
    owners = {}
    for crate, package in sorted(others.items()):
        print("  {} {}: {}".format(*crate, package["license"]))
        for text in texts(Path(package["manifest_path"]).parent):
            owners.setdefault(text, []).append(" ".join(crate))
    owners[musl()] = ["musl"]
    for text, crates in owners.items():
        print("\n" + "=" * 100)
        print(", ".join(crates))
        print("=" * 100 + "\n")
        print(text)


def texts(folder):
    named = (file for file in sorted(folder.rglob("*")) if LICENCE_FILE.match(file.name))
    files = [file for file in named if file.is_file() and file.suffix != ".rs"]
    if not any(file.parent == folder for file in files):
        sys.exit(f"error: {folder.name} has no licence file")
    return {normalised(file.read_text(encoding="utf-8")): None for file in files}


def musl():
    """musl's own licence. Zig has the text, Rust's toolchain does not."""
    file = Path(ziglang.__file__).parent / "lib/libc/musl/COPYRIGHT"
    return normalised(file.read_text(encoding="utf-8"))


def normalised(text):
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


main()
