# SPDX-License-Identifier: Apache-2.0
daemon_PROGRAMS += egressd-dispatcher egressd-worker

egressd_dispatcher_SOURCES = \
	egressd/dispatcher/dispatcher.h \
	egressd/dispatcher/main.c \
	egressd/dispatcher/permit.c \
	egressd/dispatcher/resolve.c \
	egressd/dispatcher/spawn.c
egressd_dispatcher_LDADD = $(COMMON_LIBS)

# all but main.c, for tests
WORKER_PARTS = \
	egressd/worker/credential.c \
	egressd/worker/credential.h \
	egressd/worker/exchange.c \
	egressd/worker/exchange.h \
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
	egressd/worker/target.c \
	egressd/worker/target.h \
	egressd/worker/tls.c \
	egressd/worker/tls.h \
	egressd/worker/upstream.c \
	egressd/worker/upstream.h \
	egressd/worker/worker.h
egressd_worker_SOURCES = egressd/worker/main.c $(WORKER_PARTS)
egressd_worker_LDADD = libstream.a $(SSL_LIBS) $(COMMON_LIBS)
