/* SPDX-License-Identifier: MIT */
/*
 * Parsers of text from clients and configuration; no state, any thread.
 *
 * Invariant: a parser accepts exactly one spelling of each rule, looks at every byte, and writes
 * its result on success only. strtoull(), strptime() and inet_aton() accept blanks, signs, locales
 * or trailing text, and need a NUL at the end.
 */
#include "base/parse.h"

#include "schema/utf8.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <string.h>

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

int parse_u64(struct str text, uint64_t least, uint64_t most, uint64_t *ret_value)
{
	uint64_t value = 0;
	bool overflow = false;

	if (text.len == 0 || (text.len > 1 && text.data[0] == '0'))
		return -EINVAL;
	/* Read on after an overflow: "99...9x" is not a number. */
	for (size_t i = 0; i < text.len; i++) {
		if (!is_digit(text.data[i]))
			return -EINVAL;
		unsigned digit = (unsigned)(text.data[i] - '0');
		overflow |= __builtin_mul_overflow(value, 10, &value);
		overflow |= __builtin_add_overflow(value, digit, &value);
	}
	if (overflow || value < least || value > most)
		return -ERANGE;
	*ret_value = value;
	return 0;
}

int parse_hex_digit(char c)
{
	if (is_digit(c))
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

long parse_percent(struct str text, char *out, size_t size)
{
	size_t len = 0;

	for (size_t i = 0; i < text.len; i++) {
		char c = text.data[i];

		if (c == '%') {
			if (text.len - i < 3)
				return -EINVAL;
			int high = parse_hex_digit(text.data[i + 1]);
			int low = parse_hex_digit(text.data[i + 2]);
			if (high < 0 || low < 0)
				return -EINVAL;
			c = (char)(high * 16 + low);
			i += 2;
		}
		if (c == '\0')
			return -EINVAL;
		if (len == size || len == LONG_MAX)
			return -EMSGSIZE;
		out[len++] = c;
	}
	return (long)len;
}

/* Reads exactly @p count digits at *at and moves *at behind them. @return the number, or -1 */
static int take_digits(struct str text, size_t *at, unsigned count)
{
	int value = 0;

	if (text.len - *at < count)
		return -1;
	for (unsigned i = 0; i < count; i++) {
		char c = text.data[*at + i];
		if (!is_digit(c))
			return -1;
		value = value * 10 + (c - '0');
	}
	*at += count;
	return value;
}

static bool take_char(struct str text, size_t *at, char c)
{
	if (*at == text.len || text.data[*at] != c)
		return false;
	(*at)++;
	return true;
}

static bool time_number(struct str text, size_t *at, unsigned digits, int most, int *ret_value)
{
	*ret_value = take_digits(text, at, digits);
	return *ret_value >= 0 && *ret_value <= most;
}

static int days_in_month(int year, int month)
{
	static const char days[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return days[month - 1] + (month == 2 && leap);
}

/* Days from 1970-01-01 (H. Hinnant, days_from_civil); years from 0 on. */
static int64_t days_from_epoch(int year, int month, int day)
{
	if (month <= 2)
		year--; /* count years from March */
	int64_t era = (year >= 0 ? year : year - 399) / 400;
	int64_t of_era = year - era * 400;
	int of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;

	return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static bool take_date(struct str text, size_t *at, int64_t *ret_days)
{
	int year = 0;
	int month = 0;
	int day = 0;

	if (!time_number(text, at, 4, 9999, &year) || !take_char(text, at, '-') ||
	    !time_number(text, at, 2, 12, &month) || !take_char(text, at, '-') ||
	    !time_number(text, at, 2, 31, &day))
		return false;
	if (month == 0 || day == 0 || day > days_in_month(year, month))
		return false;
	*ret_days = days_from_epoch(year, month, day);
	return true;
}

/* hh:mm:ss with an optional fraction, which is cut to milliseconds. */
static bool time_clock(struct str text, size_t *at, int64_t *ret_ms)
{
	int hour = 0;
	int minute = 0;
	int second = 0;
	int ms = 0;

	if (!time_number(text, at, 2, 23, &hour) || !take_char(text, at, ':') ||
	    !time_number(text, at, 2, 59, &minute) || !take_char(text, at, ':') ||
	    !time_number(text, at, 2, 59, &second))
		return false;
	if (take_char(text, at, '.')) {
		size_t first = *at;
		for (int weight = 100; *at < text.len && is_digit(text.data[*at]); weight /= 10)
			ms += weight * (text.data[(*at)++] - '0');
		if (*at == first)
			return false;
	}
	*ret_ms = ((hour * 60 + minute) * 60 + second) * INT64_C(1000) + ms;
	return true;
}

static bool take_zone(struct str text, size_t *at, int64_t *ret_ms)
{
	int hours = 0;
	int minutes = 0;

	if (take_char(text, at, 'Z') || take_char(text, at, 'z')) {
		*ret_ms = 0;
		return true;
	}
	bool west = take_char(text, at, '-');
	if (!west && !take_char(text, at, '+'))
		return false;
	if (!time_number(text, at, 2, 23, &hours) || !take_char(text, at, ':') ||
	    !time_number(text, at, 2, 59, &minutes))
		return false;
	*ret_ms = (hours * 60 + minutes) * INT64_C(60000) * (west ? -1 : 1);
	return true;
}

int parse_rfc3339(struct str text, int64_t *ret_real_ms)
{
	size_t at = 0;
	int64_t days = 0;
	int64_t time_ms = 0;
	int64_t zone_ms = 0;

	if (!take_date(text, &at, &days) ||
	    (!take_char(text, &at, 'T') && !take_char(text, &at, 't')) ||
	    !time_clock(text, &at, &time_ms) || !take_zone(text, &at, &zone_ms) || at != text.len)
		return -EINVAL;
	*ret_real_ms = days * 86400000 + time_ms - zone_ms;
	return 0;
}

size_t parse_utf8_char(struct str text)
{
	uint32_t code;

	return utf8_read(text.data, text.len, &code);
}

bool parse_is_utf8(struct str text)
{
	while (text.len > 0) {
		size_t len = parse_utf8_char(text);
		if (len == 0)
			return false;
		text.data += len;
		text.len -= len;
	}
	return true;
}

size_t parse_ip(struct str text, unsigned char ret_address[PARSE_IP_MAX])
{
	char copy[INET6_ADDRSTRLEN];
	unsigned char address[PARSE_IP_MAX];
	size_t len = 0;

	if (text.len == 0 || text.len >= sizeof(copy) || memchr(text.data, '\0', text.len) != NULL)
		return 0;
	memcpy(copy, text.data, text.len);
	copy[text.len] = '\0';
	if (inet_pton(AF_INET, copy, address) == 1)
		len = sizeof(struct in_addr);
	else if (inet_pton(AF_INET6, copy, address) == 1)
		len = sizeof(struct in6_addr);
	memcpy(ret_address, address, len);
	return len;
}

bool parse_is_ip(struct str text)
{
	unsigned char address[PARSE_IP_MAX];

	return parse_ip(text, address) > 0;
}

static bool is_label(struct str text)
{
	if (text.len < 1 || text.len > 63 || text.data[0] == '-' || text.data[text.len - 1] == '-')
		return false;
	for (size_t i = 0; i < text.len; i++) {
		char c = text.data[i];

		if (!is_digit(c) && !is_letter(c) && c != '_' && c != '-')
			return false;
	}
	return true;
}

static bool is_number(struct str label)
{
	bool hex = label.len >= 2 && label.data[0] == '0' && (label.data[1] | 0x20) == 'x';

	for (size_t i = hex ? 2 : 0; i < label.len; i++)
		if (!is_digit(label.data[i]) && (!hex || parse_hex_digit(label.data[i]) < 0))
			return false;
	return true;
}

/* Labels with dots between them and perhaps one at the end. */
static bool is_label_list(struct str text, struct str *ret_last)
{
	if (text.len > 0 && text.data[text.len - 1] == '.')
		text.len--;
	if (text.len == 0 || text.len > 253 || text.data[text.len - 1] == '.')
		return false;
	while (text.len > 0) {
		*ret_last = str_cut(&text, '.');
		if (!is_label(*ret_last))
			return false;
	}
	return true;
}

bool parse_is_dns_name(struct str text)
{
	struct str last;

	return is_label_list(text, &last) && !is_number(last);
}

bool parse_is_number_name(struct str text)
{
	struct str last;

	return is_label_list(text, &last) && is_number(last);
}
