/* SPDX-License-Identifier: MIT */
/** The version of the tool, which is that of the library in it. */
#pragma once

/** @return "rollcall/VERSION", for the User-Agent header */
const char *tool_user_agent(void);
/** @return "VERSION" */
const char *tool_version(void);
