/* SPDX-License-Identifier: MIT */
/*
 * Checks of one request's head; no state outside of struct guard, any thread.
 *
 * Invariant: the first fault found decides the verdict, so a later header cannot mask it. Checking
 * only what libmicrohttpd reports is not enough: it hides what it dropped or joined, and only the
 * places of the strings in its memory show that (guard.h).
 */
#include "http/guard.h"

#include "base/check.h"
#include "base/parse.h"

#include <string.h>
#include <strings.h>

#define LENGTH_MAX   (INT64_MAX / 10) /* so sums cannot overflow */
#define LINE_END_LEN 2                /* CR LF */

/* Where a byte is allowed, as bits. */
enum {
	IN_NAME = 1,  /* RFC 9110, 5.6.2: letters, digits and !#$%&'*+-.^_`|~ */
	IN_HOST = 2,  /* visible characters except /?#@\,<>" */
	IN_VALUE = 4, /* visible characters, blank, tab and obs-text */
	IN_TARGET = 8 /* visible characters except # and %, which begins an escape */
};

/* clang-format off */
static const unsigned char places[256] = {
	0x0, 0x0, 0x0, 0x0, 0x0, 0x0, 0x0, 0x0, 0x0, 0x4, 0x0, 0x0, 0x0, 0x0, 0x0, 0x0, /* controls; only a tab may be in a value */
	0x0, 0x0, 0x0, 0x0, 0x0, 0x0, 0x0, 0x0, 0x0, 0x0, 0x0, 0x0, 0x0, 0x0, 0x0, 0x0,
	0x4, 0xf, 0xc, 0x5, 0xf, 0x7, 0xf, 0xf, 0xe, 0xe, 0xf, 0xf, 0xc, 0xf, 0xf, 0xc, /* blank ! " # $ % & ' ( ) * + , - . / */
	0xf, 0xf, 0xf, 0xf, 0xf, 0xf, 0xf, 0xf, 0xf, 0xf, 0xe, 0xe, 0xc, 0xe, 0xc, 0xc, /* 0-9 : ; < = > ? */
	0xc, 0xf, 0xf, 0xf, 0xf, 0xf, 0xf, 0xf, 0xf, 0xf, 0xf, 0xf, 0xf, 0xf, 0xf, 0xf, /* @ A-O */
	0xf, 0xf, 0xf, 0xf, 0xf, 0xf, 0xf, 0xf, 0xf, 0xf, 0xf, 0xe, 0xc, 0xe, 0xf, 0xf, /* P-Z [ \ ] ^ _ */
	0xf, 0xf, 0xf, 0xf, 0xf, 0xf, 0xf, 0xf, 0xf, 0xf, 0xf, 0xf, 0xf, 0xf, 0xf, 0xf, /* ` a-o */
	0xf, 0xf, 0xf, 0xf, 0xf, 0xf, 0xf, 0xf, 0xf, 0xf, 0xf, 0xe, 0xf, 0xe, 0xf, 0x0, /* p-z { | } ~ DEL */
	0x4, 0x4, 0x4, 0x4, 0x4, 0x4, 0x4, 0x4, 0x4, 0x4, 0x4, 0x4, 0x4, 0x4, 0x4, 0x4, /* beyond ASCII: only in a value */
	0x4, 0x4, 0x4, 0x4, 0x4, 0x4, 0x4, 0x4, 0x4, 0x4, 0x4, 0x4, 0x4, 0x4, 0x4, 0x4,
	0x4, 0x4, 0x4, 0x4, 0x4, 0x4, 0x4, 0x4, 0x4, 0x4, 0x4, 0x4, 0x4, 0x4, 0x4, 0x4,
	0x4, 0x4, 0x4, 0x4, 0x4, 0x4, 0x4, 0x4, 0x4, 0x4, 0x4, 0x4, 0x4, 0x4, 0x4, 0x4,
	0x4, 0x4, 0x4, 0x4, 0x4, 0x4, 0x4, 0x4, 0x4, 0x4, 0x4, 0x4, 0x4, 0x4, 0x4, 0x4,
	0x4, 0x4, 0x4, 0x4, 0x4, 0x4, 0x4, 0x4, 0x4, 0x4, 0x4, 0x4, 0x4, 0x4, 0x4, 0x4,
	0x4, 0x4, 0x4, 0x4, 0x4, 0x4, 0x4, 0x4, 0x4, 0x4, 0x4, 0x4, 0x4, 0x4, 0x4, 0x4,
	0x4, 0x4, 0x4, 0x4, 0x4, 0x4, 0x4, 0x4, 0x4, 0x4, 0x4, 0x4, 0x4, 0x4, 0x4, 0x4,
};
/* clang-format on */

