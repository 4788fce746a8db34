# SPDX-License-Identifier: Apache-2.0
# secrets.openbao.lease_sweep: true, where no other gate uses the same database roles. A request
# that is broken off just when OpenBao registers its lease leaves a lease that no token leads to;
# this finds it. Narrow it to the roles that the configuration names.
path "sys/leases/lookup/database/creds/*" {
  capabilities = ["list", "sudo"]
}
