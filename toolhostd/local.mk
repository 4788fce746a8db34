# SPDX-License-Identifier: Apache-2.0
daemon_PROGRAMS += toolhostd/toolhostd toolhostd/toolexec/toolexec
toolhostd_toolhostd_SOURCES = \
	toolhostd/call.c toolhostd/call.h \
	toolhostd/main.c \
	toolhostd/mcp_io.c \
	toolhostd/mcp_list.c \
	toolhostd/mcp_session.c \
	toolhostd/permit.c toolhostd/permit.h \
	toolhostd/registry.c toolhostd/replace.c \
	toolhostd/report.c toolhostd/report.h \
	toolhostd/server.h \
	toolhostd/supervise.c \
	toolhostd/trial.c toolhostd/trial.h \
	toolhostd/upcall.c toolhostd/upcall.h
toolhostd_toolhostd_LDADD = $(COMMON_LIBS)

toolhostd_toolexec_toolexec_SOURCES = \
	toolhostd/toolexec/environ.c toolhostd/toolexec/environ.h \
	toolhostd/toolexec/isolate.c toolhostd/toolexec/isolate.h \
	toolhostd/toolexec/main.c \
	toolhostd/toolexec/plan.c toolhostd/toolexec/plan.h \
	toolhostd/toolexec/probe.c toolhostd/toolexec/probe.h \
	toolhostd/toolexec/pump.c toolhostd/toolexec/pump.h \
	toolhostd/toolexec/room.c toolhostd/toolexec/room.h
toolhostd_toolexec_toolexec_LDADD = $(COMMON_LIBS)
