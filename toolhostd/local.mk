# SPDX-License-Identifier: Apache-2.0
daemon_PROGRAMS += toolhostd/toolhostd toolhostd/toolexec/toolexec
toolhostd_toolhostd_SOURCES = \
	toolhostd/call.c toolhostd/call.h \
	toolhostd/main.c \
	toolhostd/mcp_io.c \
	toolhostd/mcp_list.c \
	toolhostd/mcp_session.c \
	toolhostd/mcp_skim.c toolhostd/mcp_skim.h \
	toolhostd/permit.c toolhostd/permit.h \
	toolhostd/registry.c toolhostd/replace.c \
	toolhostd/report.c toolhostd/report.h \
	toolhostd/server.h \
	toolhostd/supervise.c \
	toolhostd/trial.c toolhostd/trial.h \
	toolhostd/upcall.c toolhostd/upcall.h
toolhostd_toolhostd_LDADD = $(COMMON_LIBS)

toolhostd_toolexec_toolexec_SOURCES = \
	toolhostd/toolexec/connect_head.c toolhostd/toolexec/connect_head.h \
	toolhostd/toolexec/environ.c toolhostd/toolexec/environ.h \
	toolhostd/toolexec/fdpass.c toolhostd/toolexec/fdpass.h \
	toolhostd/toolexec/isolate.c toolhostd/toolexec/isolate.h \
	toolhostd/toolexec/main.c \
	toolhostd/toolexec/plan.c toolhostd/toolexec/plan.h \
	toolhostd/toolexec/probe.c toolhostd/toolexec/probe.h \
	toolhostd/toolexec/pump.c toolhostd/toolexec/pump.h \
	toolhostd/toolexec/relay.c toolhostd/toolexec/relay.h \
	toolhostd/toolexec/room.c toolhostd/toolexec/room.h
toolhostd_toolexec_toolexec_LDADD = $(COMMON_LIBS)

check_PROGRAMS += tests/unit/connect_head tests/unit/mcp_skim tests/fuzz/fuzz_connect_head
TESTS += tests/unit/connect_head tests/unit/mcp_skim
tests_unit_mcp_skim_SOURCES = tests/unit/mcp_skim.c toolhostd/mcp_skim.c
tests_unit_mcp_skim_LDADD = $(CHECK_LIBS)
tests_unit_connect_head_SOURCES = tests/unit/connect_head.c toolhostd/toolexec/connect_head.c
tests_unit_connect_head_LDADD = $(CHECK_LIBS)
tests_fuzz_fuzz_connect_head_SOURCES = tests/fuzz/fuzz_connect_head.c \
	toolhostd/toolexec/connect_head.c $(FUZZ_MAIN)
tests_fuzz_fuzz_connect_head_LDADD = $(FUZZ_LIBS)
if !FUZZERS
TESTS += tests/fuzz/fuzz_connect_head
endif
EXTRA_DIST += tests/lib/net_tool.py tests/system/test_tools_network.py
