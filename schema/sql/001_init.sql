-- SPDX-License-Identifier: MIT
-- The first shape of the file. daemon/journal/row.c reads and writes these columns; the
-- numbers of kinds are those of daemon/model/event.h. Times are ms since 1970, UTC.
--
-- Both tables are keyed by a revision, which only grows: so whatever is new goes to the end of
-- each, and a batch of registrations fills pages in sequence. A further index would be touched at
-- a random place by every event, and costs more than the two tables together.

-- All that happened, in order; never changed, removed from the old end only.
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

-- What is registered now: the content of each instance's latest event. An incarnation is the
-- revision that registered it, so this order is the order of registration.
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

-- revision_floor: every revision given from now on is greater, whatever the tables hold.
-- removed_through: events up to this revision may be missing; readers cannot start before it.
CREATE TABLE counters (
	name TEXT PRIMARY KEY,
	value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO counters VALUES ('revision_floor', 0), ('removed_through', 0);

-- For people with the sqlite3 shell: SELECT * FROM history WHERE id = 'order-1';
CREATE VIEW history AS
SELECT revision,
	strftime('%Y-%m-%dT%H:%M:%fZ', time_ms / 1000.0, 'unixepoch') AS time,
	CASE kind WHEN 1 THEN 'registered' WHEN 2 THEN 'updated' WHEN 3 THEN 'deregistered'
		WHEN 4 THEN 'expired' WHEN 5 THEN 'recovered' WHEN 6 THEN 'drained'
		WHEN 7 THEN 'resumed' WHEN 8 THEN 'removed' ELSE kind END AS kind,
	service, id, host, port, author, reason
FROM events;
