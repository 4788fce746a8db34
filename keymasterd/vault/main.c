/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keymasterd-vault: holds the master key and every secret, and answers typed messages of
 * the judge, of workers, of toolexec and of the command line. It reads nothing that an
 * agent or an upstream wrote, and has no network, unless secrets are in OpenBao: then it
 * connects to that and nothing else. The vault file is opened after the process is boxed.
 */
#include <fcntl.h>
#include <openssl/crypto.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"
#include "common/loop.h"
#include "common/proc.h"
#include "common/sandbox.h"
#include "common/secret.h"
#include "keymasterd/vault/access.h"
#include "keymasterd/vault/conf.h"
#include "keymasterd/vault/event.h"
#include "keymasterd/vault/lease_report.h"
#include "keymasterd/vault/grace.h"
#include "keymasterd/vault/openbao.h"
#include "keymasterd/vault/permit.h"
#include "keymasterd/vault/serve.h"
#include "keymasterd/vault/toolenv.h"

#define ARENA_OCTETS (2u * 1024 * 1024)

static void
judge_ready(struct chan *c, void *owner)
{
	(void)c;
	(void)owner;
	access_flush();
	event_flush();
	lease_report_changed();
}

static const struct proc_peer_row peers[] = {
    {.role = ROLE_JUDGE,
	.permits = permit_vault_judge,
	.on_ready = judge_ready,
	.on_gone = serve_judge_gone},
    {.role = ROLE_WORKER,
	.permits = permit_vault_worker,
	.on_peer = serve_line_new,
	.on_gone = serve_line_gone},
    {.role = ROLE_TOOLEXEC,
	.permits = permit_vault_toolexec,
	.on_peer = serve_line_new,
	.on_gone = serve_line_gone},
    {.role = ROLE_NONE},
};

/* The directory, ours alone: a second vault on it would undo what the first one saves. */
static int
open_dir(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat st;

	if (fd == -1 || fstat(fd, &st) == -1)
		fatal("the vault's directory %s", path);
	if (st.st_mode & (S_IRWXG | S_IRWXO))
		fatalx("the vault's directory %s is open to others: chmod 700 it", path);
	if (flock(fd, LOCK_EX | LOCK_NB) == -1)
		fatal("the vault's directory %s is in use by another gate", path);
	return fd;
}

/* Deriving the keys takes a tenth of a second; doors that come meanwhile wait. */
static void
open_vault(int dirfd)
{
	const struct vault_open o = {.dirfd = dirfd,
	    .path = proc_self.dir,
	    .name = vault_conf.name,
	    .master_key = vault_conf.master_key,
	    .create = vault_conf.create,
	    .keys_changed = serve_keys_changed};
	char why[1536];

	serve_provider = vault_conf.sealed ? &provider_locked
	    : openbao_port() != NULL       ? &provider_openbao
					   : &provider_embedded;
	serve_split_open(dirfd);
	if (serve_provider->open(&o, why, sizeof(why)) == -1)
		fatalx("%s", why);
	secret_free(vault_conf.master_key);
	vault_conf.master_key = NULL;
}

/* The master waits a moment, then it ends us. */
static void
on_drained(void)
{
	if (serve_provider->stop != NULL)
		serve_provider->stop(loop_stop);
	else
		loop_stop();
}

static void
on_stop(uint32_t drain_ms)
{
	if (serve_provider->drain != NULL)
		serve_provider->drain(drain_ms, on_drained);
	else
		on_drained();
}

int
main(int argc, char **argv)
{
	const struct sandbox_path dir = {proc_self.dir, SANDBOX_READ | SANDBOX_WRITE};
	struct sandbox_paths paths = {.list = &dir, .n = 1};
	const struct proc_serve serve = {.peers = peers,
	    .on_listen = serve_admin_listen,
	    .on_stop = on_stop,
	    .master_permits = permit_vault_master};
	int dirfd;

	/* before either library allocates; and no openssl.cnf in the process with the
	 * keys */
	if (secret_zero_heap_install() == -1 ||
	    OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL) != 1 ||
	    secret_init(ARENA_OCTETS) == -1)
		fatalx("no memory for secrets");
	proc_begin(ROLE_VAULT, argc, argv);
	proc_configure(conf_rows);
	if (!vault_conf.given)
		fatalx("configuration: no vault was described");
	dirfd = open_dir(proc_self.dir);
	if (openbao_port() != NULL) {
		paths.variant = SANDBOX_OPENBAO;
		paths.ports = openbao_port();
		paths.nports = 1;
	}
	proc_enter(&paths);
	open_vault(dirfd);
	grace_watch();
	proc_serve(&serve);
	serve_provider->close();
	toolenv_clear();
	return 0;
}
