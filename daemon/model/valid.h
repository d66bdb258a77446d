/* SPDX-License-Identifier: MIT */
/** Which words are acceptable. The limits are in model/instance.h. */
#pragma once

#include "base/str.h"

/** 1-128 of A-Z a-z 0-9 . _ -, starting with a letter or digit. */
bool valid_service_name(struct str name);
/** 1-256 printable ASCII characters without space. */
bool valid_instance_id(struct str id);
/**
 * Is the id one that a path can name? Clients and proxies that normalise a path drop a segment of
 * one or two dots (RFC 3986, 5.2.4), so such ids are not registered. An older journal may hold one.
 */
bool valid_path_id(struct str id);
/**
 * Why @p host is none that others can connect to: IPv4, IPv6 without brackets and zone, or DNS
 * name; 1-253. An older journal may hold what is refused here.
 * @return NULL: it is one; else what it must be, static: "must be ..."
 */
const char *host_fault(struct str host);
/** An operator's reason, an author or a user agent: UTF-8 without control characters, at most @p
 * most bytes. */
bool valid_text(struct str text, size_t most);
