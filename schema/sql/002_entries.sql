-- SPDX-License-Identifier: MIT
-- Rows carry a version: which fields they have, and so which their checksum covers. What was written
-- before has 1, and the new columns of it are empty.

ALTER TABLE instances ADD COLUMN version INTEGER NOT NULL DEFAULT 1;
ALTER TABLE instances ADD COLUMN owner TEXT NOT NULL DEFAULT ''; -- who registered this incarnation
ALTER TABLE instances ADD COLUMN reports_unhealthy INTEGER NOT NULL DEFAULT 0; -- the owner does

ALTER TABLE events ADD COLUMN version INTEGER NOT NULL DEFAULT 1;
ALTER TABLE events ADD COLUMN owner TEXT NOT NULL DEFAULT '';
ALTER TABLE events ADD COLUMN reports_unhealthy INTEGER NOT NULL DEFAULT 0;
ALTER TABLE events ADD COLUMN peer TEXT NOT NULL DEFAULT ''; -- the address that asked for it
ALTER TABLE events ADD COLUMN via TEXT NOT NULL DEFAULT ''; -- what proved who asked
ALTER TABLE events ADD COLUMN trace TEXT NOT NULL DEFAULT ''; -- the trace id of the request
-- An event is about an instance (entry = 0), or about an entry: then this is the entry's kind, id is
-- its name, and the columns of an instance are empty.
ALTER TABLE events ADD COLUMN entry INTEGER NOT NULL DEFAULT 0;
ALTER TABLE events ADD COLUMN document TEXT NOT NULL DEFAULT '';

-- What is kept besides instances: the content of each entry's latest event, as instances have it.
-- The numbers of kinds are those of daemon/model/entry.h.
CREATE TABLE entries (
	incarnation INTEGER PRIMARY KEY,
	revision INTEGER NOT NULL,
	kind INTEGER NOT NULL,
	service TEXT NOT NULL,
	name TEXT NOT NULL,
	document TEXT NOT NULL, -- a JSON object
	author TEXT NOT NULL,
	time_ms INTEGER NOT NULL,
	version INTEGER NOT NULL,
	checksum INTEGER NOT NULL
) STRICT;

-- history: 64 random bits that name this history. A revision means the same in all copies of one
-- history, and nothing in another.
INSERT INTO counters VALUES ('history', ifnull(nullif(random(), 0), 1));

DROP VIEW history;
CREATE VIEW history AS
SELECT revision,
	strftime('%Y-%m-%dT%H:%M:%fZ', time_ms / 1000.0, 'unixepoch') AS time,
	CASE kind WHEN 1 THEN 'registered' WHEN 2 THEN 'updated' WHEN 3 THEN 'deregistered'
		WHEN 4 THEN 'expired' WHEN 5 THEN 'recovered' WHEN 6 THEN 'drained'
		WHEN 7 THEN 'resumed' WHEN 8 THEN 'removed' WHEN 9 THEN 'entry-put'
		WHEN 10 THEN 'entry-removed' WHEN 11 THEN 'failed' ELSE kind END AS kind,
	service, id, host, port, author, reason
FROM events;
