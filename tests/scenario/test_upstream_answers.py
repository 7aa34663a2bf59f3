# SPDX-License-Identifier: Apache-2.0
"""What upstreams answer that is old, odd or wrong, and what clients get then."""

from support import images
from support.case import Scenario
from support.client import check_ok, check_status
from support.images import sha256

SCHEMA1 = "application/vnd.docker.distribution.manifest.v1+json"
SCHEMA1_SIGNED = "application/vnd.docker.distribution.manifest.v1+prettyjws"


class AnswersScenario(Scenario):
    ttl = "1h"

    def setUp(self):
        self.far = self.hub()
        upstream = {"url": self.far.url, "ca_file": self.far.ca_file, "default": True,
                    "tags": [{"match": "*", "ttl": self.ttl}]}
        self.registry = self.server(upstreams={"docker.io": upstream}, settings={"fetch": {"negative_ttl": "0s"}})
        self.api = self.client(self.registry)


class Schema1Test(AnswersScenario):
    """Images that a Docker of 2015 pushed."""

    def setUp(self):
        super().setUp()
        self.layer = images.random_bytes(100_000, 5)
        digest = self.far.publish_blob("library/old", self.layer)
        payload = {"schemaVersion": 1, "name": "library/old", "tag": "1", "architecture": "amd64",
                   "fsLayers": [{"blobSum": digest}] * 2, "history": [{"v1Compatibility": "{}"}] * 2}
        self.payload = sha256(images.to_json(payload))
        signed = dict(payload, signatures=[{"header": {}, "signature": "x", "protected": "y"}])
        self.manifest = images.Manifest(SCHEMA1_SIGNED, images.to_json(signed))
        self.far.publish("library/old", "1", images.Image(self.manifest, [self.manifest], {digest: self.layer}, []))
        self.far.fault(kind="manifest", digest_header=self.payload)  # registries say the digest without signatures
        self.digest = digest

    def test_a_tag_is_passed_on_under_the_digest_of_its_bytes(self):
        for _ in range(2):
            answer = check_status(self.api.manifest("library/old", "1"), 200)
            self.assertEqual(answer.body, self.manifest.content)
            self.assertEqual((answer.headers["content-type"], answer.headers["docker-content-digest"]),
                             (SCHEMA1_SIGNED, self.manifest.digest))
            self.registry.settle()
        asked = self.far.asked(kind="manifest", status=200)
        self.assertEqual(len(asked), 1, self.far.story())
        self.assertIn(SCHEMA1_SIGNED, asked[0].headers["accept"])
        head = check_status(self.api.blob("library/old", self.digest, "HEAD"), 200)
        self.assertEqual(head.headers["content-length"], str(len(self.layer)))
        check_ok(self.api.blob("library/old", self.digest), self.digest)
        self.registry.settle()
        self.far.down()
        check_ok(self.api.manifest("library/old", self.manifest.digest), self.manifest.digest)
        check_ok(self.api.blob("library/old", self.digest), self.digest)

    def test_by_digest_the_bytes_decide(self):
        check_ok(self.api.manifest("library/old", self.manifest.digest), self.manifest.digest)
        self.far.repositories["library/old"].manifests[self.payload] = self.manifest
        answer = check_status(self.api.manifest("library/old", self.payload), 502)
        self.assertIn("schema 1", str(answer.json()))

    def test_a_push_is_refused_with_the_way_out(self):
        for media_type in (SCHEMA1, SCHEMA1_SIGNED):
            pushed = images.Manifest(media_type, self.manifest.content)
            answer = check_status(self.api.push_manifest("org/old", "1", pushed), 400)
            self.assertEqual(answer.code, "MANIFEST_INVALID")
            self.assertIn("Docker 1.10", str(answer.json()))

    def test_labels_of_files_behind_a_web_server(self):
        for number, label in enumerate(("text/plain", images.DOCKER_MANIFEST, SCHEMA1)):
            other = images.Manifest(label, self.manifest.content + b"\n" * (number + 1))
            self.far.publish("library/old", f"t{number}", images.Image(other, [other], {}, []))
            answer = check_status(self.api.manifest("library/old", f"t{number}"), 200)
            self.assertEqual(answer.headers["content-type"], SCHEMA1 if label == SCHEMA1 else SCHEMA1_SIGNED)


