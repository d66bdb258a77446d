/* SPDX-License-Identifier: MIT */
/*
 * Renders the answer of a lookup. The same code renders short and long answers piece by piece:
 * roll_begin(), then roll_put() until nothing is left. For a long answer, http/ calls it for one
 * slice at a time (api/slices.h), when the client has read the previous one. Http thread.
 *
 * Invariant: an answer in slices holds a reference to each member that is not rendered yet, since
 * the visit ends long before. Rendering long answers at once instead would keep megabytes for each
 * slow client.
 */
#include "v1/selection.h"

#include "api/slices.h"
#include "v1/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The memory of one slice besides the list of members: the page, and libmicrohttpd's copy. */
#define SLICE_COST ((uint64_t)2 * SLICE_BYTES)

/* Usually enough for the text before and after the members. */
#define FRAME_BYTES 512

struct roll {
	struct slices slices;
	struct selection selection;
	uint32_t at;   /* the next member; count: the end of the list is next; above: finished */
	uint32_t held; /* the first member whose reference is still held */
	bool has_references;
};

void selection_init(struct selection *selection, bool text)
{
	*selection = (struct selection){.text = text};
	buf_init(&selection->row, 1u << 20);
	if (!text)
		return;
	text_put_heading(&selection->row);
	table_measure(&selection->table, &selection->row);
}

void selection_fini(struct selection *selection)
{
	free(selection->members);
	buf_fini(&selection->row);
}

int selection_add(struct selection *selection, const struct member *member)
{
	if (selection->count == selection->size) {
		uint32_t size = selection->size == 0 ? 64 : selection->size * 2;
		const struct member **members =
			reallocarray(selection->members, size, sizeof(*members));

		if (members == NULL)
			return -ENOMEM;
		selection->members = members;
		selection->size = size;
	}
	selection->members[selection->count++] = member;
	if (selection->text) {
		text_measure_member(&selection->table, &selection->row, member);
		selection->bytes += member->value.metadata.len;
	} else {
		selection->bytes += member_json_len(member) + (selection->count > 1);
	}
	return buf_error(&selection->row);
}

/* An upper bound on the length of all rows or members, in bytes. */
static uint64_t selection_length(const struct selection *selection)
{
	uint64_t row = 0;

	if (!selection->text)
		return selection->bytes;
	for (size_t i = 0; i < TABLE_COLUMNS_MAX; i++)
		row += selection->table.width[i] + 2;
	return selection->bytes + row * selection->count;
}

/* Puts the text before the members. */
static void roll_begin(struct roll *roll, struct buf *out, struct str service, uint64_t revision)
{
	struct selection *selection = &roll->selection;

	if (selection->text) {
		buf_reset(&selection->row);
		text_put_heading(&selection->row);
		table_put_rows(&selection->table, out, &selection->row);
		return;
	}
	buf_put(out, "{\"service\":");
	buf_put_json(out, service);
	buf_put(out, ",\"revision\":");
	buf_put_u64(out, revision);
	buf_put(out, ",\"instances\":[");
}

static void roll_end(const struct roll *roll, struct buf *out)
{
	const struct selection *selection = &roll->selection;

	if (selection->text)
		return;
	buf_put_char(out, ']');
	if (selection->is_cut) {
		buf_put(out, ",\"next\":");
		buf_put_json(out, selection->members[selection->count - 1]->value.id);
	}
	buf_put_char(out, '}');
}

static void roll_drop_references(struct roll *roll, uint32_t end)
{
	for (; roll->has_references && roll->held < end; roll->held++)
		member_unref(roll->selection.members[roll->held]);
}

