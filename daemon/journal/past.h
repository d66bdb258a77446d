/* SPDX-License-Identifier: MIT */
/**
 * Past states: the instances and entries at an earlier revision or time, rebuilt from the event log
 * and keyframes.
 *
 *	past_open(dir, &past);
 *	past_read(past, &query, &state, &bounds);       // any retained revision
 *	for (size_t i = 0; i < past_count(state); i++)
 *		past_get(state, i, &instance);
 *	past_state_free(state);
 *
 * A state can be rebuilt while all events between it and an earlier keyframe, or the beginning of
 * the journal, are kept. Where retention has cut the log, the oldest state is that of the first
 * keyframe after the cut.
 *
 * Threads: a struct past belongs to one thread, and reads while the writer appends. Functions that
 * take one block on the disk; those that take a struct past_state do not.
 */
#pragma once

#include "base/attr.h"
#include "model/event.h"

#include <stddef.h>
#include <stdint.h>

struct past;
struct past_state;

/** Opens the journal in state directory @p dir for reading; removes a keyframe that a crash left
 * incomplete. @return 0, -ENOMEM, -ENAMETOOLONG, or an error of the disk */
int past_open(const char *dir, struct past **ret_past) MUST_USE;
/** Takes NULL. */
void past_close(struct past *past);

struct past_query {
	/** Asks for the state after the last event up to revision or, if by_time, up to time_ms (ms
	 * since 1970). Times of events follow the system's clock: where it was set back, several
	 * revisions fit one time, and the same of them is taken each time. */
	bool by_time;
	uint64_t revision;
	int64_t time_ms;
	struct str service; /* empty: all */
	struct str id;      /* an instance of the service; empty: all */
};

/** The revisions that can be asked for. */
struct past_bounds {
	uint64_t revision; /* that the query asks for */
	uint64_t oldest;   /* set with -ESTALE only */
	int64_t oldest_ms; /* time of its event, in ms since 1970; 0: the event is not in the log */
	uint64_t latest;
};

/**
 * Rebuilds the state that @p query asks for. Memory and time grow with the registry: seconds for a
 * large one.
 * @param ret_state  owned by the caller
 * @param ret_bounds  set with -ESTALE and -ERANGE too
 * @return 0; -ESTALE: the state is older than what can be rebuilt; -ERANGE: the revision or time is
 * in the future; -EIO: an event is damaged or missing, or the disk failed; -EBUSY; -ENOMEM
 */
int past_read(struct past *past, const struct past_query *query, struct past_state **ret_state,
              struct past_bounds *ret_bounds) MUST_USE;
size_t past_count(const struct past_state *state);
/** The instances, in order of registration: @p i < past_count(). Strings are borrowed from the
 * state. */
void past_get(const struct past_state *state, size_t i, struct instance *ret_instance);
/** The entries, in the order in which they began. If the query has an id, only those about that
 * instance. Strings are borrowed from the state. */
size_t past_entry_count(const struct past_state *state);
void past_get_entry(const struct past_state *state, size_t i, struct entry *ret_entry);
/** Takes NULL. */
void past_state_free(struct past_state *state);

/* --- keyframes, which bound the cost of past_read() -------------------------------- */

struct keyframe_draft;

/** Finds the newest usable keyframe. @param ret_revision  0: there is none. @return 0, or an error
 * as past_read() */
int past_newest_keyframe(struct past *past, uint64_t *ret_revision, int64_t *ret_ms) MUST_USE;
/** Has retention removed all events up to @p revision? Then no keyframe of it or older is of use.
 * @return 0, or an error as past_read() */
int past_is_cut(struct past *past, uint64_t revision, bool *ret_is_cut) MUST_USE;
/**
 * Writes @p draft as the keyframe of @p revision, then deletes the keyframes that are no longer
 * usable.
 * @param ret_ms  the time of the event of @p revision, in ms since 1970
 * @return 0; -ENOENT: the log has no such event; or an error as keyframe_write() or past_read()
 */
int past_put_keyframe(struct past *past, struct keyframe_draft *draft, uint64_t revision,
                      int64_t *ret_ms) MUST_USE;
