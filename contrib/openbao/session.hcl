# SPDX-License-Identifier: Apache-2.0
# Of every gate: to see whether its token is good, and to renew it.
path "auth/token/lookup-self" {
  capabilities = ["read"]
}
path "auth/token/renew-self" {
  capabilities = ["update"]
}
