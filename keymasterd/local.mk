# SPDX-License-Identifier: Apache-2.0

# vault: every object but main.c also goes into its tests
noinst_LIBRARIES += libvault.a
libvault_a_SOURCES = \
	keymasterd/vault/conf.c keymasterd/vault/conf.h \
	keymasterd/vault/credential.h \
	keymasterd/vault/file.c keymasterd/vault/file.h \
	keymasterd/vault/kdf.c keymasterd/vault/kdf.h \
	keymasterd/vault/line.c keymasterd/vault/line.h \
	keymasterd/vault/permit.c keymasterd/vault/permit.h \
	keymasterd/vault/provider.h keymasterd/vault/provider_embedded.c \
	keymasterd/vault/record.c keymasterd/vault/record.h \
	keymasterd/vault/seal.c keymasterd/vault/seal.h \
	keymasterd/vault/serve.h keymasterd/vault/serve_judge.c \
	keymasterd/vault/serve_toolexec.c keymasterd/vault/serve_worker.c \
	keymasterd/vault/sign.c keymasterd/vault/sign.h \
	keymasterd/vault/store.c keymasterd/vault/store.h \
	keymasterd/vault/toolenv.c keymasterd/vault/toolenv.h
daemon_PROGRAMS += keymasterd-vault
keymasterd_vault_SOURCES = keymasterd/vault/main.c
keymasterd_vault_LDADD = libvault.a $(COMMON_LIBS)

check_PROGRAMS += tests/unit/vault tests/unit/vault_process tests/fuzz/fuzz_vault
TESTS += tests/unit/vault tests/unit/vault_process
tests_unit_vault_LDADD = libvault.a $(CHECK_LIBS) $(COMMON_LIBS)
tests_fuzz_fuzz_vault_SOURCES = tests/fuzz/fuzz_vault.c $(FUZZ_MAIN)
tests_fuzz_fuzz_vault_LDADD = libvault.a $(FUZZ_LIBS)
if !FUZZERS
TESTS += tests/fuzz/fuzz_vault
endif
