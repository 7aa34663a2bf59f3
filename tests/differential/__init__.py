# SPDX-License-Identifier: Apache-2.0
"""The same requests to us and to the reference registry; every difference is one we can explain."""
