# SPDX-License-Identifier: Apache-2.0
# Of the token role aegis-lease (database.hcl), not of the gate. Narrow it to the roles that the
# configuration names.
path "database/creds/*" {
  capabilities = ["read"]
}
