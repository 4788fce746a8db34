# SPDX-License-Identifier: Apache-2.0
# Of a gate with tenants: what kv.hcl and board.hcl give in the platform's namespace, here in
# each tenant's below it. + is one namespace's name: no deeper one, and nothing else of theirs.
path "+/kv/data/*" {
  capabilities = ["read"]
}
path "+/transit/encrypt/blackboard" {
  capabilities = ["update"]
}
path "+/transit/decrypt/blackboard" {
  capabilities = ["update"]
}
