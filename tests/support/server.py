# SPDX-License-Identifier: Apache-2.0
"""The server under test: started with a folder and ports of its own, watched, stopped, its processes killed."""

import copy
import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
import urllib.request

from .waiting import Folder, slow_factor, wait_until

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
START_SECONDS = 30
STOP_SECONDS = 60
FIELD = re.compile(r'([a-z_0-9]+)=("(?:[^"\\]|\\.)*"|\S+)')
WRITER = re.compile(r"\b(master|worker|fetcher|keeper)(?:\[(\d+)\])?")
TROUBLE = ("AddressSanitizer", "LeakSanitizer", "runtime error:", "UndefinedBehavior", "CHECK failed", "check failed",
           "Assertion")


_known = {}


def binary():
    path = os.environ.get("ENTREPOT_BINARY")
    if path:
        return path
    return os.path.join(ROOT, "build", "dev", "entrepot")


def built(path):
    """A file of the tests' build: next to the program, or in build/dev when the program was built without tests."""
    beside = os.path.join(os.path.dirname(binary()), path)
    return beside if os.path.exists(beside) else os.path.join(ROOT, "build", "dev", path)


def preload(library):
    """What makes the server load `library` before all others; AddressSanitizer insists on being the first."""
    return {"LD_PRELOAD": f"{_sanitizer()} {library}" if is_sanitized() else library}


def _sanitizer():
    listed = subprocess.run(["ldd", binary()], check=True, capture_output=True, text=True).stdout
    return re.search(r"=> (\S*libasan\S*)", listed).group(1)


def environment():
    """Ours, without the test's own variables, and those of proxies, which the server would take for settings."""
    return {name: value for name, value in os.environ.items()
            if not name.startswith(("ENTREPOT_", "REGISTRY_")) and not name.lower().endswith("_proxy")}


def is_sanitized():
    """A build with AddressSanitizer, which is several times slower."""
    if "sanitized" not in _known:
        with open(binary(), "rb") as source:
            _known["sanitized"] = b"__asan_init" in source.read()
    return _known["sanitized"]


def seconds(limit):
    """A limit of the product, as a deadline for the build under test."""
    return limit * (4 if is_sanitized() else 1)


def merge(base, extra):
    result = copy.deepcopy(base)
    for key, value in extra.items():
        if isinstance(value, dict) and isinstance(result.get(key), dict):
            result[key] = merge(result[key], value)
        else:
            result[key] = value
    return result


class Line(dict):
    """One line of the log: its fields, `text`, and who wrote it (`role`, `slot`)."""

    def __init__(self, text):
        if text.startswith("{"):
            super().__init__((key, str(value)) for key, value in json.loads(text).items())
        else:
            super().__init__((key, value.strip('"')) for key, value in FIELD.findall(text))
        self.text = text
        writer = WRITER.search(text)
        self.role = writer.group(1) if writer else ""
        self.slot = int(writer.group(2)) if writer and writer.group(2) else None

    def has(self, **fields):
        return all(self.get(key) == str(value) for key, value in fields.items())


class Log:
    """The server's standard error, read as it grows."""

    def __init__(self, path):
        self.path = path
        self._file = open(path, "rb")
        self._rest = b""
        self._lines = []

    def lines(self):
        content = self._rest + self._file.read()
        whole, _, self._rest = content.rpartition(b"\n")
        if whole:
            self._lines += [Line(text) for text in whole.decode("utf-8", "replace").split("\n")]
        return self._lines

    def find(self, **fields):
        return [line for line in self.lines() if line.has(**fields)]

    def access(self, **fields):
        return self.find(log="access", **fields)

    def wait(self, condition, seconds, what):
        """The first line for which condition(line)."""
        def look():
            return [line for line in self.lines() if condition(line)]
        return wait_until(look, seconds, lambda: f"{what}\n{self.tail()}")[0]

    def tail(self, count=60):
        return "\n".join(line.text for line in self.lines()[-count:])

    def close(self):
        self._file.close()


def set_limits(limits):
    """In a new process: {resource.RLIMIT_…: value}."""
    for kind, value in limits.items():
        resource.setrlimit(kind, (value, value))


