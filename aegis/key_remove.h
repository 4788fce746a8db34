/* SPDX-License-Identifier: Apache-2.0 */
/* Taking the master key out of the file that it lies in, once there are shares of it. */
#ifndef AEGIS_KEY_REMOVE_H
#define AEGIS_KEY_REMOVE_H

struct config;

/* Could it be? 0, or -1 after saying why not. */
int key_remove_check(const struct config *);
/* 0, or -1 after saying why. */
int key_remove(const struct config *);

#endif
