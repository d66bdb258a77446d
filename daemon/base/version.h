/* SPDX-License-Identifier: MIT */
#pragma once

/** The version that `rollcalld --version` prints, such as "0.1.0-12-gabcdef". */
extern const char rollcall_version[];
