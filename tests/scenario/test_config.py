# SPDX-License-Identifier: Apache-2.0
"""Configuration: mistakes are told with their place, ports are announced, one folder has one server."""

import json
import os
import pwd
import re
import signal
import unittest

from support.case import Scenario
from support.client import Client, Many
from support.images import hello_image, sha256
from support.processes import run
from support.server import Server, binary, merge
from support.waiting import Folder, wait_until

GOOD = """listen: 127.0.0.1:0
upstreams:
  docker.io:
    default: true
"""

DOCUMENT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../docs/log.md")

# (text, line of the mistake, what the message names)
BAD = (
    ("listne: 127.0.0.1:0\n", 1, "listne"),
    ("listen: 127.0.0.1:0\nworkers: many\n", 2, "workers"),
    ("listen: 127.0.0.1:0\nworkers: 0\n", 2, "workers"),
    ("storage:\n  path: /tmp\n  grace: soon\n", 3, "grace"),
    ("storage:\n  pth: /tmp\n", 2, "pth"),
    ("listen: not an address\n", 1, "listen"),
    ("limits:\n  head_timeout: 10\n  request_line: 5 apples\n", 3, "request_line"),
    ("upstreams:\n  docker.io:\n    url: ftp://example.org\n", 3, "url"),
    ("upstreams:\n  docker.io:\n    tags:\n      - { match: \"*\", ttl: never ever }\n", 4, "ttl"),
    ("upstreams:\n  docker.io: {}\n  docker.io: {}\n", 3, "docker.io"),
    ("log:\n  level: loud\n", 2, "level"),
    ("listen: [127.0.0.1:0\n", None, ""),
    ("listen: 127.0.0.1:0\nlisten: 127.0.0.1:0\n", 2, "listen"),
)


class CheckTest(Scenario):
    def setUp(self):
        self.folder = Folder("config")
        self.addCleanup(self.folder.remove)

    def check(self, text):
        path = self.folder / "entrepot.yaml"
        with open(path, "w", encoding="utf-8") as out:
            out.write(text)
        return run([binary(), "check", "--config", path], check=False)

    def test_good_file(self):
        self.assertEqual(self.check(GOOD).status, 0)

    def test_mistakes_are_told_with_file_line_and_name(self):
        for text, line, name in BAD:
            with self.subTest(text=text):
                result = self.check(text)
                said = result.out + result.err
                self.assertEqual(result.status, 1, result)
                self.assertIn("entrepot.yaml:", said)
                if line is not None:
                    self.assertRegex(said, rf"entrepot\.yaml:{line}:\d+:")
                self.assertIn(name, said)

    def test_all_mistakes_are_told_at_once(self):
        said = self.check("listne: x\nworkers: many\nlog:\n  level: loud\n")
        text = said.out + said.err
        self.assertEqual(sorted(set(re.findall(r"entrepot\.yaml:(\d+):", text))), ["1", "2", "4"], text)

    def test_serve_refuses_what_check_refuses(self):
        path = self.folder / "entrepot.yaml"
        with open(path, "w", encoding="utf-8") as out:
            out.write("listne: x\n")
        result = run([binary(), "serve", "--config", path], check=False, seconds=20)
        self.assertNotEqual(result.status, 0)
        self.assertIn("entrepot.yaml:1:", result.out + result.err)

    def test_no_file_and_unknown_command(self):
        self.assertNotEqual(run([binary(), "check", "--config", self.folder / "none"], check=False).status, 0)
        self.assertEqual(run([binary(), "dance"], check=False).status, 2)


def manual():
    """{path: what its Type says} of every setting outside upstreams, as the program itself prints it."""
    text = run([binary(), "help", "settings"]).out.partition("## Upstreams")[0]
    return dict(re.findall(r"### `([^`]+)`\n.*?\n- Type: ([^\n]*)", text, re.S))


def nested(flat):
    """{"storage.grace": "1h"} as the maps of a file."""
    tree = {}
    for path, value in flat.items():
        *groups, key = path.split(".")
        place = tree
        for group in groups:
            place = place.setdefault(group, {})
        place[key] = value
    return tree


def one_more(text):
    """A value above this maximum."""
    number, unit = re.fullmatch(r"(\d+)(\D*)", text).groups()
    return f"{int(number) + 1}{unit}"


def entries(path, count):
    """A list of that length, fit for the setting."""
    if path == "listen":
        return ["localhost:0"] * count
    form = {"names": "host{}.test", "trusted_proxies": "10.{}.0.0/16"}.get(path, "team{}/*")
    return [form.format(i) for i in range(count)]


