#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The unit under a real systemd: makes a small Debian 12 (kept in the cache), installs this
# source into it, boots it in a container of its own, types what the README says, and looks.
# Needs root, and mmdebstrap and systemd-container, which it does not install: not a part of
# contrib/test, since a container that runs contrib/test may not be able to start another.
#
#	tests/systemd/run.sh [WORK]	default: a directory in the cache
set -eu
top=$(cd "$(dirname "$0")/../.." && pwd)
work=${1:-${AEGIS_CACHE:-/var/cache/aegis-parts}/systemd}
root=$work/root
mkdir -p "$work/build"
log=$work/log

[ -d "$work/debian" ] || mmdebstrap --variant=minbase --include=systemd,systemd-sysv,dbus,procps,\
openssl,curl,libevent-2.1-7,libevent-openssl-2.1-7,libsodium23,libsqlite3-0,libyaml-0-2,libcap2,\
libssl3 bookworm "$work/debian" >"$log" 2>&1

(
	cd "$work/build"
	[ -f "$top/configure" ] || (cd "$top" && autoreconf -fi)
	"$top/configure" -q --prefix=/usr --sysconfdir=/etc --localstatedir=/var
	make -s -j"$(nproc)" all tests/bench/quick_tool
	rm -rf "$root"
	cp -a "$work/debian" "$root"
	make -s install DESTDIR="$root"
	install -m 755 tests/bench/quick_tool "$root/usr/libexec/quick_tool"
) >>"$log" 2>&1

cat >"$root/opt/boot" <<'P'
#!/bin/bash
exec >/opt/out 2>&1
systemd-sysusers && systemd-tmpfiles --create
mkdir -p /etc/aegis
(umask 077; openssl rand -hex 32 >/etc/aegis/master-key)
AEGIS_MASTER_KEY=$(cat /etc/aegis/master-key) aegis init --config /etc/aegis/aegis.config.yaml \
	--data-dir /var/lib/aegis >/dev/null
cat >>/etc/aegis/aegis.config.yaml <<'C'
tools:
  mcp_servers:
    - name: quick
      executable: /usr/libexec/quick_tool
      capabilities: [noop]
C
systemctl enable --now aegis && echo "started"
aegis vault add --name github --service github --domains api.example --secret-file /etc/hostname
for i in $(seq 50); do aegis tool list | grep -q running && break; sleep 0.1; done
aegis tool list
aegis doctor
echo "begun: $(curl -s http://127.0.0.1:3100/health)"
for p in $(pgrep -f '^(gated|keymasterd|egressd|toolhostd): '); do
	echo "process $(tr '\0' ' ' </proc/"$p"/cmdline): $(awk '/^(Uid|Seccomp|NoNewPrivs|CapEff):/ {print $2}' /proc/"$p"/status | tr '\n' ' ')"
done
kill -9 "$(pgrep -of 'keymasterd: judge')" && sleep 1
echo "killed judge: $(curl -s http://127.0.0.1:3100/health)"
systemctl restart aegis
echo "restarted: $(curl -s http://127.0.0.1:3100/health)"
aegis ledger verify && echo "verified"
systemctl stop aegis && systemctl show -p Result aegis
pgrep -f '^(gated|keymasterd|egressd|toolhostd): ' || echo "nobody is left"
journalctl -u aegis --no-pager | tail -30
systemctl poweroff
P
chmod 755 "$root/opt/boot"
cat >"$root/etc/systemd/system/boot.service" <<'P'
[Unit]
After=multi-user.target
[Service]
ExecStart=/opt/boot
P
cat >"$root/etc/systemd/system/boot.timer" <<'P'
[Timer]
OnActiveSec=1
P
wants=$root/etc/systemd/system/multi-user.target.wants
mkdir -p "$wants"
ln -sf ../boot.timer "$wants/boot.timer"
timeout 120 systemd-nspawn --quiet --boot --register=no --keep-unit -D "$root" --private-network \
	</dev/null >>"$log" 2>&1 || true

failed=0
passed=0
expect() {
	if grep -qE "$1" "$root/opt/out"; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "not found: $1"
	fi
}
expect '^started$'
expect '^quick +running'
expect '^0 failed, '
expect '^begun: .*"ok"'
for p in 'gated: gate 0' 'keymasterd: judge' 'keymasterd: vault' 'egressd: dispatcher' 'toolhostd: toolhost'; do
	expect "^process $p.*: [1-9][0-9]* 0{16} 1 2" # a user of its own, no capability, no_new_privs, a filter
done
expect '^killed judge: .*"ok"'
expect '^restarted: .*"ok"'
expect '^verified$'
expect '^Result=success$'
expect '^nobody is left$'
[ "$failed" -eq 0 ] || cat "$root/opt/out"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
