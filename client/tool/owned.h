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
	bool unsaved; /* the last write failed */
};

/** A file that is not there is empty. @return 0; -EINVAL: the path names no regular file; or
 * another negative errno. All are reported. */
int owned_open(const char *path, struct owned *ret_owned);
void owned_close(struct owned *owned);

bool owned_has(const struct owned *owned, const char *service, const char *id);
/** Adds or removes, and writes the file if that changes it. A failure is reported; owned_save()
 * repeats it. */
void owned_set(struct owned *owned, const char *service, const char *id, bool is);
/** Writes the file again if the last write failed. @return is it written now? */
bool owned_save(struct owned *owned);

/** Any one of them that @p skip does not want skipped. @return false: there is none.
 * Both texts are freed by the caller. */
bool owned_find(const struct owned *owned,
                bool (*skip)(const char *service, const char *id, void *arg), void *arg,
                char **ret_service, char **ret_id);
