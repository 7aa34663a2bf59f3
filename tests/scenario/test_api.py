# SPDX-License-Identifier: Apache-2.0
"""The registry API over raw HTTP: push, pull, lists, deletes, and what is refused."""

import json
import os
import time
import unittest

from support import images
from support.case import Scenario
from support.client import Many, Raw, check_ok, check_status, path_of
from support.images import sha256
from support.waiting import wait_until

ABSENT = "sha256:" + "0" * 64


class ApiScenario(Scenario):
    """One server without upstreams for all tests of a class; names differ."""

    def setUp(self):
        self.registry = self.server(workers=3)
        self.api = self.client(self.registry)


class TextTest(ApiScenario):
    """The message of an error says what, where and what to do."""

    ROWS = (
        ("GET", "/v2/team/here/manifests/absent", 404, "MANIFEST_UNKNOWN", "team/here has no tag absent"),
        ("GET", f"/v2/team/here/manifests/{ABSENT}", 404, "MANIFEST_UNKNOWN", "team/here has no manifest of this digest"),
        ("GET", f"/v2/team/here/blobs/{ABSENT}", 404, "BLOB_UNKNOWN", "team/here has no blob of this digest"),
        ("DELETE", "/v2/team/here/manifests/absent", 404, "MANIFEST_UNKNOWN", "this repository has no such tag"),
        ("GET", "/v2/team/here/manifests/-x", 404, "MANIFEST_UNKNOWN", "tags have letters, digits, '_', '.' and '-'"),
        ("GET", "/v2/team/none/tags/list", 404, "NAME_UNKNOWN", "no image was pushed to this name"),
        ("GET", "/v2/_catalog?ns=quay.io", 404, "NAME_UNKNOWN", "add it under `upstreams:`"),
        ("GET", "/v2/quay.io/x/manifests/1", 404, "NAME_UNKNOWN", "add one under `upstreams:`"),
        ("PROPFIND", "/v2/", 501, "UNSUPPORTED", "there are GET, HEAD, POST, PATCH, PUT, DELETE and OPTIONS"),
        ("POST", "/v2/", 405, "UNSUPPORTED", "this address has GET, HEAD, OPTIONS only"),
        ("GET", "/healthz", 404, "UNSUPPORTED", "/healthz is at the admin address"),
    )

    def test_texts(self):
        self.api.push("team/here", "1", images.hello_image())
        for method, target, status, code, text in self.ROWS:
            with self.subTest(target=target):
                answer = self.api.request(method, target)
                self.assertEqual(answer.status, status)
                error, = json.loads(answer.body)["errors"]
                self.assertEqual(error["code"], code)
                self.assertIn(text, error["message"])

    def test_an_empty_ns_is_no_wish(self):
        self.api.push("team/plain", "1", images.hello_image())
        self.assertEqual(self.api.request("GET", "/v2/team/plain/manifests/1?ns=").status, 200)

    def test_an_index_of_nothing_may_say_null(self):
        body = b'{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":null}'
        headers = {"Content-Type": "application/vnd.oci.image.index.v1+json"}
        self.assertEqual(self.api.request("PUT", "/v2/team/null/manifests/1", body=body, headers=headers).status, 201)
        self.assertEqual(self.api.request("GET", "/v2/team/null/manifests/1").body, body)


