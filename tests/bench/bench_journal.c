/* SPDX-License-Identifier: MIT */
/*
 * Measures the journal on one disk, beside plain SQLite that writes the same rows in transactions
 * of 64 (synchronous=FULL, SQLite's own checkpoints). The two alternate, because the speed of a
 * disk varies. Everything runs on one thread, so the times are those of the calls alone.
 *
 *	bench_journal [DIR [SECONDS]]      DIR is on the disk to measure (default: /var/tmp)
 */
#include "base/clock.h"
#include "journal/journal.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define BATCH_MAX   1000
#define COMMITS_MAX 400000
#define RESTORED    100000

static char dir[256];
static double seconds = 2;
static int64_t commit_us[COMMITS_MAX];
static struct event events[BATCH_MAX];
static char ids[BATCH_MAX][32];
static uint64_t next_id;

static void must(int ok, const char *what)
{
	if (ok)
		return;
	(void)fprintf(stderr, "bench_journal: %s failed\n", what);
	exit(1);
}

static void clean(void)
{
	static const char *const names[] = {"rollcall.db",   "rollcall.db-wal",  "rollcall.db-shm",
	                                    "rollcall.lock", "rollcall.reserve", "plain.db",
	                                    "plain.db-wal",  "plain.db-shm"};
	char path[512];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		(void)remove(path);
	}
}

static void make_event(size_t i)
{
	static const char metadata[] = "version\0001.4.2\0zone\0a";
	int64_t now = clock_real_ms();

	/* ids in no order, as instances register */
	(void)snprintf(ids[i], sizeof(ids[i]), "order-%llu",
	               (unsigned long long)(next_id++ * 2654435761U % 4294967296U));
	events[i] = (struct event){
		.time_ms = now,
		.kind = EVENT_REGISTERED,
		.author = STR("192.0.2.7"),
		.agent = STR("curl/7.88.1"),
		.instance = {.service = STR("order-service"),
	                     .id = str_of(ids[i]),
	                     .host = STR("10.0.0.1"),
	                     .metadata = {metadata, sizeof(metadata)},
	                     .metadata_count = 2,
	                     .ttl_ms = 30000,
	                     .remove_after_ms = 600000,
	                     .port = 8080,
	                     .weight = 100,
	                     .status_reason = STR("registered"),
	                     .status_by = STR("instance"),
	                     .status_since_ms = now,
	                     .registered_ms = now},
	};
}

static int compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a;
	int64_t y = *(const int64_t *)b;

	return x < y ? -1 : x > y;
}

static void report(const char *what, size_t batch, size_t commits, double took)
{
	struct stat wal = {0};
	char path[512];

	(void)snprintf(path, sizeof(path), "%s/%s-wal", dir,
	               strncmp(what, "plain", 5) == 0 ? "plain.db" : "rollcall.db");
	(void)stat(path, &wal);
	qsort(commit_us, commits, sizeof(commit_us[0]), compare);
	(void)printf("%-14s %6zu %10.0f %9.2f %9.2f %9.2f %9.2f %8.1f\n", what, batch,
	             (double)(commits * batch) / took, (double)commit_us[commits / 2] / 1000,
	             (double)commit_us[commits * 99 / 100] / 1000,
	             (double)commit_us[commits * 999 / 1000] / 1000,
	             (double)commit_us[commits - 1] / 1000, (double)wal.st_size / 1048576);
	(void)fflush(stdout);
}

static struct journal *open_journal(void)
{
	struct journal_options options = {.dir = dir};
	struct journal *journal = NULL;
	struct journal_error error = {""};

	if (journal_open(&options, &journal, &error) < 0) {
		(void)fprintf(stderr, "bench_journal: %s\n", error.text);
		exit(1);
	}
	return journal;
}

static void bench_append(size_t batch)
{
	struct journal *journal = open_journal();
	int64_t begin = clock_us();
	size_t commits = 0;

	while (clock_us() - begin < (int64_t)(seconds * 1e6) && commits < COMMITS_MAX) {
		for (size_t i = 0; i < batch; i++)
			make_event(i);
		int64_t start = clock_us();
		must(journal_append(journal, events, batch) == 0, "append");
		commit_us[commits++] = clock_us() - start;
		must(journal_tidy(journal, clock_real_ms()) >= 0, "tidy");
	}
	report("journal", batch, commits, (double)(clock_us() - begin) / 1e6);
	journal_close(journal);
	clean();
}

static void bind(sqlite3_stmt *stmt, const struct event *e)
{
	const struct instance *in = &e->instance;

	(void)sqlite3_bind_text(stmt, 1, in->service.data, (int)in->service.len, SQLITE_STATIC);
	(void)sqlite3_bind_text(stmt, 2, in->id.data, (int)in->id.len, SQLITE_STATIC);
	(void)sqlite3_bind_text(stmt, 3, in->host.data, (int)in->host.len, SQLITE_STATIC);
	(void)sqlite3_bind_int64(stmt, 4, in->port);
	(void)sqlite3_bind_int64(stmt, 5, in->weight);
	(void)sqlite3_bind_int64(stmt, 6, in->ttl_ms);
	(void)sqlite3_bind_int64(stmt, 7, in->remove_after_ms);
	(void)sqlite3_bind_int64(stmt, 8, in->status_since_ms);
	(void)sqlite3_bind_int64(stmt, 9, in->registered_ms);
	(void)sqlite3_bind_text(stmt, 10, in->status_reason.data, (int)in->status_reason.len,
	                        SQLITE_STATIC);
	(void)sqlite3_bind_text(stmt, 11, in->status_by.data, (int)in->status_by.len,
	                        SQLITE_STATIC);
	(void)sqlite3_bind_blob(stmt, 12, in->metadata.data, (int)in->metadata.len, SQLITE_STATIC);
	(void)sqlite3_bind_text(stmt, 13, e->author.data, (int)e->author.len, SQLITE_STATIC);
	(void)sqlite3_bind_text(stmt, 14, e->agent.data, (int)e->agent.len, SQLITE_STATIC);
	(void)sqlite3_bind_int64(stmt, 15, e->time_ms);
}

