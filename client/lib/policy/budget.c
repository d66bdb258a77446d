/* SPDX-License-Identifier: MIT */
#include "lib/policy/budget.h"

#include "lib/base/util.h"

enum { REQUESTS, RETRIES };

void budget_init(struct budget *budget)
{
	*budget = (struct budget){0};
	window_init(&budget->window, budget->slots, ARRAY_LEN(budget->slots), US_PER_S);
}

void budget_request(struct budget *budget, int64_t now_us)
{
	window_add(&budget->window, now_us, REQUESTS, 1);
}

bool budget_has(struct budget *budget, double ratio, uint32_t min_per_s, int64_t now_us)
{
	if (ratio < 0)
		return true;

	double most =
		ratio * window_sum(&budget->window, now_us, REQUESTS) + 10.0 * (double)min_per_s;
	return (double)window_sum(&budget->window, now_us, RETRIES) < most;
}

bool budget_retry(struct budget *budget, double ratio, uint32_t min_per_s, int64_t now_us)
{
	if (!budget_has(budget, ratio, min_per_s, now_us))
		return false;
	window_add(&budget->window, now_us, RETRIES, 1);
	return true;
}