class PushAndPullTest(ApiScenario):
    def test_image_comes_back_byte_by_byte(self):
        image = images.make_image([images.random_bytes(70_000, 1), b"small"], platforms=["amd64", "arm64"], oci=True)
        self.api.push("team/app", "1.0", image)
        for reference in ("1.0", image.digest):
            answer = check_ok(self.api.manifest("team/app", reference), image.digest)
            self.assertEqual(answer.headers["content-type"], image.top.media_type)
            self.assertEqual(answer.headers["docker-content-digest"], image.digest)
        for digest in image.blobs:
            check_ok(self.api.blob("team/app", digest), digest)
        self.assertEqual(len(self.api.pull("team/app", "1.0")), 5)

    def test_head_says_what_get_would(self):
        image = images.make_image([b"layer"])
        self.api.push("team/app", "1", image)
        head = self.api.manifest("team/app", "1", "HEAD")
        self.assertEqual((head.status, head.length), (200, 0))
        self.assertEqual(head.headers["content-length"], str(len(image.top.content)))
        self.assertEqual(head.headers["docker-content-digest"], image.digest)
        head = self.api.blob("team/app", image.layers[0], "HEAD")
        self.assertEqual((head.status, head.headers["content-length"]), (200, "5"))
        self.assertEqual(self.api.blob("team/app", ABSENT, "HEAD").status, 404)
        self.assertEqual(self.api.manifest("team/app", "none", "HEAD").status, 404)

    def file_of(self, digest):
        algorithm, _, name = digest.partition(":")
        return f"{self.registry.data}/blobs/{algorithm}/{name[:2]}/{name}"

    def test_what_lost_its_file_is_not_here_until_it_is_pushed_again(self):
        image = images.make_image([b"layer"], oci=True)
        large = images.make_artifact(image.top, "application/x.text", b"text", {"pad": "x" * 100_000})
        for content in {**image.blobs, **large.blobs}.values():
            self.api.push_blob_at_once("team/app", content)
        for loss in (os.unlink, lambda path: os.truncate(path, 10)):
            check_status(self.api.push_manifest("team/app", "1", large.top), 201)
            check_ok(self.api.manifest("team/app", "1"), large.digest)
            loss(self.file_of(large.digest))
            for method in ("GET", "HEAD"):
                for reference in ("1", large.digest):
                    self.assertEqual(self.api.manifest("team/app", reference, method).status, 404)
        layer = image.layers[0]
        os.unlink(self.file_of(layer))
        answer = self.api.request("POST", f"/v2/team/other/blobs/uploads/?mount={layer}&from=team/app",
                                  headers={"Content-Length": "0"})
        check_status(answer, 202)
        check_status(self.api.finish_upload(path_of(answer.headers["location"]), layer, image.blobs[layer]), 201)
        check_ok(self.api.blob("team/app", layer), layer)

    def push_if(self, tag, image, **condition):
        headers = {name.replace("_", "-"): value for name, value in condition.items()}
        return self.api.request("PUT", f"/v2/team/app/manifests/{tag}", body=image.top.content,
                                headers=dict(headers, **{"Content-Type": image.top.media_type})).status

    def test_conditions_of_pushes_and_deletes(self):
        one, two = (images.make_image([content]) for content in (b"one", b"two"))
        for image in (one, two):
            self.api.push("team/app", image.digest.replace(":", "-"), image)
        self.assertEqual(self.push_if("1", one, If_Match="*"), 412)
        self.assertEqual(self.push_if("1", one, If_None_Match="*"), 201)
        self.assertEqual(self.push_if("1", two, If_None_Match="*"), 412)
        self.assertEqual(self.push_if("1", two, If_Match=f'"{two.digest}"'), 412)
        self.assertEqual(self.push_if("1", two, If_Match=f'W/"{one.digest}"'), 412)
        check_ok(self.api.manifest("team/app", "1"), one.digest)
        self.assertEqual(self.push_if("1", two, If_Match=f'"x", "{one.digest}"'), 201)
        path = "/v2/team/app/manifests/1"
        for method in ("GET", "HEAD", "DELETE"):
            answer = self.api.request(method, path, headers={"If-Match": f'"{one.digest}"'})
            self.assertEqual(answer.status, 412, method)
        blob = f"/v2/team/app/blobs/{two.layers[0]}"
        self.assertEqual(self.api.request("GET", blob, headers={"If-Match": '"other"'}).status, 412)
        check_status(self.api.request("GET", path, headers={"If-Match": f'"{two.digest}"'}), 200)
        check_status(self.api.request("DELETE", path, headers={"If-Match": f'"{two.digest}"'}), 202)
        self.assertEqual(self.api.manifest("team/app", "1").status, 404)

    def test_of_many_pushes_that_expect_no_tag_one_is_taken(self):
        made = [images.make_image([b"%d" % number]) for number in range(12)]
        for image in made:
            self.api.push("team/app", "all", image)
        many = Many()
        for image in made:
            many.start(self.push_if, "new", image, If_None_Match="*")
        statuses = many.join()
        self.assertEqual(sorted(statuses), [201] + [412] * 11)
        check_ok(self.api.manifest("team/app", "new"), made[statuses.index(201)].digest)

    def test_upload_goes_on_at_any_worker(self):
        content = images.random_bytes(400_000, 2)
        digest = sha256(content)
        location = self.api.begin_upload("team/app")
        for offset in range(0, len(content), 50_000):
            piece = content[offset:offset + 50_000]
            answer = check_status(self.api.patch(location, piece, offset), 202)
            self.assertEqual(answer.headers["range"], f"0-{offset + len(piece) - 1}")
            location = path_of(answer.headers["location"])
        status = check_status(self.api.request("GET", location), 204)
        self.assertEqual(status.headers["range"], "0-399999")
        answer = check_status(self.api.finish_upload(location, digest), 201)
        self.assertEqual(path_of(answer.headers["location"]), f"/v2/team/app/blobs/{digest}")
        self.assertEqual(answer.headers["docker-content-digest"], digest)
        check_ok(self.api.blob("team/app", digest), digest)
        lines = [line for line in self.registry.log.access(method="PATCH") if line.get("status") == "202"]
        self.assertEqual(len(lines), 8)

    def test_last_piece_may_come_with_the_put(self):
        content = images.random_bytes(100_000, 3)
        location = self.api.begin_upload("team/app")
        answer = check_status(self.api.patch(location, content[:60_000]), 202)
        location = path_of(answer.headers["location"])
        check_status(self.api.finish_upload(location, sha256(content), content[60_000:]), 201)
        check_ok(self.api.blob("team/app", sha256(content)), sha256(content))

    def test_post_alone_can_bring_a_blob(self):
        content = images.random_bytes(5_000, 4)
        path = f"/v2/team/app/blobs/uploads/?digest={sha256(content)}"
        headers = {"Content-Type": "application/octet-stream"}
        answer = self.api.request("POST", path, headers=headers, body=content)
        check_status(answer, 201, 202)
        if answer.status == 201:
            check_ok(self.api.blob("team/app", sha256(content)), sha256(content))

    def test_empty_blob_can_be_pushed(self):
        digest = self.api.push_blob_at_once("team/app", b"")
        answer = check_ok(self.api.blob("team/app", digest), digest)
        self.assertEqual(answer.length, 0)

    def test_chunked_upload_of_unknown_length(self):
        content = images.random_bytes(150_000, 5)
        location = self.api.begin_upload("team/app")
        pieces = [content[offset:offset + 9_999] for offset in range(0, len(content), 9_999)]
        answer = self.api.request("PATCH", location, headers={"Transfer-Encoding": "chunked"}, body=iter(pieces),
                                  chunked=True)
        location = path_of(check_status(answer, 202).headers["location"])
        check_status(self.api.finish_upload(location, sha256(content)), 201)
        check_ok(self.api.blob("team/app", sha256(content)), sha256(content))

    def test_many_push_the_same_and_different_blobs_at_once(self):
        shared = images.random_bytes(200_000, 6)
        many = Many()
        for number in range(12):
            many.start(self.api.push_blob, f"team/app{number % 3}", shared if number % 2 else bytes([number]) * 9000)
        digests = many.join()
        for number, digest in enumerate(digests):
            check_ok(self.api.blob(f"team/app{number % 3}", digest), digest)

    def test_push_by_digest_needs_no_tag(self):
        image = images.make_image([b"untagged"])
        for content in image.blobs.values():
            self.api.push_blob("team/app", content)
        answer = check_status(self.api.push_manifest("team/app", image.digest, image.top), 201)
        self.assertEqual(answer.headers["docker-content-digest"], image.digest)
        check_ok(self.api.manifest("team/app", image.digest), image.digest)


