# SPDX-License-Identifier: Apache-2.0
# secrets.openbao.transit_keys.seal_signing: seal: security tokens are signed by this key.
path "transit/keys/seal" {
  capabilities = ["read"]
}
path "transit/sign/seal" {
  capabilities = ["update"]
}
