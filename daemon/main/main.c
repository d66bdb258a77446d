/* SPDX-License-Identifier: MIT */
#include "base/version.h"

#include <stdio.h>

int main(void)
{
	(void)printf("rollcalld %s\n", rollcall_version);
	return 0;
}
