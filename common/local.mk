# SPDX-License-Identifier: Apache-2.0
noinst_LIBRARIES += libcommon.a
libcommon_a_SOURCES = \
	common/authorities.c common/authorities.h \
	common/line_cursor.c common/line_cursor.h \
	common/access.c \
	common/access.h \
	common/addr.c \
	common/addr.h \
	common/admin_door.c \
	common/admin_door.h \
	common/b64.c \
	common/b64.h \
	common/buf.c \
	common/buf.h \
	common/canon.c \
	common/canon.h \
	common/chan.c \
	common/chan.h \
	common/context.c \
	common/context.h \
	common/context_entry.c \
	common/context_entry.h \
	common/context_path.c \
	common/context_path.h \
	common/credential_text.c \
	common/credential_text.h \
	common/domain.c \
	common/ed25519.c \
	common/ed25519.h \
	common/grant.c \
	common/grant.h \
	common/hex.c \
	common/hex.h \
	common/hook_url.c \
	common/hook_url.h \
	common/host.c \
	common/host.h \
	common/http1.c \
	common/http1.h \
	common/http1_chunk.c \
	common/http1_chunk.h \
	common/http1_class.c \
	common/http1_class.h \
	common/http1_field.c \
	common/http1_field.h \
	common/inspect_match.c \
	common/inspect_match.h \
	common/inspect_shapes.c \
	common/inspect_shapes.h \
	common/json.c \
	common/json.h \
	common/json_get.c \
	common/json_name.c \
	common/jsonw.c \
	common/jsonw.h \
	common/jwks.c \
	common/jwks.h \
	common/jwt.c \
	common/jwt.h \
	common/jwt_claims.c \
	common/log.c \
	common/log.h \
	common/loop.c \
	common/loop.h \
	common/merkle.c \
	common/metrics.c \
	common/metrics.h \
	common/metrics_int.h \
	common/metrics_text.c \
	common/merkle.h \
	common/msg.c \
	common/msg.h \
	common/nfa.c \
	common/nfa.h \
	common/nfa_chars.c \
	common/nfa_compile.c \
	common/nfa_int.h \
	common/policy.c \
	common/policy.h \
	common/policy_eval.c \
	common/priv.c \
	common/priv.h \
	common/proc.c \
	common/proc.h \
	common/proc_boot.c \
	common/proto.h \
	common/rate.c \
	common/rate.h \
	common/reference.c \
	common/reference.h \
	common/reflect.c \
	common/reflect.h \
	common/reflect_forms.c \
	common/reflect_forms.h \
	common/replay.c \
	common/replay.h \
	common/rfc3339.c \
	common/rfc3339.h \
	common/role.c \
	common/role.h \
	common/sandbox.c \
	common/sandbox.h \
	common/sandbox_landlock.c \
	common/sandbox_rules.c \
	common/sandbox_rules.h \
	common/sandbox_seccomp.c \
	common/secret.c \
	common/secret.h \
	common/secret_heap.c \
	common/sha256.c \
	common/sha256.h \
	common/stats.c \
	common/stats.h \
	common/span.h \
	common/sync.c \
	common/sync.h \
	common/target.c \
	common/target.h \
	common/utf8.c \
	common/utf8.h \
	common/wire.c \
	common/ws.c \
	common/ws.h \
	common/wire.h \
	common/zone.c \
	common/zone.h

# TLS for those who have it, apart so that the others do not link libssl
noinst_LIBRARIES += libstream.a
libstream_a_SOURCES = common/stream.c common/stream.h

PROTO = common/edges.def common/proto/all.def common/proto/control.def \
	common/proto/gate.def common/proto/egress.def common/proto/tool.def \
	common/proto/vault.def common/proto/admin.def common/proto/stats.def \
	common/metrics.def
EXTRA_DIST += $(PROTO)
BUILT_SOURCES += schema_hash.h
CLEANFILES += schema_hash.h
schema_hash.h: $(PROTO)
	$(AM_V_GEN)(cd $(srcdir) && cat $(PROTO)) | sha256sum | cut -c1-64 | \
	$(SED) 's/../0x&,/g; s/^/#define SCHEMA_HASH /; s/,$$//' > $@

COMMON_LIBS = libcommon.a $(EVENT_LIBS) $(CAP_LIBS) $(SODIUM_LIBS) $(CRYPTO_LIBS)
