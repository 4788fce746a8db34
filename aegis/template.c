/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first configuration file. Keys that people change first stand there with their
 * values, all others as comments with their defaults.
 */
#include "aegis/template.h"

#include <stdio.h>
#include <string.h>

#include "aegis/keys.h"

static const char intro[] =
    "# Configuration of Aegis; aegis.config.yaml(5) explains every key.\n"
    "# Lines with a # in front show the defaults. \"aegis config validate\" checks this "
    "file,\n"
    "# \"aegis config show\" prints what is in force and where it comes from.\n";

static const char examples[] =
    "\n# SecurityContexts: what the sessions of agents may call.\n"
    "# contexts:\n"
    "#   - name: reports\n"
    "#     description: Read and write below /workspace/reports\n"
    "#     capabilities:\n"
    "#       - tool_pattern: fs.read\n"
    "#         path_allowlist: [/workspace/reports]\n"
    "#     deny_list: [fs.delete]\n"
    "\n# Tool servers, spoken to over standard input and output (MCP).\n"
    "# tools:\n"
    "#   mcp_servers:\n"
    "#     - name: files\n"
    "#       executable: mcp-server-files\n"
    "#       args: [--root, /workspace]\n"
    "#       capabilities: [fs.*]\n"
    "#       paths: [{path: /workspace, mode: rw}]\n"
    "#       credentials:\n"
    "#         API_TOKEN: secret:files-token\n"
    "#       env:\n"
    "#         LOG_LEVEL: info\n";

/* The value to write without a comment sign, or NULL. */
static const char *
active_value(const struct template *t, const struct config_key *k)
{
	if (strcmp(k->path, "gate.port") == 0 ||
	    strcmp(k->path, "gate.require_agent_auth") == 0 ||
	    strcmp(k->path, "vault.name") == 0 ||
	    strcmp(k->path, "observability.log_level") == 0)
		return k->fallback;
	if (strcmp(k->path, "vault.data_dir") == 0)
		return t->data_dir;
	if (strcmp(k->path, "vault.master_key") == 0)
		return t->master_key;
	if (t->tls && strcmp(k->path, "gate.tls.cert") == 0)
		return "./certs/aegis.crt";
	if (t->tls && strcmp(k->path, "gate.tls.key") == 0)
		return "./certs/aegis.key";
	return NULL;
}

static int
write_key(const struct template *t, const struct config_key *k, char *section,
    size_t size, struct buf *out)
{
	const char *value = active_value(t, k), *leaf = strrchr(k->path, '.') + 1;
	size_t top = strcspn(k->path, "."), len = (size_t)(leaf - k->path) - 1;
	bool nested = len > top;

	if (strncmp(section, k->path, top) != 0 ||
	    (section[top] != '\0' && section[top] != '.'))
		if (buf_printf(out, "\n%.*s:\n", (int)top, k->path) == -1)
			return -1;
	if (nested && (strlen(section) != len || strncmp(section, k->path, len) != 0) &&
	    buf_printf(out, "  %s%.*s:\n", value != NULL ? "" : "# ",
		(int)(len - top - 1), k->path + top + 1) == -1)
		return -1;
	snprintf(section, size, "%.*s", (int)len, k->path);
	/* quotes: nothing in a value can become YAML */
	if (strpbrk(value != NULL ? value : "", " :#'\"\\{}[]&*!|>%@`") != NULL)
		return buf_printf(out, "  # %s\n  %s%s: \"%s\"\n", k->about,
		    nested ? "  " : "", leaf, value);
	return buf_printf(out, "  # %s\n  %s%s%s:%s%s\n", k->about,
	    value != NULL ? "" : "# ", nested ? "  " : "", leaf,
	    value != NULL || k->fallback != NULL ? " " : "",
	    value != NULL             ? value
		: k->fallback != NULL ? k->fallback
				      : "");
}

int
template_write(const struct template *t, struct buf *out)
{
	const struct config_key *k;
	char section[80] = "";

	if (buf_puts(out, intro) == -1)
		return -1;
	for (k = config_keys; k->path != NULL; k++) {
		if (k->type == KEY_TREE || k->type == KEY_LATER ||
		    strchr(k->path, '.') == NULL)
			continue;
		if (write_key(t, k, section, sizeof(section), out) == -1)
			return -1;
	}
	return buf_puts(out, examples);
}
