# SPDX-License-Identifier: Apache-2.0
"""The commands that speak to a running server, each as a table and as JSON; help, completions and man pages."""

import glob
import json
import os
import subprocess

from scenario.test_space import blob_files
from support import images
from support.case import Scenario
from support.server import ROOT, binary, environment


def run(*arguments, stdin=None):
    """(status, standard output, standard error)"""
    done = subprocess.run([binary(), *arguments], input=stdin, capture_output=True, text=True, check=False, timeout=120,
                          env=environment())
    return done.returncode, done.stdout, done.stderr


class CommandScenario(Scenario):
    def setUp(self):
        self.source = self.hub()
        self.registry = self.server(self.source, failpoints=[])
        self.api = self.client(self.registry)
        self.image = images.make_image([images.random_bytes(5000, 1)])
        self.size = sum(len(one.content) for one in self.image.manifests) + sum(map(len, self.image.blobs.values()))

    def ask(self, command, *arguments, status=0, stdin=None):
        """What the command prints to standard output."""
        got, said, errors = run(command, "-c", self.registry.config_file, *arguments, stdin=stdin)
        self.assertEqual(got, status, errors)
        self.errors = errors
        return said

    def rows(self, *arguments, **options):
        return [line.split("\t") for line in self.ask(*arguments, **options).splitlines()]

    def pull(self):
        self.source.publish("library/app", "1", self.image)
        self.client(self.registry, ns="docker.io").pull("library/app", "1")
        self.registry.settle()


class AskTest(CommandScenario):
    def test_status(self):
        self.assertIn("keeper       answers\n", self.ask("status"))
        self.assertEqual(json.loads(self.ask("status", "-o", "json"))["storage"]["path"], self.registry.data)
        self.assertEqual(self.ask("status", "-q"), "")

    def test_ls(self):
        for tag in ("1", "2"):
            self.api.push("team/app", tag, self.image)
        self.pull()
        found = self.rows("ls")
        self.assertEqual([(row[0], row[1], row[3]) for row in found],
                         [(name, str(self.size), self.image.digest)
                          for name in ("team/app:1", "team/app:2", "docker.io/library/app:1")])
        self.assertEqual(self.rows("ls", "-q", "team/*"), [["team/app:1"], ["team/app:2"]])
        listed = json.loads(self.ask("ls", "--output", "json", "docker.io/library/*"))["images"]
        self.assertEqual([(entry["origin"], entry["tag"]) for entry in listed], [("docker.io", "1")])

    def test_du(self):
        self.api.push("team/app", "1", self.image)
        self.pull()
        self.assertEqual(self.rows("du"), [["(pushed here)", "1", str(self.size)], ["docker.io", "1", str(self.size)]])
        self.assertEqual(self.rows("du", "--by", "repository"),
                         [["team/app", str(self.size), "0"], ["docker.io/library/app", str(self.size), "0"]])
        self.assertEqual(self.rows("du", "team/*"), [["team/app", str(self.size), "0"]])
        following, = self.rows("du", "--by", "next")
        self.assertEqual(following[1:], [str(self.size), "docker.io/library/app", self.image.digest])
        self.assertEqual(json.loads(self.ask("du", "-o", "json"))["usage"][0]["bytes"], self.size)

    def test_rm_frees_at_once(self):
        self.api.push("team/app", "1", self.image)
        self.api.push("team/app", "2", self.image)
        self.assertEqual(self.ask("rm", "--dry-run", "team/app:*"), "team/app:1\nteam/app:2\n")
        self.assertIn("2 would be removed, 5.6 KiB would be freed", self.errors)
        self.assertEqual(self.ask("rm", "team/app:2"), "team/app:2\n")
        self.assertIn("1 removed, 0 B will be freed after twice storage.grace", self.errors)
        self.ask("rm", "-q", "--now", f"team/app@{self.image.digest}")
        self.assertEqual(blob_files(self.registry), {})
        self.ask("rm", "team/app:1", status=1)
        self.assertIn("no image here matches", self.errors)

    def test_rm_says_what_stays(self):
        index = images.make_image([images.random_bytes(100, 1)], platforms=["amd64", "arm64"])
        self.api.push("app", "1", index)
        self.ask("rm", f"app@{index.manifests[0].digest}", status=1)
        self.assertIn("which has a tag, names it", self.errors)
        kept = json.loads(self.ask("rm", "-o", "json", f"app@{index.manifests[0].digest}", status=1))["kept"]
        self.assertEqual(len(kept), 1)
        self.ask("rm", "app", status=1)
        self.assertIn("write REPOSITORY:TAG or REPOSITORY@DIGEST", self.errors)
        answer = json.loads(self.ask("rm", "-o", "json", "--repository", "--now", "app"))
        self.assertEqual(answer["manifests"], 3)
        self.assertEqual(self.ask("rm", "--release", "app"), "app\n")

    def test_gc(self):
        self.api.push("app", "1", self.image)
        self.ask("rm", "app:1")
        self.assertEqual(self.ask("gc"), "3 blobs of 5.6 KiB wait for their time (twice storage.grace)\n")
        self.assertEqual(json.loads(self.ask("gc", "--dry-run", "-o", "json"))["waiting"]["blobs"], 3)

    def test_pin_and_unpin(self):
        name = "docker.io/library/app:1"
        self.ask("pin", name)
        self.ask("pin", "--set", "cluster", "--from", "-", stdin=f"# what runs\n{name}\n\ndocker.io/library/x:2 # too\n")
        self.assertEqual(self.rows("pin"), [["cluster", name], ["default", name], ["cluster", "docker.io/library/x:2"]])
        self.ask("unpin", name)
        self.ask("pin", "--set", "cluster", "--from", "-", stdin=f"{name}\n")
        self.assertEqual(json.loads(self.ask("pin", "-o", "json")), {"pins": [{"set": "cluster", "image": name}]})
        self.ask("pin", "--set", "cluster", "--from", "-", stdin="# nothing\n", status=1)
        self.assertIn("- names no image", self.errors)
        self.assertEqual(self.rows("pin"), [["cluster", name]])
        self.ask("pin", "app:1", status=1)
        self.assertIn("write the whole name", self.errors)

    def test_api(self):
        self.assertEqual(json.loads(self.ask("api", "GET", "/api/v1/repositories")), {"repositories": []})
        self.assertIn("errors", json.loads(self.ask("api", "GET", "nothing", status=1)))
        answer = self.ask("api", "POST", "collections", "--data", "-", stdin='{"dry_run": true}')
        self.assertTrue(json.loads(answer)["dry_run"])


