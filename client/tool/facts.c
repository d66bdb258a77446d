/* SPDX-License-Identifier: MIT */
#include "tool/facts.h"

#include "tool/api.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define SHARE_MAX 256

/** @param taken  an object whose keys are the names in use */
static json_t *make_name(const char *id, json_t *taken)
{
	struct text name = {NULL, 0, 0};

	for (const char *c = id; *c != '\0'; c++) {
		bool safe = isalnum((unsigned char)*c) || strchr("._:-", *c) != NULL;

		text_put_bytes(&name, safe ? c : "_", 1);
	}
	size_t len = name.len;
	for (unsigned n = 2; json_object_get(taken, name.data) != NULL; n++) {
		name.len = len;
		text_printf(&name, "-%u", n);
	}
	memory_set(taken, name.data, json_true());
	json_t *text = memory_json(json_string(name.data));
	text_free(&name);
	return text;
}

static int facts_by_id(const void *a, const void *b)
{
	return strcmp(api_text(*(json_t *const *)a, "id"), api_text(*(json_t *const *)b, "id"));
}

/** @return deep copies in the order of ids, so that the order of registration does not change the
 * file */
static json_t *sorted(const json_t *instances)
{
	size_t count = json_array_size(instances);
	json_t **list = memory_get(count * sizeof(*list));
	json_t *array = memory_json(json_array());

	for (size_t i = 0; i < count; i++)
		list[i] = json_array_get(instances, i);
	qsort(list, count, sizeof(*list), facts_by_id);
	for (size_t i = 0; i < count; i++)
		memory_append(array, json_deep_copy(list[i]));
	free(list);
	return array;
}

static json_int_t facts_weight(const json_t *instance)
{
	return json_integer_value(json_object_get(instance, "weight"));
}

static json_int_t share256(json_int_t weight, json_int_t most)
{
	if (most == 0)
		return 1;
	if (most <= SHARE_MAX || weight == 0)
		return weight;
	json_int_t share = weight * SHARE_MAX / most;
	return share > 0 ? share : 1;
}

static json_t *make_service(const struct watcher *watcher)
{
	json_t *instances = sorted(watcher->instances);
	json_t *taken = memory_json(json_object());
	json_int_t most = 0;
	json_t *one;
	size_t i;

	json_array_foreach(instances, i, one) most =
		facts_weight(one) > most ? facts_weight(one) : most;
	json_array_foreach(instances, i, one)
	{
		json_int_t weight = facts_weight(one);

		memory_set(one, "name", make_name(api_text(one, "id"), taken));
		memory_set(one, "share", json_integer(weight > 0 ? weight : 1));
		memory_set(one, "backup", json_boolean(weight == 0 && most > 0));
		memory_set(one, "share256", json_integer(share256(weight, most)));
	}
	json_decref(taken);
	return memory_json(json_pack("{s:s, s:I, s:I, s:o}", "service", watcher->service,
	                             "revision", (json_int_t)watcher->revision, "count",
	                             (json_int_t)json_array_size(instances), "instances",
	                             instances));
}

json_t *facts_make(const struct watcher *watchers, size_t count, const struct args *args)
{
	json_t *services = memory_json(json_array());
	json_t *values = memory_json(json_object());

	for (size_t i = 0; i < count; i++)
		memory_append(services, make_service(&watchers[i]));
	for (size_t i = 0; i < args->set.count; i++) {
		char *key = memory_copy(args->set.item[i]);
		char *value = strchr(key, '=');

		*value++ = '\0';
		if (json_object_set_new(values, key, json_string(value)) < 0)
			tool_warn("--set takes UTF-8: the value of '%s' is not", key);
		free(key);
	}
	return memory_json(json_pack("{s:o, s:o}", "services", services, "set", values));
}
