/* SPDX-License-Identifier: MIT */
#include "statedir.h"

#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char root[64];

void statedir_make(void)
{
	/* In memory where possible: a busy disk makes tests slow. */
	(void)snprintf(root, sizeof(root), "/dev/shm/rollcall-test-XXXXXX");
	if (mkdtemp(root) != NULL)
		return;
	(void)snprintf(root, sizeof(root), "/tmp/rollcall-test-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(root));
}

void statedir_remove(void)
{
	DIR *dir = opendir(root);
	struct dirent *entry;

	while (dir != NULL && (entry = readdir(dir)) != NULL)
		if (entry->d_name[0] != '.')
			(void)unlinkat(dirfd(dir), entry->d_name, 0);
	if (dir != NULL)
		(void)closedir(dir);
	(void)rmdir(root);
}

const char *statedir_path(void)
{
	return root;
}

const char *statedir_file(const char *name)
{
	static char paths[8][512];
	static unsigned next;
	char *path = paths[next++ % 8];

	(void)snprintf(path, sizeof(paths[0]), "%s/%s", root, name);
	return path;
}

bool statedir_has(const char *name)
{
	return access(statedir_file(name), F_OK) == 0;
}

const char *statedir_find(const char *prefix)
{
	static char name[256];
	DIR *dir = opendir(root);
	struct dirent *entry;
	const char *found = NULL;

	while (dir != NULL && found == NULL && (entry = readdir(dir)) != NULL) {
		if (strncmp(entry->d_name, prefix, strlen(prefix)) == 0) {
			(void)snprintf(name, sizeof(name), "%s", entry->d_name);
			found = name;
		}
	}
	if (dir != NULL)
		(void)closedir(dir);
	return found;
}

void statedir_copy(const char *name, const char *to)
{
	char path[512];
	char block[4096];
	ssize_t len;
	int in = open(statedir_file(name), O_RDONLY | O_CLOEXEC);

	if (in < 0)
		return;
	(void)snprintf(path, sizeof(path), "%s/%s", to, name);
	int out = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	ck_assert_int_ge(out, 0);
	while ((len = read(in, block, sizeof(block))) > 0)
		ck_assert_int_eq(write(out, block, (size_t)len), len);
	(void)close(in);
	ck_assert_int_eq(close(out), 0);
}

void statedir_damage(const char *name, long offset, long len)
{
	int fd = open(statedir_file(name), O_WRONLY | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	for (long i = 0; i < len; i++) {
		unsigned char noise = (unsigned char)(0xa5 ^ (i * 7));

		ck_assert_int_eq(pwrite(fd, &noise, 1, offset + i), 1);
	}
	ck_assert_int_eq(close(fd), 0);
}

static long long run(const char *sql, bool wants_row)
{
	sqlite3 *db = NULL;
	sqlite3_stmt *stmt = NULL;
	long long value = 0;

	ck_assert_int_eq(sqlite3_open(statedir_file("rollcall.db"), &db), SQLITE_OK);
	if (wants_row) {
		ck_assert_int_eq(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
		ck_assert_int_eq(sqlite3_step(stmt), SQLITE_ROW);
		value = sqlite3_column_int64(stmt, 0);
		ck_assert_int_eq(sqlite3_finalize(stmt), SQLITE_OK);
	} else {
		ck_assert_int_eq(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	}
	ck_assert_int_eq(sqlite3_close(db), SQLITE_OK);
	return value;
}

void statedir_sql(const char *sql)
{
	(void)run(sql, false);
}

long long statedir_number(const char *sql)
{
	return run(sql, true);
}

struct journal *statedir_open(void)
{
	struct journal_options options = {.dir = root};
	struct journal *journal = NULL;
	struct journal_error error = {""};
	int r = journal_open(&options, &journal, &error);

	ck_assert_msg(r == 0, "journal_open: %d: %s", r, error.text);
	return journal;
}

struct event statedir_event(enum event_kind kind, const char *service, const char *id)
{
	static const char metadata[] = "version\0001.4.2\0zone\0a";
	struct event event = {
		.time_ms = 1790000000123,
		.kind = kind,
		.author = STR("192.0.2.7"),
		.agent = STR("curl/8.0"),
		.reason = STR("because \xc3\xa4"),
		.instance =
			{
				.service = str_of(service),
				.id = str_of(id),
				.host = STR("10.0.0.1"),
				.metadata = {metadata, sizeof(metadata)},
				.metadata_count = 2,
				.ttl_ms = 30000,
				.remove_after_ms = 600000,
				.port = 65535,
				.weight = 100,
				.wants_drain = true,
				.status_reason = STR("registered"),
				.status_by = STR("instance"),
				.status_since_ms = 1790000000123,
				.registered_ms = 1790000000100,
			},
	};

	event.instance.status = instance_status(&event.instance);
	return event;
}

struct event statedir_event_of(enum event_kind kind, const struct instance *instance)
{
	struct event event = statedir_event(kind, "", "");

	event.instance = *instance;
	event.instance.revision = 0;
	return event;
}
