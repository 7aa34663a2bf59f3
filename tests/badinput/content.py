# SPDX-License-Identifier: Apache-2.0
"""What the rows speak of: blobs and manifests that are here, sessions, and bodies too large to write down."""

import hashlib
import re

from support import client
from support.images import OCI_INDEX, OCI_LAYER, OCI_MANIFEST, sha256, to_json

REPOSITORY = "seed/app"
BLOB = b"hello world"
MANIFEST_MAX = 4 * 1024 * 1024
FOREIGN = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"
HOST = "\r\nHost: registry.test\r\n"


def _descriptor(media_type, content):
    return to_json({"mediaType": media_type, "size": len(content), "digest": sha256(content)}).decode()


def _unknown_layers(count):
    return ",".join(to_json({"mediaType": OCI_LAYER, "size": 1, "digest": sha256(b"unknown %d" % number)}).decode()
                    for number in range(count))


def _ranges(count):
    """Of one byte each; they do not touch."""
    return ",".join(f"{2 * number}-{2 * number}" for number in range(count))


def variables():
    """What does not depend on a server."""
    config, layer = _descriptor("application/vnd.oci.image.config.v1+json", BLOB), _descriptor(OCI_LAYER, BLOB)
    head = f'"schemaVersion":2,"mediaType":"{OCI_MANIFEST}"'
    image = f'{{{head},"config":{config},"layers":[{layer}]}}'
    hello512 = "sha512:" + hashlib.sha512(b"hello").hexdigest()
    padded = f'{{{head},"config":{config},"layers":[{layer}],"annotations":{{"a":""}}}}'
    return {
        "host": HOST, "end": HOST + "\r\n", "chunked": HOST + "Transfer-Encoding: chunked\r\n\r\n",
        "blob": sha256(BLOB), "empty": sha256(b""), "hello": sha256(b"hello"), "hello512": hello512,
        "blobescaped": sha256(BLOB).replace(":", "%3A"), "helloescaped": sha256(b"hello").replace(":", "%3a"),
        "manifest": sha256(image.encode()), "imagedigest": sha256(image.encode()), "image": image,
        "oci": OCI_MANIFEST, "ociindex": OCI_INDEX, "tar": OCI_LAYER, "foreign": FOREIGN,
        "c": config, "l": layer, "d": layer[:-1], "head": head,
        "pad4m": "x" * (MANIFEST_MAX - len(padded)), "objects": "{}," * 1398100, "objects10k": "{}," * 10000,
        "nested": '{"a":{},' * 500000, "braces33": "}" * 33,
        "manykeys": ",".join(f'"{number:x}":0' for number in range(400000)), "unknownlayers": _unknown_layers(5000),
        "ranges1024": _ranges(1024), "ranges1025": _ranges(1025),
        "unknownid": "00000000-0000-4000-8000-000000000000-01000000",
    }


def publish(port):
    """Push what rows expect to be here; the variables of all rows."""
    values = variables()
    api = client.Client(port)
    for content in (BLOB, b""):
        api.push_blob_at_once(REPOSITORY, content)
    api.push_blob_at_once("seed/other", b"other")
    for tag in ("v1", "v2", "v3"):
        answer = api.request("PUT", f"/v2/{REPOSITORY}/manifests/{tag}", headers={"Content-Type": OCI_MANIFEST},
                             body=values["image"].encode())
        client.check_status(answer, 201)
    location = api.begin_upload("seed/other").partition("?")[0]
    values["unknownid"] = re.sub(r"^[0-9a-f]{8}", "00000000", location.rpartition("/")[2])
    return values


def begin_upload(port, repository):
    location = client.Client(port).begin_upload(repository).partition("?")[0]
    identity = location.rpartition("/")[2]
    return {"session": location, "sessionid": identity, "SESSIONID": identity.upper()}
