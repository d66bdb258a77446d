/* SPDX-License-Identifier: MIT */
/** Validation of names, ids, hosts and texts that requests contain. The limits are in
 * model/instance.h. Any thread. */
#pragma once

#include "base/str.h"

/** 1-128 of A-Z a-z 0-9 . _ -, starting with a letter or digit. */
bool valid_service_name(struct str name);
/** 1-256 printable ASCII characters without space. */
bool valid_instance_id(struct str id);
/**
 * Can a path contain @p id as a segment? Clients and proxies that normalise paths drop the segments
 * "." and ".." (RFC 3986, 5.2.4), so these two ids cannot be registered. Older journals may hold
 * them.
 */
bool valid_path_id(struct str id);
/**
 * Checks that other hosts can connect to @p host: an IPv4 address, an IPv6 address without brackets
 * and zone, or a DNS name of 1-253 bytes. Older journals may hold hosts that are refused here.
 * @return NULL: it is valid; otherwise a static text that begins "must be ..."
 */
const char *host_fault(struct str host);
/** UTF-8 without control characters, at most @p most bytes: for reasons, authors, user agents. */
bool valid_text(struct str text, size_t most);
