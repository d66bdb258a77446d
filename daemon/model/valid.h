/* SPDX-License-Identifier: MIT */
/** Which words are acceptable. Each says only yes or no; the limits are in model/instance.h. */
#pragma once

#include "base/str.h"

/** 1-128 of A-Z a-z 0-9 . _ -, starting with a letter or digit. */
bool valid_service_name(struct str name);
/** 1-256 printable ASCII characters without space. */
bool valid_instance_id(struct str id);
/** IPv4, IPv6 without brackets, or DNS name; 1-253. */
bool valid_host(struct str host);
/** An operator's reason, an author or a user agent: UTF-8 without control characters, at most @p
 * most bytes. */
bool valid_text(struct str text, size_t most);
