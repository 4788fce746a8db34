# SPDX-License-Identifier: Apache-2.0

# vault: every object but main.c also goes into its tests
noinst_LIBRARIES += libvault.a
libvault_a_SOURCES = \
	keymasterd/vault/access.c keymasterd/vault/access.h \
	keymasterd/vault/again.c keymasterd/vault/again.h \
	keymasterd/vault/bao_check.c keymasterd/vault/bao_check.h \
	keymasterd/vault/bao_board.c keymasterd/vault/bao_board.h \
	keymasterd/vault/board.c keymasterd/vault/board.h \
	keymasterd/vault/board_offer.c keymasterd/vault/board_offer.h \
	keymasterd/vault/bao_http.c keymasterd/vault/bao_http.h \
	keymasterd/vault/bao_json.c keymasterd/vault/bao_json.h \
	keymasterd/vault/bao_kv.c keymasterd/vault/bao_kv.h \
	keymasterd/vault/bao_login.c keymasterd/vault/bao_login.h \
	keymasterd/vault/bao_place.c keymasterd/vault/bao_place.h \
	keymasterd/vault/bao_session.c keymasterd/vault/bao_session.h \
	keymasterd/vault/bao_sign.c keymasterd/vault/bao_sign.h \
	keymasterd/vault/bao_stats.c keymasterd/vault/bao_stats.h \
	keymasterd/vault/bao_transit.c keymasterd/vault/bao_transit.h \
	keymasterd/vault/bao_wrap.c keymasterd/vault/bao_wrap.h \
	keymasterd/vault/conf.c keymasterd/vault/conf.h \
	keymasterd/vault/credential.c keymasterd/vault/credential.h \
	keymasterd/vault/event.c keymasterd/vault/event.h \
	keymasterd/vault/file.c keymasterd/vault/file.h \
	keymasterd/vault/grace.c keymasterd/vault/grace.h \
	keymasterd/vault/grace_watch.c \
	keymasterd/vault/hook.c keymasterd/vault/hook.h \
	keymasterd/vault/kdf.c keymasterd/vault/kdf.h \
	keymasterd/vault/lease.c keymasterd/vault/lease.h \
	keymasterd/vault/lease_bao.c keymasterd/vault/lease_bao.h \
	keymasterd/vault/lease_journal.c keymasterd/vault/lease_journal.h \
	keymasterd/vault/lease_queue.c \
	keymasterd/vault/lease_report.c keymasterd/vault/lease_report.h \
	keymasterd/vault/lease_table.c keymasterd/vault/lease_table.h \
	keymasterd/vault/line.c keymasterd/vault/line.h \
	keymasterd/vault/offer.c keymasterd/vault/offer.h \
	keymasterd/vault/openbao.c keymasterd/vault/openbao.h \
	keymasterd/vault/pbkdf2.c keymasterd/vault/pbkdf2.h \
	keymasterd/vault/pending.c keymasterd/vault/pending.h \
	keymasterd/vault/permit.c keymasterd/vault/permit.h \
	keymasterd/vault/provider.h keymasterd/vault/provider_embedded.c \
	keymasterd/vault/provider_locked.c keymasterd/vault/provider_openbao.c \
	keymasterd/vault/quorum.c keymasterd/vault/quorum.h \
	keymasterd/vault/lookup.c keymasterd/vault/lookup.h \
	keymasterd/vault/node_key.c keymasterd/vault/node_key.h \
	keymasterd/vault/record.c keymasterd/vault/record.h \
	keymasterd/vault/seal.c keymasterd/vault/seal.h \
	keymasterd/vault/serve.h keymasterd/vault/serve_admin.c \
	keymasterd/vault/serve_judge.c \
	keymasterd/vault/serve_board.c keymasterd/vault/serve_sign.c \
	keymasterd/vault/serve_split.c \
	keymasterd/vault/serve_toolexec.c keymasterd/vault/serve_worker.c \
	keymasterd/vault/share.c keymasterd/vault/share.h \
	keymasterd/vault/sign.c keymasterd/vault/sign.h \
	keymasterd/vault/split.c keymasterd/vault/split.h \
	keymasterd/vault/store.c keymasterd/vault/store.h \
	keymasterd/vault/toolenv.c keymasterd/vault/toolenv.h \
	keymasterd/vault/watch.c keymasterd/vault/watch.h
