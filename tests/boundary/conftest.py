# SPDX-License-Identifier: Apache-2.0
"""`pytest tests/boundary --prefix DIR` (or AEGIS_PREFIX): the daemons of an installation,
each with the test in the place of its master."""
