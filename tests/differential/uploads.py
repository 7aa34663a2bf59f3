# SPDX-License-Identifier: Apache-2.0
"""Upload sessions: every way to bring a blob, and every way to get it wrong."""

from support.images import random_bytes, sha256

from .script import ABSENT, BYTES

NAME = "uploads/app"
CONTENT = random_bytes(30_000, "differential")


def ways(script):
    """The ways that end well; the blob is looked at after each."""
    def look(id, content):
        script.read(f"upload.{id}.look", f"/v2/{NAME}/blobs/{sha256(content)}")

    script.begin("upload.put.post", NAME, "put")
    script.get("upload.put.status", "{put}")
    script.finish("upload.put.put", "put", sha256(b"put"), b"put")
    script.get("upload.put.status-after", "{put}")
    look("put", b"put")

    script.begin("upload.patch.post", NAME, "patch")
    script.patch("upload.patch.patch", "patch", CONTENT)
    script.get("upload.patch.status", "{patch}")
    script.finish("upload.patch.put", "patch", sha256(CONTENT))
    look("patch", CONTENT)

    script.begin("upload.pieces.post", NAME, "pieces")
    for number, offset in enumerate(range(0, 20_000, 5_000)):
        end = offset + 5_000
        script.patch(f"upload.pieces.patch{number}", "pieces", CONTENT[offset:end],
                     {"Content-Range": f"{offset}-{end - 1}"})
        script.get(f"upload.pieces.status{number}", "{pieces}")
    script.finish("upload.pieces.put", "pieces", sha256(CONTENT[:25_000]), CONTENT[20_000:25_000],
                  {"Content-Range": "20000-24999"})
    look("pieces", CONTENT[:25_000])

    script.begin("upload.streamed.post", NAME, "streamed")
    script.patch("upload.streamed.patch", "streamed", [CONTENT[:7_000], CONTENT[7_000:9_000]], chunked=True,
                 headers={"Transfer-Encoding": "chunked"})
    script.finish("upload.streamed.put", "streamed", sha256(CONTENT[:9_000]))
    look("streamed", CONTENT[:9_000])

    script.begin("upload.streamed-put.post", NAME, "streamed-put")
    script.add("upload.streamed-put.put", "PUT", "{streamed-put}?digest=" + sha256(CONTENT[:800]),
               dict(BYTES, **{"Transfer-Encoding": "chunked"}), [CONTENT[:500], CONTENT[500:800]], chunked=True)
    look("streamed-put", CONTENT[:800])

    script.begin("upload.empty.post", NAME, "empty")
    script.finish("upload.empty.put", "empty", sha256(b""))
    look("empty", b"")

    script.begin("upload.empty-patch.post", NAME, "empty-patch")
    script.patch("upload.empty-patch.patch", "empty-patch", b"")
    script.patch("upload.empty-patch.patch2", "empty-patch", b"later")
    script.finish("upload.empty-patch.put", "empty-patch", sha256(b"later"))
    look("empty-patch", b"later")

    script.begin("upload.one-byte.post", NAME, "one-byte")
    script.patch("upload.one-byte.patch", "one-byte", b"1")
    script.get("upload.one-byte.status", "{one-byte}")
    script.finish("upload.one-byte.put", "one-byte", sha256(b"1"))
    look("one-byte", b"1")

    script.begin("upload.again.post", NAME, "again")
    script.finish("upload.again.put", "again", sha256(CONTENT), CONTENT)
    look("again", CONTENT)

    script.begin("upload.no-type.post", NAME, "no-type")
    script.add("upload.no-type.patch", "PATCH", "{no-type}", {}, b"untyped", save="no-type")
    script.add("upload.no-type.put", "PUT", "{no-type}?digest=" + sha256(b"untyped"))
    look("no-type", b"untyped")

    digest = "sha512:" + __import__("hashlib").sha512(b"long digest").hexdigest()
    script.begin("upload.sha512.post", NAME, "sha512")
    script.finish("upload.sha512.put", "sha512", digest, b"long digest")
    script.read("upload.sha512.look", f"/v2/{NAME}/blobs/{digest}")

    script.add("upload.at-once.post", "POST", f"/v2/{NAME}/blobs/uploads/?digest={sha256(b'at once')}", BYTES,
               b"at once", save="at-once")


