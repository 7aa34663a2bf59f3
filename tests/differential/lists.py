# SPDX-License-Identifier: Apache-2.0
"""Tags and catalog, in pages."""

from support import images

QUERIES = {
    "all": "", "n1": "?n=1", "n2": "?n=2", "exact": "?n=5", "more": "?n=100", "huge": "?n=99999999999999999999",
    "last": "?last=b", "last-between": "?last=bb", "last-end": "?last=zzz", "n-last": "?n=2&last=b",
    "n-last-end": "?n=2&last=d", "last-n": "?last=a&n=1", "zero": "?n=0", "negative": "?n=-1", "word": "?n=x",
    "empty": "?n=", "float": "?n=1.5", "plus": "?n=%2B1", "twice": "?n=1&n=2", "other": "?x=y", "last-empty": "?last=",
    "bad-escape": "?n=%zz", "last-odd": "?last=%2F..%2F",
}


def tags(script):
    image = images.make_image([b"listed"], oci=True)
    script.push_image("list.push", "listed/app", "a", image)
    for tag in ("b", "c", "d", "B"):
        script.push_manifest(f"list.push-{tag}", "listed/app", tag, image.top)
    for id, query in QUERIES.items():
        script.get(f"tags.{id}", f"/v2/listed/app/tags/list{query}")
    script.head("tags.head", "/v2/listed/app/tags/list")
    script.get("tags.unknown", "/v2/listed/nobody/tags/list")
    script.push_blob("list.blob-alone", "listed/blob-alone", b"listed blob")
    script.get("tags.blob-alone", "/v2/listed/blob-alone/tags/list")
    script.push_manifest("list.untagged", "listed/app", image.digest, image.top)
    script.begin("list.begun", "listed/begun", "list-begun")
    script.get("tags.begun", "/v2/listed/begun/tags/list")


def catalog_first(script):
    """While there is nothing, and then five repositories with an image each."""
    script.read("catalog.none", "/v2/_catalog")
    image = images.make_image([b"catalogued"], oci=True)
    for name in ("a", "b", "b/inner", "c", "d"):
        script.push_image(f"catalog.push-{name}", name, "1", image)
    for id, query in QUERIES.items():
        script.get(f"catalog.{id}", f"/v2/_catalog{query}")
    script.get("catalog.last-slash", "/v2/_catalog?last=b%2Finner")


def catalog_last(script):
    """After all else: what counts as a repository."""
    script.get("catalog.end", "/v2/_catalog?n=1000")