static void run(sqlite3 *db, const char *sql)
{
	must(sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK, sql);
}

static void bench_plain(size_t batch)
{
	static const char columns[] =
		"service TEXT, id TEXT, host TEXT, port INT, weight INT, ttl INT,"
		" remove INT, since INT, registered INT, reason TEXT, by TEXT,"
		" metadata BLOB, author TEXT, agent TEXT, time INT";
	char path[512];
	char sql[1024];
	sqlite3 *db = NULL;
	sqlite3_stmt *put[2] = {NULL, NULL};
	size_t commits = 0;

	(void)snprintf(path, sizeof(path), "%s/plain.db", dir);
	must(sqlite3_open(path, &db) == SQLITE_OK, "open");
	run(db, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL");
	(void)snprintf(sql, sizeof(sql), "CREATE TABLE e (revision INTEGER PRIMARY KEY, %s)",
	               columns);
	run(db, sql);
	(void)snprintf(sql, sizeof(sql),
	               "CREATE TABLE i (%s, PRIMARY KEY (service, id)) WITHOUT ROWID", columns);
	run(db, sql);
	must(sqlite3_prepare_v2(db, "INSERT INTO e VALUES (NULL,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)", -1,
	                        &put[0], NULL) == SQLITE_OK,
	     "prepare");
	must(sqlite3_prepare_v2(db, "REPLACE INTO i VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)", -1,
	                        &put[1], NULL) == SQLITE_OK,
	     "prepare");

	int64_t begin = clock_us();
	while (clock_us() - begin < (int64_t)(seconds * 1e6) && commits < COMMITS_MAX) {
		for (size_t i = 0; i < batch; i++)
			make_event(i);
		int64_t start = clock_us();
		run(db, "BEGIN");
		for (size_t i = 0; i < batch; i++) {
			for (size_t s = 0; s < 2; s++) {
				bind(put[s], &events[i]);
				must(sqlite3_step(put[s]) == SQLITE_DONE, "step");
				(void)sqlite3_reset(put[s]);
			}
		}
		run(db, "COMMIT");
		commit_us[commits++] = clock_us() - start;
	}
	report("plain SQLite", batch, commits, (double)(clock_us() - begin) / 1e6);
	(void)sqlite3_finalize(put[0]);
	(void)sqlite3_finalize(put[1]);
	(void)sqlite3_close(db);
	clean();
}

static size_t visited;

static int visit_instance(void *arg, const struct instance *instance)
{
	(void)arg;
	(void)instance;
	visited++;
	return 0;
}

static int visit_event(void *arg, const struct event *event)
{
	(void)arg;
	(void)event;
	visited++;
	return 0;
}

static void bench_read(void)
{
	struct journal *journal = open_journal();
	struct journal_reader *reader = NULL;
	struct journal_query all = {.limit = UINT32_MAX};
	struct journal_query one = {
		.limit = 100, .service = STR("order-service"), .id = STR("nobody")};
	uint64_t last;
	uint64_t oldest;

	for (size_t n = 0; n < RESTORED; n += BATCH_MAX) {
		for (size_t i = 0; i < BATCH_MAX; i++)
			make_event(i);
		must(journal_append(journal, events, BATCH_MAX) == 0, "append");
	}
	journal_close(journal);

	int64_t start = clock_us();
	journal = open_journal();
	int64_t opened = clock_us();
	must(journal_restore(journal, visit_instance, NULL) == 0, "restore");
	int64_t restored = clock_us();
	must(visited == RESTORED, "restoring all");
	must(journal_reader_open(dir, &reader) == 0, "reader");
	int64_t read_start = clock_us();
	must(journal_reader_events(reader, &all, visit_event, NULL, &last, &oldest) == 0,
	     "history");
	int64_t read_all = clock_us();
	must(journal_reader_events(reader, &one, visit_event, NULL, &last, &oldest) == 0,
	     "history");
	int64_t read_one = clock_us();

	(void)printf(
		"\n%d instances, %d events: open (each instance checked) %.0f ms, restore %.0f ms,"
		" all events %.0f ms, history of one instance %.0f ms\n",
		RESTORED, RESTORED, (double)(opened - start) / 1000,
		(double)(restored - opened) / 1000, (double)(read_all - read_start) / 1000,
		(double)(read_one - read_all) / 1000);
	journal_reader_close(reader);
	journal_close(journal);
	clean();
}

int main(int argc, char **argv)
{
	static const size_t batches[] = {1, 16, 64, 256, 1000};

	(void)snprintf(dir, sizeof(dir), "%s/rollcall-bench-XXXXXX",
	               argc > 1 ? argv[1] : "/var/tmp");
	if (argc > 2)
		seconds = strtod(argv[2], NULL);
	must(mkdtemp(dir) != NULL, "mkdtemp");
	(void)printf("%-14s %6s %10s %9s %9s %9s %9s %8s\n", "", "batch", "rows/s", "p50 ms",
	             "p99 ms", "p99.9 ms", "max ms", "WAL MiB");
	for (size_t i = 0; i < sizeof(batches) / sizeof(batches[0]); i++) {
		bench_append(batches[i]);
		if (batches[i] == 64)
			bench_plain(64);
	}
	bench_append(64);
	bench_plain(64);
	bench_read();
	return remove(dir) == 0 ? 0 : 1;
}
