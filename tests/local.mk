# SPDX-License-Identifier: Apache-2.0
# A test is a file: unit/NAME.c (Check), fuzz/fuzz_NAME.c (libFuzzer, or with the plain main
# of fuzz/replay.c that runs the corpus).
LDADD = $(CHECK_LIBS) $(COMMON_LIBS)
AM_CPPFLAGS += -DSRCDIR_VECTORS='"$(abs_srcdir)/tests/vectors"' \
	-DSRCDIR_CORPORA='"$(abs_srcdir)/tests/corpora"'

UNIT_TESTS =
FUZZ_TARGETS =
UNIT_TESTS += \
	tests/unit/addr \
	tests/unit/b64 \
	tests/unit/canon \
	tests/unit/chan \
	tests/unit/ed25519 \
	tests/unit/gate_headers \
	tests/unit/grant \
	tests/unit/hook_url \
	tests/unit/http1 \
	tests/unit/inspect \
	tests/unit/json \
	tests/unit/jsonw \
	tests/unit/jwt \
	tests/unit/log \
	tests/unit/merkle \
	tests/unit/metrics \
	tests/unit/msg \
	tests/unit/nfa \
	tests/unit/process_hash \
	tests/unit/reference \
	tests/unit/rfc3339 \
	tests/unit/route \
	tests/unit/sandbox \
	tests/unit/secret \
	tests/unit/target \
	tests/unit/ws
FUZZ_TARGETS += \
	tests/fuzz/fuzz_b64 \
	tests/fuzz/fuzz_http1 \
	tests/fuzz/fuzz_inspect \
	tests/fuzz/fuzz_json \
	tests/fuzz/fuzz_hook_url \
	tests/fuzz/fuzz_metrics \
	tests/fuzz/fuzz_jwks \
	tests/fuzz/fuzz_jwt \
	tests/fuzz/fuzz_msg \
	tests/fuzz/fuzz_nfa \
	tests/fuzz/fuzz_reference \
	tests/fuzz/fuzz_rfc3339 \
	tests/fuzz/fuzz_target \
	tests/fuzz/fuzz_ws

tests_fuzz_fuzz_b64_SOURCES = tests/fuzz/fuzz_b64.c $(FUZZ_MAIN)
tests_fuzz_fuzz_http1_SOURCES = tests/fuzz/fuzz_http1.c $(FUZZ_MAIN)
tests_fuzz_fuzz_inspect_SOURCES = tests/fuzz/fuzz_inspect.c $(FUZZ_MAIN)
tests_fuzz_fuzz_json_SOURCES = tests/fuzz/fuzz_json.c $(FUZZ_MAIN)
tests_fuzz_fuzz_hook_url_SOURCES = tests/fuzz/fuzz_hook_url.c $(FUZZ_MAIN)
tests_fuzz_fuzz_metrics_SOURCES = tests/fuzz/fuzz_metrics.c $(FUZZ_MAIN)
tests_fuzz_fuzz_jwks_SOURCES = tests/fuzz/fuzz_jwks.c $(FUZZ_MAIN)
tests_fuzz_fuzz_jwt_SOURCES = tests/fuzz/fuzz_jwt.c $(FUZZ_MAIN)
tests_fuzz_fuzz_msg_SOURCES = tests/fuzz/fuzz_msg.c $(FUZZ_MAIN)
tests_fuzz_fuzz_nfa_SOURCES = tests/fuzz/fuzz_nfa.c $(FUZZ_MAIN)
tests_fuzz_fuzz_reference_SOURCES = tests/fuzz/fuzz_reference.c $(FUZZ_MAIN)
tests_fuzz_fuzz_rfc3339_SOURCES = tests/fuzz/fuzz_rfc3339.c $(FUZZ_MAIN)
tests_fuzz_fuzz_target_SOURCES = tests/fuzz/fuzz_target.c $(FUZZ_MAIN)
tests_fuzz_fuzz_ws_SOURCES = tests/fuzz/fuzz_ws.c $(FUZZ_MAIN)