/* The places where all bytes of @p text may stand. */
static unsigned places_of(struct str text)
{
	unsigned common = IN_NAME | IN_HOST | IN_VALUE | IN_TARGET;

	const unsigned char *at = (const unsigned char *)text.data;
	size_t left = text.len;

	for (; left >= 4; left -= 4, at += 4)
		common &= places[at[0]] & places[at[1]] & places[at[2]] & places[at[3]];
	for (; left > 0; left--, at++)
		common &= places[*at];
	return common;
}

static bool is_alnum(unsigned char c)
{
	return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
}

static bool is_name(struct str name, struct str wanted)
{
	return name.len == wanted.len && strncasecmp(name.data, wanted.data, name.len) == 0;
}

/*
 * Does @p name contain @p letters when all other characters are dropped? "Content_Length",
 * "Xcontent-length" and "content-length2" do: another parser in the chain may read them as the real
 * header.
 */
static bool is_nearly(struct str name, struct str letters)
{
	for (size_t start = 0; start + letters.len <= name.len; start++) {
		size_t matched = 0;

		for (size_t i = start; i < name.len && matched < letters.len; i++) {
			char c = (char)(name.data[i] | 0x20);

			if (c == letters.data[matched])
				matched++;
			else if (is_alnum((unsigned char)name.data[i]))
				break;
		}
		if (matched == letters.len)
			return true;
	}
	return false;
}

static void guard_fault(struct guard *guard, enum guard_verdict verdict)
{
	if (guard->fault == GUARD_PASS)
		guard->fault = verdict;
}

static void take_length(struct guard *guard, struct str value)
{
	uint64_t length = 0;

	guard->lengths++;
	if (value.len == 0)
		guard_fault(guard, GUARD_LENGTH);
	for (size_t i = 0; i < value.len && guard->fault == GUARD_PASS; i++) {
		if (value.data[i] < '0' || value.data[i] > '9')
			guard_fault(guard, GUARD_LENGTH);
		else if (length > LENGTH_MAX / 10)
			guard_fault(guard, GUARD_LENGTH_HUGE);
		else
			length = length * 10 + (uint64_t)(value.data[i] - '0');
	}
	guard->length = length;
}

/*
 * Checks headers that decide where the request ends, and others that must be unambiguous. For the
 * former libmicrohttpd has already used the raw value: a blank behind it changes the length that
 * libmicrohttpd reads, so the raw value must be exact. @p value is @p raw without those blanks;
 * each byte of it may stand in each place of @p common.
 */
static void take_known(struct guard *guard, struct str name, struct str raw, struct str value,
                       unsigned common)
{
	if (is_name(name, STR("content-length"))) {
		take_length(guard, raw);
	} else if (is_name(name, STR("transfer-encoding"))) {
		guard->encodings++;
		guard->chunked = is_name(raw, STR("chunked"));
		if (!guard->chunked)
			guard_fault(guard, GUARD_ENCODING);
	} else if (is_name(name, STR("host"))) {
		guard->hosts++;
		if ((common & IN_HOST) == 0)
			guard_fault(guard, GUARD_HOST);
	} else if (is_name(name, STR("content-type"))) {
		guard->types++;
	} else if (is_name(name, STR("expect"))) {
		if (!is_name(value, STR("100-continue")))
			guard_fault(guard, GUARD_EXPECT);
	} else if (is_nearly(name, STR("contentlength")) ||
	           is_nearly(name, STR("transferencoding"))) {
		guard_fault(guard, GUARD_NAME_NEARLY);
	}
}

void guard_line(struct guard *guard, struct str method, struct str target, struct str version)
{
	if (method.data + method.len + 1 != target.data ||
	    target.data + target.len + 1 != version.data)
		guard_fault(guard, GUARD_GAP);
	guard->version_1_0 = str_equal(version, STR("HTTP/1.0"));
	if (!guard->version_1_0 && !str_equal(version, STR("HTTP/1.1")))
		guard_fault(guard, GUARD_VERSION);
	guard->next = version.data + version.len + LINE_END_LEN;
}

