# SPDX-License-Identifier: Apache-2.0
EXTRA_DIST += contrib/bench contrib/build contrib/demo.py contrib/demo_openbao.py contrib/lint contrib/parts contrib/protocol-doc \
	contrib/reproducible contrib/run contrib/setup contrib/test contrib/systemd/aegis.service.in \
	contrib/systemd/no-tool-servers.conf \
	contrib/openbao/README.md contrib/openbao/embed contrib/openbao/setup.sh contrib/openbao/board.hcl contrib/openbao/kv.hcl contrib/openbao/session.hcl \
	contrib/openbao/database.hcl contrib/openbao/lease.hcl contrib/openbao/sweep.hcl \
	contrib/openbao/tenants.hcl contrib/openbao/tenantdb.hcl contrib/openbao/transit.hcl

# below the prefix, so that an installation anywhere works; packagers set these three
systemdunitdir = $(prefix)/lib/systemd/system
sysusersdir = $(prefix)/lib/sysusers.d
tmpfilesdir = $(prefix)/lib/tmpfiles.d
nodist_systemdunit_DATA = contrib/systemd/aegis.service
dist_sysusers_DATA = contrib/sysusers.d/aegis.conf
dist_tmpfiles_DATA = contrib/tmpfiles.d/aegis.conf
CLEANFILES += contrib/systemd/aegis.service
contrib/systemd/aegis.service: contrib/systemd/aegis.service.in Makefile
	$(AM_V_GEN)$(MKDIR_P) contrib/systemd && $(SED) \
	-e 's|[@]bindir[@]|$(bindir)|g' -e 's|[@]sysconfdir[@]|$(sysconfdir)|g' \
	$(srcdir)/contrib/systemd/aegis.service.in > $@