class RefusedPushTest(ApiScenario):
    def test_wrong_digest_is_refused_and_nothing_stays(self):
        content = b"not what it says"
        location = self.api.begin_upload("team/app")
        answer = check_status(self.api.finish_upload(location, ABSENT, content), 400)
        self.assertEqual(answer.code, "DIGEST_INVALID")
        self.assertEqual(self.api.blob("team/app", ABSENT).status, 404)
        self.assertEqual(self.api.blob("team/app", sha256(content)).status, 404)

    def test_piece_out_of_order_is_416_with_the_range_we_have(self):
        location = self.api.begin_upload("team/app")
        answer = check_status(self.api.patch(location, b"0123456789", 0), 202)
        location = path_of(answer.headers["location"])
        answer = check_status(self.api.patch(location, b"late", 50), 416)
        self.assertEqual(answer.headers.get("range"), "0-9")
        answer = check_status(self.api.patch(location, b"abcde", 10), 202)
        location = path_of(answer.headers["location"])
        check_status(self.api.finish_upload(location, sha256(b"0123456789abcde")), 201)

    def test_cancelled_and_unknown_sessions_are_404(self):
        location = self.api.begin_upload("team/app")
        check_status(self.api.request("DELETE", location), 204)
        answer = check_status(self.api.request("GET", location), 404)
        self.assertEqual(answer.code, "BLOB_UPLOAD_UNKNOWN")
        check_status(self.api.patch(location, b"x"), 404)

    def test_session_of_another_repository_is_unknown(self):
        location = self.api.begin_upload("team/app")
        check_status(self.api.request("GET", location.replace("team/app", "team/other")), 404)

    def test_manifest_that_lacks_a_blob_is_refused_by_name(self):
        image = images.make_image([b"never pushed"])
        answer = check_status(self.api.push_manifest("team/app", "1", image.top), 400, 404)
        self.assertEqual(answer.code, "MANIFEST_BLOB_UNKNOWN")
        self.assertIn(image.layers[0], answer.body.decode())
        self.assertEqual(self.api.manifest("team/app", "1").status, 404)

    def test_manifest_that_is_none_is_refused(self):
        for content in (b"", b"{", b"[]", b'{"schemaVersion":2}', b"{" * 5000):
            manifest = images.Manifest(images.OCI_MANIFEST, content)
            answer = check_status(self.api.push_manifest("team/app", "1", manifest), 400)
            self.assertEqual(answer.code, "MANIFEST_INVALID", content[:20])
        image = images.make_image([b"x"])
        self.api.push("team/app", "2", image)
        check_status(self.api.push_manifest("team/app", ABSENT, image.top), 400)

    def test_manifest_over_the_limit_is_413(self):
        manifest = images.Manifest(images.OCI_MANIFEST, b'{"x":"' + b"x" * (5 << 20) + b'"}')
        check_status(self.api.push_manifest("team/app", "1", manifest), 413)

    def test_bad_names_tags_and_digests(self):
        self.assertEqual(self.api.manifest("UPPER/case", "1").status, 400)
        self.assertEqual(self.api.manifest("UPPER/case", "1").code, "NAME_INVALID")
        check_status(self.api.blob("team/app", "sha256:ABC"), 400, 404)
        check_status(self.api.manifest("team/app", "-x"), 400, 404)
        check_status(self.api.request("GET", "/v2/team/../../etc/passwd"), 400, 404)
        check_status(self.api.request("GET", "/nothing"), 404)
        check_status(self.api.request("POST", "/v2/"), 405)

    def test_errors_are_json_as_the_specification_says(self):
        answer = check_status(self.api.manifest("team/app", "none"), 404)
        self.assertIn(answer.code, ("MANIFEST_UNKNOWN", "NAME_UNKNOWN"))
        self.assertTrue(answer.headers["content-type"].startswith("application/json"))
        self.assertEqual(self.api.blob("team/app", ABSENT).code in ("BLOB_UNKNOWN", "NAME_UNKNOWN"), True)


