# SPDX-License-Identifier: Apache-2.0
"""crane, oras and regctl as their users use them, against our own images and through us against the Hub's."""

import json
import os
import tarfile
import unittest

from support import images
from support.case import Scenario
from support.client import check_ok, check_status
from support.gotools import GoTool
from support.images import sha256

SBOM = "application/vnd.example.sbom.v1"
SIGNATURE = "application/vnd.example.signature.v1"


class ToolScenario(Scenario):
    tool_name = ""

    def setUp(self):
        self.docker = self.hub()
        self.image = self.docker.publish("library/hello", "latest",
                                         images.hello_image("hello from the hub", ["amd64", "arm64"], oci=True))
        self.registry = self.server(self.docker, settings=self.settings())
        self.api = self.client(self.registry)
        self.tool = self.daemon(GoTool(self.tool_name, [self.registry.address]))

    def settings(self):
        return {}

    def own(self, name):
        return f"{self.registry.address}/{name}"

    @property
    def hello(self):
        """The Hub's image, by its prefix here."""
        return self.own("docker.io/library/hello:latest")

    def lines(self, **fields):
        return self.registry.log.access(**fields)

    def uploads(self, name):
        return self.lines(repo=name, op="push_blob", status=201)

    def refused(self, *arguments):
        result = self.tool.run(*arguments, check=False)
        self.assertNotEqual(result.status, 0, result)
        return result.err

    def check_hosted(self, name, reference, image):
        """Every byte of that image is here, with the Hub down."""
        self.docker.down()
        check_ok(self.api.manifest(name, reference), image.digest)
        for manifest in image.manifests:
            check_ok(self.api.manifest(name, manifest.digest), manifest.digest)
        for digest in image.blobs:
            check_ok(self.api.blob(name, digest), digest)