def refused(script):
    script.begin("upload.mismatch.post", NAME, "mismatch")
    script.finish("upload.mismatch.put", "mismatch", ABSENT, b"something else")
    script.get("upload.mismatch.status", "{mismatch}")
    script.head("upload.mismatch.look", f"/v2/{NAME}/blobs/{sha256(b'something else')}")

    script.begin("upload.no-digest.post", NAME, "no-digest")
    script.add("upload.no-digest.put", "PUT", "{no-digest}", BYTES, b"x")
    script.add("upload.no-digest.put-empty", "PUT", "{no-digest}?digest=", BYTES, b"x")
    script.finish("upload.no-digest.put-after", "no-digest", sha256(b"x"), b"x")

    for id, header in (("gap", "20-24"), ("overlap", "5-9"), ("backwards", "14-10"), ("length", "10-99"),
                       ("words", "a-b"), ("half", "10-"), ("unit", "bytes 10-14/15"), ("start", "0-4")):
        script.begin(f"upload.range.{id}.post", NAME, f"range-{id}")
        script.patch(f"upload.range.{id}.patch", f"range-{id}", b"0123456789", {"Content-Range": "0-9"})
        script.patch(f"upload.range.{id}.wrong", f"range-{id}", b"abcde", {"Content-Range": header})
    script.begin("upload.range.put.post", NAME, "range-put")
    script.patch("upload.range.put.patch", "range-put", b"0123456789", {"Content-Range": "0-9"})
    script.finish("upload.range.put.wrong", "range-put", sha256(b"0123456789abcde"), b"abcde",
                  {"Content-Range": "50-54"})

    script.begin("upload.cancel.post", NAME, "cancel")
    script.patch("upload.cancel.patch", "cancel", b"never mind")
    script.add("upload.cancel.delete", "DELETE", "{cancel}")
    script.get("upload.cancel.status", "{cancel}")
    script.add("upload.cancel.patch-after", "PATCH", "{cancel}", BYTES, b"more")
    script.finish("upload.cancel.put-after", "cancel", sha256(b"never mind"))
    script.add("upload.cancel.delete-again", "DELETE", "{cancel}")

    script.begin("upload.methods.post", NAME, "methods")
    for verb in ("HEAD", "POST", "OPTIONS"):
        script.add(f"upload.methods.{verb}", verb, "{methods}")

    for id, name in (("uuid", "3b2f5d3e-2b62-4d71-9a2e-9b8f7a0b8d11"), ("word", "none"), ("slash", "a/b")):
        path = f"/v2/{NAME}/blobs/uploads/{name}"
        script.get(f"upload.unknown.{id}.status", path)
        script.add(f"upload.unknown.{id}.patch", "PATCH", path, BYTES, b"x")
        script.add(f"upload.unknown.{id}.put", "PUT", f"{path}?digest={ABSENT}", BYTES, b"x")
        script.add(f"upload.unknown.{id}.delete", "DELETE", path)

    script.add("upload.post-body", "POST", f"/v2/{NAME}/blobs/uploads/", BYTES, b"a body without a digest")
    script.add("upload.at-once.wrong", "POST", f"/v2/{NAME}/blobs/uploads/?digest={ABSENT}", BYTES, b"wrong")
    script.add("upload.at-once.bad", "POST", f"/v2/{NAME}/blobs/uploads/?digest=none", BYTES, b"bad")


def mounts(script):
    digest = script.push_blob("mount.blob", "mounts/from", b"to be mounted")
    other = script.push_blob("mount.other", "mounts/to", b"already there")
    base = "/v2/mounts/to/blobs/uploads/"
    script.head("mount.before", f"/v2/mounts/to/blobs/{digest}")
    for id, query in (("unknown-from", f"mount={digest}&from=mounts/nobody"), ("absent", f"mount={ABSENT}&from=mounts/from"),
                      ("no-from", f"mount={digest}"), ("from-alone", "from=mounts/from"),
                      ("bad-digest", "mount=none&from=mounts/from"), ("bad-from", f"mount={digest}&from=Upper"),
                      ("empty-from", f"mount={digest}&from="), ("empty-mount", "mount=&from=mounts/from"),
                      ("is-there", f"mount={other}&from=mounts/from")):
        script.add(f"mount.{id}", "POST", f"{base}?{query}", save=f"mount-{id}")
    script.head("mount.still-not", f"/v2/mounts/to/blobs/{digest}")
    script.add("mount.good", "POST", f"{base}?mount={digest}&from=mounts/from")
    script.read("mount.after", f"/v2/mounts/to/blobs/{digest}")
    script.add("mount.again", "POST", f"{base}?mount={digest}&from=mounts/from")
    script.add("mount.itself", "POST", f"{base}?mount={digest}&from=mounts/to")
    script.add("mount.encoded", "POST", f"{base}?mount={digest.replace(':', '%3A')}&from=mounts%2Ffrom")
    script.finish("mount.fallback", "mount-unknown-from", sha256(b"sent after all"), b"sent after all")
    script.head("mount.fallback-look", f"/v2/mounts/to/blobs/{sha256(b'sent after all')}")
