/* SPDX-License-Identifier: MIT */
/**
 * The state file of an agent: the instances that it may have registered. An instance is added
 * before it is registered and removed after it is deregistered, so that a crash loses none.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>

struct owned {
	char *path;
	json_t *keys; /* an object; "SERVICE ID" */
	bool unsaved; /* the last write failed */
};

/** Reads the file; one that does not exist is empty. @return 0; -EINVAL (not a regular file); or
 * another negative errno; failures are reported */
int owned_open(const char *path, struct owned *ret_owned);
void owned_close(struct owned *owned);

bool owned_has(const struct owned *owned, const char *service, const char *id);
/** Adds or removes an instance, and writes the file if that is a change. A failure is reported, and
 * owned_save() tries again. */
void owned_set(struct owned *owned, const char *service, const char *id, bool is);
/** Writes the file again if the last write failed. @return whether it is written now */
bool owned_save(struct owned *owned);

/** Finds an instance for which @p skip returns false. @return false: there is none. Both texts are
 * freed by the caller. */
bool owned_find(const struct owned *owned,
                bool (*skip)(const char *service, const char *id, void *arg), void *arg,
                char **ret_service, char **ret_id);