class CraneTest(ToolScenario):
    tool_name = "crane"

    def test_copies_all_platforms_from_the_hub(self):
        self.tool("copy", self.hello, self.own("team/hello:1"))
        self.assertEqual(self.tool("digest", self.own("team/hello:1")), self.image.digest)
        self.assertEqual(self.tool("validate", "--remote", self.own("team/hello:1")).split()[0:1], ["PASS:"])
        self.check_hosted("team/hello", "1", self.image)

    def test_copies_within_us_by_mounting(self):
        self.tool("copy", self.hello, self.own("team/hello:1"))
        self.tool("copy", self.own("team/hello:1"), self.own("other/hello:1"))
        self.assertEqual(self.uploads("other/hello"), [], self.registry.log.tail())
        self.check_hosted("other/hello", "1", self.image)

    def test_copy_to_one_component_has_all_platforms(self):
        """Asked HEAD for a platform's manifest, we must not say that library/hello has it: then it is not sent."""
        self.tool("copy", self.hello, self.own("hello:ours"))
        self.check_hosted("hello", "ours", self.image)

    def test_pull_and_push_of_files(self):
        self.tool("pull", "--platform", "linux/amd64", self.hello, "hello.tar")
        self.docker.down()
        self.tool("push", "hello.tar", self.own("team/hello:tar"))
        self.tool("validate", "--remote", self.own("team/hello:tar"))
        self.assertEqual(self.tool("config", self.own("team/hello:tar")),
                         self.tool("config", "--platform", "linux/amd64", self.hello))
        self.tool("export", self.own("team/hello:tar"), "files.tar")
        with tarfile.open(self.tool.folder / "files.tar") as tar:
            self.assertEqual(tar.extractfile("message").read(), b"hello from the hub")

    def test_pull_and_push_of_a_layout(self):
        self.tool("pull", "--format", "oci", self.hello, "layout")
        self.docker.down()
        self.tool("push", "--index", "layout", self.own("team/hello:layout"))
        listed = json.loads(self.tool("manifest", self.own("team/hello:layout")))["manifests"]
        self.assertEqual([entry["digest"] for entry in listed], [self.image.digest])
        self.check_hosted("team/hello", self.image.digest, self.image)

    def test_blob_and_manifest_are_those_bytes(self):
        done = self.tool("manifest", self.hello)
        self.assertEqual(sha256(done.encode()), self.image.digest)
        self.tool.run("blob", f"{self.own('docker.io/library/hello')}@{self.image.layers[0]}")
        self.assertEqual(self.docker.count(kind="cdn", reference=self.image.layers[0]), 1)

    def test_append_and_mutate(self):
        self.tool.write("new.tar.gz", images.tar_layer({"added": b"later"}))
        self.tool("append", "--platform", "linux/amd64", "-b", self.hello, "-f", "new.tar.gz", "-t",
                  self.own("team/more:1"))
        self.tool("mutate", "--label", "made=here", self.own("team/more:1"), "-t", self.own("team/more:2"))
        self.tool("flatten", self.own("team/more:2"), "-t", self.own("team/more:flat"))
        self.docker.down()
        for tag in ("1", "2", "flat"):
            self.tool("validate", "--remote", self.own(f"team/more:{tag}"))
        self.assertEqual(json.loads(self.tool("config", self.own("team/more:2")))["config"]["Labels"]["made"], "here")
        self.assertEqual(self.tool("ls", self.own("team/more")).split(), ["1", "2", "flat"])

    def test_index_of_images(self):
        for architecture in ("amd64", "arm64"):
            self.tool("copy", "--platform", f"linux/{architecture}", self.hello, self.own(f"team/hello:{architecture}"))
        self.tool("index", "append", "-m", self.own("team/hello:amd64"), "-m", self.own("team/hello:arm64"), "-t",
                  self.own("team/hello:all"))
        self.docker.down()
        self.tool("validate", "--remote", self.own("team/hello:all"))
        listed = json.loads(self.tool("manifest", self.own("team/hello:all")))["manifests"]
        self.assertEqual({entry["digest"] for entry in listed}, {entry.digest for entry in self.image.manifests[:2]})

    def test_tags_and_deletes(self):
        self.tool("copy", self.hello, self.own("team/hello:1"))
        self.tool("tag", self.own("team/hello:1"), "2")
        self.tool("tag", self.own("team/hello:1"), "3")
        self.assertEqual(self.tool("ls", self.own("team/hello")).split(), ["1", "2", "3"])
        self.assertIn("team/hello", self.tool("catalog", self.registry.address).split())
        self.tool("delete", self.own("team/hello:2"))
        self.assertEqual(self.tool("ls", self.own("team/hello")).split(), ["1", "3"])
        self.tool("delete", f"{self.own('team/hello')}@{self.image.digest}")
        self.assertEqual(self.tool("ls", self.own("team/hello")).split(), [])
        self.assertIn("MANIFEST_UNKNOWN", self.refused("manifest", self.own("team/hello:1")))

    def test_lists_tags_of_the_hub(self):
        for number in range(5):
            self.docker.publish("library/hello", f"tag{number}", self.image)
        self.docker.page = 2
        wanted = ["latest"] + [f"tag{number}" for number in range(5)]
        self.assertEqual(self.tool("ls", self.own("docker.io/library/hello")).split(), wanted)

    def test_copies_all_tags(self):
        self.tool("copy", self.hello, self.own("team/hello:1"))
        self.tool("tag", self.own("team/hello:1"), "2")
        self.tool("copy", "--all-tags", self.own("team/hello"), self.own("copy/hello"))
        self.assertEqual(self.tool("ls", self.own("copy/hello")).split(), ["1", "2"])

    def test_a_push_where_none_is_allowed_says_why(self):
        self.assertIn("DENIED", self.refused("copy", self.hello, self.own("library/hello:ours")))