static struct str without_blanks_after(struct str raw)
{
	while (raw.len > 0 && (raw.data[raw.len - 1] == ' ' || raw.data[raw.len - 1] == '\t'))
		raw.len--;
	return raw;
}

struct str guard_header(struct guard *guard, struct str name, struct str raw)
{
	struct str value = without_blanks_after(raw);
	unsigned common = places_of(value);
	bool follows = name.data == guard->next;

	guard->next = raw.data + raw.len + LINE_END_LEN;
	if (name.len == 0 || (places_of(name) & IN_NAME) == 0)
		guard_fault(guard, GUARD_NAME);
	/* libmicrohttpd has moved a name with a continued line behind all bytes that arrived. */
	else if ((uintptr_t)raw.data < (uintptr_t)name.data)
		guard_fault(guard, GUARD_FOLDED);
	else if (!follows)
		guard_fault(guard, GUARD_GAP);
	else if ((common & IN_VALUE) == 0)
		guard_fault(guard, GUARD_VALUE);
	else
		take_known(guard, name, raw, value, common);
	return value;
}

enum guard_verdict guard_end(struct guard *guard, const char *end)
{
	if (guard->fault != GUARD_PASS)
		return guard->fault;
	if (guard->next + LINE_END_LEN != end)
		return GUARD_GAP;
	if (guard->lengths > 0 && guard->encodings > 0)
		return GUARD_BOTH;
	if (guard->lengths > 1)
		return GUARD_LENGTHS;
	if (guard->encodings > 1)
		return GUARD_ENCODING;
	if (guard->encodings > 0 && guard->version_1_0)
		return GUARD_ENCODING_1_0;
	if (guard->hosts > 1)
		return GUARD_HOST;
	if (guard->types > 1)
		return GUARD_TYPES;
	if (guard->hosts == 0 && !guard->version_1_0)
		return GUARD_NO_HOST;
	return GUARD_PASS;
}

static enum guard_verdict check_characters(struct str target)
{
	if ((places_of(target) & IN_TARGET) != 0)
		return GUARD_PASS;
	for (size_t i = 0; i < target.len; i++) {
		unsigned char c = (unsigned char)target.data[i];

		if ((places[c] & IN_TARGET) != 0)
			continue;
		if (c != '%')
			return GUARD_TARGET;
		if (target.len - i < 3)
			return GUARD_TARGET_ESCAPE;
		int high = parse_hex_digit(target.data[i + 1]);
		int low = parse_hex_digit(target.data[i + 2]);
		if (high < 0 || low < 0 || high + low == 0)
			return GUARD_TARGET_ESCAPE;
	}
	return GUARD_PASS;
}

/* The length of "http://authority", 0 when the target is not of that form. */
static size_t authority_end(struct str target)
{
	static const char *const schemes[] = {"http://", "https://"};

	for (size_t i = 0; i < ARRAY_LEN(schemes); i++) {
		size_t len = strlen(schemes[i]);

		if (target.len <= len || strncasecmp(target.data, schemes[i], len) != 0)
			continue;
		size_t end = len;
		while (end < target.len && target.data[end] != '/' && target.data[end] != '?')
			end++;
		return end > len ? end : 0;
	}
	return 0;
}

enum guard_verdict guard_target(struct str target, struct str *ret_path)
{
	enum guard_verdict verdict = check_characters(target);

	if (verdict != GUARD_PASS)
		return verdict;
	if (target.len == 0)
		return GUARD_TARGET_FORM;
	if (target.data[0] == '/') {
		*ret_path = target;
		return GUARD_PASS;
	}
	size_t end = authority_end(target);
	if (end == 0 || (end < target.len && target.data[end] == '?'))
		return GUARD_TARGET_FORM;
	*ret_path =
		end == target.len ? STR("/") : (struct str){target.data + end, target.len - end};
	return GUARD_PASS;
}

const struct guard_refusal *guard_refusal(enum guard_verdict verdict)
{
	static const struct guard_refusal refusals[] = {
#define GUARD_ROW(name, problem, detail) {problem, detail},
		GUARD_REFUSALS(GUARD_ROW)
#undef GUARD_ROW
	};

	CHECK(verdict > GUARD_PASS && verdict < GUARD_VERDICT_COUNT);
	return &refusals[verdict - 1];
}
