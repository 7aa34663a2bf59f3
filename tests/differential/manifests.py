# SPDX-License-Identifier: Apache-2.0
"""Manifests of every type: push, pull, HEAD, delete, and what is no manifest."""

from support import images
from support.images import ALL_MANIFESTS, Manifest, sha256, to_json

from .script import ABSENT

NAME = "manifests/app"
SCHEMA1 = "application/vnd.docker.distribution.manifest.v1+json"
ACCEPTS = {
    "all": ALL_MANIFESTS, "none": None, "star": "*/*", "docker": images.DOCKER_MANIFEST, "list": images.DOCKER_LIST,
    "oci": images.OCI_MANIFEST, "index": images.OCI_INDEX, "json": "application/json", "schema1": SCHEMA1,
}


def pictures():
    """One image of each type."""
    layer = images.random_bytes(2_000, "layer")
    return {
        "docker": images.make_image([layer]),
        "oci": images.make_image([layer, b"second"], oci=True),
        "list": images.make_image([layer], platforms=["amd64", "arm64"]),
        "index": images.make_image([layer], platforms=["amd64", "arm64"], oci=True),
    }


def types(script):
    for id, image in pictures().items():
        script.push_image(f"manifest.{id}.push", NAME, id, image)
        script.push_manifest(f"manifest.{id}.again", NAME, id, image.top)
        script.push_manifest(f"manifest.{id}.second-tag", NAME, f"{id}-2", image.top)
        script.push_manifest(f"manifest.{id}.by-digest", NAME, image.digest, image.top)
        script.read(f"manifest.{id}.digest", f"/v2/{NAME}/manifests/{image.digest}", {"Accept": ALL_MANIFESTS})
        for accept, types in ACCEPTS.items():
            headers = {"Accept": types} if types else {}
            script.read(f"manifest.{id}.accept-{accept}", f"/v2/{NAME}/manifests/{id}", headers)
        script.get(f"manifest.{id}.elsewhere", f"/v2/manifests/nobody/manifests/{image.digest}",
                   {"Accept": ALL_MANIFESTS})
        for condition, header in (("quoted", f'"{image.digest}"'), ("bare", image.digest), ("other", f'"{ABSENT}"')):
            script.read(f"manifest.{id}.if-none-match-{condition}", f"/v2/{NAME}/manifests/{id}",
                        {"Accept": ALL_MANIFESTS, "If-None-Match": header})
    script.get("manifest.range", f"/v2/{NAME}/manifests/oci", {"Accept": ALL_MANIFESTS, "Range": "bytes=0-9"})
    script.get("manifest.as-blob", f"/v2/{NAME}/blobs/{pictures()['oci'].digest}")
    script.get("manifest.blob-as-manifest", f"/v2/{NAME}/manifests/{sha256(b'second')}", {"Accept": ALL_MANIFESTS})
    script.get("manifest.query", f"/v2/{NAME}/manifests/oci?x=y", {"Accept": ALL_MANIFESTS})


def artifacts(script):
    subject = images.make_image([b"subject"], oci=True)
    script.push_image("artifact.subject", "artifacts/app", "1", subject)
    artifact = images.make_artifact(subject.top, "application/x.signature", b"signed")
    script.push_image("artifact.push", "artifacts/app", artifact.digest, artifact)
    script.read("artifact.pull", f"/v2/artifacts/app/manifests/{artifact.digest}", {"Accept": ALL_MANIFESTS})
    script.get("artifact.referrers", f"/v2/artifacts/app/referrers/{subject.digest}")
    script.get("artifact.referrers.none", f"/v2/artifacts/app/referrers/{ABSENT}")
    script.get("artifact.referrers.bad", "/v2/artifacts/app/referrers/none")