class OrasTest(ToolScenario):
    tool_name = "oras"

    def push(self, name):
        self.tool.write("notes.txt", b"notes of a release")
        self.tool.write("data.bin", images.random_bytes(1 << 20, 5))
        return self.tool("push", "--plain-http", "--artifact-type", "application/vnd.example.release", "--format",
                         "go-template={{.digest}}", self.own(name), "notes.txt:text/plain", "data.bin")

    def attach(self, name, artifact_type, content):
        self.tool.write("attached", content)
        return self.tool("attach", "--plain-http", "--artifact-type", artifact_type, "--format",
                         "go-template={{.digest}}", self.own(name), "attached")

    def referrers(self, name, *flags):
        text = self.tool("discover", "--plain-http", "--format", "json", *flags, self.own(name))
        return {(entry["artifactType"], entry["digest"]) for entry in json.loads(text).get("referrers") or []}

    def test_pushes_and_pulls_files(self):
        digest = self.push("team/release:1")
        self.assertEqual(self.tool("resolve", "--plain-http", self.own("team/release:1")), digest)
        self.tool("pull", "--plain-http", "-o", "out", self.own("team/release:1"))
        self.assertEqual(self.tool.read("out/notes.txt"), b"notes of a release")
        self.assertEqual(self.tool.read("out/data.bin"), self.tool.read("data.bin"))
        self.assertEqual(self.tool("repo", "tags", "--plain-http", self.own("team/release")).split(), ["1"])
        self.assertIn("team/release", self.tool("repo", "ls", "--plain-http", self.registry.address).split())

    def test_second_push_sends_nothing(self):
        self.push("team/release:1")
        before = len(self.uploads("team/release"))
        self.push("team/release:1")
        self.assertEqual(len(self.uploads("team/release")), before)

    def test_what_is_attached_is_found(self):
        self.push("team/release:1")
        sbom = self.attach("team/release:1", SBOM, b"all that is in it")
        signature = self.attach("team/release:1", SIGNATURE, b"signed")
        self.assertEqual(self.referrers("team/release:1"), {(SBOM, sbom), (SIGNATURE, signature)})
        self.assertEqual(self.referrers("team/release:1", "--artifact-type", SBOM), {(SBOM, sbom)})
        on_top = self.attach(f"team/release@{sbom}", SIGNATURE, b"the list is signed too")
        tree = self.tool("discover", "--plain-http", self.own("team/release:1"))
        self.assertIn(on_top, tree)
        # No fallback tag: the API is there, and was used.
        self.assertEqual(self.tool("repo", "tags", "--plain-http", self.own("team/release")).split(), ["1"])

        self.tool("manifest", "delete", "--plain-http", "--force", f"{self.own('team/release')}@{signature}")
        self.assertEqual(self.referrers("team/release:1"), {(SBOM, sbom)})

    def test_the_fallback_tag_works_too(self):
        self.push("team/release:1")
        flags = ("--distribution-spec", "v1.1-referrers-tag")
        self.tool.write("attached", b"old style")
        self.tool("attach", "--plain-http", *flags, "--artifact-type", SBOM, self.own("team/release:1"), "attached")
        self.assertEqual(len(self.referrers("team/release:1", *flags)), 1)
        self.assertEqual(len(self.referrers("team/release:1")), 1)

    def test_copies_with_all_that_refers(self):
        self.push("team/release:1")
        sbom = self.attach("team/release:1", SBOM, b"all that is in it")
        self.attach(f"team/release@{sbom}", SIGNATURE, b"signed")
        self.tool("cp", "--recursive", "--from-plain-http", "--to-plain-http", self.own("team/release:1"),
                  self.own("mirror/release:1"))
        self.assertEqual(self.referrers("mirror/release:1"), {(SBOM, sbom)})
        self.assertEqual(self.uploads("mirror/release"), [], "mounted, not sent again")

    def test_backup_and_restore(self):
        self.push("team/release:1")
        sbom = self.attach("team/release:1", SBOM, b"all that is in it")
        self.tool("backup", "--plain-http", "--include-referrers", "-o", "saved.tar", self.own("team/release:1"))
        self.tool("restore", "--plain-http", "--input", "saved.tar", self.own("again/release:1"))
        self.assertEqual(self.referrers("again/release:1"), {(SBOM, sbom)})

    def test_referrers_of_a_hub_image(self):
        signed = self.docker.publish("team/signed", "1", images.make_image([b"signed"], oci=True))
        refers = self.docker.publish("team/signed", None, images.make_artifact(signed.top, SIGNATURE, b"the signature"))
        self.assertEqual(self.referrers("docker.io/team/signed:1"), {(SIGNATURE, refers.digest)})
        self.assertEqual(self.referrers("docker.io/library/hello:latest"), set())
        self.tool("cp", "--recursive", "--from-plain-http", "--to-plain-http", self.own("docker.io/team/signed:1"),
                  self.own("team/copy:1"))
        self.docker.down()
        self.assertEqual(self.referrers("team/copy:1"), {(SIGNATURE, refers.digest)})
        self.assertEqual(self.referrers("docker.io/team/signed:1"), {(SIGNATURE, refers.digest)})

    def test_copies_an_image_of_many_platforms(self):
        self.tool("cp", "--from-plain-http", "--to-plain-http", self.hello, self.own("team/hello:1,2"))
        self.check_hosted("team/hello", "1", self.image)
        self.check_hosted("team/hello", "2", self.image)

    def test_blobs_and_manifests_by_hand(self):
        content = images.random_bytes(300000, 8)
        self.tool.write("blob", content)
        place = f"{self.own('team/parts')}@{sha256(content)}"
        self.tool("blob", "push", "--plain-http", place, "blob")
        self.tool("blob", "fetch", "--plain-http", "--output", "back", place)
        self.assertEqual(self.tool.read("back"), content)
        manifest = images.make_artifact(images.Manifest(images.OCI_MANIFEST, b"{}"), SBOM, content)
        self.api.push_blob("team/parts", b"{}")
        self.tool.write("manifest.json", manifest.top.content)
        self.tool("manifest", "push", "--plain-http", self.own("team/parts:1"), "manifest.json")
        self.tool("manifest", "fetch", "--plain-http", "--output", "back.json", self.own("team/parts:1"))
        self.assertEqual(self.tool.read("back.json"), manifest.top.content)
        self.tool("tag", "--plain-http", self.own("team/parts:1"), "2", "3")
        self.assertEqual(self.api.tags("team/parts").json()["tags"], ["1", "2", "3"])
        self.tool("manifest", "delete", "--plain-http", "--force", self.own("team/parts:1"))
        self.tool("blob", "delete", "--plain-http", "--force", place)
        check_status(self.api.manifest("team/parts", manifest.digest), 404)
        self.assertIn("not found", self.refused("blob", "fetch", "--plain-http", "--descriptor", place))

    def test_index_by_hand(self):
        for tag in ("a", "b"):
            self.tool.write(tag, tag.encode())
            self.tool("push", "--plain-http", self.own(f"team/set:{tag}"), tag)
        self.tool("manifest", "index", "create", "--plain-http", self.own("team/set:all"), "a", "b")
        document = check_ok(self.api.manifest("team/set", "all")).json()
        self.assertEqual(len(document["manifests"]), 2)


