# SPDX-License-Identifier: Apache-2.0
"""The test bed: a Docker Hub in small, the server under test, and the clients that use both."""