class Server:
    """`upstreams`: {name: hub or settings}. `settings` is merged over what the tests use by default."""

    def __init__(self, upstreams=None, settings=None, workers=2, folder=None, listens=None, failpoints=None,
                 variables=None, limits=None, stdin=subprocess.DEVNULL):
        """`failpoints`: entries as include/base/failpoint.h describes them; [] when `arm` comes later. `variables`: of
        the environment, besides those of the test. `limits`: {resource.RLIMIT_…: value}. `stdin`: an open file."""
        self._own_folder = folder is None
        self.folder = folder or Folder("server")
        self.data = self.folder / "data"
        self.config_file = self.folder / "entrepot.yaml"
        self.settings = self._settings(upstreams or {}, workers, listens, settings or {})
        self.process = None
        self._variables = variables or {}
        self._limits = limits or {}
        self._stdin = stdin
        self._failpoints = None
        if failpoints is not None:
            self._failpoints = self.folder / "failpoints"
            self.arm(*failpoints)
        self.log = None
        self.listens = []
        self.admin = None
        self._starts = 0
        self._session = 0
        self.expected_exit = 0

    def _settings(self, upstreams, workers, listens, extra):
        base = {
            "listen": listens or "127.0.0.1:0", "admin": "127.0.0.1:0", "workers": workers,
            "storage": {"path": self.data, "grace": "1h"}, "log": {"level": "info", "format": "text"},
            "upstreams": {name: self.upstream(entry) for name, entry in upstreams.items()},
        }
        if os.geteuid() == 0:
            base["user"] = "root"
        return merge(base, extra)

    @staticmethod
    def upstream(entry, **extra):
        """Settings of an upstream that is a Hub of the tests; the first such is meant to be docker.io."""
        if isinstance(entry, dict):
            return entry
        settings = {"url": entry.url, "default": True, "tags": [{"match": "*", "ttl": "1s"}]}
        if entry.ca_file:
            settings["ca_file"] = entry.ca_file
        settings.update(extra)
        return settings

    def arm(self, *entries):
        """From now on these failpoints are armed, and no others. Needs `failpoints` at the beginning."""
        with open(f"{self._failpoints}.new", "w", encoding="utf-8") as out:
            out.write("".join(f"{entry}\n" for entry in entries))
        os.replace(f"{self._failpoints}.new", self._failpoints)

    def _environment(self):
        armed = {"ENTREPOT_FAILPOINTS": f"@{self._failpoints}"} if self._failpoints else {}
        return {**environment(), **self._variables, **armed}

    # ---- life ----

    def start(self, seconds=START_SECONDS, flags=None):
        """`flags`: instead of the configuration file."""
        os.makedirs(self.data, exist_ok=True)
        with open(self.config_file, "w", encoding="utf-8") as out:
            json.dump(self.settings, out, indent=2)  # JSON is YAML
        self._starts += 1
        log_path = f"{self.config_file}.log.{self._starts}"
        with open(log_path, "wb") as errors:
            self.process = subprocess.Popen([binary(), "serve"] + (flags or ["--config", self.config_file]),
                                            stderr=errors, stdout=subprocess.DEVNULL, stdin=self._stdin,
                                            start_new_session=True, env=self._environment(),
                                            preexec_fn=lambda: set_limits(self._limits))
        self._session = self.process.pid
        if self.log is not None:
            self.log.close()
        self.log = Log(log_path)
        try:
            line = wait_until(self._ready_line, seconds, lambda: f"READY\n{self.log.tail()}")
        except BaseException:
            self.end()
            raise
        addresses = re.search(r'listen(?:=|":)"?([^" ]+)', line.text).group(1)
        self.listens = [int(port) for port in re.findall(r":(\d+)(?:,|$)", addresses)]
        admin = re.search(r'admin(?:=|":)"?[^" ]*:(\d+)', line.text)
        self.admin = int(admin.group(1)) if admin else None
        return self

    def _ready_line(self):
        for line in self.log.lines():
            if re.search(r"\bready\b", line.text, re.IGNORECASE) and re.search(r'\blisten(=|":)', line.text):
                return line
        if self.process.poll() is not None:
            raise AssertionError(f"the server ended with {self.process.returncode}\n{self.log.tail()}")
        return None

    @property
    def port(self):
        return self.listens[0]

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    @property
    def url(self):
        return f"http://{self.address}"

    def send_signal(self, number=signal.SIGTERM):
        self.process.send_signal(number)

    def wait_end(self, seconds=STOP_SECONDS):
        try:
            return self.process.wait(seconds * slow_factor())
        except subprocess.TimeoutExpired:
            tail = self.log.tail()
            self.end()
            raise AssertionError(f"the server did not end within {seconds} s\n{tail}") from None

    def stop(self):
        """SIGTERM; AssertionError when it does not end well or a sanitizer spoke."""
        if self.process is None:
            return
        if self.process.poll() is None:
            self.send_signal(signal.SIGTERM)
        status = self.wait_end()
        self.process = None
        self.check_log()
        if status != self.expected_exit:
            raise AssertionError(f"the server ended with {status}\n{self.log.tail()}")

    def check_log(self):
        for line in self.log.lines():
            for word in TROUBLE:
                if word in line.text:
                    text = "\n".join(entry.text for entry in self.log.lines()[-200:])
                    raise AssertionError(f"{word} in the server's log ({self.log.path}):\n{text}")

    def end(self):
        """By force, with all its processes; for when a test failed."""
        if self.process is not None:
            _kill(self.process.pid)
            self.process.wait()
            self.process = None
        for child in self.children():  # nobody starts them again
            _kill(child.pid)

    def close(self, failed=False):
        """The last thing of a test."""
        try:
            if failed and self.log is not None:
                print(f"---- the server's log ({self.log.path}):\n{self.log.tail()}", file=sys.stderr)
                self.end()
            else:
                self.stop()
        finally:
            self.end()
            if self.log is not None:
                self.log.close()
            if self._own_folder:
                self.folder.remove()

    # ---- processes ----

    def children(self, role=None, slot=None):
        """Live processes of the server, by role; also those whose master is dead."""
        found = [child for child in processes_of_session(self._session) if child.role] if self._session else []
        if role is not None:
            found = [child for child in found if child.role == role]
        if slot is not None:
            found = [child for child in found if child.slot == slot]
        return found

    def pid(self, role, slot=None):
        def look():
            found = self.children(role, slot)
            return found[0].pid if found else None
        return wait_until(look, 10, lambda: f"a process {role} {slot}\n{self.log.tail()}")

    def kill(self, role, slot=None, number=signal.SIGKILL):
        """Kill one process of a role; returns its pid."""
        pid = self.pid(role, slot)
        os.kill(pid, number)
        return pid

    def wait_respawn(self, role, slot, old_pid, seconds=5):
        """Seconds until there is a new process of that role."""
        began = time.monotonic()
        wait_until(lambda: [child for child in self.children(role, slot) if child.pid != old_pid], seconds,
                   lambda: f"a new {role} {slot}\n{self.log.tail()}", every=0.005)
        return time.monotonic() - began

    # ---- what it says ----

    def metrics(self, role=None):
        """{name: sum over its labels}, or that of one role."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.admin}/metrics", timeout=20) as answer:
            text = answer.read().decode()
        found = {}
        for line in text.splitlines():
            if line and not line.startswith("#") and (role is None or f'role="{role}"' in line):
                name, _, value = line.rpartition(" ")
                name = name.partition("{")[0]
                found[name] = found.get(name, 0) + float(value)
        return found

    def settle(self):
        """Until nothing is being fetched, checked or stored any more."""
        wait_until(lambda: self.metric("flights") == 0, 20, lambda: f"no flights\n{self.log.tail()}")

    def metric(self, name):
        """By the name in metrics.def, whatever stands before and behind it."""
        for full, value in self.metrics().items():
            if full in (name, f"entrepot_{name}", f"entrepot_{name}_total"):
                return value
        raise AssertionError(f"no metric {name}")


def _kill(pid):
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


class Child:
    def __init__(self, pid, arguments):
        self.pid = pid
        self.role = _value_after(arguments, "--role")
        slot = _value_after(arguments, "--slot")
        self.slot = int(slot) if slot.isdigit() else None


def _value_after(arguments, flag):
    for index, argument in enumerate(arguments):
        if argument == flag and index + 1 < len(arguments):
            return arguments[index + 1]
        if argument.startswith(flag + "="):
            return argument.partition("=")[2]
    return ""


def processes_of_session(session):
    """Each server is started in a session of its own, which its processes keep when the master dies."""
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/stat", "rb") as source:
                stat = source.read().rpartition(b")")[2].split()
            if int(stat[3]) != session or stat[0] in (b"Z", b"X"):
                continue
            with open(f"/proc/{entry}/cmdline", "rb") as source:
                arguments = source.read().decode("utf-8", "replace").split("\0")
        except (FileNotFoundError, ProcessLookupError):
            continue
        found.append(Child(int(entry), arguments))
    return found