class ListTest(ApiScenario):
    def test_base_and_lists(self):
        answer = check_status(self.api.request("GET", "/v2/"), 200)
        self.assertEqual(answer.headers["docker-distribution-api-version"], "registry/2.0")
        self.assertEqual(self.api.catalog().json(), {"repositories": []})
        image = images.make_image([b"layer"])
        for name in ("b", "a/one", "c/d/e"):
            self.api.push(name, "1", image)
        self.assertEqual(self.api.catalog().json(), {"repositories": ["a/one", "b", "c/d/e"]})
        self.assertEqual(self.api.tags("a/one").json(), {"name": "a/one", "tags": ["1"]})
        answer = check_status(self.api.tags("nobody/here"), 404)
        self.assertEqual(answer.code, "NAME_UNKNOWN")

    def test_pages(self):
        image = images.make_image([b"layer"])
        tags = [f"v{number:02}" for number in range(7)]
        for tag in tags:
            self.api.push("team/app", tag, image)
        seen = []
        query = "?n=3"
        while query:
            answer = self.api.tags("team/app", query)
            seen.append(answer.json()["tags"])
            link = answer.headers.get("link", "")
            self.assertTrue(not link or 'rel="next"' in link, link)
            query = "?" + link.partition("?")[2].partition(">")[0] if link else ""
        self.assertEqual(seen, [tags[0:3], tags[3:6], tags[6:]])
        self.assertEqual(self.api.tags("team/app", "?n=2&last=v04").json()["tags"], ["v05", "v06"])
        check_status(self.api.tags("team/app", "?n=-1"), 400)
        check_status(self.api.tags("team/app", "?n=x"), 400)

    def test_referrers(self):
        image = images.make_image([b"layer"], oci=True)
        self.api.push("team/app", "1", image)
        signature = images.make_artifact(image.top, "application/x.signature", b"signed")
        for content in signature.blobs.values():
            self.api.push_blob("team/app", content)
        answer = check_status(self.api.push_manifest("team/app", signature.digest, signature.top), 201)
        self.assertEqual(answer.headers["oci-subject"], image.digest)
        found = check_status(self.api.request("GET", f"/v2/team/app/referrers/{image.digest}"), 200)
        self.assertEqual(found.headers["content-type"], images.OCI_INDEX)
        self.assertEqual([entry["digest"] for entry in found.json()["manifests"]], [signature.digest])
        none = self.api.request("GET", f"/v2/team/app/referrers/{image.digest}?artifactType=other")
        self.assertEqual(none.json()["manifests"], [])
        self.assertEqual(none.headers["oci-filters-applied"], "artifactType")

    def push_referrers(self, count, annotation=""):
        """To one image, of two types in turn; {artifactType: {digest: annotations}}."""
        self.image = images.make_image([b"layer"], oci=True)
        self.api.push("team/app", "1", self.image)
        found = {"application/x.odd": {}, "application/x.even": {}}
        for number in range(count):
            kind = "application/x.odd" if number % 2 else "application/x.even"
            annotations = {"number": str(number), "text": annotation}
            artifact = images.make_artifact(self.image.top, kind, b"signed", annotations)
            for content in artifact.blobs.values():
                self.api.push_blob_at_once("team/app", content)
            check_status(self.api.push_manifest("team/app", artifact.digest, artifact.top), 201)
            found[kind][artifact.digest] = annotations
        return found

    def walk_referrers(self, query=""):
        """({digest: annotations}, the number of pages), each page looked at."""
        found = {}
        pages = self.api.pages(f"/v2/team/app/referrers/{self.image.digest}{query}")
        for page in pages:
            self.assertEqual(page.headers["content-type"], images.OCI_INDEX)
            self.assertLessEqual(page.length, 4 * 1024 * 1024)
            for entry in page.json()["manifests"]:
                self.assertNotIn(entry["digest"], found)
                found[entry["digest"]] = entry["annotations"]
            if "artifactType" in query:
                self.assertEqual(page.headers["oci-filters-applied"], "artifactType")
        return found, len(pages)

    def test_referrers_in_pages(self):
        pushed = self.push_referrers(5)
        odd, even = pushed["application/x.odd"], pushed["application/x.even"]
        self.assertEqual(self.walk_referrers(), ({**odd, **even}, 1))
        self.assertEqual(self.walk_referrers("?n=2"), ({**odd, **even}, 3))
        self.assertEqual(self.walk_referrers("?n=2&artifactType=application%2Fx.even")[0], even)
        self.assertEqual(self.walk_referrers("?n=0"), ({}, 1))
        path = f"/v2/team/app/referrers/{self.image.digest}?last=sha256:12"
        self.assertEqual(check_status(self.api.request("GET", path), 400).code, "PAGINATION_NUMBER_INVALID")

    def test_referrers_that_fill_more_than_one_index(self):
        pushed = self.push_referrers(6, "x" * 1_000_000)
        found, pages = self.walk_referrers()
        self.assertEqual(found, {**pushed["application/x.odd"], **pushed["application/x.even"]})
        self.assertEqual(pages, 2)