/* Puts the next member, or the end after the last one. @return false: nothing is left */
static bool roll_put(struct roll *roll, struct buf *out)
{
	struct selection *selection = &roll->selection;

	if (roll->at > selection->count)
		return false;
	if (roll->at == selection->count) {
		roll_end(roll, out);
	} else if (selection->text) {
		buf_reset(&selection->row);
		text_put_member(&selection->row, selection->members[roll->at]);
		table_put_rows(&selection->table, out, &selection->row);
	} else {
		if (roll->at > 0)
			buf_put_char(out, ',');
		member_put_json(out, selection->members[roll->at]);
	}
	if (buf_error(&selection->row) < 0)
		out->error = buf_error(&selection->row);
	roll_drop_references(roll, roll->at); /* keep the last member: roll_end() reads its id */
	roll->at++;
	return true;
}

static bool roll_put_slice(struct slices *slices, struct buf *out)
{
	struct roll *roll = container_of(slices, struct roll, slices);

	if (!roll_put(roll, out))
		return false;
	if (roll->at > roll->selection.count && !roll->selection.text)
		buf_put_char(out, '\n'); /* as call_answer() ends a short one */
	return true;
}

static void roll_free(struct slices *slices)
{
	struct roll *roll = container_of(slices, struct roll, slices);

	roll_drop_references(roll, roll->selection.count);
	selection_fini(&roll->selection);
	free(roll);
}

/* The length of the answer, whose first part is in the page; 0: unknown before it is rendered. */
static uint64_t selection_measure(const struct roll *roll)
{
	struct buf end;

	if (roll->selection.text || roll->slices.is_pretty)
		return 0;
	buf_init(&end, 4096);
	roll_end(roll, &end);
	uint64_t length = roll->slices.page.len + roll->selection.bytes + end.len + 1;
	length = buf_error(&end) < 0 ? 0 : length;
	buf_fini(&end);
	return length;
}

/* Starts the slices as the answer of @p call. */
static void selection_start(struct roll *roll, struct call *call, struct str service,
                            uint64_t revision)
{
	struct buf head;

	buf_init(&head, 4096);
	roll_begin(roll, &head, service, revision);
	slices_start(&roll->slices, &head, !roll->selection.text && call_is_pretty(call));
	buf_fini(&head);
	roll->slices.out.length = selection_measure(roll);
	call->response->stream = &roll->slices.out;
}

static enum api_result selection_answer_in_slices(struct selection *selection, uint64_t length,
                                                  struct call *call, struct str service,
                                                  uint64_t revision)
{
	uint64_t cost = sizeof(struct roll) + SLICE_COST + selection->size * sizeof(void *);
	struct roll *roll = NULL;

	if (call_hold(call, cost, length))
		roll = malloc(sizeof(*roll));
	else
		cost = 0;
	if (roll == NULL) {
		selection_fini(selection);
		if (cost > 0)
			problem_errno(call->response, -ENOMEM);
		return API_DONE;
	}
	*roll = (struct roll){.selection = *selection, .has_references = true};
	slices_init(&roll->slices, roll_put_slice, roll_free);
	for (uint32_t i = 0; i < selection->count; i++)
		member_ref(selection->members[i]);
	selection_start(roll, call, service, revision);
	return call_answer(call, 200, selection->text ? TYPE_TEXT : TYPE_JSON);
}

static enum api_result selection_answer_at_once(struct selection *selection, uint64_t length,
                                                struct call *call, struct str service,
                                                uint64_t revision)
{
	struct roll roll = {.selection = *selection};
	struct buf *body = &call->response->body;

	/* Avoids copies as the body grows. An error stays in the body, like that of any append. */
	(void)!buf_reserve(body, (size_t)length + FRAME_BYTES);
	roll_begin(&roll, body, service, revision);
	while (roll_put(&roll, body))
		continue;
	selection_fini(&roll.selection);
	return call_answer(call, 200, selection->text ? TYPE_TEXT : TYPE_JSON);
}

enum api_result selection_answer(struct selection *selection, struct call *call, struct str service,
                                 uint64_t revision)
{
	uint64_t length = selection_length(selection);

	return length > SLICE_BYTES
	               ? selection_answer_in_slices(selection, length, call, service, revision)
	               : selection_answer_at_once(selection, length, call, service, revision);
}