daemon_PROGRAMS += keymasterd-vault
keymasterd_vault_SOURCES = keymasterd/vault/main.c
keymasterd_vault_LDADD = libvault.a libstream.a $(COMMON_LIBS) $(SSL_LIBS) $(GFSHARE_LIBS)

check_PROGRAMS += tests/unit/split tests/fuzz/fuzz_share
TESTS += tests/unit/split
tests_unit_split_LDADD = libvault.a $(CHECK_LIBS) $(COMMON_LIBS) $(GFSHARE_LIBS)
tests_fuzz_fuzz_share_SOURCES = tests/fuzz/fuzz_share.c $(FUZZ_MAIN)
tests_fuzz_fuzz_share_LDADD = libvault.a $(FUZZ_LIBS) $(GFSHARE_LIBS)
if !FUZZERS
TESTS += tests/fuzz/fuzz_share
endif
check_PROGRAMS += tests/unit/access
TESTS += tests/unit/access
tests_unit_access_LDADD = libvault.a $(CHECK_LIBS) $(COMMON_LIBS)
check_PROGRAMS += tests/unit/lease tests/fuzz/fuzz_lease
TESTS += tests/unit/lease
tests_unit_lease_LDADD = libvault.a libstream.a $(CHECK_LIBS) $(COMMON_LIBS) $(SSL_LIBS) $(GFSHARE_LIBS)
tests_fuzz_fuzz_lease_SOURCES = tests/fuzz/fuzz_lease.c $(FUZZ_MAIN)
tests_fuzz_fuzz_lease_LDADD = libvault.a libstream.a $(FUZZ_LIBS) $(SSL_LIBS) $(GFSHARE_LIBS)
if !FUZZERS
TESTS += tests/fuzz/fuzz_lease
endif
check_PROGRAMS += tests/unit/vault tests/unit/vault_power tests/unit/vault_process tests/fuzz/fuzz_vault
TESTS += tests/unit/vault tests/unit/vault_power tests/unit/vault_process
tests_unit_vault_power_SOURCES = tests/unit/vault_power.c tests/unit/power.h
tests_unit_vault_power_LDADD = libvault.a libstream.a $(CHECK_LIBS) $(COMMON_LIBS) $(SSL_LIBS) $(GFSHARE_LIBS)
tests_unit_vault_LDADD = libvault.a libstream.a $(CHECK_LIBS) $(COMMON_LIBS) $(SSL_LIBS) $(GFSHARE_LIBS)
tests_fuzz_fuzz_vault_SOURCES = tests/fuzz/fuzz_vault.c $(FUZZ_MAIN)
tests_fuzz_fuzz_vault_LDADD = libvault.a libstream.a $(FUZZ_LIBS) $(SSL_LIBS) $(GFSHARE_LIBS)
if !FUZZERS
TESTS += tests/fuzz/fuzz_vault
endif

