# SPDX-License-Identifier: Apache-2.0
# Of every gate: to see whether its token is good, to renew it, to give it back when the gate
# stops, and to see what it may do (aegis doctor).
path "auth/token/lookup-self" {
  capabilities = ["read"]
}
path "auth/token/renew-self" {
  capabilities = ["update"]
}
path "auth/token/revoke-self" {
  capabilities = ["update"]
}
path "sys/capabilities-self" {
  capabilities = ["update"]
}
