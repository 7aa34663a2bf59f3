# SPDX-License-Identifier: Apache-2.0
"""Daemons of the test bed: started with a log, waited for, ended by pid."""

import os
import signal
import subprocess
import sys

from .waiting import slow_factor, wait_until


class Daemon:
    def __init__(self, arguments, log_path, environment=None):
        self.log_path = log_path
        with open(log_path, "ab") as log:
            self.process = subprocess.Popen(arguments, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                                            env=dict(os.environ, **(environment or {})), start_new_session=True)

    def log(self, size=8000):
        with open(self.log_path, "rb") as source:
            return source.read()[-size:].decode("utf-8", "replace")

    def wait_for(self, condition, seconds, what):
        def look():
            if self.process.poll() is not None:
                raise AssertionError(f"{what}: ended with {self.process.returncode}\n{self.log()}")
            return condition()
        return wait_until(look, seconds, lambda: f"{what}\n{self.log()}", every=0.05)

    def stop(self, seconds=30):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(seconds * slow_factor())
            except subprocess.TimeoutExpired:
                print(f"had to kill {self.process.args[0]}\n{self.log()}", file=sys.stderr)
                self.process.kill()
                self.process.wait()


def end_pid_file(path):
    """SIGKILL the process a pid file names, if it still lives."""
    try:
        with open(path, encoding="ascii") as source:
            os.kill(int(source.read().strip()), signal.SIGKILL)
    except (FileNotFoundError, ProcessLookupError, ValueError):
        pass


class Result:
    """What a command said."""

    def __init__(self, done):
        self.status = done.returncode
        self.out = done.stdout.decode("utf-8", "replace")
        self.err = done.stderr.decode("utf-8", "replace")
        self.arguments = done.args

    def __str__(self):
        return f"{' '.join(self.arguments)}\nexit {self.status}\n{self.out}\n{self.err}"


def run(arguments, environment=None, seconds=180, check=True, folder=None):
    done = subprocess.run(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
                          env=dict(os.environ, **(environment or {})), timeout=seconds * slow_factor(), cwd=folder,
                          check=False)
    result = Result(done)
    if check and result.status != 0:
        raise AssertionError(str(result))
    return result
