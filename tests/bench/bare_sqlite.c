/* SPDX-License-Identifier: MIT */
/**
 * The reference for durable registrations: SQLite alone writes the event and the instance of each,
 * 64 registrations in a transaction, WAL, synchronous=FULL, one process.
 *
 *	bare_sqlite DIRECTORY SECONDS [MIGRATION.sql]...     prints registrations a second
 *
 * Without migrations the tables are the simplest that hold the rows: instances by service and id,
 * written by an upsert. With the daemon's migrations, applied in this order, the tables and the
 * rows are the daemon's.
 */
#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BATCH 64

/* The columns that the tables of events and of instances share. */
#define COLUMNS                                                                             \
	"service, id, incarnation, revision, host, port, weight, ttl_ms, remove_after_ms, " \
	"wants_drain, lease_out, drained, drained_until_ms, status_reason, status_by, "     \
	"status_since_ms, registered_ms, metadata_count, metadata, checksum"
#define VALUES                                                                             \
	"?1, ?2, ?3, ?3, '10.0.0.1', 8080, 100, 30000, 600000, 0, 0, 0, 0, 'registered', " \
	"'instance', ?4, ?4, 1, x'7a6f6e65006100', 123456789"
/* The version of the rows that today's daemon writes. Its other new columns have their defaults. */
#define DAEMON_COLUMNS COLUMNS ", version"
#define DAEMON_VALUES  VALUES ", 2"
#define INSERT_EVENT(columns, values)                                        \
	"INSERT INTO events (time_ms, kind, author, agent, reason, " columns \
	") VALUES (?4, 1, '127.0.0.1:50000', 'load', '', " values ")"
#define INSERT_INSTANCE(columns, values) "INSERT INTO instances (" columns ") VALUES (" values ")"
#define UPSERT                                                                    \
	" ON CONFLICT (service, id) DO UPDATE SET revision = excluded.revision, " \
	"status_since_ms = excluded.status_since_ms, metadata = excluded.metadata"

static const char plain_schema[] =
	"CREATE TABLE events (revision INTEGER PRIMARY KEY, time_ms, kind, author, agent, reason, "
	"service, id, incarnation, host, port, weight, ttl_ms, remove_after_ms, wants_drain, "
	"lease_out, drained, drained_until_ms, status_reason, status_by, status_since_ms, "
	"registered_ms, metadata_count, metadata, checksum);"
	"CREATE TABLE instances (" COLUMNS ", PRIMARY KEY (service, id)) WITHOUT ROWID";

static sqlite3 *db;

static void ok(int r)
{
	if (r == SQLITE_OK || r == SQLITE_DONE)
		return;
	(void)fprintf(stderr, "bare_sqlite: %s\n", sqlite3_errmsg(db));
	exit(EXIT_FAILURE);
}

static double now(void)
{
	struct timespec at;

	(void)clock_gettime(CLOCK_MONOTONIC, &at);
	return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

static void apply_migration(const char *path)
{
	FILE *file = fopen(path, "re");
	char *text = calloc(1, 65536);

	if (file == NULL || text == NULL || fread(text, 1, 65535, file) == 0) {
		perror(path);
		exit(EXIT_FAILURE);
	}
	(void)fclose(file);
	ok(sqlite3_exec(db, text, NULL, NULL, NULL));
	free(text);
}

static void append(sqlite3_stmt *statement, int64_t n)
{
	char service[32];
	char id[32];

	(void)snprintf(service, sizeof(service), "service-%d", (int)(n % 500));
	(void)snprintf(id, sizeof(id), "instance-%lld", (long long)n);
	ok(sqlite3_bind_text(statement, 1, service, -1, SQLITE_TRANSIENT));
	ok(sqlite3_bind_text(statement, 2, id, -1, SQLITE_TRANSIENT));
	ok(sqlite3_bind_int64(statement, 3, n));
	ok(sqlite3_bind_int64(statement, 4, INT64_C(1790000000000) + n));
	ok(sqlite3_step(statement));
	ok(sqlite3_reset(statement));
}

int main(int argc, char **argv)
{
	char path[4096];
	sqlite3_stmt *event;
	sqlite3_stmt *instance;
	int64_t n = 0;

	if (argc < 3)
		return EXIT_FAILURE;
	bool is_plain = argc == 3;
	(void)snprintf(path, sizeof(path), "%s/bare.db", argv[1]);
	ok(sqlite3_open(path, &db));
	ok(sqlite3_exec(db,
	                "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
	                "PRAGMA locking_mode=EXCLUSIVE; PRAGMA cache_size=-16384",
	                NULL, NULL, NULL));
	if (is_plain)
		ok(sqlite3_exec(db, plain_schema, NULL, NULL, NULL));
	for (int i = 3; i < argc; i++)
		apply_migration(argv[i]);
	ok(sqlite3_prepare_v2(db,
	                      is_plain ? INSERT_EVENT(COLUMNS, VALUES)
	                               : INSERT_EVENT(DAEMON_COLUMNS, DAEMON_VALUES),
	                      -1, &event, NULL));
	ok(sqlite3_prepare_v2(db,
	                      is_plain ? INSERT_INSTANCE(COLUMNS, VALUES) UPSERT
	                               : INSERT_INSTANCE(DAEMON_COLUMNS, DAEMON_VALUES),
	                      -1, &instance, NULL));

	double start = now();
	double end = start + strtod(argv[2], NULL);
	while (now() < end) {
		ok(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL));
		for (int i = 0; i < BATCH; i++) {
			append(event, ++n);
			append(instance, n);
		}
		ok(sqlite3_exec(db, "COMMIT", NULL, NULL, NULL));
	}
	(void)printf("%.1f\n", (double)n / (now() - start));
	ok(sqlite3_finalize(event));
	ok(sqlite3_finalize(instance));
	ok(sqlite3_close(db));
	return EXIT_SUCCESS;
}
