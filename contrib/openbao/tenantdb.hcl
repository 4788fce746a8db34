# SPDX-License-Identifier: Apache-2.0
# Of a gate with tenants that have databases: what database.hcl gives in the platform's namespace,
# here in each tenant's below it. Each of those has a token role of its own, with lease.hcl.
# OpenBao wants sudo for a token in a namespace below; the token role still says what it may do.
path "+/auth/token/create/aegis-lease" {
  capabilities = ["update", "sudo"]
}
path "+/auth/token/revoke-accessor" {
  capabilities = ["update"]
}
path "+/sys/leases/renew" {
  capabilities = ["update"]
}
path "+/sys/leases/revoke" {
  capabilities = ["update"]
}