class RegctlTest(ToolScenario):
    tool_name = "regctl"

    def test_copies_from_the_hub_and_within_us(self):
        self.tool("image", "copy", self.hello, self.own("team/hello:1"))
        self.tool("image", "copy", self.own("team/hello:1"), self.own("other/hello:1"))
        self.assertEqual(self.uploads("other/hello"), [], self.registry.log.tail())
        self.check_hosted("team/hello", "1", self.image)
        self.check_hosted("other/hello", "1", self.image)

    def test_sends_large_blobs_in_chunks(self):
        self.tool("registry", "set", self.registry.address, "--tls", "disabled", "--blob-chunk", "65536", "--blob-max",
                  "100000")
        content = images.random_bytes(1000003, 9)
        self.tool.write("large", content)
        self.assertEqual(self.tool("artifact", "put", "--artifact-type", SBOM, "-f", "large", self.own("team/large:1")),
                         "")
        patches = self.lines(repo="team/large", op="push_chunk", status=202)
        self.assertGreaterEqual(len(patches), 1000003 // 65536, self.registry.log.tail())
        check_ok(self.api.blob("team/large", sha256(content)), sha256(content))
        os.mkdir(self.tool.folder / "out")
        self.tool("artifact", "get", "--output", "out", self.own("team/large:1"))
        written = os.listdir(self.tool.folder / "out")
        self.assertEqual([self.tool.read(f"out/{name}") for name in written], [content])

    def test_blobs(self):
        content = images.random_bytes(300000, 8)
        self.tool.write("blob", content)
        digest = self.tool("blob", "put", self.own("team/parts"), stdin="blob")
        self.assertEqual(digest, sha256(content))
        self.tool("blob", "copy", self.own("team/parts"), self.own("other/parts"), digest)
        self.assertIn(str(len(content)), self.tool("blob", "head", self.own("other/parts"), digest))
        self.tool("blob", "delete", self.own("team/parts"), digest)
        check_status(self.api.blob("team/parts", digest, "HEAD"), 404)
        check_ok(self.api.blob("other/parts", digest), digest)

    def test_tags_and_deletes(self):
        self.tool("image", "copy", self.hello, self.own("team/hello:1"))
        for tag in ("2", "3"):
            self.tool("image", "copy", self.own("team/hello:1"), self.own(f"team/hello:{tag}"))
        self.assertEqual(self.tool("tag", "ls", self.own("team/hello")).split(), ["1", "2", "3"])
        self.assertIn("team/hello", self.tool("repo", "ls", self.registry.address).split())
        self.tool("tag", "delete", self.own("team/hello:1"))
        self.assertEqual(self.tool("tag", "ls", self.own("team/hello")).split(), ["2", "3"])
        self.assertEqual(len(self.lines(method="DELETE", ref="1", status=202)), 1)
        self.assertEqual(self.tool("image", "digest", self.own("team/hello:2")), self.image.digest)
        self.tool("manifest", "delete", f"{self.own('team/hello')}@{self.image.digest}")
        self.assertEqual(self.tool("tag", "ls", self.own("team/hello")).split(), [])

    def test_referrers(self):
        self.tool("image", "copy", self.hello, self.own("team/hello:1"))
        self.tool.write("sbom.json", b'{"parts":[]}')
        self.tool("artifact", "put", "--artifact-type", SBOM, "-f", "sbom.json", "--subject", self.own("team/hello:1"))
        listed = json.loads(self.tool("artifact", "list", "--format", "{{json .}}", self.own("team/hello:1")))
        self.assertEqual([entry["artifactType"] for entry in listed["descriptors"]], [SBOM])
        self.assertIn(SBOM, self.tool("artifact", "tree", self.own("team/hello:1")))
        self.tool("image", "copy", "--referrers", self.own("team/hello:1"), self.own("other/hello:1"))
        self.assertIn(SBOM, self.tool("artifact", "list", self.own("other/hello:1")))
        digest = listed["descriptors"][0]["digest"]
        self.tool("manifest", "delete", "--referrers", f"{self.own('team/hello')}@{digest}")
        self.assertNotIn(SBOM, self.tool("artifact", "list", self.own("team/hello:1")))
        self.assertEqual(self.tool("tag", "ls", self.own("team/hello")).split(), ["1"])

    def test_export_and_import(self):
        self.tool("image", "export", self.hello, "hello.tar")
        self.docker.down()
        self.tool("image", "import", self.own("team/hello:1"), "hello.tar")
        self.check_hosted("team/hello", "1", self.image)

    def test_changes_an_image(self):
        self.tool("image", "copy", self.hello, self.own("team/hello:1"))
        self.tool("image", "mod", self.own("team/hello:1"), "--create", "2", "--label", "made=here", "--to-docker")
        answer = check_ok(self.api.manifest("team/hello", "2"))
        self.assertEqual(answer.headers["content-type"], images.DOCKER_LIST)
        self.tool("image", "mod", self.own("team/hello:1"), "--create", "512", "--digest-algo", "sha512")
        self.docker.down()
        self.tool("image", "copy", self.own("team/hello:2"), "ocidir://layout:2")
        self.tool("image", "copy", self.own("team/hello:512"), "ocidir://layout:512")
        self.assertIn("sha512:", self.tool("image", "digest", self.own("team/hello:512")))

    def test_index_of_platforms(self):
        self.tool("index", "create", "--ref", self.hello, "--platform", "linux/arm64", self.own("team/arm:1"))
        self.docker.down()
        document = check_ok(self.api.manifest("team/arm", "1")).json()
        self.assertEqual([entry["platform"]["architecture"] for entry in document["manifests"]], ["arm64"])
        self.tool("image", "get-file", "--platform", "linux/arm64", self.own("team/arm:1"), "platform", "file")
        self.assertEqual(self.tool.read("file"), b"arm64")

    def test_hub_through_us_as_a_mirror(self):
        """A mirror is asked GET, never HEAD, with ?ns=registry-1.docker.io, and a path of its own if so configured."""
        for number, prefix in enumerate(([], ["--path-prefix", "docker.io"])):
            self.tool("registry", "set", "docker.io", "--skip-check", "--mirror", self.registry.address)
            self.tool("registry", "set", self.registry.address, "--skip-check", "--tls", "disabled", *prefix)
            self.tool("image", "copy", f"docker.io/library/hello@{self.image.digest}", f"ocidir://layout{number}:1")
        self.assertEqual(self.docker.count(kind="cdn"), len(self.image.blobs), self.docker.story())


if __name__ == "__main__":
    unittest.main()
