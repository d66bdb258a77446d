/* SPDX-License-Identifier: MIT */
/**
 * What was registered at an earlier revision, and which entries there were, rebuilt from the event
 *log and keyframes.
 *
 *	past_open(dir, &past);
 *	past_read(past, &query, &state, &bounds);       // any retained revision
 *	for (size_t i = 0; i < past_count(state); i++)
 *		past_get(state, i, &instance);
 *	past_state_free(state);
 *
 * A state can be rebuilt as long as all events since a keyframe, or since the beginning, are kept.
 * Where retention has cut the log, the oldest state is that of the first keyframe behind the cut.
 *
 * A struct past belongs to one thread; it reads beside the writer. Everything blocks on the disk.
 */
#pragma once

#include "base/attr.h"
#include "model/event.h"

#include <stddef.h>
#include <stdint.h>

struct past;
struct past_state;

int past_open(const char *dir, struct past **ret_past) MUST_USE;
void past_close(struct past *past);

struct past_query {
	/** The state after the last event up to a revision, or up to a time. Times of events follow
	 * the system's clock: where it was set back, a time may fit more than one revision, and one
	 * of them is taken, the same each time. */
	bool by_time;
	uint64_t revision;
	int64_t time_ms;
	struct str service; /* empty: all */
	struct str id;      /* of the service; empty: all */
};

/** What can be asked for. */
struct past_bounds {
	uint64_t revision; /* what the query stands for */
	uint64_t oldest;
	int64_t oldest_ms; /* time of its event; 0: there is none */
	uint64_t latest;
};

/**
 * Rebuilds one state.
 * @param ret_bounds  with -ESTALE and -ERANGE too
 * @return 0; -ESTALE: older than what can be rebuilt; -ERANGE: it has not come yet; errors as of
 * journal_reader_events()
 */
int past_read(struct past *past, const struct past_query *query, struct past_state **ret_state,
              struct past_bounds *ret_bounds) MUST_USE;
size_t past_count(const struct past_state *state);
/** In order of registration. Strings are borrowed from the state. */
void past_get(const struct past_state *state, size_t i, struct instance *ret_instance);
/** The entries; with an id in the query, those about that instance. */
size_t past_entry_count(const struct past_state *state);
void past_get_entry(const struct past_state *state, size_t i, struct entry *ret_entry);
/** Takes NULL. */
void past_state_free(struct past_state *state);

/* --- keyframes: what bounds the cost -------------------------------------------- */

struct keyframe_draft;

/** The newest keyframe that can be used. @return 0 with *ret_revision 0 when there is none */
int past_newest_keyframe(struct past *past, uint64_t *ret_revision, int64_t *ret_ms) MUST_USE;
/** Has retention removed all up to @p revision, so that a state after it has no keyframe? */
int past_is_cut(struct past *past, uint64_t revision, bool *ret_is_cut) MUST_USE;
/**
 * Writes the keyframe of @p revision, whose event is in the log; then removes those that are of no
 * more use.
 * @return 0; -ENOENT: the log has no such event; errors as of keyframe_write()
 */
int past_put_keyframe(struct past *past, struct keyframe_draft *draft, uint64_t revision,
                      int64_t *ret_ms) MUST_USE;
