# SPDX-License-Identifier: Apache-2.0
# vault:database/creds/ROLE. Each credential hangs on a token of its own, made by the token role
# aegis-lease (secrets.openbao.lease_role), whose policy is lease.hcl: the gate's own token may
# make those, renew and revoke, and read no credential itself.
path "auth/token/create/aegis-lease" {
  capabilities = ["update"]
}
path "auth/token/revoke-accessor" {
  capabilities = ["update"]
}
path "sys/leases/renew" {
  capabilities = ["update"]
}
path "sys/leases/revoke" {
  capabilities = ["update"]
}