class LimitsTest(Scenario):
    """Whatever `check` accepts must run. The limits are those that the manual tells."""

    def extreme(self, word):
        """Every setting that has such a limit, at it: "at least" or "at most"."""
        flat = {}
        for path, kind in manual().items():
            found = re.search(rf"{word} (\S+?)(?: entries)?(?:,|$)", kind)
            if found and kind.endswith("entries"):
                flat[path] = entries(path, int(found.group(1)))
            elif found and not kind.endswith("bytes"):
                flat[path] = found.group(1)
        self.assertGreater(len(flat), 30)
        return flat

    def serves(self, server, seconds):
        server.start(seconds=seconds)
        self.assertEqual(self.client(server).request("GET", "/v2/").status, 200)
        blob = os.urandom(5000)
        self.client(server).push_blob("team0/app", blob)
        self.assertEqual(self.client(server).blob("team0/app", sha256(blob)).body, blob)

    def test_sixteen_addresses_with_two_sockets_each_and_the_admins(self):
        server = self.server(listens=["localhost:0"] * 16)
        self.assertEqual(self.client(server).request("GET", "/v2/").status, 200)

    def test_everything_at_its_maximum(self):
        flat = self.extreme("at most")
        del flat["limits.drain_delay"]  # the server could not be stopped for so long
        self.assertEqual((flat["workers"], len(flat["listen"])), ("64", 16))
        upstreams = {"docker.io": {
            "url": [f"https://hub{i}.test" for i in range(8)], "default": True,
            "redirects": [f"cdn{i}.test" for i in range(64)],
            "tags": [{"match": f"v{i}*", "ttl": "365d", "immutable": True} for i in range(64)]}}
        upstreams.update({f"registry{i}.test": {} for i in range(255)})
        self.serves(self.server(settings={**nested(flat), "upstreams": upstreams}, start=False), seconds=200)

    def test_everything_at_its_minimum(self):
        self.serves(self.server(settings=nested(self.extreme("at least")), start=False), seconds=60)

    def test_one_above_is_refused(self):
        folder = Folder("above")
        self.addCleanup(folder.remove)
        flat = self.extreme("at most")
        lines = []
        for path, value in flat.items():
            above = entries(path, len(value) + 1) if isinstance(value, list) else one_more(value)
            *groups, key = path.split(".")
            lines.append((groups[0] if groups else "", f"{'  ' * len(groups)}{key}: {json.dumps(above)}", path))
        text, places, group = [], {}, ""
        for head, line, path in sorted(lines, key=lambda entry: entry[0]):
            if head and head != group:
                text.append(f"{head}:")
            group = head
            text.append(line)
            places[path] = len(text)
        file = folder / "entrepot.yaml"
        with open(file, "w", encoding="utf-8") as out:
            out.write("\n".join(text) + "\n")
        said = run([binary(), "check", "--config", file], check=False)
        self.assertEqual(said.status, 1)
        for path, line in places.items():
            with self.subTest(path=path):
                self.assertRegex(said.err, rf"entrepot\.yaml:{line}:\d+: {re.escape(path)}: .*(at most|expected)")

    def test_what_is_too_large_written_out_is_refused(self):
        folder = Folder("large")
        self.addCleanup(folder.remove)
        rules = [{"match": f"v{i}"} for i in range(64)]
        file = folder / "entrepot.yaml"
        with open(file, "w", encoding="utf-8") as out:
            json.dump({"upstreams": {f"registry{i}.test": {"tags": rules} for i in range(70)}}, out)
        said = run([binary(), "check", "--config", file], check=False)
        self.assertEqual(said.status, 1)
        self.assertIn("fewer upstreams", said.err)


