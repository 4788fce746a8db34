/* SPDX-License-Identifier: Apache-2.0 */
/* The two ways in: standard input, and HTTP on a loopback port. */
#ifndef AEGIS_BRIDGE_SERVE_H
#define AEGIS_BRIDGE_SERVE_H

/* Lines of standard input to lines of standard output, until the input ends. Returns an
 * exit code. token is the agent's. */
int serve_stdio(const char *token);

/* Streamable HTTP at 127.0.0.1:port, path /mcp, until a signal. token ("" for none) is
 * whose who brings none himself. Returns an exit code. */
int serve_http(unsigned port, const char *token);

#endif
