# SPDX-License-Identifier: Apache-2.0
# the configuration, apart so that tests can link it
noinst_LIBRARIES += libconfig.a
libconfig_a_SOURCES = \
	aegis/config.c \
	aegis/config.h \
	aegis/config_context.c \
	aegis/config_finish.c \
	aegis/config_int.h \
	aegis/config_hook.c \
	aegis/config_issuer.c \
	aegis/config_network.c \
	aegis/config_openbao.c \
	aegis/config_room.c \
	aegis/config_show.c \
	aegis/config_tool.c \
	aegis/context_file.c \
	aegis/context_file.h \
	aegis/key_table.c \
	aegis/keys.c \
	aegis/keys.h \
	aegis/keys_map.c \
	aegis/policy_file.c \
	aegis/policy_file.h \
	aegis/problem.c \
	aegis/problem.h \
	aegis/yaml.c \
	aegis/yaml.h \
	aegis/zoneinfo.c \
	aegis/zoneinfo.h
libconfig_a_CFLAGS = $(AM_CFLAGS) $(YAML_CFLAGS)

noinst_LIBRARIES += libverify.a
libverify_a_SOURCES = \
	aegis/evidence.c \
	aegis/evidence.h \
	aegis/line.c \
	aegis/line.h \
	aegis/verify.c \
	aegis/verify.h \
	aegis/verify_key.c \
	aegis/verify_receipt.c \
	aegis/verify_words.c

bin_PROGRAMS += aegis/aegis
aegis_aegis_SOURCES = \
	aegis/accuse.c \
	aegis/accuse.h \
	aegis/admin.c \
	aegis/admin.h \
	aegis/cert.c \
	aegis/cert.h \
	aegis/cgroup.c \
	aegis/cgroup.h \
	aegis/child.c \
	aegis/child.h \
	aegis/cli.c \
	aegis/cli.h \
	aegis/cmd.h \
	aegis/cmd_agent.c \
	aegis/cmd_config.c \
	aegis/cmd_context.c \
	aegis/cmd_policy.c \
	aegis/cmd_policy.h \
	aegis/cmd_policy_test.c \
	aegis/policy_watch.c \
	aegis/policy_watch.h \
	aegis/cmd_session.c \
	aegis/cmd_daemon.c \
	aegis/cmd_doctor.c \
	aegis/cmd_export.c \
	aegis/cmd_gate.c \
	aegis/cmd_init.c \
	aegis/cmd_ledger.c \
	aegis/cmd_receipt.c \
	aegis/cmd_openbao.c \
	aegis/cmd_operator.c \
	aegis/cmd_user.c \
	aegis/cmd_db.c \
	aegis/cmd_key_where.c \
	aegis/cmd_import.c \
	aegis/cmd_split.c \
	aegis/cmd_vaults.c \
	aegis/key_remove.c \
	aegis/key_remove.h \
	aegis/cmd_mcp.c \
	aegis/cmd_run.c \
	aegis/cmd_tool.c \
	aegis/cmd_board.c aegis/cmd_vault.c \
	aegis/cmd_webhook.c \
	aegis/cmd_verify.c \
	aegis/commands.c \
	aegis/completion.c \
	aegis/confsend.c \
	aegis/confsend.h \
	aegis/help.c \
	aegis/layout.c \
	aegis/layout.h \
	aegis/ledger_read.c \
	aegis/ledger_read.h \
	aegis/link.c \
	aegis/link.h \
	aegis/listen.c \
	aegis/listen.h \
	aegis/main.c \
	aegis/master.c \
	aegis/master.h \
	aegis/offer.c \
	aegis/offer.h \
	aegis/numbers.c \
	aegis/numbers.h \
	aegis/openbao.c \
	aegis/openbao.h \
	aegis/listing.c aegis/listing.h \
	aegis/out.c \
	aegis/out.h \
	aegis/out_file.c \
	aegis/out_file.h \
	aegis/progress.c aegis/progress.h \
	aegis/policies.c \
	aegis/policies.h \
	aegis/process.c \
	aegis/process.h \
	aegis/reload.c \
	aegis/reload.h \
	aegis/reload_keys.c \
	aegis/sealed.c \
	aegis/sealed.h \
	aegis/secret_in.c \
	aegis/spawn.c \
	aegis/spawn.h \
	aegis/template.c \
	aegis/template.h
