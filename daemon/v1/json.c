/* SPDX-License-Identifier: MIT */
#include "v1/json.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

/*
 * jansson returns NULL for what is malformed and when memory is short, and for a string that it has
 * no memory for it reports a syntax error. Its lexer even goes on, without a character of a string,
 * when its buffer cannot grow. So its allocator notes that it failed, and then nothing counts.
 */
static _Thread_local bool memory_was_short;

static void *json_allocate(size_t size)
{
	void *memory = malloc(size);

	if (memory == NULL)
		memory_was_short = true;
	return memory;
}

static void init_once(void)
{
	json_set_alloc_funcs(json_allocate, free);
	json_object_seed(0);
}

int json_parse(struct str text, size_t flags, json_t **ret_root, json_error_t *ret_error)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	(void)pthread_once(&once, init_once); /* fails only for a once that is none */
	memory_was_short = false;
	json_t *root = json_loadb(text.data, text.len, flags, ret_error);
	if (memory_was_short) {
		json_decref(root);
		return -ENOMEM;
	}
	if (root == NULL)
		return -EBADMSG;
	*ret_root = root;
	return 0;
}
