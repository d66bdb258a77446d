/* SPDX-License-Identifier: MIT */
/**
 * The least that a durable registration costs in SQLite, as the yardstick: the event and the
 * instance of each, 64 registrations in a transaction, WAL, synchronous=FULL, one process.
 *
 *	bare_sqlite DIRECTORY SECONDS [SCHEMA.sql]     prints registrations a second
 *
 * Without a schema the tables are what one would write down first: the instances by service and id,
 * brought up to date by an upsert. With the daemon's own schema they are the daemon's own rows.
 */
#include <sqlite3.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BATCH 64

/* What both tables hold of an instance. */
#define COLUMNS                                                                             \
	"service, id, incarnation, revision, host, port, weight, ttl_ms, remove_after_ms, " \
	"wants_drain, lease_out, drained, drained_until_ms, status_reason, status_by, "     \
	"status_since_ms, registered_ms, metadata_count, metadata, checksum"
#define VALUES                                                                             \
	"?1, ?2, ?3, ?3, '10.0.0.1', 8080, 100, 30000, 600000, 0, 0, 0, 0, 'registered', " \
	"'instance', ?4, ?4, 1, x'7a6f6e65006100', 123456789"
#define INSERT_EVENT                                                         \
	"INSERT INTO events (time_ms, kind, author, agent, reason, " COLUMNS \
	") VALUES (?4, 1, '127.0.0.1:50000', 'load', '', " VALUES ")"
#define INSERT_INSTANCE "INSERT INTO instances (" COLUMNS ") VALUES (" VALUES ")"
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

static char *read_file(const char *path)
{
	FILE *file = fopen(path, "re");
	char *text = calloc(1, 65536);

	if (file == NULL || text == NULL || fread(text, 1, 65535, file) == 0) {
		perror(path);
		exit(EXIT_FAILURE);
	}
	(void)fclose(file);
	return text;
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

	if (argc < 3 || argc > 4)
		return EXIT_FAILURE;
	(void)snprintf(path, sizeof(path), "%s/bare.db", argv[1]);
	char *schema = argc == 4 ? read_file(argv[3]) : NULL;
	ok(sqlite3_open(path, &db));
	ok(sqlite3_exec(db,
	                "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
	                "PRAGMA locking_mode=EXCLUSIVE; PRAGMA cache_size=-16384",
	                NULL, NULL, NULL));
	ok(sqlite3_exec(db, schema == NULL ? plain_schema : schema, NULL, NULL, NULL));
	ok(sqlite3_prepare_v2(db, INSERT_EVENT, -1, &event, NULL));
	ok(sqlite3_prepare_v2(db, schema == NULL ? INSERT_INSTANCE UPSERT : INSERT_INSTANCE, -1,
	                      &instance, NULL));

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
	free(schema);
	return EXIT_SUCCESS;
}
