/* SPDX-License-Identifier: MIT */
/* The queue between threads: order, bound, wake-ups, stopping; then many senders at once. */
#include "base/mailbox.h"

#include "base/attr.h"
#include "base/clock.h"
#include "base/thread.h"
#include "suite.h"

#include <errno.h>
#include <semaphore.h>

#define MOST    4
#define SENDERS 4
#define LETTERS 20000

struct letter {
	int number;
	int sender;
	struct mail mail; /* not the first member: container_of() is needed */
};

static struct mailbox box;
static struct letter letters[MOST + 4];

static void setup(void)
{
	thread_adopt();
	mailbox_init(&box, LOCK_COMMIT_QUEUE, MOST);
	for (size_t i = 0; i < ARRAY_LEN(letters); i++)
		letters[i].number = (int)i;
}

static void teardown(void)
{
	while (mailbox_count(&box) > 0)
		(void)mailbox_take(&box, 1, 0);
	mailbox_fini(&box);
	thread_abandon();
}

static struct letter *letter_of(struct mail *mail)
{
	return mail != NULL ? container_of(mail, struct letter, mail) : NULL;
}

/* The numbers of the letters in a list, as digits. */
static const char *numbers_of(struct mail *mail)
{
	static char text[ARRAY_LEN(letters) + 1];
	size_t n = 0;

	for (; mail != NULL && n < ARRAY_LEN(letters); mail = mail->next)
		text[n++] = (char)('0' + letter_of(mail)->number);
	text[n] = '\0';
	return text;
}

static void put_all(int count)
{
	for (int i = 0; i < count; i++)
		ck_ok(mailbox_put(&box, &letters[i].mail));
}

START_TEST(mail_comes_in_order)
{
	put_all(3);
	ck_assert_uint_eq(mailbox_count(&box), 3);
	ck_assert_str_eq(numbers_of(mailbox_take(&box, 1, 0)), "0");
	ck_ok(mailbox_put(&box, &letters[3].mail));
	ck_assert_str_eq(numbers_of(mailbox_take(&box, 2, 0)), "12");
	ck_assert_str_eq(numbers_of(mailbox_take(&box, 9, 0)), "3");
	ck_assert_uint_eq(mailbox_count(&box), 0);
	ck_ok(mailbox_put(&box, &letters[0].mail)); /* the tail is right after the box was empty */
	ck_assert_str_eq(numbers_of(mailbox_take(&box, 9, 0)), "0");
}
END_TEST

START_TEST(a_mailbox_is_bounded_except_for_mail_limited_elsewhere)
{
	put_all(MOST);
	ck_fails(mailbox_put(&box, &letters[4].mail), EAGAIN);
	ck_ok(mailbox_put_beyond(&box, &letters[5].mail));
	ck_ok(mailbox_put_first(&box, &letters[6].mail));
	ck_assert_uint_eq(mailbox_count(&box), MOST + 2);
	ck_assert_str_eq(numbers_of(mailbox_take(&box, 3, 0)), "601");
	ck_ok(mailbox_put(&box, &letters[4].mail));
	ck_assert_str_eq(numbers_of(mailbox_take(&box, 9, 0)), "2354");
}
END_TEST

START_TEST(the_first_mail_of_an_empty_mailbox_is_also_its_last)
{
	ck_ok(mailbox_put_first(&box, &letters[1].mail));
	ck_ok(mailbox_put(&box, &letters[2].mail));
	ck_assert_str_eq(numbers_of(mailbox_take(&box, 9, 0)), "12");
}
END_TEST

static bool is_odd(struct mail *mail, const void *arg)
{
	(void)arg;
	return container_of(mail, struct letter, mail)->number % 2 == 1;
}

START_TEST(matching_mail_is_taken_from_the_middle_and_the_end)
{
	put_all(4);
	ck_assert_str_eq(numbers_of(mailbox_take_matching(&box, is_odd, NULL)), "13");
	ck_assert_uint_eq(mailbox_count(&box), 2);
	ck_assert_ptr_null(mailbox_take_matching(&box, is_odd, NULL));
	ck_ok(mailbox_put(&box, &letters[5].mail));
	ck_assert_str_eq(numbers_of(mailbox_take(&box, 9, 0)), "025");
	ck_ok(mailbox_put(&box, &letters[1].mail));
	ck_assert_str_eq(numbers_of(mailbox_take_matching(&box, is_odd, NULL)), "1");
	ck_ok(mailbox_put(&box, &letters[2].mail));
	ck_assert_str_eq(numbers_of(mailbox_take(&box, 9, 0)), "2");
}
END_TEST