# judge: the deciding half, the SEAL half, and what only the program has
JUDGE_CORE = \
	keymasterd/judge/access.c keymasterd/judge/access.h \
	keymasterd/judge/act.c keymasterd/judge/act.h \
	keymasterd/judge/admin.c keymasterd/judge/admin.h \
	keymasterd/judge/admin_board.c \
	keymasterd/judge/admin_agent.c keymasterd/judge/admin_check.c \
	keymasterd/judge/admin_credential.c keymasterd/judge/admin_credential.h \
	keymasterd/judge/admin_credential_row.c keymasterd/judge/admin_ledger.c \
	keymasterd/judge/admin_stats.c keymasterd/judge/admin_status.c \
	keymasterd/judge/admin_openbao.c \
	keymasterd/judge/admin_reload.c \
	keymasterd/judge/openbao.c keymasterd/judge/openbao.h \
	keymasterd/judge/admin_lease.c \
	keymasterd/judge/admin_sealed.c keymasterd/judge/sealed.c keymasterd/judge/sealed.h \
	keymasterd/judge/admin_vault.c \
	keymasterd/judge/again.c keymasterd/judge/again.h \
	keymasterd/judge/attest_method.h keymasterd/judge/attest_process.c \
	keymasterd/judge/attest_token.c \
	keymasterd/judge/policies.c keymasterd/judge/policies.h keymasterd/judge/policy_windows.c \
	keymasterd/judge/authorize_policy.c \
	keymasterd/judge/process.c keymasterd/judge/process.h \
	keymasterd/judge/authorize.c keymasterd/judge/authorize.h \
	keymasterd/judge/clock.c keymasterd/judge/clock.h \
	keymasterd/judge/credentials.c \
	keymasterd/judge/count.c keymasterd/judge/count.h \
	keymasterd/judge/decide.c keymasterd/judge/decide.h \
	keymasterd/judge/flight.c keymasterd/judge/flight.h \
	keymasterd/judge/hook.h keymasterd/judge/hook_admin.c \
	keymasterd/judge/hook_event.c keymasterd/judge/hook_queue.c \
	keymasterd/judge/hook_table.c \
	keymasterd/judge/hook_test.c keymasterd/judge/hook_test.h \
	keymasterd/judge/store_hook.c keymasterd/judge/store_hook.h \
	keymasterd/judge/judge.h \
	keymasterd/judge/judge_util.c \
	keymasterd/judge/ledger.c keymasterd/judge/ledger.h \
	keymasterd/judge/ledger_budget.c keymasterd/judge/ledger_checkpoint.c \
	keymasterd/judge/ledger_count.c keymasterd/judge/ledger_count.h \
	keymasterd/judge/ledger_find.c keymasterd/judge/ledger_find.h \
	keymasterd/judge/ledger_file.c keymasterd/judge/ledger_file.h \
	keymasterd/judge/ledger_index.c keymasterd/judge/ledger_index.h \
	keymasterd/judge/ledger_int.h keymasterd/judge/ledger_line.c \
	keymasterd/judge/ledger_line.h keymasterd/judge/ledger_open.c \
	keymasterd/judge/ledger_path.c keymasterd/judge/ledger_row.c \
	keymasterd/judge/ledger_scan.c keymasterd/judge/ledger_scan.h \
	keymasterd/judge/ledger_walk.c keymasterd/judge/ledger_walk.h \
	keymasterd/judge/ledger_sync.c keymasterd/judge/ledger_sync.h \
	keymasterd/judge/limit.c keymasterd/judge/limit.h \
	keymasterd/judge/map.c keymasterd/judge/map.h \
	keymasterd/judge/migrations.c \
	keymasterd/judge/redact.c keymasterd/judge/redact.h \
	keymasterd/judge/redeemer.c keymasterd/judge/redeemer.h \
	keymasterd/judge/socket.c keymasterd/judge/socket.h \
	keymasterd/judge/refusal.c \
	keymasterd/judge/registry.c keymasterd/judge/registry.h \
	keymasterd/judge/registry_int.h keymasterd/judge/rights.c \
	keymasterd/judge/store.h keymasterd/judge/store_agents.c \
	keymasterd/judge/store_context.c \
	keymasterd/judge/store_credentials.c keymasterd/judge/store_helper.c \
	keymasterd/judge/store_int.h \
	keymasterd/judge/store_operator.c \
	keymasterd/judge/store_node.c \
	keymasterd/judge/store_user.c \
	keymasterd/judge/user.c keymasterd/judge/user.h \
	keymasterd/judge/permission.def \
	keymasterd/judge/admin_user.c \
	keymasterd/judge/admin_db.c \
	keymasterd/judge/api_service.c keymasterd/judge/api_service.h \
	keymasterd/judge/store_session.c keymasterd/judge/store_sqlite.c \
	keymasterd/judge/turn.c keymasterd/judge/turn.h \
	keymasterd/judge/vault_drop.c keymasterd/judge/vault_drop.h \
	keymasterd/judge/vault_mark.c keymasterd/judge/vault_mark.h \
	keymasterd/judge/waiting.c keymasterd/judge/waiting.h \
	keymasterd/judge/windows.c
