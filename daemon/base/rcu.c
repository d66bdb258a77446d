/* SPDX-License-Identifier: MIT */
#include "base/rcu.h"

#include "base/attr.h"

#if defined(__SANITIZE_THREAD__)
#define RCU_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define RCU_TSAN 1
#endif
#endif

/*
 * A grace period orders the end of every visit before the reclaim that follows.
 * ThreadSanitizer learns that from one tag: leaving releases it, reclaiming
 * acquires it.
 */
#ifdef RCU_TSAN
void __tsan_acquire(void *tag);
void __tsan_release(void *tag);
static char grace_period;
#define HAPPENS_BEFORE_RECLAIM() __tsan_release(&grace_period)
#define HAPPENS_AFTER_VISITS()   __tsan_acquire(&grace_period)
#else
#define HAPPENS_BEFORE_RECLAIM() ((void)0)
#define HAPPENS_AFTER_VISITS()   ((void)0)
#endif

void rcu_enter(void)
{
	rcu_read_lock();
}

void rcu_leave(void)
{
	HAPPENS_BEFORE_RECLAIM();
	rcu_read_unlock();
}

static void rcu_reclaim(struct rcu_head *head)
{
	struct retired *object = container_of(head, struct retired, head);

	HAPPENS_AFTER_VISITS();
	object->reclaim(object);
}

void rcu_retire(struct retired *object, void (*fn)(struct retired *))
{
	object->reclaim = fn;
	HAPPENS_BEFORE_RECLAIM();
	call_rcu(&object->head, rcu_reclaim);
}

void rcu_prepare(void)
{
	(void)get_default_call_rcu_data(); /* starts it */
}

void rcu_drain(void)
{
	rcu_barrier();
}