if FUZZERS
FUZZ_MAIN =
AM_CFLAGS += $(FUZZ_CFLAGS)
else
FUZZ_MAIN = tests/fuzz/replay.c
endif
# with libFuzzer each target has its main from there
FUZZ_LIBS = $(FUZZ_LDFLAGS) $(COMMON_LIBS)
tests_fuzz_fuzz_b64_LDADD = $(FUZZ_LIBS)
tests_fuzz_fuzz_http1_LDADD = $(FUZZ_LIBS)
tests_unit_inspect_LDADD = gated/libgated.a $(LDADD) $(ZLIB_LIBS)
tests_fuzz_fuzz_inspect_LDADD = gated/libgated.a $(FUZZ_LIBS) $(ZLIB_LIBS)
tests_fuzz_fuzz_json_LDADD = $(FUZZ_LIBS)
tests_fuzz_fuzz_hook_url_LDADD = $(FUZZ_LIBS)
tests_fuzz_fuzz_metrics_LDADD = $(FUZZ_LIBS)
tests_fuzz_fuzz_jwks_LDADD = $(FUZZ_LIBS)
tests_fuzz_fuzz_jwt_LDADD = $(FUZZ_LIBS)
tests_fuzz_fuzz_msg_LDADD = $(FUZZ_LIBS)
tests_fuzz_fuzz_nfa_LDADD = $(FUZZ_LIBS)
tests_fuzz_fuzz_reference_LDADD = $(FUZZ_LIBS)
tests_fuzz_fuzz_rfc3339_LDADD = $(FUZZ_LIBS)
tests_fuzz_fuzz_target_LDADD = $(FUZZ_LIBS)
tests_fuzz_fuzz_ws_LDADD = $(FUZZ_LIBS)

check_PROGRAMS += $(UNIT_TESTS) $(FUZZ_TARGETS) tests/corpora/http1_dump tests/corpora/inspect_dump \
	tests/vectors/canon_dump
tests_corpora_inspect_dump_SOURCES = tests/corpora/inspect_dump.c
tests_corpora_inspect_dump_LDADD = gated/libgated.a $(COMMON_LIBS) $(ZLIB_LIBS)
tests_corpora_http1_dump_LDADD = $(COMMON_LIBS)
tests_vectors_canon_dump_LDADD = $(COMMON_LIBS)
TESTS += $(UNIT_TESTS)
if !FUZZERS
TESTS += $(FUZZ_TARGETS)
endif
# seconds, generous: a loaded machine is no failure (CK_TIMEOUT_MULTIPLIER counts as well)
AM_TESTS_ENVIRONMENT = CK_DEFAULT_TIMEOUT=60; export CK_DEFAULT_TIMEOUT; srcdir='$(abs_srcdir)'; export srcdir; \
	FUZZ_CORPUS='$(abs_srcdir)/tests/fuzz/corpus'; export FUZZ_CORPUS;
EXTRA_DIST += tests/unit/vectors.h tests/vectors tests/corpora tests/fuzz/corpus tests/fuzz/replay.c

# the attacker inside each box; tests/sandbox/run.sh runs it
check_PROGRAMS += tests/sandbox/probe
tests_sandbox_probe_SOURCES = tests/sandbox/probe.c tests/sandbox/probe.h tests/sandbox/attempts.c \
	tests/sandbox/needs.c
tests_sandbox_probe_LDADD = $(COMMON_LIBS) $(SQLITE_LIBS)
EXTRA_DIST += tests/systemd/run.sh tests/sandbox/run.sh tests/sandbox/run.py tests/sandbox/expected.txt

# the benchmark: never a timed test
EXTRA_PROGRAMS += tests/bench/quick_tool tests/bench/seal_load
tests_bench_quick_tool_LDADD =
tests_bench_seal_load_SOURCES = tests/bench/seal_load.c \
	tests/bench/seal_sessions.c tests/bench/seal_sessions.h
tests_bench_seal_load_LDADD = $(SODIUM_LIBS)
EXTRA_DIST += tests/bench/bench.py tests/bench/features.py tests/bench/more.py tests/bench/openbao.py tests/bench/peers.py
bench: all tests/bench/quick_tool tests/bench/seal_load tests/bench/judge_hot
	$(srcdir)/contrib/bench '$(abs_builddir)'
timing: tests/bench/timing
	tests/bench/timing
.PHONY: bench timing

# whole folders: Python, corpora, vectors; what a build left in them is taken out again
EXTRA_DIST += tests/boundary tests/conftest.py tests/lib tests/needed.txt tests/sandbox \
	tests/system pytest.ini
dist-hook:
	chmod -R u+w $(distdir)/tests
	find $(distdir) \( -name '*.o' -o -name '.dirstamp' -o -name '*.pyc' -o -name '*.log' \
		-o -name '*.trs' \) -exec rm -f {} +
	find $(distdir) -depth \( -name __pycache__ -o -name .deps -o -name .pytest_cache \) \
		-exec rm -rf {} +
	rm -f $(distdir)/tests/corpora/http1_dump \
		$(distdir)/tests/corpora/inspect_dump $(distdir)/tests/vectors/canon_dump \
		$(distdir)/tests/sandbox/probe
