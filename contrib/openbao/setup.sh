# What follows is the same for everybody. It needs sh, sed, awk and curl. BAO_TOKEN_FILE names a
# file with a token that may do all this; it is in no argument and no environment.
set -eu
umask 077
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
[ -r "${BAO_TOKEN_FILE-}" ] || { echo "Name a file with a token: BAO_TOKEN_FILE=FILE" >&2; exit 2; }
{
	printf 'header = "X-Vault-Token: %s"\n' "$(tr -d ' \t\r\n' <"$BAO_TOKEN_FILE")"
	[ -z "$namespace" ] || printf 'header = "X-Vault-Namespace: %s"\n' "$namespace"
	[ -z "$ca_file" ] || printf 'cacert = "%s"\n' "$ca_file"
	printf 'silent\nshow-error\nmax-time = 20\nnoproxy = "*"\n'
} >"$work/curl"
in_namespace=$work/curl
grep -v X-Vault-Namespace "$work/curl" >"$work/outside"
parent=${namespace%/*}
[ "$parent" = "$namespace" ] || printf 'header = "X-Vault-Namespace: %s"\n' "$parent" >>"$work/outside"

# ask METHOD PATH [BODY]: the status in $status, the answer in $work/answer
ask()
{
	printf '%s' "${3-}" >"$work/body"
	if ! status=$(curl -K "$in_namespace" -X "$1" ${3+--data-binary "@$work/body"} \
		-o "$work/answer" -w '%{http_code}' "$address/v1/$2"); then
		echo "$address does not answer." >&2
		exit 1
	fi
}

fail()
{
	echo "$1: OpenBao says $status: $(cat "$work/answer")" >&2
	exit 1
}

must()
{
	ask "$@"
	case $status in 2*) ;; *) fail "$1 $2" ;; esac
}

kept()
{
	echo "= $1" >&2
}

new()
{
	echo "+ $1" >&2
}

# there PATH: is it?
there()
{
	ask GET "$1"
	case $status in 2*) return 0 ;; 404 | 400) return 1 ;; *) fail "GET $1" ;; esac
}

# made WHAT PATH METHOD PATH BODY: makes it unless the first path is there
made()
{
	if there "$2"; then
		kept "$1"
	else
		must "$3" "$4" "$5"
		new "$1"
	fi
}

field()
{
	sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p" "$work/answer" | head -n 1
}

# policy NAME: of standard input, with the names of this installation
policy()
{
	text=$(sed -e '/^#/d' -e "s#\"\(+/\)\{0,1\}kv/#\"\1$kv_mount/#" \
		-e "s#\"\(+/\)\{0,1\}transit/#\"\1$transit_mount/#" \
		-e "s#/seal\"#/$token_key\"#" -e "s#/blackboard\"#/$board_key\"#" \
		-e "s#\"database/#\"$database_mount/#" -e "s#/aegis-lease\"#/$lease_role\"#" |
		awk '{ gsub(/\\/, "\\\\"); gsub(/"/, "\\\""); printf "%s\\n", $0 }')
	ask GET "sys/policies/acl/$role-$1"
	if [ "$status" = 200 ] && grep -qF "\"policy\":\"$text\"" "$work/answer"; then
		kept "policy $role-$1"
	else
		must PUT "sys/policies/acl/$role-$1" "{\"policy\":\"$text\"}"
		new "policy $role-$1"
	fi
	[ "$1" = lease ] || policies=${policies:+$policies,}$role-$1
}

policies=
if [ -n "$namespace" ]; then
	in_namespace=$work/outside
	made "namespace $namespace" "sys/namespaces/${namespace##*/}" POST \
		"sys/namespaces/${namespace##*/}" '{}'
	in_namespace=$work/curl
fi
made "KV version 2 engine $kv_mount" "sys/mounts/$kv_mount" POST "sys/mounts/$kv_mount" \
	'{"type":"kv","options":{"version":"2"}}'
policy session <<'END'
@session@END
policy kv <<'END'
@kv@END
if [ -n "$token_key$board_key" ]; then
	made "Transit engine $transit_mount" "sys/mounts/$transit_mount" POST \
		"sys/mounts/$transit_mount" '{"type":"transit"}'
fi
if [ -n "$token_key" ]; then
	made "key $transit_mount/$token_key" "$transit_mount/keys/$token_key" POST \
		"$transit_mount/keys/$token_key" '{"type":"ed25519"}'
	policy transit <<'END'
@transit@END
fi
if [ -n "$board_key" ]; then
	made "key $transit_mount/$board_key" "$transit_mount/keys/$board_key" POST \
		"$transit_mount/keys/$board_key" '{"type":"aes256-gcm96"}'
	policy board <<'END'
@board@END
fi
if [ "$tenants" = yes ]; then
	policy tenants <<'END'
@tenants@END
fi
if [ -n "$database_mount" ]; then
	made "database engine $database_mount" "sys/mounts/$database_mount" POST \
		"sys/mounts/$database_mount" '{"type":"database"}'
	policy database <<'END'
@database@END
	if [ "$tenants" = yes ]; then
		policy tenantdb <<'END'
@tenantdb@END
	fi
	policy lease <<'END'
@lease@END
	must POST "auth/token/roles/$lease_role" "{\"allowed_policies\":\"$role-lease\",
\"orphan\":true,\"renewable\":false,\"token_no_default_policy\":true}"
	kept "token role $lease_role with $role-lease"
fi
made "AppRole method $auth_mount" "sys/auth/$auth_mount" POST "sys/auth/$auth_mount" \
	'{"type":"approle"}'
must POST "auth/$auth_mount/role/$role" "{\"token_policies\":\"$policies\",
\"token_no_default_policy\":true,\"token_ttl\":\"1h\",\"token_max_ttl\":\"24h\",\"token_type\":\"service\"}"
kept "AppRole $role with $policies"
if [ -n "$role_id" ]; then
	must POST "auth/$auth_mount/role/$role/role-id" "{\"role_id\":\"$role_id\"}"
fi
must GET "auth/$auth_mount/role/$role/role-id"
role_id=$(field role_id)
if [ -s "$secret_id_file" ] && [ "$new_secret_id" != yes ]; then
	kept "secret id in $secret_id_file"
else
	if [ "$wrapped" = true ]; then
		printf 'header = "X-Vault-Wrap-TTL: %s"\n' "$wrap_ttl" >>"$work/curl"
		must POST "auth/$auth_mount/role/$role/secret-id" '{}'
		field token >"$work/id"
	else
		must POST "auth/$auth_mount/role/$role/secret-id" '{}'
		field secret_id >"$work/id"
	fi
	[ -s "$work/id" ] || fail "the secret id"
	# in one step, and never open to others
	cp "$work/id" "$secret_id_file.new"
	chmod 600 "$secret_id_file.new"
	mv "$secret_id_file.new" "$secret_id_file"
	new "secret id in $secret_id_file"
	[ "$show" != yes ] || cat "$secret_id_file" >&2
fi
cat <<END
vault:
  provider: openbao
secrets:
  openbao:
    addr: $address
${ca_file:+    ca_cert: $ca_file
}${namespace:+    namespace: $namespace
}    auth:
      mount: $auth_mount
      role_id: $role_id
      secret_id: file:$secret_id_file
      wrapped: $wrapped
    kv_mount: $kv_mount
    transit_mount: $transit_mount
END
[ -z "$token_key$board_key" ] || echo "    transit_keys:"
[ -z "$token_key" ] || echo "      seal_signing: $token_key"
[ -z "$board_key" ] || echo "      blackboard: $board_key"