JUDGE_SEAL = \
	keymasterd/judge/admin_context.c \
	keymasterd/judge/admin_key.c keymasterd/judge/admin_operator.c \
	keymasterd/judge/admin_operator_list.c \
	keymasterd/judge/receipt.c keymasterd/judge/receipt.h keymasterd/judge/receipt_make.c \
	keymasterd/judge/admin_policy.c \
	keymasterd/judge/admin_seal.c \
	keymasterd/judge/admin_tool.c \
	keymasterd/judge/api.c keymasterd/judge/api.h \
	keymasterd/judge/api_context.c keymasterd/judge/api_context.h \
	keymasterd/judge/api_session.c keymasterd/judge/api_session.h \
	keymasterd/judge/api_session_new.c \
	keymasterd/judge/session_body.c keymasterd/judge/session_body.h \
	keymasterd/judge/attest.c keymasterd/judge/attest.h \
	keymasterd/judge/attest_body.c keymasterd/judge/attest_body.h \
	keymasterd/judge/attest_key.c keymasterd/judge/attest_key.h \
	keymasterd/judge/context_args.c keymasterd/judge/context_args.h \
	keymasterd/judge/context_builtin.c \
	keymasterd/judge/context_change.c keymasterd/judge/context_change.h \
	keymasterd/judge/context_eval.c keymasterd/judge/context_eval.h \
	keymasterd/judge/context_table.c keymasterd/judge/context_table.h \
	keymasterd/judge/cluster.c keymasterd/judge/cluster.h \
	keymasterd/judge/cluster_attest.c keymasterd/judge/cluster_int.h \
	keymasterd/judge/collect.c keymasterd/judge/collect.h \
	keymasterd/judge/data_api.c keymasterd/judge/data_api.h \
	keymasterd/judge/data_feed.c keymasterd/judge/data_requests.c \
	keymasterd/judge/data_row.c keymasterd/judge/data_stats.c \
	keymasterd/judge/perm.c keymasterd/judge/perm.h \
	keymasterd/judge/mint.c keymasterd/judge/mint.h \
	keymasterd/judge/operator.c keymasterd/judge/operator.h \
	keymasterd/judge/context_walk.c keymasterd/judge/context_walk.h \
	keymasterd/judge/mcp.c keymasterd/judge/mcp.h \
	keymasterd/judge/mcp_2026.c \
	keymasterd/judge/mcp_answer.c \
	keymasterd/judge/mcp_forward.c keymasterd/judge/mcp_forward.h \
	keymasterd/judge/mcp_methods.c \
	keymasterd/judge/mcp_offer.c keymasterd/judge/mcp_offer.h \
	keymasterd/judge/mcp_read.c keymasterd/judge/mcp_read.h \
	keymasterd/judge/mcp_session.c keymasterd/judge/mcp_session.h \
	keymasterd/judge/mcp_stream.c keymasterd/judge/mcp_stream.h \
	keymasterd/judge/seal.c \
	keymasterd/judge/seal_arguments.c keymasterd/judge/seal_arguments.h \
	keymasterd/judge/seal_envelope.c keymasterd/judge/seal_envelope.h \
	keymasterd/judge/seal_error.c keymasterd/judge/seal_error.h \
	keymasterd/judge/seal_invoke.c keymasterd/judge/seal_invoke.h \
	keymasterd/judge/seal_marks.c keymasterd/judge/seal_marks.h \
	keymasterd/judge/seal_verify.c keymasterd/judge/seal_verify.h \
	keymasterd/judge/session.c keymasterd/judge/session.h \
	keymasterd/judge/session_rate.c keymasterd/judge/session_rate.h \
	keymasterd/judge/tool_execution.c \
	keymasterd/judge/tools.c keymasterd/judge/tools.h \
	keymasterd/judge/trust.c keymasterd/judge/trust.h
JUDGE_LIBS = $(COMMON_LIBS) $(SQLITE_LIBS) -lpthread
noinst_LIBRARIES += libjudge.a
libjudge_a_SOURCES = $(JUDGE_CORE) $(JUDGE_SEAL)
daemon_PROGRAMS += keymasterd-judge
keymasterd_judge_SOURCES = $(JUDGE_CORE) $(JUDGE_SEAL) \
	keymasterd/judge/main.c \
	keymasterd/judge/peers.c keymasterd/judge/peers.h \
	keymasterd/judge/permit.c keymasterd/judge/permit.h