class DeleteTest(ApiScenario):
    def test_tag_goes_and_the_manifest_stays(self):
        image = images.make_image([b"layer"])
        self.api.push("team/app", "1", image)
        self.api.push("team/app", "2", image)
        check_status(self.api.delete_manifest("team/app", "1"), 202)
        self.assertEqual(self.api.manifest("team/app", "1").status, 404)
        check_ok(self.api.manifest("team/app", "2"), image.digest)
        check_ok(self.api.manifest("team/app", image.digest), image.digest)
        self.assertEqual(self.api.tags("team/app").json()["tags"], ["2"])

    def test_manifest_goes_with_its_tags(self):
        image = images.make_image([b"layer"])
        self.api.push("team/app", "1", image)
        check_status(self.api.delete_manifest("team/app", image.digest), 202)
        self.assertEqual(self.api.manifest("team/app", "1").status, 404)
        self.assertEqual(self.api.manifest("team/app", image.digest).status, 404)
        check_status(self.api.delete_manifest("team/app", image.digest), 404)

    def test_blob_in_use_is_not_deleted(self):
        image = images.make_image([b"layer"])
        self.api.push("team/app", "1", image)
        check_status(self.api.delete_blob("team/app", image.layers[0]), 405)
        check_ok(self.api.blob("team/app", image.layers[0]), image.layers[0])
        loose = self.api.push_blob("team/app", b"loose")
        check_status(self.api.delete_blob("team/app", loose), 202)
        self.assertEqual(self.api.blob("team/app", loose).status, 404)

    def test_deletes_can_be_turned_off(self):
        registry = self.server(settings={"hosted": {"delete": False}})
        api = self.client(registry)
        image = images.make_image([b"layer"])
        api.push("team/app", "1", image)
        check_status(api.delete_manifest("team/app", "1"), 405)
        check_ok(api.manifest("team/app", "1"), image.digest)


class MountTest(ApiScenario):
    def test_blob_is_seen_only_where_it_was_pushed_or_mounted(self):
        digest = self.api.push_blob("team/one", b"of one")
        self.assertEqual(self.api.blob("team/two", digest).status, 404)
        self.assertEqual(self.api.blob("team/two", digest, "HEAD").status, 404)
        answer = self.api.request("POST", f"/v2/team/two/blobs/uploads/?mount={digest}&from=team/one",
                                  headers={"Content-Length": "0"})
        check_status(answer, 201)
        check_ok(self.api.blob("team/two", digest), digest)
        answer = self.api.request("POST", f"/v2/team/three/blobs/uploads/?mount={digest}&from=team/nobody",
                                  headers={"Content-Length": "0"})
        check_status(answer, 202)


