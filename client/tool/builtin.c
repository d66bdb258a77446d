/* SPDX-License-Identifier: MIT */
#include "tool/builtin.h"

#include <stdbool.h>
#include <string.h>

static const struct {
	const char *folder;
	const char *ending;
} kinds[] = {
	[BUILTIN_TEMPLATE] = {"templates/", ".mustache"},
	[BUILTIN_COMPLETION] = {"completion/", ""},
};

static bool builtin_is(const char *path, enum builtin_kind kind, const char *name)
{
	size_t folder_len = strlen(kinds[kind].folder);
	size_t name_len = strlen(name);

	return strncmp(path, kinds[kind].folder, folder_len) == 0 &&
	       strncmp(path + folder_len, name, name_len) == 0 &&
	       strcmp(path + folder_len + name_len, kinds[kind].ending) == 0;
}

const char *builtin_find(enum builtin_kind kind, const char *name)
{
	for (size_t i = 0; i < builtins_count; i++)
		if (builtin_is(builtins[i].name, kind, name))
			return builtins[i].text;
	return NULL;
}
