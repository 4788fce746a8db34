# SPDX-License-Identifier: Apache-2.0
# Secrets that vault: references name. Narrow it to what the configuration names, such as
# kv/data/tools/*, where the engine holds other things too.
path "kv/data/*" {
  capabilities = ["read"]
}