class DamageTest(ApiScenario):
    """A file of the store that something outside has changed."""

    def path(self, digest):
        value = digest.partition(":")[2]
        return os.path.join(self.registry.data, "blobs", "sha256", value[:2], value)

    def test_file_that_lost_its_end_is_never_a_whole_answer(self):
        content = images.random_bytes(300_000, 9)
        digest = self.api.push_blob("team/app", content)
        os.truncate(self.path(digest), 200_000)
        answer = self.api.blob("team/app", digest)
        self.assertFalse(answer.status == 200 and answer.is_complete, answer)

    @staticmethod
    def overwrite(path):
        with open(path, "r+b") as blob:
            blob.write(b"damaged")

    def test_push_heals(self):
        content = images.random_bytes(300_000, 10)
        digest = self.api.push_blob("team/app", content)
        for damage in (lambda path: os.truncate(path, 1000), os.unlink, self.overwrite):
            path = self.path(digest)
            os.chmod(path, 0o644)
            damage(path)
            self.api.push_blob("team/app", content)
            check_ok(self.api.blob("team/app", digest), digest)

    def test_lost_file_is_404_for_a_pusher_who_asks(self):
        digest = self.api.push_blob("team/app", b"lost soon")
        os.unlink(self.path(digest))
        self.assertEqual(self.api.blob("team/app", digest, "HEAD").status, 404)


class SessionTest(ApiScenario):
    def test_two_at_once_are_one_and_a_409(self):
        location = self.api.begin_upload("team/app")
        with Raw(self.registry.port) as slow:
            # "100 Continue" comes when the body is wanted: the first has the session by then.
            slow.send(f"PATCH {location} HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n"
                      "Expect: 100-continue\r\n\r\n".encode())
            self.assertEqual(slow.read_head()[0], 100)
            slow.send(b"01234")
            answer = self.api.patch(location, b"other", 0)
            self.assertEqual(answer.status, 409, answer)
            slow.send(b"56789")
            self.assertEqual(slow.read_head()[0], 202)
        self.assertEqual(self.api.finish_upload(location, sha256(b"0123456789")).status, 201)

    def test_client_that_leaves_can_go_on(self):
        location = self.api.begin_upload("team/app")
        with Raw(self.registry.port) as raw:
            raw.send(f"PATCH {location} HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n01234".encode())
            wait_until(lambda: self.registry.metric("requests_running") >= 2, 10, "it is under way")
        wait_until(lambda: self.registry.metric("requests_running") <= 1, 10, "it is over")
        status = check_status(self.api.request("GET", location), 204)
        have = int(status.headers["range"].partition("-")[2]) + 1
        self.assertIn(have, (1, 5))  # "0-0" is also what an empty session says
        have = 5 if have == 5 else 0
        rest = b"0123456789"[have:]
        check_status(self.api.patch(location, rest, have), 202)
        self.assertEqual(self.api.finish_upload(location, sha256(b"0123456789")).status, 201)

    def test_how_far_a_running_upload_is(self):
        location = self.api.begin_upload("team/app")
        content = images.random_bytes(300_000, 13)
        with Raw(self.registry.port) as raw:
            raw.send(f"PATCH {location} HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
                     f"Content-Length: {len(content)}\r\n\r\n".encode())
            self.assertEqual(raw.read_head()[0], 100)
            raw.send(content[:-1])
            wait_until(lambda: check_status(self.api.request("GET", location), 204).headers["range"] == "0-262143",
                       10, "the first block is counted")
            raw.send(content[-1:])
            self.assertEqual(raw.read_head()[0], 202)
        status = check_status(self.api.request("GET", location), 204)
        self.assertEqual(status.headers["range"], f"0-{len(content) - 1}")

    def test_restart_of_the_server_keeps_a_session(self):
        content = images.random_bytes(200_000, 12)
        location = self.api.begin_upload("team/app")
        check_status(self.api.patch(location, content[:150_000]), 202)
        self.registry.stop()
        self.registry.start()
        api = self.client(self.registry)
        elsewhere = location.replace("team/app", "team/other")
        self.assertEqual(api.request("GET", elsewhere).status, 404)
        self.assertEqual(api.finish_upload(elsewhere, sha256(content), content[150_000:]).status, 404)
        status = check_status(api.request("GET", location), 204)
        self.assertEqual(status.headers["range"], "0-149999")
        check_status(api.finish_upload(location, sha256(content), content[150_000:]), 201)
        check_ok(api.blob("team/app", sha256(content)), sha256(content))


