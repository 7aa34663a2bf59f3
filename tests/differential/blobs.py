# SPDX-License-Identifier: Apache-2.0
"""Reading and deleting blobs: ranges, conditions, who sees what."""

from support.images import random_bytes, sha256

from .script import ABSENT

CONTENT = random_bytes(1000, "blob")
RANGES = {
    "first": "bytes=0-0", "some": "bytes=10-19", "all": "bytes=0-999", "open": "bytes=990-", "last": "bytes=-10",
    "over": "bytes=990-5000", "suffix-over": "bytes=-5000", "beyond": "bytes=1000-", "far-beyond": "bytes=5000-6000",
    "suffix-none": "bytes=-0", "backwards": "bytes=9-5", "words": "bytes=a-b", "unit": "lines=0-1", "empty": "bytes=",
    "spaces": "bytes= 10 - 19 ", "huge": "bytes=0-99999999999999999999", "no-unit": "0-9", "several": "bytes=0-9,20-29",
    "several-one-out": "bytes=0-9,5000-6000", "several-all-out": "bytes=5000-6000,7000-",
}


def reads(script):
    digest = script.push_blob("blob.push", "blobs/app", CONTENT)
    path = f"/v2/blobs/app/blobs/{digest}"
    script.read("blob.there", path)
    script.read("blob.absent", f"/v2/blobs/app/blobs/{ABSENT}")
    script.read("blob.elsewhere", f"/v2/blobs/other/blobs/{digest}")
    script.read("blob.query", f"{path}?x=y")
    for id, header in RANGES.items():
        script.get(f"blob.range.{id}", path, {"Range": header})
    script.head("blob.range.head", path, {"Range": "bytes=0-9"})
    for id, header in (("quoted", f'"{digest}"'), ("bare", digest), ("weak", f'W/"{digest}"'), ("star", "*"),
                       ("other", f'"{ABSENT}"'), ("list", f'"{ABSENT}", "{digest}"')):
        script.read(f"blob.if-none-match.{id}", path, {"If-None-Match": header})
    script.get("blob.if-range.same", path, {"If-Range": f'"{digest}"', "Range": "bytes=0-9"})
    script.get("blob.if-range.other", path, {"If-Range": f'"{ABSENT}"', "Range": "bytes=0-9"})
    script.get("blob.if-match.same", path, {"If-Match": f'"{digest}"'})
    script.get("blob.if-match.other", path, {"If-Match": f'"{ABSENT}"'})
    script.get("blob.if-modified-since", path, {"If-Modified-Since": "Tue, 01 Jan 2069 00:00:00 GMT"})
    script.get("blob.accept", path, {"Accept": "text/html"})
    script.get("blob.accept-encoding", path, {"Accept-Encoding": "gzip"})
    script.get("blob.encoded-colon", path.replace("sha256:", "sha256%3A"))


def deletes(script):
    digest = script.push_blob("blob.delete.push", "deletes/app", b"to be deleted")
    script.push_blob("blob.delete.push-other", "deletes/other", b"to be deleted")
    path = f"/v2/deletes/app/blobs/{digest}"
    script.add("blob.delete.absent", "DELETE", f"/v2/deletes/app/blobs/{ABSENT}")
    script.add("blob.delete.elsewhere", "DELETE", f"/v2/deletes/nobody/blobs/{digest}")
    script.add("blob.delete.there", "DELETE", path)
    script.read("blob.delete.after", path)
    script.add("blob.delete.again", "DELETE", path)
    script.read("blob.delete.other-repository", f"/v2/deletes/other/blobs/{digest}")
    script.push_blob("blob.delete.push-again", "deletes/app", b"to be deleted")
    script.read("blob.delete.back", path)
    script.add("blob.delete.sha", "DELETE", f"/v2/deletes/app/blobs/{sha256(b'never pushed')}")
