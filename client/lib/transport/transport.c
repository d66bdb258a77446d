/* SPDX-License-Identifier: MIT */
#include "lib/transport/transport.h"

#include <string.h>
#include <strings.h>

#define HEAD_MAX (64U << 10)

void exchange_init(struct exchange *exchange, size_t most)
{
	*exchange = (struct exchange){0};
	bytes_init(&exchange->answer, most);
	bytes_init(&exchange->head, HEAD_MAX);
}

void exchange_fini(struct exchange *exchange)
{
	bytes_fini(&exchange->answer);
	bytes_fini(&exchange->head);
}

void exchange_reset(struct exchange *exchange)
{
	bytes_reset(&exchange->answer);
	bytes_reset(&exchange->head);
	exchange->error = 0;
	exchange->sent = false;
	exchange->status = 0;
	exchange->local_ip[0] = '\0';
}

const char *head_find(const char *head, const char *name, size_t *ret_len)
{
	size_t name_len = strlen(name);

	while (head != NULL && *head != '\0') {
		size_t line = strcspn(head, "\r\n");

		if (line > name_len && head[name_len] == ':' &&
		    strncasecmp(head, name, name_len) == 0) {
			const char *value = head + name_len + 1;
			const char *end = head + line;

			while (value < end && (*value == ' ' || *value == '\t'))
				value++;
			while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
				end--;
			*ret_len = (size_t)(end - value);
			return value;
		}
		head += line;
		head += strspn(head, "\r\n");
	}
	return NULL;
}

int64_t head_number(const char *head, const char *name)
{
	size_t len;
	const char *value = head_find(head, name, &len);
	int64_t number = 0;

	if (value == NULL || len == 0 || len > 18)
		return -1;
	for (size_t i = 0; i < len; i++) {
		if (value[i] < '0' || value[i] > '9')
			return -1;
		number = number * 10 + (value[i] - '0');
	}
	return number;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

uint64_t head_hex64(const char *head, const char *name)
{
	size_t len;
	const char *value = head_find(head, name, &len);
	uint64_t number = 0;

	if (value == NULL || len != 16)
		return 0;
	for (size_t i = 0; i < len; i++) {
		int digit = hex_digit(value[i]);

		if (digit < 0)
			return 0;
		number = number << 4 | (unsigned)digit;
	}
	return number;
}
