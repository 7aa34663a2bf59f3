# SPDX-License-Identifier: Apache-2.0
"""Images in memory: layers, configurations, manifests and indexes, right to the last digest."""

import gzip
import hashlib
import io
import json
import random
import tarfile
from dataclasses import dataclass, field

DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
OCI_EMPTY = "application/vnd.oci.empty.v1+json"
ALL_MANIFESTS = ", ".join((DOCKER_MANIFEST, DOCKER_LIST, OCI_MANIFEST, OCI_INDEX))

BUSYBOX = "/bin/busybox"


def sha256(content):
    return "sha256:" + hashlib.sha256(content).hexdigest()


def random_bytes(size, seed):
    """The same bytes for the same seed: a failure can be repeated."""
    return random.Random(repr(seed)).randbytes(size)


def to_json(document):
    return json.dumps(document, separators=(",", ":")).encode()


@dataclass
class Manifest:
    media_type: str
    content: bytes

    @property
    def digest(self):
        return sha256(self.content)

    @property
    def document(self):
        return json.loads(self.content)


@dataclass
class Image:
    """What one tag names: the manifest (or index) on top, all manifests, and all blobs by digest."""
    top: Manifest
    manifests: list = field(default_factory=list)
    blobs: dict = field(default_factory=dict)
    layers: list = field(default_factory=list)  # digests, of the first platform

    @property
    def digest(self):
        return self.top.digest


def tar_layer(files, links=None):
    """A gzipped tar with {path: bytes} and {path: target of a symbolic link}."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for path, content in files.items():
            info = tarfile.TarInfo(path)
            info.size = len(content)
            info.mode = 0o755
            tar.addfile(info, io.BytesIO(content))
        for path, target in (links or {}).items():
            info = tarfile.TarInfo(path)
            info.type = tarfile.SYMTYPE
            info.linkname = target
            tar.addfile(info)
    return gzip.compress(out.getvalue(), compresslevel=1, mtime=0)


def busybox_layer(extra=None):
    """A root file system that runs: busybox-static and some of its names."""
    with open(BUSYBOX, "rb") as source:
        files = {"bin/busybox": source.read()}
    files.update(extra or {})
    links = {f"bin/{name}": "/bin/busybox" for name in ("sh", "echo", "cat", "ls", "true", "sha256sum")}
    return tar_layer(files, links)


def _diff_id(layer):
    if layer[:2] == b"\x1f\x8b":
        return sha256(gzip.decompress(layer))
    return sha256(layer)


def _config(layers, command, architecture, label):
    return to_json({
        "architecture": architecture, "os": "linux", "created": "2024-01-01T00:00:00Z",
        "config": {"Cmd": command, "Env": ["PATH=/bin"], "Labels": {"label": label}},
        "rootfs": {"type": "layers", "diff_ids": [_diff_id(layer) for layer in layers]},
        "history": [{"created": "2024-01-01T00:00:00Z", "created_by": "test"} for _ in layers],
    })


def _descriptor(media_type, content):
    return {"mediaType": media_type, "size": len(content), "digest": sha256(content)}


def make_manifest(layers, oci=False, command=("/bin/echo", "hello"), architecture="amd64", label=""):
    """One platform's image. `layers` are blobs as they travel."""
    config = _config(layers, list(command), architecture, label)
    layer_type = OCI_LAYER if oci else DOCKER_LAYER
    media_type = OCI_MANIFEST if oci else DOCKER_MANIFEST
    content = to_json({
        "schemaVersion": 2, "mediaType": media_type,
        "config": _descriptor(OCI_CONFIG if oci else DOCKER_CONFIG, config),
        "layers": [_descriptor(layer_type, layer) for layer in layers],
    })
    manifest = Manifest(media_type, content)
    blobs = {sha256(blob): blob for blob in list(layers) + [config]}
    return Image(manifest, [manifest], blobs, [sha256(layer) for layer in layers])


def make_image(layers, platforms=None, oci=False, command=("/bin/echo", "hello"), label=""):
    """An image of these layers; with `platforms` (architectures) an index, whose first platform has them and
    whose others have a small layer of their own."""
    first = make_manifest(layers, oci, command, (platforms or ["amd64"])[0], label)
    if not platforms:
        return first
    images = [first]
    for architecture in platforms[1:]:
        layer = tar_layer({"platform": architecture.encode()})
        images.append(make_manifest([layer], oci, command, architecture, label))
    entries = []
    for image, architecture in zip(images, platforms):
        entry = _descriptor(image.top.media_type, image.top.content)
        entry["platform"] = {"architecture": architecture, "os": "linux"}
        entries.append(entry)
    media_type = OCI_INDEX if oci else DOCKER_LIST
    top = Manifest(media_type, to_json({"schemaVersion": 2, "mediaType": media_type, "manifests": entries}))
    result = Image(top, [image.top for image in images] + [top], {}, first.layers)
    for image in images:
        result.blobs.update(image.blobs)
    return result


def make_artifact(subject, artifact_type, content, annotations=None):
    """An OCI artifact that refers to `subject` (a Manifest)."""
    empty = b"{}"
    document = {
        "schemaVersion": 2, "mediaType": OCI_MANIFEST, "artifactType": artifact_type,
        "config": _descriptor(OCI_EMPTY, empty),
        "layers": [_descriptor("application/octet-stream", content)],
        "subject": _descriptor(subject.media_type, subject.content),
    }
    if annotations:
        document["annotations"] = annotations
    manifest = Manifest(OCI_MANIFEST, to_json(document))
    return Image(manifest, [manifest], {sha256(empty): empty, sha256(content): content}, [sha256(content)])


def hello_image(text="hello from the hub", platforms=None, oci=False):
    """An image that really runs and says `text`."""
    layer = busybox_layer({"message": text.encode()})
    return make_image([layer], platforms, oci, ("/bin/cat", "/message"), text)
