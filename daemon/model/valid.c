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

bool valid_path_id(struct str id)
{
	return !str_equal(id, STR(".")) && !str_equal(id, STR(".."));
}

/* "::" or 0.0.0.0, which may be mapped into IPv6. */
static bool is_unspecified(const unsigned char address[PARSE_IP_MAX])
{
	static const unsigned char none[PARSE_IP_MAX];
	static const unsigned char mapped[PARSE_IP_MAX] = {[10] = 0xff, [11] = 0xff};

	return memcmp(address, none, PARSE_IP_MAX) == 0 ||
	       memcmp(address, mapped, PARSE_IP_MAX) == 0;
}

static const char *address_fault(const unsigned char address[PARSE_IP_MAX], size_t len)
{
	if (is_unspecified(address))
		return "must be an address that others can connect to";
	if (len == PARSE_IP_MAX && address[0] == 0xfe && (address[1] & 0xc0) == 0x80)
		return "must be an address that needs no zone: a link-local one differs from host "
		       "to host";
	return NULL;
}

const char *host_fault(struct str host)
{
	unsigned char address[PARSE_IP_MAX] = {0};

	size_t len = parse_ip(host, address);
	if (len > 0)
		return address_fault(address, len);
	if (host.len <= HOST_MAX && parse_is_dns_name(host))
		return NULL;
	if (parse_is_number_name(host))
		return "must be an IPv4 address of four decimal numbers, or a name that does not "
		       "end in a number";
	return "must be an IPv4 or IPv6 address (without brackets and zone) or a DNS name of 1-253 "
	       "characters";
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
