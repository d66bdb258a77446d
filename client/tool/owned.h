/* SPDX-License-Identifier: MIT */
/**
 * Which instances an agent has registered, remembered in a file: written before the registration
 * and after the deregistration, so that nothing that it may have registered is forgotten by a
 * crash.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>

struct owned {
	char *path;
	json_t *keys; /* an object; "SERVICE ID" */
};

/** A file that is not there is empty. @return 0, or negative errno (told) */
int owned_open(const char *path, struct owned *ret_owned);
void owned_close(struct owned *owned);

bool owned_has(const struct owned *owned, const char *service, const char *id);
/** Adds or removes, and writes the file if that changes it. What cannot be written is told. */
void owned_set(struct owned *owned, const char *service, const char *id, bool is);

/** Any one of them that @p skip does not want skipped. @return false: there is none.
 * Both texts are freed by the caller. */
bool owned_find(const struct owned *owned,
                bool (*skip)(const char *service, const char *id, void *arg), void *arg,
                char **ret_service, char **ret_id);