class RangeTest(ApiScenario):
    def setUp(self):
        super().setUp()
        self.content = images.random_bytes(100_000, 8)
        self.digest = self.api.push_blob("team/app", self.content)

    def get(self, text):
        return self.api.blob("team/app", self.digest, headers={"Range": text})

    def test_one_range(self):
        for text, expected, span in (("bytes=0-0", self.content[:1], "0-0"),
                                     ("bytes=99000-", self.content[99_000:], "99000-99999"),
                                     ("bytes=-5", self.content[-5:], "99995-99999"),
                                     ("bytes=10-200000", self.content[10:], "10-99999")):
            answer = check_status(self.get(text), 206)
            self.assertEqual(answer.body, expected, text)
            self.assertEqual(answer.headers["content-range"], f"bytes {span}/100000")

    def test_range_beyond_the_end(self):
        answer = check_status(self.get("bytes=100000-"), 416)
        self.assertEqual(answer.headers["content-range"], "bytes */100000")

    def test_what_is_no_range_is_ignored(self):
        for text in ("bytes=5-2", "bits=0-1", "bytes=", "bytes=a-b"):
            answer = self.get(text)
            self.assertIn(answer.status, (200, 416), text)
            if answer.status == 200:
                self.assertEqual(answer.digest, self.digest)

    def check_parts(self, answer, spans):
        """A multipart answer is exactly these parts, to the byte."""
        check_status(answer, 206)
        kind, _, boundary = answer.headers["content-type"].partition("; boundary=")
        self.assertEqual(kind, "multipart/byteranges")
        expected = b"".join(
            b"%s--%s\r\nContent-Type: application/octet-stream\r\nContent-Range: bytes %d-%d/%d\r\n\r\n%s" % (
                b"\r\n" if number else b"", boundary.encode(), first, last, len(self.content),
                self.content[first:last + 1])
            for number, (first, last) in enumerate(spans)) + b"\r\n--%s--\r\n" % boundary.encode()
        self.assertEqual(int(answer.headers["content-length"]), len(expected))
        self.assertEqual(answer.body, expected)
        self.assertNotIn("content-range", answer.headers)
        self.assertEqual(answer.headers["docker-content-digest"], self.digest)

    def test_several_ranges_come_as_parts(self):
        self.check_parts(self.get("bytes=0-9,50000-50009,-10"), [(0, 9), (50_000, 50_009), (99_990, 99_999)])

    def test_ranges_come_in_the_order_they_were_asked_for(self):
        self.check_parts(self.get("bytes=500-, 0-99 ,,200-200"), [(500, 99_999), (0, 99), (200, 200)])

    def test_adjacent_ranges_are_parts_of_their_own(self):
        self.check_parts(self.get("bytes=0-9,10-19,20-"), [(0, 9), (10, 19), (20, 99_999)])

    def test_what_lies_beyond_the_end_is_left_out(self):
        self.check_parts(self.get("bytes=0-0,100000-,99999-200000,300000-300001,-0"), [(0, 0), (99_999, 99_999)])
        answer = check_status(self.get("bytes=100000-,200000-,7-7"), 206)
        self.assertEqual((answer.headers["content-range"], answer.body), ("bytes 7-7/100000", self.content[7:8]))
        answer = check_status(self.get("bytes=" + ",".join(f"{100_000 + number}-" for number in range(1024))), 416)
        self.assertEqual(answer.headers["content-range"], "bytes */100000")

    def test_overlapping_ranges_get_the_whole(self):
        many = [f"{8 * number}-{8 * number + 3}" for number in range(1023)]
        for last in ("0-0", "8003-8004", "-99999"):
            check_ok(self.get("bytes=" + ",".join(many + [last])), self.digest)
            check_ok(self.get("bytes=" + ",".join([last] + many[::-1])), self.digest)

    def test_as_many_ranges_as_there_may_be(self):
        spans = [(90 * number, 90 * number + number % 80) for number in range(1024)]
        for order in (spans, spans[::-1]):
            self.check_parts(self.get("bytes=" + ",".join("%d-%d" % span for span in order)), order)
        wide = ",".join("%050d-%d" % (90 * number, 90 * number + 9) for number in range(1024))  # 60 KiB
        self.check_parts(self.get("bytes=" + wide), [(90 * number, 90 * number + 9) for number in range(1024)])
        answer = check_status(self.get("bytes=" + ",".join("%d-%d" % (9 * number, 9 * number) for number in range(1025))),
                              400)
        self.assertEqual(answer.code, "RANGE_INVALID")
        self.assertIn("1024", answer.body.decode())
        check_ok(self.api.blob("team/app", self.digest), self.digest)

    def test_many_ranges_with_conditions(self):
        spans = [(90 * number, 90 * number + 9) for number in range(1024)]
        header = {"Range": "bytes=" + ",".join("%d-%d" % span for span in spans)}
        head = self.api.blob("team/app", self.digest, "HEAD", headers=header)
        self.assertEqual((head.status, head.headers["content-length"]), (200, "100000"))
        self.check_parts(self.api.blob("team/app", self.digest, headers={**header, "If-Range": f'"{self.digest}"'}), spans)
        check_ok(self.api.blob("team/app", self.digest, headers={**header, "If-Range": f'"{ABSENT}"'}), self.digest)
        known = self.api.blob("team/app", self.digest, headers={**header, "If-None-Match": f'"{self.digest}"'})
        self.assertEqual((known.status, known.length), (304, 0))

    def test_a_slow_client_of_many_ranges_gets_them(self):
        self.content = images.random_bytes(32 * 1024 * 1024, 9)
        self.digest = self.api.push_blob("team/app", self.content)
        spans = [(32_000 * number, 32_000 * number + 31_000) for number in range(1024)]
        header = {"Range": "bytes=" + ",".join("%d-%d" % span for span in spans)}
        self.check_parts(self.api.blob("team/app", self.digest, headers=header, rate=64 * 1024 * 1024,
                                       receive_buffer=16 * 1024), spans)


