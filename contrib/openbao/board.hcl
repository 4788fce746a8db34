# SPDX-License-Identifier: Apache-2.0
# secrets.openbao.transit_keys.blackboard: blackboard: blackboards are encrypted by this key.
path "transit/encrypt/blackboard" {
  capabilities = ["update"]
}
path "transit/decrypt/blackboard" {
  capabilities = ["update"]
}
