/* SPDX-License-Identifier: MIT */
#include "tool/version.h"

#include <rollcall.h>
#include <stdio.h>

const char *tool_version(void)
{
	return rollcall_version();
}

const char *tool_user_agent(void)
{
	static char agent[80];

	(void)snprintf(agent, sizeof(agent), "rollcall/%s", tool_version());
	return agent;
}
