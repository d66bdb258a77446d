/* SPDX-License-Identifier: MIT */
#pragma once

/** "rollcall/VERSION" */
const char *tool_user_agent(void);
/** "VERSION" */
const char *tool_version(void);
