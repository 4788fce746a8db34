# SPDX-License-Identifier: Apache-2.0
daemon_PROGRAMS += egressd/egressd-dispatcher egressd/egressd-worker

egressd_egressd_dispatcher_SOURCES = \
	egressd/dispatcher/dial.c \
	egressd/dispatcher/dial.h \
	egressd/dispatcher/dispatcher.h \
	egressd/dispatcher/main.c \
	egressd/dispatcher/permit.c \
	egressd/dispatcher/resolve.c \
	egressd/dispatcher/spawn.c
egressd_egressd_dispatcher_LDADD = $(COMMON_LIBS)

# all but main.c, for tests
noinst_LIBRARIES += libworker.a
libworker_a_SOURCES = \
	egressd/worker/admit.c \
	egressd/worker/credential.c \
	egressd/worker/credential.h \
	egressd/worker/download.c \
	egressd/worker/exchange.c \
	egressd/worker/exchange.h \
	egressd/worker/grace.c egressd/worker/grace.h \
	egressd/worker/hook.c \
	egressd/worker/hook.h \
	egressd/worker/hook_sign.c \
	egressd/worker/inject.c \
	egressd/worker/inject.h \
	egressd/worker/permit.c \
	egressd/worker/permit.h \
	egressd/worker/receive.c \
	egressd/worker/report.c \
	egressd/worker/respond.c \
	egressd/worker/respond.h \
	egressd/worker/secret_fetch.c \
	egressd/worker/send.c \
	egressd/worker/socket.c \
	egressd/worker/socket.h \
	egressd/worker/socket_go.c \
	egressd/worker/socket_int.h \
	egressd/worker/socket_open.c \
	egressd/worker/socket_say.c \
	egressd/worker/target.c \
	egressd/worker/target.h \
	egressd/worker/tls.c \
	egressd/worker/tls.h \
	egressd/worker/upstream.c \
	egressd/worker/upstream.h \
	egressd/worker/worker.h
egressd_egressd_worker_SOURCES = egressd/worker/main.c
egressd_egressd_worker_LDADD = libworker.a libstream.a $(SSL_LIBS) $(COMMON_LIBS)

check_PROGRAMS += tests/unit/inject tests/unit/reflect tests/unit/resolve \
	tests/unit/socket tests/unit/worker_target \
	tests/fuzz/fuzz_reflect tests/fuzz/fuzz_response
TESTS += tests/unit/inject tests/unit/reflect tests/unit/resolve tests/unit/socket \
	tests/unit/worker_target
tests_unit_inject_LDADD = libworker.a $(CHECK_LIBS) $(COMMON_LIBS)
tests_unit_resolve_LDADD = $(CHECK_LIBS) $(COMMON_LIBS) -lpthread
tests_unit_socket_LDADD = libworker.a libstream.a $(CHECK_LIBS) $(SSL_LIBS) $(COMMON_LIBS)
tests_unit_worker_target_LDADD = libworker.a $(CHECK_LIBS) $(COMMON_LIBS)
tests_fuzz_fuzz_reflect_SOURCES = tests/fuzz/fuzz_reflect.c $(FUZZ_MAIN)
tests_fuzz_fuzz_reflect_LDADD = $(FUZZ_LIBS)
tests_fuzz_fuzz_response_SOURCES = tests/fuzz/fuzz_response.c $(FUZZ_MAIN)
tests_fuzz_fuzz_response_LDADD = libworker.a $(FUZZ_LIBS)
if !FUZZERS
TESTS += tests/fuzz/fuzz_reflect tests/fuzz/fuzz_response
endif
EXTRA_DIST += tests/system/worker_harness.py tests/system/test_worker.py \
	tests/system/test_dispatcher.py