class StartTest(Scenario):
    def test_ready_line_names_every_address(self):
        server = self.server(listens=["127.0.0.1:0", "127.0.0.1:0"])
        self.assertEqual(len(server.listens), 2)
        for port in server.listens + [server.admin]:
            self.assertGreater(port, 0)
        self.assertEqual(len(set(server.listens + [server.admin])), 3)
        roles = sorted((child.role, child.slot) for child in server.children())
        self.assertEqual([role for role, _ in roles], ["fetcher", "keeper", "worker", "worker"])

    def test_ready_line_says_what_one_looks_for(self):
        hub = self.hub()
        server = self.server(hub, settings={"upstreams": {"ghcr.io": {}}}, listens=["127.0.0.1:0", "127.0.0.1:0"])
        ready, = [line for line in server.log.lines() if line.text.endswith('"ready"')]
        self.assertEqual(ready["data"], server.data)
        self.assertEqual(ready["config"], str(server.config_file))
        self.assertEqual(ready["user"], pwd.getpwuid(os.geteuid()).pw_name)
        self.assertEqual(ready["listen"], ",".join(f"127.0.0.1:{port}" for port in server.listens))
        self.assertEqual(ready["admin"], f"127.0.0.1:{server.admin}")
        self.assertEqual(ready["upstreams"], "docker.io,ghcr.io")
        self.assertEqual(ready["workers"], "2")
        self.assertRegex(ready["version"], r"^\d+\.\d+")

    def test_no_warning_about_what_nobody_set(self):
        folder = Folder("defaults")
        self.addCleanup(folder.remove)
        server = Server(folder=folder)
        self.addCleanup(lambda: server.close(self.has_failed()))
        user = ["--user", "root"] if os.geteuid() == 0 else []
        server.start(flags=["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--data", server.data, *user])
        server.stop()
        self.assertEqual([line.text for line in server.log.lines() if " warn " in line.text or " error " in line.text], [])
        ready, = [line for line in server.log.lines() if line.text.endswith('"ready"')]
        self.assertEqual((ready["config"], ready["upstreams"]), ("none", "docker.io"))

    def test_a_process_that_died_is_said_to_be_back(self):
        server = self.server()
        self.assertEqual([line.text for line in server.log.lines() if "is back" in line.text], [])
        for role in ("worker", "fetcher", "keeper"):
            pid = server.kill(role, 0)
            died = server.log.wait(lambda line: "process died" in line.text and line.has(process=role), 20, "died")
            self.assertIn(" error ", died.text)
            back = server.log.wait(lambda line: "process is back" in line.text and line.has(process=role), 20, "back")
            self.assertIn(" info ", back.text)
            self.assertEqual(back["number"], "0")
            self.assertNotEqual(back["pid"], str(pid))

    def test_signals_of_other_servers_leave_no_client_without_an_answer(self):
        server = self.server()
        for name in ("SIGUSR1", "SIGUSR2"):
            server.send_signal(getattr(signal, name))
            server.log.wait(lambda line, name=name: f'"{name}: ' in line.text, 20, name)
        self.assertEqual(self.client(server).request("GET", "/v2/").status, 200)
        server.send_signal(signal.SIGQUIT)  # a graceful end elsewhere
        self.assertEqual(server.wait_end(), 0)
        self.assertIn('"stopped"', server.log.lines()[-1].text)

    def test_flags_instead_of_a_file(self):
        folder = Folder("flags")
        self.addCleanup(folder.remove)
        server = Server(folder=folder)
        self.addCleanup(lambda: server.close(self.has_failed()))
        os.makedirs(server.data, exist_ok=True)
        flags = ["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--data", server.data, "--set", "workers=1"]
        if os.geteuid() == 0:
            flags += ["--user", "root"]
        server.start(flags=flags)
        self.assertEqual(len(server.children("worker")), 1)
        self.assertEqual(self.client(server).request("GET", "/v2/").status, 200)

    def test_second_server_on_the_same_folder_refuses(self):
        first = self.server()
        second = Server(folder=first.folder)
        second.config_file = first.folder / "second.yaml"
        with self.assertRaises(AssertionError) as caught:
            second.start(seconds=20)
        self.assertIn("the server ended with", str(caught.exception))
        self.assertEqual(self.client(first).request("GET", "/v2/").status, 200)

    def test_port_in_use_is_told(self):
        first = self.server()
        second = self.server(settings={"listen": first.address}, start=False)
        with self.assertRaises(AssertionError) as caught:
            second.start(seconds=20)
        self.assertIn("the server ended with", str(caught.exception))


