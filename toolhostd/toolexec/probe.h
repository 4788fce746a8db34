/* SPDX-License-Identifier: Apache-2.0 */
/* What a tool server could reach, tried from its place: `aegis tool test`. */
#ifndef AEGIS_TOOLEXEC_PROBE_H
#define AEGIS_TOOLEXEC_PROBE_H

/* Tries, writes one line of JSON to standard output, and exits. */
void probe_run(void) __attribute__((noreturn));

#endif
