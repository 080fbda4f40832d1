#!/usr/bin/env python3
"""Writes an OCI archive of an image that holds one static binary and nothing else.

  release/oci.py OUT VERSION amd64=FILE [arm64=FILE]

An image for each architecture behind one index (OCI image specification 1.1). The same binaries and
SOURCE_DATE_EPOCH give the same bytes. No container engine is needed: an archive is a tar of JSON
files and layers, each named by its digest.
"""

import datetime
import gzip
import hashlib
import io
import json
import os
import sys
import tarfile

NAME = "aliyun-acr-credential-provider"
EPOCH = int(os.environ["SOURCE_DATE_EPOCH"])
INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


def packed(files):
    """A tar of (path, mode, bytes); folders have no bytes. Root owns everything."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for path, mode, data in files:
            entry = tarfile.TarInfo(path)
            entry.mode, entry.mtime = mode, EPOCH
            if data is None:
                entry.type = tarfile.DIRTYPE
                tar.addfile(entry)
            else:
                entry.size = len(data)
                tar.addfile(entry, io.BytesIO(data))
    return out.getvalue()


class Blobs:
    """Contents by their digest, and the descriptors that name them."""

    def __init__(self):
        self.data = {}

    def add(self, media_type, data):
        digest = hashlib.sha256(data).hexdigest()
        self.data[digest] = data
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(data)}

    def add_json(self, media_type, document):
        return self.add(media_type, as_json(document))


def as_json(document):
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def image(blobs, version, architecture, binary):
    layer = packed([(NAME, 0o755, binary)])
    created = datetime.datetime.fromtimestamp(EPOCH, datetime.timezone.utc)
    labels = {
        "org.opencontainers.image.title": NAME,
        "org.opencontainers.image.version": version,
        "org.opencontainers.image.licenses": "Apache-2.0",
    }
    config = {
        "architecture": architecture,
        "os": "linux",
        "created": created.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "config": {"Entrypoint": [f"/{NAME}"], "Labels": labels},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": blobs.add_json(CONFIG, config),
        "layers": [blobs.add(LAYER, gzip.compress(layer, mtime=0))],
        "annotations": labels,
    }
    platform = {"architecture": architecture, "os": "linux"}
    return {**blobs.add_json(MANIFEST, manifest), "platform": platform}


def main(out, version, *binaries):
    blobs = Blobs()
    images = []
    for argument in binaries:
        architecture, path = argument.split("=", 1)
        with open(path, "rb") as file:
            images.append(image(blobs, version, architecture, file.read()))
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": images}
    described = blobs.add_json(INDEX, index)
    described["annotations"] = {
        "org.opencontainers.image.ref.name": version,
        # What containerd calls it after an import, as config/setup-daemonset.yaml has it.
        "io.containerd.image.name": f"localhost/{NAME}:{version}",
    }
    top = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [described]}
    files = [("oci-layout", 0o644, as_json({"imageLayoutVersion": "1.0.0"}))]
    files.append(("index.json", 0o644, as_json(top)))
    files += [("blobs", 0o755, None), ("blobs/sha256", 0o755, None)]
    files += [(f"blobs/sha256/{digest}", 0o644, data) for digest, data in sorted(blobs.data.items())]
    with open(out, "wb") as file:
        file.write(packed(files))


main(*sys.argv[1:])
