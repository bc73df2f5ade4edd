/* SPDX-License-Identifier: Apache-2.0 */
/* Files that hold documents, and documents on stdout. */
#ifndef NODE_AGENT_CTL_DOCUMENT_H
#define NODE_AGENT_CTL_DOCUMENT_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "node-agent/ctl/ctl.h"

/* Bytes of a file; contracts themselves may be 64 KiB, a pretty one is longer. */
#define CTL_FILE_MAX (1u << 19)

/*
 * Read FILE ("-" = stdin; a pipe is fine) into malloc'd, NUL-terminated memory. Returns 0, or
 * CTL_USAGE or CTL_FAILED with the reason said.
 */
enum ctl_exit ctl_read(char **out, size_t *len, const char *file);
/* Read and parse FILE with the rules of a contract, whatever its layout. Returns 0, or the exit
 * code with the reason said (and printed with --json). */
enum ctl_exit ctl_load(json_t **out, const struct ctl *ctl, const char *file);
/*
 * The text of FILE on one line, for a node to judge: it must be a JSON object, nothing more is
 * asked. Malloc'd. Returns as ctl_load.
 */
enum ctl_exit ctl_read_json_text(char **out, size_t *len, const struct ctl *ctl, const char *file);
/* One line of JSON on stdout. Returns 0 or CTL_FAILED. */
enum ctl_exit ctl_print(const json_t *json);
/* The same with line breaks, for documents that people keep in files. */
enum ctl_exit ctl_print_pretty(const json_t *json);

/* Read the Ed25519 seed in key file FILE. Returns 0 or CTL_USAGE, said. Wipe SEED after use. */
enum ctl_exit ctl_read_seed(uint8_t seed[32], const struct ctl *ctl, const char *file);
/* 64 lower-case hex digits, given as option NAME. Returns 0 or CTL_USAGE, said. */
enum ctl_exit ctl_parse_key(uint8_t out[32], const char *name, const char *text);

#endif