def _variants(good):
    """Documents that are close to `good`, an OCI image manifest whose blobs are there."""
    document = good.document

    def changed(**fields):
        merged = {key: value for key, value in dict(document, **fields).items() if value is not None}
        return to_json(merged)

    layer = document["layers"][0]
    absent = dict(layer, digest=ABSENT)
    foreign = dict(layer, digest=ABSENT, urls=["https://example.org/layer"],
                   mediaType="application/vnd.oci.image.layer.nondistributable.v1.tar+gzip")
    return {
        "empty": b"", "brace": b"{", "null": b"null", "list": b"[]", "text": b'"x"', "object": b"{}", "html": b"<html>",
        "deep": b"[" * 2000 + b"]" * 2000, "trailing": good.content + b"x", "two": good.content * 2,
        "spaces": good.content + b"\n\n", "no-version": changed(schemaVersion=None),
        "version1": changed(schemaVersion=1), "version-text": changed(schemaVersion="2"),
        "no-media-type": changed(mediaType=None), "other-media-type": changed(mediaType=images.DOCKER_MANIFEST),
        "unknown-media-type": changed(mediaType="application/x.unknown"), "no-config": changed(config=None),
        "no-layers": changed(layers=None), "empty-layers": changed(layers=[]), "layers-text": changed(layers="x"),
        "absent-layer": changed(layers=[layer, absent]), "absent-config": changed(config=dict(document["config"], digest=ABSENT)),
        "foreign-layer": changed(layers=[layer, foreign]), "bad-layer-digest": changed(layers=[dict(layer, digest="sha256:x")]),
        "no-layer-digest": changed(layers=[{"mediaType": layer["mediaType"], "size": 1}]),
        "negative-size": changed(layers=[dict(layer, size=-1)]), "wrong-size": changed(layers=[dict(layer, size=12345)]),
        "same-layer-twice": changed(layers=[layer, layer]), "annotations": changed(annotations={"a": "b"}),
        "annotations-number": changed(annotations={"a": 1}), "unknown-field": changed(surprise={"x": [1, 2]}),
        "absent-subject": changed(subject={"mediaType": images.OCI_MANIFEST, "digest": ABSENT, "size": 2}),
        "children-too": changed(manifests=[]), "utf8": changed(annotations={"a": "\u00e4"}),
    }


def documents(script):
    image = images.make_image([b"layer of the variants"], oci=True)
    script.push_image("document.push", "documents/app", "good", image)
    for id, content in _variants(image.top).items():
        path = f"/v2/documents/app/manifests/{id}"
        script.add(f"document.{id}.put", "PUT", path, {"Content-Type": images.OCI_MANIFEST}, content)
        script.get(f"document.{id}.get", path, {"Accept": ALL_MANIFESTS})
    script.push_manifest("document.wrong-digest", "documents/app", ABSENT, image.top)
    script.push_manifest("document.bad-digest", "documents/app", "sha256:x", image.top)
    for id, kind in (("none", None), ("json", "application/json"), ("schema1", SCHEMA1), ("unknown", "application/x.y"),
                     ("docker", images.DOCKER_MANIFEST), ("index", images.OCI_INDEX), ("list", images.DOCKER_LIST),
                     ("parameters", images.OCI_MANIFEST + "; charset=utf-8"), ("upper", images.OCI_MANIFEST.upper()),
                     ("broken", "application/;;")):
        headers = {"Content-Type": kind} if kind else {}
        script.add(f"document.type-{id}.put", "PUT", f"/v2/documents/app/manifests/type-{id}", headers, image.top.content)
    script.push_manifest("document.other-repository", "documents/other", "1", image.top)
    _indexes(script, image)


def _indexes(script, image):
    entry = {"mediaType": image.top.media_type, "digest": image.digest, "size": len(image.top.content)}

    def push(id, media_type, **fields):
        document = dict({"schemaVersion": 2, "mediaType": media_type}, **fields)
        script.push_manifest(f"document.index-{id}.put", "documents/app", f"index-{id}",
                             Manifest(media_type, to_json(document)))

    for kind, media_type in (("oci", images.OCI_INDEX), ("docker", images.DOCKER_LIST)):
        push(f"{kind}-good", media_type, manifests=[entry])
        push(f"{kind}-empty", media_type, manifests=[])
        push(f"{kind}-none", media_type)
        push(f"{kind}-absent", media_type, manifests=[entry, dict(entry, digest=ABSENT)])
        push(f"{kind}-blob-as-child", media_type, manifests=[dict(entry, digest=image.layers[0])])
        push(f"{kind}-layers-too", media_type, manifests=[entry], layers=[])