aegis_aegis_LDADD = libconfig.a libverify.a $(COMMON_LIBS) $(YAML_LIBS)

check_PROGRAMS += tests/unit/policy tests/fuzz/fuzz_policy
TESTS += tests/unit/policy
tests_unit_policy_LDADD = $(CHECK_LIBS) libconfig.a $(COMMON_LIBS) $(YAML_LIBS)
tests_fuzz_fuzz_policy_SOURCES = tests/fuzz/fuzz_policy.c $(FUZZ_MAIN)
tests_fuzz_fuzz_policy_LDADD = $(FUZZ_LDFLAGS) libconfig.a $(COMMON_LIBS) $(YAML_LIBS)
check_PROGRAMS += tests/unit/config tests/unit/progress tests/unit/receipt tests/unit/verify \
	tests/fuzz/fuzz_config tests/fuzz/fuzz_export tests/fuzz/fuzz_receipt
TESTS += tests/unit/config tests/unit/progress tests/unit/receipt tests/unit/verify
EXTRA_DIST += tests/unit/export_make.h
tests_unit_progress_SOURCES = tests/unit/progress.c aegis/progress.c
tests_unit_receipt_LDADD = $(CHECK_LIBS) libverify.a $(COMMON_LIBS)
tests_unit_config_LDADD = $(CHECK_LIBS) libconfig.a $(COMMON_LIBS) $(YAML_LIBS)
tests_unit_verify_LDADD = $(CHECK_LIBS) libverify.a $(COMMON_LIBS)
tests_fuzz_fuzz_config_SOURCES = tests/fuzz/fuzz_config.c $(FUZZ_MAIN)
tests_fuzz_fuzz_config_LDADD = $(FUZZ_LDFLAGS) libconfig.a $(COMMON_LIBS) $(YAML_LIBS)
tests_fuzz_fuzz_export_SOURCES = tests/fuzz/fuzz_export.c $(FUZZ_MAIN)
tests_fuzz_fuzz_export_LDADD = $(FUZZ_LDFLAGS) libverify.a $(COMMON_LIBS)
tests_fuzz_fuzz_receipt_SOURCES = tests/fuzz/fuzz_receipt.c $(FUZZ_MAIN)
tests_fuzz_fuzz_receipt_LDADD = $(FUZZ_LDFLAGS) libverify.a $(COMMON_LIBS)
if !FUZZERS
TESTS += tests/fuzz/fuzz_policy
TESTS += tests/fuzz/fuzz_config tests/fuzz/fuzz_export tests/fuzz/fuzz_receipt
endif

# what `aegis openbao setup` prints: the script and the least policies in it
OPENBAO_TEXTS = $(srcdir)/contrib/openbao/setup.sh $(srcdir)/contrib/openbao/embed \
	$(srcdir)/contrib/openbao/board.hcl $(srcdir)/contrib/openbao/kv.hcl \
	$(srcdir)/contrib/openbao/database.hcl $(srcdir)/contrib/openbao/lease.hcl \
	$(srcdir)/contrib/openbao/session.hcl $(srcdir)/contrib/openbao/tenants.hcl \
	$(srcdir)/contrib/openbao/tenantdb.hcl \
	$(srcdir)/contrib/openbao/transit.hcl
BUILT_SOURCES += aegis/openbao_setup.inc
CLEANFILES += aegis/openbao_setup.inc
aegis/openbao_setup.inc: $(OPENBAO_TEXTS)
	$(AM_V_GEN)$(MKDIR_P) aegis && sh $(srcdir)/contrib/openbao/embed $(srcdir)/contrib/openbao > $@
