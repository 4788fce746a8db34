/* SPDX-License-Identifier: Apache-2.0 */
/* What the commands of aegis policy share. */
#ifndef AEGIS_CMD_POLICY_H
#define AEGIS_CMD_POLICY_H

struct cli;
struct policies;

/* A plain word, --policies-dir, or what the configuration says; NULL after saying why. */
const char *policy_files_of(struct cli *);
/* NULL after saying what is wrong with them. */
struct policies *policy_read_good(const char *path);

#endif
