/* SPDX-License-Identifier: MIT */
#include "tool/reminder.h"

#include "tool/tool.h"

#define AGAIN_MS 60000

bool reminder_failed(struct reminder *reminder, int kind)
{
	int64_t now = tool_now_ms();

	if (reminder->failing && reminder->kind == kind && now < reminder->due_ms)
		return false;
	*reminder = (struct reminder){true, kind, now + AGAIN_MS};
	return true;
}

bool reminder_succeeded(struct reminder *reminder)
{
	bool was = reminder->failing;

	reminder->failing = false;
	return was;
}
