# SPDX-License-Identifier: Apache-2.0
"""Tests get a network that ends at this machine. Real clients fall back to the registries whose mirror we are, and look
up their names before they ask anybody."""

import ctypes
import fcntl
import os
import socket
import struct

CLONE_NEWNET = 0x40000000
SIOCSIFFLAGS = 0x8914
UP_AND_RUNNING = 0x41

_outside = None


def seal():
    """This process and its children have the loopback alone from now on. To be called before there are threads; without
    root, or where a namespace cannot be had, nothing changes."""
    global _outside
    if os.geteuid() != 0:
        return
    outside = os.open("/proc/self/ns/net", os.O_RDONLY)
    if ctypes.CDLL(None).unshare(CLONE_NEWNET) != 0:
        os.close(outside)
        return
    _outside = outside
    with socket.socket() as control:
        fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", UP_AND_RUNNING))


def outside(command):
    """The command with the network that this process had before: for what a registry of modules gives."""
    if _outside is None:
        return command
    return ["nsenter", f"--net=/proc/{os.getpid()}/fd/{_outside}", *command]
