# SPDX-License-Identifier: Apache-2.0
daemon_PROGRAMS += bridge/aegis-mcp
bridge_aegis_mcp_SOURCES = \
	bridge/gate.c bridge/gate.h \
	bridge/main.c \
	bridge/rpc.c bridge/rpc.h \
	bridge/serve.h \
	bridge/serve_http.c \
	bridge/serve_stdio.c \
	bridge/tools.c bridge/tools.h
bridge_aegis_mcp_LDADD = libstream.a $(COMMON_LIBS) $(SSL_LIBS)
