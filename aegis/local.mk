# SPDX-License-Identifier: Apache-2.0
bin_PROGRAMS += aegis/aegis
aegis_aegis_SOURCES = \
	aegis/admin.c \
	aegis/admin.h \
	aegis/cert.c \
	aegis/cert.h \
	aegis/child.c \
	aegis/child.h \
	aegis/cli.c \
	aegis/cli.h \
	aegis/cmd.h \
	aegis/cmd_agent.c \
	aegis/cmd_config.c \
	aegis/cmd_context.c \
	aegis/cmd_doctor.c \
	aegis/cmd_export.c \
	aegis/cmd_gate.c \
	aegis/cmd_init.c \
	aegis/cmd_ledger.c \
	aegis/cmd_run.c \
	aegis/cmd_vault.c \
	aegis/commands.c \
	aegis/completion.c \
	aegis/config.c \
	aegis/config.h \
	aegis/config_context.c \
	aegis/config_finish.c \
	aegis/config_int.h \
	aegis/config_show.c \
	aegis/config_tool.c \
	aegis/confsend.c \
	aegis/confsend.h \
	aegis/help.c \
	aegis/key_table.c \
	aegis/keys.c \
	aegis/keys.h \
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
	aegis/out.c \
	aegis/out.h \
	aegis/problem.c \
	aegis/problem.h \
	aegis/secret_in.c \
	aegis/spawn.c \
	aegis/spawn.h \
	aegis/template.c \
	aegis/template.h \
	aegis/verify.c \
	aegis/verify.h \
	aegis/verify_key.c \
	aegis/yaml.c \
	aegis/yaml.h
aegis_aegis_CFLAGS = $(AM_CFLAGS) $(YAML_CFLAGS)
aegis_aegis_LDADD = $(COMMON_LIBS) $(YAML_LIBS)