def deletes(script):
    image = images.make_image([b"deleted manifest"], oci=True)
    other = images.make_image([b"other manifest"], oci=True)
    base = "/v2/removed/app/manifests"
    script.push_image("remove.push", "removed/app", "1", image)
    script.push_manifest("remove.push-2", "removed/app", "2", image.top)
    script.push_image("remove.push-other", "removed/app", "3", other)
    script.add("remove.absent", "DELETE", f"{base}/{ABSENT}")
    script.add("remove.absent-tag", "DELETE", f"{base}/none")
    script.add("remove.elsewhere", "DELETE", f"/v2/removed/nobody/manifests/{image.digest}")
    script.add("remove.digest", "DELETE", f"{base}/{image.digest}")
    script.add("remove.digest-again", "DELETE", f"{base}/{image.digest}")
    for reference in ("1", "2", image.digest, "3"):
        script.read(f"remove.look-{reference[:7]}", f"{base}/{reference}", {"Accept": ALL_MANIFESTS})
    script.get("remove.tags", "/v2/removed/app/tags/list")
    script.push_manifest("remove.push-again", "removed/app", "1", image.top)
    script.read("remove.back", f"{base}/1", {"Accept": ALL_MANIFESTS})
    script.add("remove.tag", "DELETE", f"{base}/3")
    script.get("remove.tag-look", f"{base}/3", {"Accept": ALL_MANIFESTS})
    script.get("remove.tag-digest-look", f"{base}/{other.digest}", {"Accept": ALL_MANIFESTS})
    script.add("remove.blob-in-use", "DELETE", f"/v2/removed/app/blobs/{image.layers[0]}")
    script.head("remove.blob-in-use-look", f"/v2/removed/app/blobs/{image.layers[0]}")


def moves(script):
    """A tag that moves, and a repository whose last image goes."""
    first = images.make_image([b"first"], oci=True)
    second = images.make_image([b"second of moves"], oci=True)
    base = "/v2/moved/app/manifests"
    script.push_image("move.push", "moved/app", "latest", first)
    script.push_image("move.push-over", "moved/app", "latest", second)
    script.read("move.tag", f"{base}/latest", {"Accept": ALL_MANIFESTS})
    script.get("move.old", f"{base}/{first.digest}", {"Accept": ALL_MANIFESTS})
    script.get("move.tags", "/v2/moved/app/tags/list")
    script.add("move.delete-old", "DELETE", f"{base}/{first.digest}")
    script.get("move.tag-stays", f"{base}/latest", {"Accept": ALL_MANIFESTS})
    script.push_manifest("move.back", "moved/app", "latest", first.top)
    script.get("move.tag-is-back", f"{base}/latest", {"Accept": ALL_MANIFESTS})
    for id, image in (("first", first), ("second", second)):
        script.add(f"move.delete-{id}", "DELETE", f"{base}/{image.digest}")
    script.get("move.tags-none", "/v2/moved/app/tags/list")
    script.get("move.blob-stays", f"/v2/moved/app/blobs/{first.layers[0]}")
    script.add("move.delete-blob", "DELETE", f"/v2/moved/app/blobs/{first.layers[0]}")
    script.push_manifest("move.blob-is-gone", "moved/app", "latest", first.top)
    index = images.make_image([b"child of moves"], platforms=["amd64", "arm64"], oci=True)
    script.push_image("move.index", "moved/index", "1", index)
    script.add("move.delete-child", "DELETE", f"/v2/moved/index/manifests/{index.manifests[0].digest}")
    script.get("move.child-look", f"/v2/moved/index/manifests/{index.manifests[0].digest}", {"Accept": ALL_MANIFESTS})
    script.get("move.index-look", "/v2/moved/index/manifests/1", {"Accept": ALL_MANIFESTS})
    script.push_manifest("move.untagged", "moved/untagged", index.digest, index.top)
    script.get("move.untagged-tags", "/v2/moved/untagged/tags/list")
