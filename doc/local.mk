# SPDX-License-Identifier: Apache-2.0
dist_man_MANS += doc/aegis.1 doc/aegis.config.yaml.5
dist_man_MANS += doc/gated.8 doc/keymasterd.8 doc/egressd.8 doc/toolhostd.8
EXTRA_DIST += doc/PROTOCOL.md doc/contexts.md doc/design.md doc/goals.md doc/mcp.md doc/openbao.md doc/performance.md doc/policies.md doc/vault-format.md
