# SPDX-License-Identifier: Apache-2.0
"""A certificate authority made for one test run, with one server certificate for the loopback."""

import os
import ssl
import subprocess

SERVER_EXTENSIONS = """basicConstraints=CA:FALSE
keyUsage=digitalSignature
extendedKeyUsage=serverAuth
subjectAltName=IP:127.0.0.1,IP:127.0.0.2,DNS:localhost,DNS:registry.test,DNS:auth.test,DNS:cdn.test
"""
NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


def _openssl(*arguments):
    subprocess.run(("openssl",) + arguments, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


class Authority:
    """Files: ca.pem (to trust), hub.pem and hub.key (to serve with)."""

    def __init__(self, folder):
        self.ca_file = os.path.join(folder, "ca.pem")
        self.cert_file = os.path.join(folder, "hub.pem")
        self.key_file = os.path.join(folder, "hub.key")
        self.ca_key = os.path.join(folder, "ca.key")
        request = os.path.join(folder, "hub.csr")
        extensions = os.path.join(folder, "hub.ext")
        _openssl("req", "-x509", *NEW_KEY, "-keyout", self.ca_key, "-out", self.ca_file, "-days", "30",
                 "-subj", "/CN=Test authority", "-addext", "basicConstraints=critical,CA:TRUE",
                 "-addext", "keyUsage=critical,keyCertSign")
        _openssl("req", *NEW_KEY, "-keyout", self.key_file, "-out", request, "-subj", "/CN=localhost")
        with open(extensions, "w", encoding="ascii") as out:
            out.write(SERVER_EXTENSIONS)
        _openssl("x509", "-req", "-in", request, "-CA", self.ca_file, "-CAkey", self.ca_key, "-CAcreateserial",
                 "-days", "30", "-extfile", extensions, "-out", self.cert_file)

    def issue(self, name, days=30):
        """A client's certificate and its key, as two files; with no days it has expired."""
        base = os.path.join(os.path.dirname(self.ca_file), name)
        _openssl("req", *NEW_KEY, "-keyout", f"{base}.key", "-out", f"{base}.csr", "-subj", f"/CN={name}")
        _openssl("x509", "-req", "-in", f"{base}.csr", "-CA", self.ca_file, "-CAkey", self.ca_key, "-CAcreateserial",
                 "-days", str(days), "-out", f"{base}.pem")
        return f"{base}.pem", f"{base}.key"

    def server_context(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.cert_file, self.key_file)
        return context

    def client_context(self):
        return ssl.create_default_context(cafile=self.ca_file)
