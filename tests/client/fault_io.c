/* SPDX-License-Identifier: MIT */
#include "fault_io.h"

#include <curl/curl.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/socket.h>

static atomic_int countdown = -1; /* below 0: disarmed */
static atomic_bool hit;

void fault_io_arm(int nth)
{
	atomic_store(&hit, false);
	atomic_store(&countdown, nth);
}

bool fault_io_hit(void)
{
	atomic_store(&countdown, -1);
	return atomic_load(&hit);
}

static bool fails(int error)
{
	if (atomic_load(&countdown) < 0 || atomic_fetch_sub(&countdown, 1) != 0)
		return false;
	atomic_store(&hit, true);
	errno = error;
	return true;
}

/* The linker sends the client's calls here: see WRAP_CLIENT in the Makefile. */
int __real_epoll_create1(int flags);
int __real_epoll_ctl(int epoll, int op, int fd, struct epoll_event *event);
int __real_eventfd(unsigned count, int flags);
int __real_timerfd_create(int clock, int flags);
int __real_socket(int family, int type, int protocol);
int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *),
                          void *arg);
CURL *__real_curl_easy_init(void);
CURLM *__real_curl_multi_init(void);
CURLMcode __real_curl_multi_add_handle(CURLM *multi, CURL *easy);
struct curl_slist *__real_curl_slist_append(struct curl_slist *list, const char *line);
int __wrap_epoll_create1(int flags);
int __wrap_epoll_ctl(int epoll, int op, int fd, struct epoll_event *event);
int __wrap_eventfd(unsigned count, int flags);
int __wrap_timerfd_create(int clock, int flags);
int __wrap_socket(int family, int type, int protocol);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *),
                          void *arg);
CURL *__wrap_curl_easy_init(void);
CURLM *__wrap_curl_multi_init(void);
CURLMcode __wrap_curl_multi_add_handle(CURLM *multi, CURL *easy);
struct curl_slist *__wrap_curl_slist_append(struct curl_slist *list, const char *line);

int __wrap_epoll_create1(int flags)
{
	return fails(EMFILE) ? -1 : __real_epoll_create1(flags);
}

int __wrap_epoll_ctl(int epoll, int op, int fd, struct epoll_event *event)
{
	return op != EPOLL_CTL_DEL && fails(ENOSPC) ? -1 : __real_epoll_ctl(epoll, op, fd, event);
}

int __wrap_eventfd(unsigned count, int flags)
{
	return fails(EMFILE) ? -1 : __real_eventfd(count, flags);
}

int __wrap_timerfd_create(int clock, int flags)
{
	return fails(EMFILE) ? -1 : __real_timerfd_create(clock, flags);
}

int __wrap_socket(int family, int type, int protocol)
{
	return fails(EMFILE) ? -1 : __real_socket(family, type, protocol);
}

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *),
                          void *arg)
{
	return fails(EAGAIN) ? EAGAIN : __real_pthread_create(thread, attr, fn, arg);
}

CURL *__wrap_curl_easy_init(void)
{
	return fails(ENOMEM) ? NULL : __real_curl_easy_init();
}

CURLM *__wrap_curl_multi_init(void)
{
	return fails(ENOMEM) ? NULL : __real_curl_multi_init();
}

CURLMcode __wrap_curl_multi_add_handle(CURLM *multi, CURL *easy)
{
	return fails(ENOMEM) ? CURLM_OUT_OF_MEMORY : __real_curl_multi_add_handle(multi, easy);
}

struct curl_slist *__wrap_curl_slist_append(struct curl_slist *list, const char *line)
{
	return fails(ENOMEM) ? NULL : __real_curl_slist_append(list, line);
}
