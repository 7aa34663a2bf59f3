# SPDX-License-Identifier: Apache-2.0
"""Paths, names, tags and digests: what is one, and what is not."""

from support.images import ALL_MANIFESTS, OCI_MANIFEST

from .script import ABSENT, BYTES

NAMES = {
    "plain": "a", "digits": "0", "deep": "a/b/c/d/e/f/g", "dash": "a-b", "dashes": "a---b", "dot": "a.b",
    "dots": "a..b", "underscore": "a_b", "underscores": "a__b", "underscores3": "a___b", "mixed": "a._b",
    "upper": "Upper", "upper-second": "a/Upper", "dash-first": "-a", "dash-last": "a-", "dot-first": ".a",
    "dot-last": "a.", "underscore-first": "_a", "underscore-last": "a_", "empty-component": "a//b",
    "slash-last": "a/", "longest": "a" * 255, "too-long": "a" * 256, "utf8": "%C3%A4", "encoded-slash": "a%2fb",
    "encoded-letter": "%61", "space": "a%20b", "nul": "a%00b", "newline": "a%0ab", "bad-escape": "a%zz", "plus": "a+b",
    "colon": "host:5000/a", "at": "a@b", "parent": "a/../b", "here": "./a", "encoded-parent": "a/%2e%2e/b",
    "backslash": "a%5Cb", "called-blobs": "blobs", "called-manifests": "a/manifests", "called-tags": "a/tags",
    "called-uploads": "a/blobs/uploads", "called-v2": "v2", "called-catalog": "_catalog",
}
TAGS = {
    "letter": "a", "upper": "Latest", "digit": "0", "underscore": "_a", "dot": ".a", "dash": "-a",
    "all": "A.b-c_d.0", "dots": "a..b", "longest": "t" * 128, "too-long": "t" * 129, "plus": "1.0+2", "space": "a%20b",
    "utf8": "%C3%A4", "at": "a@b", "encoded-slash": "a%2fb", "encoded-letter": "%61", "tilde": "a~b", "bang": "a!",
}
DIGESTS = {
    "absent": ABSENT, "absent-sha512": "sha512:" + "0" * 128, "no-algorithm": "0" * 64, "algorithm-alone": "sha256:",
    "short": "sha256:" + "0" * 63, "long": "sha256:" + "0" * 65, "upper": "sha256:" + "A" * 64,
    "not-hex": "sha256:" + "g" * 64, "algorithm-upper": "SHA256:" + "0" * 64, "md5": "md5:" + "0" * 32,
    "sha384": "sha384:" + "0" * 96, "sha512-short": "sha512:" + "0" * 64, "two-colons": "sha256:" + "0" * 30 + ":0",
    "encoded-colon": "sha256%3A" + "0" * 64, "word": "latest", "space": "sha256:%20" + "0" * 63,
}


def base(script):
    for id, path in (("slash", "/v2/"), ("no-slash", "/v2"), ("query", "/v2/?x=y"), ("root", "/"), ("v1", "/v1/"),
                     ("v1-search", "/v1/search?q=a"), ("v3", "/v3/"), ("nothing", "/nothing"), ("v2x", "/v2x"),
                     ("upper", "/V2/"), ("unknown", "/v2/unknown"), ("two-slashes", "/v2//"), ("dots", "/v2/../v2/"),
                     ("ext", "/v2/_oci/ext/discover")):
        script.read(f"base.{id}", path)
    for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"):
        script.add(f"base.method.{method}", method, "/v2/")


def names(script):
    for id, name in NAMES.items():
        script.get(f"name.{id}.tags", f"/v2/{name}/tags/list")
        script.get(f"name.{id}.manifest", f"/v2/{name}/manifests/none", {"Accept": ALL_MANIFESTS})
        script.head(f"name.{id}.blob", f"/v2/{name}/blobs/{ABSENT}")
        script.add(f"name.{id}.upload", "POST", f"/v2/{name}/blobs/uploads/")


def tags(script):
    for id, tag in TAGS.items():
        path = f"/v2/tagged/app/manifests/{tag}"
        script.read(f"tag.{id}", path, {"Accept": ALL_MANIFESTS})
        script.add(f"tag.{id}.put", "PUT", path, {"Content-Type": OCI_MANIFEST}, b"{}")
        script.add(f"tag.{id}.delete", "DELETE", path)


def digests(script):
    for id, digest in DIGESTS.items():
        script.read(f"digest.{id}.blob", f"/v2/digests/app/blobs/{digest}")
        script.add(f"digest.{id}.blob.delete", "DELETE", f"/v2/digests/app/blobs/{digest}")
        if id != "word":
            script.read(f"digest.{id}.manifest", f"/v2/digests/app/manifests/{digest}", {"Accept": ALL_MANIFESTS})
            script.add(f"digest.{id}.manifest.delete", "DELETE", f"/v2/digests/app/manifests/{digest}")
        script.begin(f"digest.{id}.begin", "digests/app", f"digest-{id}")
        script.finish(f"digest.{id}.upload", f"digest-{id}", digest, b"content")


def methods(script):
    """Every address with every method it does not have."""
    addresses = {
        "catalog": ("/v2/_catalog", "POST PUT PATCH DELETE OPTIONS HEAD"),
        "tags": ("/v2/methods/app/tags/list", "POST PUT PATCH DELETE OPTIONS HEAD"),
        "manifest": ("/v2/methods/app/manifests/none", "POST PATCH OPTIONS"),
        "blob": (f"/v2/methods/app/blobs/{ABSENT}", "POST PUT PATCH OPTIONS"),
        "uploads": ("/v2/methods/app/blobs/uploads/", "GET HEAD PUT PATCH DELETE OPTIONS"),
        "uploads-no-slash": ("/v2/methods/app/blobs/uploads", "GET POST"),
        "referrers": (f"/v2/methods/app/referrers/{ABSENT}", "GET HEAD POST DELETE"),
        "tags-word": ("/v2/methods/app/tags/other", "GET"),
        "tags-slash": ("/v2/methods/app/tags/list/", "GET"),
        "manifests-alone": ("/v2/methods/app/manifests/", "GET PUT DELETE"),
        "blobs-alone": ("/v2/methods/app/blobs/", "GET"),
        "catalog-slash": ("/v2/_catalog/", "GET"),
    }
    for id, (path, verbs) in addresses.items():
        for verb in verbs.split():
            script.add(f"method.{id}.{verb}", verb, path, BYTES if verb in ("PUT", "PATCH") else None)
