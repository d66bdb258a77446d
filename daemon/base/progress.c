/* SPDX-License-Identifier: MIT */
#include "base/progress.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/lock.h"

static struct lock list_lock = LOCK_INIT(LOCK_PROGRESS);
static struct progress *list; /* guarded by list_lock */

void progress_add(struct progress *progress, const char *name, enum progress_role role)
{
	progress->name = name;
	progress->role = role;
	atomic_init(&progress->passes, 0);
	atomic_init(&progress->marked_ms, clock_ms());
	atomic_init(&progress->previous_ms, INT64_MIN); /* no pass has ended yet */
	atomic_init(&progress->disk_ms, PROGRESS_NO_DISK);

	lock_take(&list_lock);
	progress->next = list;
	list = progress;
	lock_release(&list_lock);
}

void progress_remove(struct progress *progress)
{
	struct progress **at = &list;

	lock_take(&list_lock);
	while (*at != NULL && *at != progress)
		at = &(*at)->next;
	CHECK(*at == progress);
	*at = progress->next;
	lock_release(&list_lock);
}

void progress_mark(struct progress *progress)
{
	int64_t last = atomic_load_explicit(&progress->marked_ms, memory_order_relaxed);
	uint64_t passes = atomic_load_explicit(&progress->passes, memory_order_relaxed);

	/* Only this thread writes, so no read-modify-write is needed. Release: a thread that sees
	 * the pass also sees what the pass has done. */
	atomic_store_explicit(&progress->previous_ms, last, memory_order_release);
	atomic_store_explicit(&progress->marked_ms, clock_ms(), memory_order_relaxed);
	atomic_store_explicit(&progress->passes, passes + 1, memory_order_relaxed);
}

void progress_disk_begin(struct progress *progress)
{
	atomic_store_explicit(&progress->disk_ms, clock_ms(), memory_order_relaxed);
}

void progress_disk_end(struct progress *progress)
{
	/* Mark first, so that the wait never counts as the thread's own time. */
	atomic_store_explicit(&progress->marked_ms, clock_ms(), memory_order_relaxed);
	atomic_store_explicit(&progress->disk_ms, PROGRESS_NO_DISK, memory_order_release);
}

static int64_t disk_since(const struct progress *progress)
{
	return atomic_load_explicit(&progress->disk_ms, memory_order_acquire);
}

int64_t progress_disk_ms(const char **ret_name)
{
	int64_t now = clock_ms();
	int64_t longest = 0;

	lock_take(&list_lock);
	for (const struct progress *at = list; at != NULL; at = at->next) {
		int64_t since = disk_since(at);

		if (since == PROGRESS_NO_DISK || now - since <= longest)
			continue;
		longest = now - since;
		*ret_name = at->name;
	}
	lock_release(&list_lock);
	return longest;
}

int64_t progress_oldest_ms(int role, const char **ret_name)
{
	int64_t now = clock_ms();
	int64_t oldest = 0; /* a mark may be later than `now`: its age is 0 */

	lock_take(&list_lock);
	for (const struct progress *at = list; at != NULL; at = at->next) {
		if ((role >= 0 && at->role != (enum progress_role)role) ||
		    disk_since(at) != PROGRESS_NO_DISK)
			continue;
		int64_t age = now - atomic_load_explicit(&at->marked_ms, memory_order_relaxed);
		if (age < oldest)
			continue;
		oldest = age;
		if (ret_name != NULL)
			*ret_name = at->name;
	}
	lock_release(&list_lock);
	return oldest;
}

bool progress_ingress_passed(int64_t since_ms)
{
	bool passed = true;

	lock_take(&list_lock);
	for (const struct progress *at = list; at != NULL && passed; at = at->next)
		/* The last completed pass began when the pass before it ended. */
		passed = at->role != PROGRESS_INGRESS ||
		         atomic_load_explicit(&at->previous_ms, memory_order_acquire) > since_ms;
	lock_release(&list_lock);
	return passed;
}