keymasterd_judge_LDADD = $(JUDGE_LIBS)

# tests of the SEAL half; they define what main.c and peers.c define in the daemon
check_PROGRAMS += tests/unit/context tests/unit/seal_marks tests/unit/seal_verify \
	tests/fuzz/fuzz_context tests/fuzz/fuzz_envelope
TESTS += tests/unit/context tests/unit/seal_marks tests/unit/seal_verify
check_PROGRAMS += tests/unit/mcp_read tests/fuzz/fuzz_attest tests/fuzz/fuzz_mcp
TESTS += tests/unit/mcp_read
EXTRA_DIST +=
tests_unit_context_LDADD = libjudge.a $(CHECK_LIBS) $(JUDGE_LIBS)
tests_unit_seal_marks_LDADD = libjudge.a $(CHECK_LIBS) $(JUDGE_LIBS)
tests_unit_seal_verify_LDADD = libjudge.a $(CHECK_LIBS) $(JUDGE_LIBS)
tests_unit_mcp_read_LDADD = libjudge.a $(CHECK_LIBS) $(JUDGE_LIBS)
tests_fuzz_fuzz_attest_SOURCES = tests/fuzz/fuzz_attest.c $(FUZZ_MAIN)
tests_fuzz_fuzz_attest_LDADD = libjudge.a $(FUZZ_LDFLAGS) $(JUDGE_LIBS)
tests_fuzz_fuzz_mcp_SOURCES = tests/fuzz/fuzz_mcp.c $(FUZZ_MAIN)
tests_fuzz_fuzz_mcp_LDADD = libjudge.a $(FUZZ_LDFLAGS) $(JUDGE_LIBS)
tests_fuzz_fuzz_context_SOURCES = tests/fuzz/fuzz_context.c $(FUZZ_MAIN)
tests_fuzz_fuzz_context_LDADD = libjudge.a $(FUZZ_LDFLAGS) $(JUDGE_LIBS)
tests_fuzz_fuzz_envelope_SOURCES = tests/fuzz/fuzz_envelope.c $(FUZZ_MAIN)
tests_fuzz_fuzz_envelope_LDADD = libjudge.a $(FUZZ_LDFLAGS) $(JUDGE_LIBS)
if !FUZZERS
TESTS += tests/fuzz/fuzz_attest tests/fuzz/fuzz_context tests/fuzz/fuzz_envelope tests/fuzz/fuzz_mcp
endif

# tests of the deciding half; authorize runs the program itself
check_PROGRAMS += tests/unit/authorize tests/unit/ledger tests/unit/ledger_disk \
	tests/unit/ledger_power \
	tests/unit/ratelimit tests/unit/store
TESTS += tests/unit/authorize tests/unit/ledger tests/unit/ledger_disk \
	tests/unit/ledger_power \
	tests/unit/ratelimit tests/unit/store
tests_unit_authorize_LDADD = $(CHECK_LIBS) $(JUDGE_LIBS)
tests_unit_ledger_LDADD = libjudge.a $(CHECK_LIBS) $(JUDGE_LIBS)
tests_unit_ledger_power_SOURCES = tests/unit/ledger_power.c tests/unit/power.h
tests_unit_ledger_power_LDADD = libjudge.a $(CHECK_LIBS) $(JUDGE_LIBS)
tests_unit_ledger_disk_LDADD = libjudge.a $(CHECK_LIBS) $(JUDGE_LIBS)
tests_unit_ratelimit_LDADD = libjudge.a $(CHECK_LIBS) $(JUDGE_LIBS)
tests_unit_store_LDADD = libjudge.a $(CHECK_LIBS) $(JUDGE_LIBS)
EXTRA_PROGRAMS += tests/bench/judge_hot tests/bench/timing
tests_bench_timing_LDADD = libjudge.a $(JUDGE_LIBS) -lm
tests_bench_judge_hot_LDADD = libjudge.a $(JUDGE_LIBS)
tests_bench_judge_hot_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=ledger_append