class NobodyTest(Scenario):
    def test_a_server_that_does_not_run(self):
        registry = self.server(start=False)
        os.makedirs(registry.data)
        path = f"{registry.data}/control.sock"
        status, _, errors = run("status", "--socket", path)
        self.assertEqual(status, 1)
        self.assertIn(f"nobody listens on {path}; start it with entrepot serve", errors)

    def test_no_socket_at_all(self):
        registry = self.server(settings={"control": {"address": "none"}})
        status, _, errors = run("status", "-c", registry.config_file)
        self.assertEqual((status, errors),
                         (1, "entrepot: the administrator's socket is disabled (control.address: none)\n"))

    def test_wrong_command_lines(self):
        for line, expected in (
                ("rm", "entrepot rm: IMAGE... is missing; entrepot help rm explains it"),
                ("status x", "entrepot status: unexpected argument x; entrepot help status explains it"),
                ("ls --outptu json", "entrepot ls: unknown option --outptu, did you mean --output?"),
                ("ls --zzzz", "entrepot ls: unknown option --zzzz; entrepot help ls lists them"),
                ("ls -o xml", "entrepot ls: --output is table or json, not xml"),
                ("ls -o", "entrepot ls: -o needs a value"),
                ("du --by=", "entrepot du: --by needs a value"),
                ("unpin", "entrepot unpin: name the images, or --from FILE"),
                ("api FETCH status", "entrepot api: unknown method FETCH; there are GET, POST, PUT and DELETE"),
                (f"ls --socket /{'x' * 108}", "entrepot: --socket: the path of a socket has at most 107 bytes")):
            with self.subTest(line):
                socket = [] if "--socket" in line else ["--socket", "/nonexistent/s"]
                word, *rest = line.split()
                self.assertEqual(run(word, *socket, *rest), (2, "", expected + "\n"))


class HelpTest(Scenario):
    def test_each_command_explains_itself(self):
        _, listed, _ = run("--help")
        commands = [line.split()[0] for line in listed.split("commands:\n")[1].split("\n\n")[0].splitlines()]
        self.assertEqual(commands, ["serve", "check", "status", "ls", "du", "rm", "gc", "pin", "unpin", "api", "help"])
        for command in commands[:-1]:
            status, text, _ = run(command, "--help")
            self.assertEqual((status, text), (0, run("help", command)[1]))
            self.assertTrue(text.startswith(f"usage: entrepot {command}"), text)
            self.assertLessEqual(max(map(len, text.splitlines())), 90)

    def test_what_is_made_from_the_table_is_what_is_shipped(self):
        made = {"completions/entrepot.bash": ("completion", "bash"), "completions/_entrepot": ("completion", "zsh"),
                "completions/entrepot.fish": ("completion", "fish"), "man/entrepot.1": ("man",)}
        for path in glob.glob(f"{ROOT}/packaging/man/entrepot-*.1"):
            made[f"man/{os.path.basename(path)}"] = ("man", os.path.basename(path)[len("entrepot-"):-len(".1")])
        self.assertEqual(len(made), 15)
        for path, words in made.items():
            with self.subTest(path), open(f"{ROOT}/packaging/{path}", encoding="utf-8") as source:
                self.assertEqual(source.read(), run("help", *words)[1])

    def test_bash_completes(self):
        script = f"source {ROOT}/packaging/completions/entrepot.bash; " \
                 "COMP_WORDS=(entrepot rm --d); COMP_CWORD=2; _entrepot; echo \"${COMPREPLY[@]}\"; " \
                 "COMP_WORDS=(entrepot u); COMP_CWORD=1; _entrepot; echo \"${COMPREPLY[@]}\""
        said = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True).stdout
        self.assertEqual(said, "--dry-run\nunpin\n")