class ReloadTest(Scenario):
    """Another configuration for a server that runs."""

    def reload(self, server, settings=None, text=None):
        if settings is not None:
            server.settings = merge(server.settings, settings)
            text = json.dumps(server.settings)
        with open(server.config_file, "w", encoding="utf-8") as out:
            out.write(text)
        count = len(server.log.lines())
        server.send_signal(signal.SIGHUP)
        server.log.wait(lambda line: "reload: " in line.text and line in server.log.lines()[count:], 20, "reloaded")
        return [line.text for line in server.log.lines()[count:]]

    def test_new_settings_are_in_use_and_requests_that_run_end(self):
        hub = self.hub()
        server = self.server(hub, settings={"log": {"level": "info"}})
        blob = os.urandom(3 << 20)
        digest = hub.publish_blob("library/big", blob)
        fault = hub.fault(kind="cdn", reference=digest, stall_after=1 << 20)
        download = Many()
        download.start(Client(server.port).blob, "library/big", digest)
        wait_until(lambda: server.metric("flights") == 1, 10, "a flight")
        pids = {child.pid for child in server.children()}
        self.reload(server, {"upstreams": {"docker.io": {"url": "http://127.0.0.1:9"}}, "hosted": {"delete": False}})
        self.assertEqual(self.client(server).request("DELETE", "/v2/team/app/manifests/v1").status, 405)
        self.assertEqual(self.client(server).manifest("library/other", "latest").status, 502)
        fault.release()
        self.assertEqual(download.join()[0].body, blob)
        self.assertEqual({child.pid for child in server.children()}, pids)
        server.wait_respawn("worker", 0, server.kill("worker", 0))
        for _ in range(4):
            self.assertEqual(self.client(server).request("DELETE", "/v2/team/app/manifests/v1").status, 405)

    def test_wrong_configuration_changes_nothing(self):
        server = self.server()
        said = self.reload(server, text="listne: x\n")
        self.assertTrue(any("entrepot.yaml:1:1: listne" in text for text in said), said)
        self.assertTrue(any("the old configuration stays" in text for text in said), said)
        self.assertEqual(self.client(server).request("GET", "/v2/").status, 200)

    def test_a_pipe_is_not_waited_for(self):
        """As long as the master waits, nobody starts a process that has died."""
        server = self.server(upstreams={"docker.io": {"url": "http://127.0.0.1:9", "default": True}})
        pipe = server.folder / "pipe"
        os.mkfifo(pipe)
        said = self.reload(server, {"upstreams": {"docker.io": {"username": "me", "password_file": pipe}}})
        self.assertTrue(any("password_file: " in text and "is a pipe" in text for text in said), said)
        self.assertTrue(any("the old configuration stays" in text for text in said), said)
        server.wait_respawn("worker", 0, server.kill("worker", 0))

    def test_what_needs_a_restart_is_named_and_stays(self):
        server = self.server()
        said = self.reload(server, {"workers": 3, "limits": {"uploads": 7, "uploads_per_repository": 7}, "log": {"level": "debug"}})
        kept = [text for text in said if "only a restart" in text]
        self.assertEqual(len(kept), 1, said)
        self.assertIn('settings="workers, limits.uploads"', kept[0])
        self.assertEqual(len(server.children("worker")), 2)

    def test_upstream_that_would_hide_images_is_refused_by_the_keeper(self):
        server = self.server()
        self.client(server).push("ghcr.io/app", "v1", hello_image())
        said = self.reload(server, {"upstreams": {"ghcr.io": {}}, "hosted": {"delete": False}})
        self.assertTrue(any("the keeper refused it" in text for text in said), said)
        self.assertEqual(self.client(server).manifest("ghcr.io/app", "v1").status, 200)
        self.assertNotEqual(self.client(server).request("DELETE", "/v2/ghcr.io/app/manifests/v1").status, 405)

    def test_a_worker_may_ask_for_it_and_a_fetcher_may_not(self):
        server = self.server(failpoints=[])
        server.arm("child.ask_reload@fetcher=fail:0:1")
        server.log.wait(lambda line: "this role may not ask for it" in line.text, 20, "the fetcher is refused")
        self.assertFalse([line for line in server.log.lines() if "reload: the" in line.text])
        server.arm("child.ask_reload@worker=fail:0:1")
        server.log.wait(lambda line: "reload: the new configuration is in use" in line.text, 20, "the worker is not")



class SocketTest(Scenario):
    def test_mode_and_group_of_a_socket(self):
        folder = Folder("socket")
        self.addCleanup(folder.remove)
        path = folder / "entrepot.sock"
        group = os.getgroups()[0] if os.getgroups() else os.getgid()
        listens = ["127.0.0.1:0", {"address": f"unix:{path}", "mode": "0660", "group": str(group)}]
        self.server(listens=listens)
        status = os.stat(path)
        self.assertEqual(status.st_mode & 0o777, 0o660)
        self.assertEqual(status.st_gid, group)


class JsonLogTest(Scenario):
    def test_each_line_has_each_key_once_and_numbers_are_numbers(self):
        server = self.server(settings={"log": {"format": "json"}})
        api = self.client(server)
        image = hello_image()
        api.push("team/app", "1", image)
        api.request("GET", "/v2/", headers={"User-Agent": "probe/1.0"})
        self.assertEqual(Client(server.admin).request("GET", "/readyz").status, 200)
        server.stop()
        lines = [self.once(line.text) for line in server.log.lines() if line.text]
        access = [line for line in lines if line.get("log") == "access"]
        self.assertTrue(all(isinstance(line["ms"], float) and isinstance(line["status"], int) for line in access))
        self.assertIn("probe/1.0", [line.get("agent") for line in access])
        pushed = [line["digest"] for line in access if line.get("op") == "push_manifest"]
        self.assertEqual(len(pushed), 1)
        self.assertRegex(pushed[0], "^sha256:[0-9a-f]{64}$")
        self.assertEqual([line for line in access if line.get("op") == "readyz"], [])
        with open(DOCUMENT, encoding="utf-8") as source:
            known = set(re.findall(r"`(\w+)`", source.read()))
        self.assertEqual({key for line in lines for key in line} - known, set())

    def once(self, text):
        def take(pairs):
            self.assertEqual(len({key for key, _ in pairs}), len(pairs), text)
            return dict(pairs)
        return json.loads(text, object_pairs_hook=take)


if __name__ == "__main__":
    unittest.main()