class ConnectionTest(ApiScenario):
    def test_tls_hello_is_answered_at_once(self):
        with Raw(self.registry.port) as raw:
            began = time.monotonic()
            raw.send(bytes.fromhex("1603010200010001fc0303") + b"\x00" * 32)
            self.assertEqual(raw.read(12), b"HTTP/1.1 400")
            self.assertLess(time.monotonic() - began, 1.0)

    def test_slow_head_is_408(self):
        registry = self.server(settings={"limits": {"head_timeout": "300ms"}})
        with Raw(registry.port) as raw:
            raw.send(b"GET /v2/ HTTP/1.1\r\nHost: x\r\n")
            self.assertEqual(raw.read_head()[0], 408)

    def test_waits_for_100_continue(self):
        content = b"waited for"
        location = self.api.begin_upload("team/app")
        mark = "&" if "?" in location else "?"
        head = (f"PUT {location}{mark}digest={sha256(content)} HTTP/1.1\r\nHost: x\r\n"
                f"Content-Length: {len(content)}\r\nExpect: 100-continue\r\n\r\n")
        with Raw(self.registry.port) as raw:
            raw.send(head.encode())
            self.assertEqual(raw.read_head()[0], 100)
            raw.send(content)
            self.assertEqual(raw.read_head()[0], 201)

    def test_refuses_without_100_continue(self):
        with Raw(self.registry.port) as raw:
            raw.send(b"PUT /v2/team/app/blobs/uploads/none?digest=sha256:x HTTP/1.1\r\nHost: x\r\n"
                     b"Content-Length: 10\r\nExpect: 100-continue\r\n\r\n")
            self.assertIn(raw.read_head()[0], (400, 404))

    def test_pipelined_requests_are_answered_in_order(self):
        digest = self.api.push_blob("team/app", b"piped")
        one = f"GET /v2/team/app/blobs/{digest} HTTP/1.1\r\nHost: x\r\n\r\n"
        with Raw(self.registry.port) as raw:
            raw.send((one + "GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n" + one).encode())
            self.assertEqual(raw.read_answer()[2], b"piped")
            self.assertEqual(raw.read_answer()[0], 200)
            self.assertEqual(raw.read_answer()[2], b"piped")

    def test_connection_is_kept_and_http_1_0_is_not(self):
        with Raw(self.registry.port) as raw:
            for _ in range(3):
                raw.send(b"GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n")
                self.assertEqual(raw.read_answer()[0], 200)
        with Raw(self.registry.port) as raw:
            raw.send(b"GET /v2/ HTTP/1.0\r\n\r\n")
            self.assertEqual(raw.read_answer()[0], 200)
            self.assertEqual(raw.read_all(), b"")

    def test_bad_framing_is_400_and_the_end(self):
        bad = (b"GET /v2/ HTTP/1.1\r\n\r\n",
               b"GET /v2/ HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
               b"GET /v2/ HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
               b"GET /v2/ HTTP/1.1\r\nHost: x\r\nContent-Length: 1, 2\r\n\r\n",
               b"GET /v2/ HTTP/1.1\r\nHost : x\r\n\r\n",
               b"GET  /v2/ HTTP/1.1\r\nHost: x\r\n\r\n",
               b"GET /v2/ HTTP/1.1\r\nHost: x\r\n folded: y\r\n\r\n",
               b"\x00\x01\x02\r\n\r\n")
        for text in bad:
            with Raw(self.registry.port) as raw:
                raw.send(text)
                self.assertEqual(raw.read_head()[0], 400, text)
                raw.read_all()
        with Raw(self.registry.port) as raw:
            raw.send(b"GET /v2/" + b"a" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n")
            self.assertEqual(raw.read_head()[0], 414)
        with Raw(self.registry.port) as raw:
            raw.send(b"GET /v2/ HTTP/1.1\r\nHost: x\r\n" + b"X-Y: zzzzzzzzzzzzzzzzzzzzzzzzz\r\n" * 2000 + b"\r\n")
            self.assertEqual(raw.read_head()[0], 431)

    def test_refused_push_reads_on_so_that_the_error_arrives(self):
        answer = self.api.request("PUT", "/v2/UPPER/blobs/uploads/x?digest=" + ABSENT, body=b"x" * 60_000)
        self.assertIn(answer.status, (400, 404), answer)

    def test_admin_address_says_how_it_is(self):
        for path in ("/healthz", "/readyz"):
            answer = self.api.request("GET", "/v2/")
            self.assertEqual(answer.status, 200)
            with Raw(self.registry.admin) as raw:
                raw.send(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
                self.assertEqual(raw.read_head()[0], 200, path)
        self.api.push_blob("team/app", b"counted")
        self.assertGreaterEqual(self.registry.metric("requests"), 4)


if __name__ == "__main__":
    unittest.main()
