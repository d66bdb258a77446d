/* SPDX-License-Identifier: MIT */
/*
 * The state file of an agent, as JSON, which is written as a whole after each change. One thread.
 * Invariant: the file lists every instance that may be registered; it may list more. A log that is
 * appended to would write less, but would need to be compacted, and agents have few instances.
 */
#include "tool/owned.h"

#include "tool/memory.h"
#include "tool/replace.h"
#include "tool/tool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FILE_MODE 0644

/** Reads the keys of a state file. @return 0; -EBADMSG (not a state file) */
static int read_keys(const struct text *text, json_t *keys)
{
	json_t *root = json_loadb(text->data, text->len, JSON_REJECT_DUPLICATES, NULL);
	const json_t *list = json_object_get(root, "registered");
	const json_t *key;
	size_t i;
	int r = json_is_array(list) ? 0 : -EBADMSG;

	json_array_foreach(list, i, key)
	{
		if (!json_is_string(key) || strchr(json_string_value(key), ' ') == NULL)
			r = -EBADMSG;
		else
			memory_set(keys, json_string_value(key), json_true());
	}
	json_decref(root);
	return r;
}

int owned_open(const char *path, struct owned *ret_owned)
{
	struct text text = {NULL, 0, 0};
	json_t *keys;
	char *file;

	int r = replace_resolve(path, &file);
	if (r < 0) {
		if (r != -EINVAL)
			tool_warn("cannot use state file '%s': %s", path, strerror(-r));
		return r;
	}
	keys = memory_json(json_object());
	r = replace_read(file, &text);
	free(file);
	if (r == 0)
		r = read_keys(&text, keys);
	else if (r == -ENOENT)
		r = 0;
	text_free(&text);
	if (r < 0) {
		tool_warn("cannot read state file '%s': %s", path,
		          r == -EBADMSG ? "it is not a state file" : strerror(-r));
		json_decref(keys);
		return r;
	}
	*ret_owned = (struct owned){.path = memory_copy(path), .keys = keys};
	return 0;
}

void owned_close(struct owned *owned)
{
	json_decref(owned->keys);
	free(owned->path);
	*owned = (struct owned){0};
}

static struct text key_of(const char *service, const char *id)
{
	struct text key = {NULL, 0, 0};

	text_printf(&key, "%s %s", service, id);
	return key;
}

bool owned_has(const struct owned *owned, const char *service, const char *id)
{
	struct text key = key_of(service, id);
	bool has = json_object_get(owned->keys, key.data) != NULL;

	text_free(&key);
	return has;
}

static void save(struct owned *owned)
{
	json_t *list = memory_json(json_array());
	struct text text = {NULL, 0, 0};
	const char *key;
	json_t *value;

	json_object_foreach(owned->keys, key, value)
	{
		memory_append(list, json_string(key));
	}
	json_t *root = memory_json(json_pack("{s:o}", "registered", list));
	char *dump = json_dumps(root, JSON_INDENT(2));
	json_decref(root);
	if (dump == NULL)
		memory_lacks();
	text_printf(&text, "%s\n", dump);
	free(dump);
	int r = replace_file(owned->path, &text, FILE_MODE);
	if (r < 0 && r != -EINVAL && !owned->unsaved)
		tool_warn("cannot write state file '%s': %s", owned->path, strerror(-r));
	owned->unsaved = r < 0;
	text_free(&text);
}

bool owned_save(struct owned *owned)
{
	if (owned->unsaved)
		save(owned);
	return !owned->unsaved;
}

void owned_set(struct owned *owned, const char *service, const char *id, bool is)
{
	struct text key = key_of(service, id);
	bool has = json_object_get(owned->keys, key.data) != NULL;

	if (is)
		memory_set(owned->keys, key.data, json_true());
	else
		(void)json_object_del(owned->keys, key.data);
	if (is != has)
		save(owned);
	text_free(&key);
}

bool owned_find(const struct owned *owned,
                bool (*skip)(const char *service, const char *id, void *arg), void *arg,
                char **ret_service, char **ret_id)
{
	const char *key;
	json_t *value;

	json_object_foreach(owned->keys, key, value)
	{
		char *service = memory_copy(key);
		char *id = strchr(service, ' '); /* read_keys() accepts no key without one */

		*id++ = '\0';
		if (!skip(service, id, arg)) {
			*ret_id = memory_copy(id);
			*ret_service = service;
			return true;
		}
		free(service);
	}
	return false;
}
