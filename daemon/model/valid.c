/* SPDX-License-Identifier: MIT */
#include "model/valid.h"

#include "base/parse.h"
#include "base/terminal.h"
#include "model/instance.h"

static bool is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool valid_service_name(struct str name)
{
	if (name.len < 1 || name.len > SERVICE_NAME_MAX || !is_alnum(name.data[0]))
		return false;
	for (size_t i = 1; i < name.len; i++) {
		char c = name.data[i];

		if (!is_alnum(c) && c != '.' && c != '_' && c != '-')
			return false;
	}
	return true;
}

bool valid_instance_id(struct str id)
{
	if (id.len < 1 || id.len > INSTANCE_ID_MAX)
		return false;
	for (size_t i = 0; i < id.len; i++) {
		if (id.data[i] <= ' ' || id.data[i] > '~')
			return false;
	}
	return true;
}

bool valid_host(struct str host)
{
	return host.len >= 1 && host.len <= HOST_MAX &&
	       (parse_is_ip(host) || parse_is_dns_name(host));
}

bool valid_text(struct str text, size_t most)
{
	if (text.len > most || !parse_is_utf8(text))
		return false;
	while (text.len > 0) {
		struct terminal_char c = terminal_char(text);

		if (c.code < ' ' || (c.code >= 0x7f && c.code <= 0x9f))
			return false;
		text = (struct str){text.data + c.len, text.len - c.len};
	}
	return true;
}
