/* SPDX-License-Identifier: MIT */
#include "v1/json.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

/*
 * jansson returns NULL both for malformed text and when it is out of memory; without memory for a
 * string it reports a syntax error; and its lexer drops a character of a string and continues when
 * its buffer cannot grow. So the allocator sets this flag when it fails, and the result is
 * discarded.
 */
static _Thread_local bool is_out_of_memory;

static void *json_allocate(size_t size)
{
	void *memory = malloc(size);

	if (memory == NULL)
		is_out_of_memory = true;
	return memory;
}

static void json_init_once(void)
{
	json_set_alloc_funcs(json_allocate, free);
	json_object_seed(0);
}

int json_parse(struct str text, size_t flags, json_t **ret_root, json_error_t *ret_error)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	(void)pthread_once(&once, json_init_once); /* fails only for an invalid `once` */
	is_out_of_memory = false;
	json_t *root = json_loadb(text.data, text.len, flags, ret_error);
	if (is_out_of_memory) {
		json_decref(root);
		return -ENOMEM;
	}
	if (root == NULL)
		return -EBADMSG;
	*ret_root = root;
	return 0;
}
