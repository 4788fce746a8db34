#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The unit under a real systemd: makes a small Debian 12 (kept in the cache), installs this
# source into it, boots it, types what the README says, and looks. Needs root and mmdebstrap,
# which it does not install: not a part of contrib/test, since a container that runs
# contrib/test may not be able to start another.
#
#	tests/systemd/run.sh [WORK]	in a container of its own, under this machine's kernel
#					(systemd-container)
#	tests/systemd/run.sh --vm [WORK]	in a virtual machine, under Debian 12's kernel and
#					version 2 of control groups (qemu-system-x86, e2fsprogs)
# WORK: default a directory in the cache. AEGIS_QEMU: what the machine is, where KVM does not do
set -eu
top=$(cd "$(dirname "$0")/../.." && pwd)
vm=
[ "${1:-}" != --vm ] || { vm=-vm; shift; }
work=${1:-${AEGIS_CACHE:-/var/cache/aegis-parts}/systemd}
root=$work/root$vm
debian=$work/debian$vm
mkdir -p "$work/build"
log=$work/log$vm

packages=systemd,systemd-sysv,dbus,procps,openssl,curl,libevent-2.1-7,libevent-openssl-2.1-7
packages+=,libgfshare2,libsodium23,libsqlite3-0,libyaml-0-2,libcap2,libssl3
[ -z "$vm" ] || packages+=,linux-image-cloud-amd64
[ -d "$debian" ] || mmdebstrap --variant=minbase --include="$packages" bookworm "$debian" >"$log" 2>&1

(
	cd "$work/build"
	[ -f "$top/configure" ] || (cd "$top" && autoreconf -fi)
	[ Makefile -nt "$top/configure" ] || "$top/configure" -q --prefix=/usr --sysconfdir=/etc --localstatedir=/var
	make -s -j"$(nproc)" all tests/bench/quick_tool
	rm -rf "$root"
	cp -a "$debian" "$root"
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
    - name: hog
      executable: /usr/bin/perl
      args: ["-e", "push @x, 'x' x 1e6 while 1"]
      capabilities: [hog]
      resource_limits: {memory_mb: 32}
    - name: bomb
      executable: /usr/bin/perl
      args: ["-e", "while (1) { fork // select(undef, undef, undef, 0.1) }"]
      capabilities: [bomb]
      resource_limits: {processes: 8, cpu_millicores: 100}
C
systemctl enable --now aegis && echo "started"
aegis vault add --name github --service github --domains api.example --secret-file /etc/hostname
for i in $(seq 50); do aegis tool list | grep -q '^quick.*running' && break; sleep 0.1; done
aegis tool list
aegis tool test quick
aegis doctor
echo "begun: $(curl -s http://127.0.0.1:3100/health)"
for p in $(pgrep -f '^(gated|keymasterd|egressd|toolhostd): '); do
	echo "process $(tr '\0' ' ' </proc/"$p"/cmdline): $(awk '/^(Uid|Seccomp|NoNewPrivs|CapEff):/ {print $2}' /proc/"$p"/status | tr '\n' ' ')"
done
grep . /sys/fs/cgroup/system.slice/aegis.service/aegis-tool-*/{memory.max,pids.max,cpu.max,cgroup.procs}
uname -r
kill -9 "$(pgrep -of 'keymasterd: judge')" && sleep 1
echo "killed judge: $(curl -s http://127.0.0.1:3100/health)"
systemctl restart aegis
echo "restarted: $(curl -s http://127.0.0.1:3100/health)"
aegis ledger verify && echo "verified"
systemctl stop aegis && systemctl show -p Result aegis
pgrep -f '^(gated|keymasterd|egressd|toolhostd): ' || echo "nobody is left"
ls -d /sys/fs/cgroup/system.slice/aegis.service/aegis-tool-* 2>/dev/null || echo "no control group is left"
journalctl -u aegis --no-pager | tail -30
journalctl -k --no-pager | grep -E 'emory cgroup out of memory.*perl|fork rejected by pids'
systemd-analyze security --no-pager aegis | tail -1
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

out=$work/out$vm
if [ -n "$vm" ]; then
	rm -f "$work/disk"
	mkfs.ext4 -q -d "$root" "$work/disk" 3G >>"$log" 2>&1
	timeout 600 qemu-system-x86_64 ${AEGIS_QEMU:--machine accel=kvm:tcg -cpu qemu64} -m 1024 -smp 2 -nographic -no-reboot -nic none \
		-drive file="$work/disk",format=raw,if=virtio -kernel "$root"/boot/vmlinuz-* \
		-initrd "$root"/boot/initrd.img-* -append "root=/dev/vda rw console=ttyS0 quiet" \
		</dev/null >>"$log" 2>&1 || true
	debugfs -R "dump /opt/out $out" "$work/disk" >>"$log" 2>&1
else
	# nspawn's own filter lacks what a host of this kernel would grant
	timeout 120 systemd-nspawn --quiet --boot --register=no --keep-unit -D "$root" --private-network \
		--system-call-filter="landlock_create_ruleset landlock_add_rule landlock_restrict_self memfd_secret @memlock" \
		</dev/null >>"$log" 2>&1 || true
	cp "$root/opt/out" "$out"
fi

failed=0
passed=0
expect() {
	if grep -qE "$1" "$out"; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "not found: $1"
	fi
}
expect '^started$'
expect '^quick +running'
expect 'namespaces=mount,pid,ipc,uts,net seccomp=deny landlock=[1-9]'
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
expect '^no control group is left$'
if [ -n "$vm" ]; then
	expect 'cgroup=memory,pids,cpu'
	expect 'memory.max:[1-9]'
	expect 'pids.max:10$'
	expect 'cpu.max:10000 100000$'
	expect 'cgroup.procs:[1-9]'
	expect 'emory cgroup out of memory.*perl'
	expect 'fork rejected by pids'
fi
if grep -q '"loopback":"' "$out"; then
	failed=$((failed + 1))
	echo "a tool server has no way back to itself"
fi
[ "$failed" -eq 0 ] || cat "$out"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