START_TEST(a_stopped_mailbox_refuses_mail_and_returns_the_rest)
{
	put_all(2);
	ck_assert(!mailbox_has_ended(&box) && !mailbox_is_stopping(&box));
	mailbox_stop(&box);
	mailbox_stop(&box);
	ck_fails(mailbox_put(&box, &letters[2].mail), ESHUTDOWN);
	ck_fails(mailbox_put_beyond(&box, &letters[2].mail), ESHUTDOWN);
	ck_fails(mailbox_put_first(&box, &letters[2].mail), ESHUTDOWN);
	ck_assert(mailbox_is_stopping(&box) && !mailbox_has_ended(&box));

	struct mail *first = mailbox_take(&box, 1, MAILBOX_NO_DEADLINE);
	ck_assert_str_eq(numbers_of(first), "0");
	mailbox_return(&box, first); /* the reader has not finished with it */
	ck_assert_str_eq(numbers_of(mailbox_take(&box, 9, MAILBOX_NO_DEADLINE)), "10");
	ck_assert(mailbox_has_ended(&box));
	ck_assert_ptr_null(mailbox_take(&box, 1, MAILBOX_NO_DEADLINE));
}
END_TEST

START_TEST(one_wake_ends_one_wait)
{
	int64_t begun_ms = clock_ms();

	mailbox_wake(&box);
	mailbox_wake(&box);
	ck_assert_ptr_null(mailbox_take(&box, 1, MAILBOX_NO_DEADLINE));
	ck_assert_ptr_null(mailbox_take(&box, 1, begun_ms + 30));
	ck_assert_int_ge(clock_ms(), begun_ms + 30);
	put_all(1);
	mailbox_wake(&box);
	ck_assert_str_eq(numbers_of(mailbox_take(&box, 1, 0)), "0");
	ck_assert_ptr_null(mailbox_take(&box, 1, begun_ms + 60)); /* one wake ends one wait only */
	ck_assert_int_ge(clock_ms(), begun_ms + 60);
}
END_TEST

START_TEST(a_reader_that_takes_no_mail_waits_for_a_wake)
{
	int64_t begun_ms = clock_ms();

	put_all(2);
	ck_assert_ptr_null(mailbox_take(&box, 0, begun_ms + 30));
	ck_assert_int_ge(clock_ms(), begun_ms + 30);
	mailbox_wake(&box);
	ck_assert_ptr_null(mailbox_take(&box, 0, MAILBOX_NO_DEADLINE));
	ck_assert_uint_eq(mailbox_count(&box), 2);
}
END_TEST

/* --- with threads ------------------------------------------------------------------- */

static sem_t begun;
static struct letter many[SENDERS][LETTERS];

static void send_all(void *arg)
{
	struct letter *mine = arg;

	for (int i = 0; i < LETTERS; i++) {
		mine[i].number = i;
		mine[i].sender = (int)(mine - &many[0][0]) / LETTERS;
		if (mailbox_put_beyond(&box, &mine[i].mail) < 0)
			abort();
	}
}

START_TEST(the_letters_of_each_of_many_senders_arrive_in_order)
{
	pthread_t thread[SENDERS];
	int next[SENDERS] = {0};
	int count = 0;

	for (size_t i = 0; i < SENDERS; i++)
		ck_ok(thread_start(&thread[i], "sender", send_all, many[i]));
	while (count < SENDERS * LETTERS) {
		/* with a lost wake-up the reader would wait for ever */
		struct mail *mail = mailbox_take(&box, 7, MAILBOX_NO_DEADLINE);

		ck_assert_ptr_nonnull(mail);
		for (; mail != NULL; mail = mail->next, count++) {
			const struct letter *letter = letter_of(mail);

			ck_assert_int_eq(letter->number, next[letter->sender]++);
		}
	}
	for (size_t i = 0; i < SENDERS; i++)
		thread_join(thread[i]);
	ck_assert_uint_eq(mailbox_count(&box), 0);
}
END_TEST

static void read_until_it_ends(void *arg)
{
	int *count = arg;

	ck_ok(sem_post(&begun));
	while (!mailbox_has_ended(&box))
		for (struct mail *mail = mailbox_take(&box, 2, MAILBOX_NO_DEADLINE); mail != NULL;
		     mail = mail->next)
			(*count)++;
}

START_TEST(a_stop_ends_the_wait_of_the_reader)
{
	pthread_t reader;
	int count = 0;

	ck_ok(sem_init(&begun, 0, 0));
	ck_ok(thread_start(&reader, "reader", read_until_it_ends, &count));
	while (sem_wait(&begun) != 0)
		ck_assert_int_eq(errno, EINTR);
	put_all(3);
	mailbox_stop(&box);
	thread_join(reader);
	ck_assert_int_eq(count, 3);
	ck_ok(sem_destroy(&begun));
}
END_TEST

START_TEST(mail_left_at_the_end_stops_the_process)
{
	put_all(1);
	mailbox_fini(&box);
}
END_TEST

SUITE_ABORTS("mailbox", setup, teardown, (mail_left_at_the_end_stops_the_process),
             mail_comes_in_order, a_mailbox_is_bounded_except_for_mail_limited_elsewhere,
             the_first_mail_of_an_empty_mailbox_is_also_its_last,
             matching_mail_is_taken_from_the_middle_and_the_end,
             a_stopped_mailbox_refuses_mail_and_returns_the_rest, one_wake_ends_one_wait,
             a_reader_that_takes_no_mail_waits_for_a_wake,
             the_letters_of_each_of_many_senders_arrive_in_order,
             a_stop_ends_the_wait_of_the_reader)
