-- SPDX-License-Identifier: MIT
-- The first version of the schema. daemon/journal/row.c reads and writes these columns; the
-- numbers of kinds are in daemon/model/event.h. Times are in ms since 1970, UTC.
--
-- The key of both tables is a revision. Revisions only grow, so new rows go to the end of each
-- table, and a batch of registrations fills pages in sequence. Another index would be changed at a
-- random place by every event, and would cost more than both tables together.
--
-- SQLite stores the comments within a statement in the database: only change those outside.

-- All events, in order of revision. Rows never change; only the oldest are removed.
CREATE TABLE events (
	revision INTEGER PRIMARY KEY,
	time_ms INTEGER NOT NULL,
	kind INTEGER NOT NULL,
	service TEXT NOT NULL,
	id TEXT NOT NULL,
	incarnation INTEGER NOT NULL,
	author TEXT NOT NULL,
	agent TEXT NOT NULL,
	reason TEXT NOT NULL,
	-- the instance after the event; before it, when the event removed it
	host TEXT NOT NULL,
	port INTEGER NOT NULL,
	weight INTEGER NOT NULL,
	ttl_ms INTEGER NOT NULL,
	remove_after_ms INTEGER NOT NULL,
	wants_drain INTEGER NOT NULL,
	lease_out INTEGER NOT NULL,
	drained INTEGER NOT NULL,
	drained_until_ms INTEGER NOT NULL,
	status_reason TEXT NOT NULL,
	status_by TEXT NOT NULL,
	status_since_ms INTEGER NOT NULL,
	registered_ms INTEGER NOT NULL,
	metadata_count INTEGER NOT NULL,
	metadata BLOB NOT NULL, -- key NUL value NUL ..., sorted by key
	checksum INTEGER NOT NULL
) STRICT;

-- The current instances, each with the content of its latest event. An incarnation is the revision
-- that registered the instance, so this order is the order of registration.
CREATE TABLE instances (
	incarnation INTEGER PRIMARY KEY,
	revision INTEGER NOT NULL,
	service TEXT NOT NULL,
	id TEXT NOT NULL,
	host TEXT NOT NULL,
	port INTEGER NOT NULL,
	weight INTEGER NOT NULL,
	ttl_ms INTEGER NOT NULL,
	remove_after_ms INTEGER NOT NULL,
	wants_drain INTEGER NOT NULL,
	lease_out INTEGER NOT NULL,
	drained INTEGER NOT NULL,
	drained_until_ms INTEGER NOT NULL,
	status_reason TEXT NOT NULL,
	status_by TEXT NOT NULL,
	status_since_ms INTEGER NOT NULL,
	registered_ms INTEGER NOT NULL,
	metadata_count INTEGER NOT NULL,
	metadata BLOB NOT NULL,
	checksum INTEGER NOT NULL
) STRICT;

-- revision_floor: every later revision is greater, whatever the tables hold.
-- removed_through: events up to this revision may be missing; readers cannot start before it.
CREATE TABLE counters (
	name TEXT PRIMARY KEY,
	value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO counters VALUES ('revision_floor', 0), ('removed_through', 0);

-- For operators, in the sqlite3 shell: SELECT * FROM history WHERE id = 'order-1';
CREATE VIEW history AS
SELECT revision,
	strftime('%Y-%m-%dT%H:%M:%fZ', time_ms / 1000.0, 'unixepoch') AS time,
	CASE kind WHEN 1 THEN 'registered' WHEN 2 THEN 'updated' WHEN 3 THEN 'deregistered'
		WHEN 4 THEN 'expired' WHEN 5 THEN 'recovered' WHEN 6 THEN 'drained'
		WHEN 7 THEN 'resumed' WHEN 8 THEN 'removed' ELSE kind END AS kind,
	service, id, host, port, author, reason
FROM events;
