# SPDX-License-Identifier: Apache-2.0
noinst_LIBRARIES += gated/libgated.a
gated_libgated_a_CPPFLAGS = $(AM_CPPFLAGS) $(EVENT_CFLAGS) $(SSL_CFLAGS) \
	-DAEGIS_VERSION='"$(PACKAGE_VERSION)"'
gated_libgated_a_SOURCES = \
	gated/again.c \
	gated/again.h \
	gated/answer.c \
	gated/answer.h \
	gated/api_in.c \
	gated/ask.h \
	gated/ask_judge.c \
	gated/ask_toolhost.c \
	gated/ask_worker.c \
	gated/body.c \
	gated/body.h \
	gated/conf.c \
	gated/conf.h \
	gated/conn.c \
	gated/conn.h \
	gated/conn_read.c \
	gated/conn_read.h \
	gated/drain.c \
	gated/drain.h \
	gated/feed.h \
	gated/fields.c \
	gated/fields.h \
	gated/flow.c \
	gated/headers.c \
	gated/health.c \
	gated/health.h \
	gated/headers.h \
	gated/http_guess.c \
	gated/http_guess.h \
	gated/inspect.c \
	gated/inspect.h \
	gated/inspect_in.c \
	gated/listener.c \
	gated/listener.h \
	gated/mcp_in.c \
	gated/mcp_stream.c \
	gated/mcp_stream.h \
	gated/media.c \
	gated/media.h \
	gated/permit.c \
	gated/permit.h \
	gated/proxy_in.c \
	gated/process.c \
	gated/process.h \
	gated/redeemer.c \
	gated/redeemer.h \
	gated/refuse.c \
	gated/refuse.h \
	gated/req.c \
	gated/req.h \
	gated/request.c \
	gated/route.c \
	gated/route.h \
	gated/seal_in.c \
	gated/status.c \
	gated/status.h \
	gated/timer.c \
	gated/timer.h \
	gated/tls.c \
	gated/tls.h \
	gated/wsock.c \
	gated/wsock.h

daemon_PROGRAMS += gated/gated
gated_gated_SOURCES = gated/main.c gated/feed_none.c
gated_gated_LDADD = gated/libgated.a libstream.a $(COMMON_LIBS) $(SSL_LIBS) $(ZLIB_LIBS)

# the data API: the same HTTP, one door
daemon_PROGRAMS += gated/gated-api
gated_gated_api_SOURCES = gated/main_api.c gated/feed.c
gated_gated_api_LDADD = gated/libgated.a libstream.a $(COMMON_LIBS) $(SSL_LIBS) $(ZLIB_LIBS) -lwslay