class OddAnswersTest(AnswersScenario):
    """What some registries and the proxies before them do, and clients that ask them directly get along with."""

    ttl = "0s"

    def setUp(self):
        super().setUp()
        self.image = self.far.publish("library/hello", "latest", images.make_image([b"layer"]))

    def test_a_web_page_for_the_head_of_a_tag_says_nothing(self):
        self.api.pull("library/hello", "latest")
        self.registry.settle()
        for trouble in ({"html": True}, {"encoding": "gzip"}, {"status": 405}):
            self.far.clear_faults()
            self.far.fault(kind="manifest", method="HEAD", **trouble)
            moved = self.far.publish("library/hello", "latest", images.make_image([str(trouble).encode()]))
            answer = check_ok(self.api.manifest("library/hello", "latest"), moved.digest)
            self.assertNotIn("warning", answer.headers)
            self.registry.settle()

    def test_a_blobs_size_where_head_is_refused(self):
        far = self.client(self.registry, prefix="docker.io/")
        for status in (400, 403, 405, 501):
            content = b"%d" % status * 50_000
            digest = self.far.publish_blob("library/hello", content)
            self.far.fault(kind="blob", reference=digest, method="HEAD", status=status)
            answer = check_status(far.blob("library/hello", digest, "HEAD"), 200)
            self.assertEqual(answer.headers["content-length"], str(len(content)))
        digest = self.far.publish_blob("library/hello", b"forbidden")
        self.far.fault(kind="blob", reference=digest, status=403)
        check_status(far.blob("library/hello", digest, "HEAD"), 403)
        absent = sha256(b"absent")
        check_status(far.blob("library/hello", absent, "HEAD"), 404)
        self.assertEqual([request.method for request in self.far.asked(reference=absent, status=404)], ["HEAD"])

    def test_a_list_too_long_to_be_read_says_that_the_name_is_taken(self):
        self.far.publish("org/big", "1", images.make_image([b"big"]))
        self.far.fault(kind="tags", name="org/big", long=9 << 20)
        check_status(self.api.request("POST", "/v2/org/big/blobs/uploads/"), 403)

    def test_a_refusal_says_whose_what_it_is(self):
        nothing = images.Manifest("application/json", b'{"errors":[]}')
        self.far.publish("library/hello", "odd", images.Image(nothing, [nothing], {}, []))
        text = str(check_status(self.api.manifest("library/hello", "odd"), 502).json())
        self.assertIn("docker.io: the manifest of library/hello: neither mediaType nor Content-Type", text)

    def test_redirects_to_relative_and_sloppy_addresses(self):
        self.far.redirects = True
        for number, suffix in enumerate(("#part", "&a=b c", "&a=\\b", "&a=\xe9")):
            digest = self.far.publish_blob("library/hello", b"%d" % number)
            location = f"{self.far.cdn_url}/data/library/hello/{digest}?verify=1{suffix}"
            self.far.fault(kind="blob", reference=digest, location=location)
            check_ok(self.api.blob("library/hello", digest), digest)
            self.assertEqual(self.far.count(kind="blob", reference=digest, status=307), 1, self.far.story())

    def test_the_token_server_may_redirect(self):
        self.far.token_path = "/old"
        self.api.pull("library/hello", "latest")
        self.assertEqual({request.path for request in self.far.asked(kind="token")}, {"/old", "/token"})


class SizeTest(AnswersScenario):
    def test_a_manifest_that_is_too_large_is_said_with_its_upstream(self):
        content = images.to_json({"schemaVersion": 2, "padding": "x" * (4 << 20)})
        manifest = images.Manifest("application/vnd.oci.image.manifest.v1+json", content)
        self.far.publish("library/large", "1", images.Image(manifest, [manifest], {}, []))
        answer = check_status(self.api.manifest("library/large", "1"), 502)
        self.assertEqual(answer.json()["errors"][0]["message"],
                         "docker.io: the answer to library/large/manifests/1 has more than 4194304 bytes, which are not taken")
