/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which addresses a credential must never travel to.  The egressd worker asks
 * for every address a name resolved to, right before it connects; the addresses
 * come from DNS, which an attacker may control.
 */
#ifndef AEGIS_COMMON_ADDR_H
#define AEGIS_COMMON_ADDR_H

#include <sys/socket.h>
#include <stdbool.h>

/*
 * True unless sa is a public unicast address: the special-purpose blocks of
 * RFC 6890 and its registries, private, shared, link-local, loopback,
 * multicast, documentation and reserved space, addresses of metadata services,
 * and IPv6 forms that carry such an IPv4 address (mapped, NAT64, 6to4;
 * compatible and Teredo are refused whatever they carry).  True for any family
 * other than IPv4 and IPv6.
 */
bool addr_is_forbidden(const struct sockaddr *sa);

/*
 * True if a machine's metadata service may live there: all of link-local, and
 * the addresses clouds use outside of it, also inside IPv6 forms.  To be refused
 * even where the operator allows private addresses.  True for any family other
 * than IPv4 and IPv6.
 */
bool addr_is_metadata(const struct sockaddr *sa);

/*
 * The kind of address that a forbidden one is, in a few words for people: "loopback",
 * "private", "metadata or link-local", "reserved".
 */
const char *addr_kind(const struct sockaddr *sa);

#endif
