/* SPDX-License-Identifier: MIT */
/**
 * Writing, listing and reading keyframe files. Functions without state of their own.
 *
 * Invariant: a file under the name of a keyframe is complete: it is written and synced under
 * another name, and then renamed. The directory is not synced, as a keyframe that a power cut takes
 * away is only a lost cache. Since a disk may damage the file later, readers verify every part and
 * compare each length with the file's size before they use it.
 */
#include "journal/keyframe.h"

#include "base/check.h"
#include "base/parse.h"
#include "journal/pack.h"
#include "model/event.h"

#include <dirent.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#define NAME_SIZE    (sizeof(KEYFRAME_PREFIX) + 20)
#define NAME_PARTIAL "rollcall.keyframe.partial"

/* The header of a file; all numbers are little-endian. */
struct header {
	char magic[8];
	uint64_t revision;
	uint64_t time_ms;
	uint64_t index_len;
	uint64_t rows_len;
	uint32_t event_checksum;
	uint32_t services;
	uint32_t index_crc;
	uint32_t crc; /* of the members before it */
};
_Static_assert(sizeof(struct header) == 56, "no holes");
static const char magic[8] = "rcKeyfr1";

/* One service in the index; its name follows. */
struct index_entry {
	uint64_t at; /* offset in the rows */
	uint64_t len;
	uint32_t crc;
	uint32_t name_len;
};
_Static_assert(sizeof(struct index_entry) == 24, "no holes");

/** crc32() of any length: zlib takes lengths of 32 bits. */
static uint32_t crc_of(const void *data, size_t len)
{
	uLong crc = crc32(0, NULL, 0);
	const Bytef *at = data;

	while (len > 0) {
		uInt part = len > (1u << 30) ? 1u << 30 : (uInt)len;

		crc = crc32(crc, at, part);
		at += part;
		len -= part;
	}
	return (uint32_t)crc;
}

static void name_of(uint64_t revision, char out[NAME_SIZE])
{
	(void)snprintf(out, NAME_SIZE, KEYFRAME_PREFIX "%016" PRIu64, revision);
}

/* --- writing --------------------------------------------------------------- */

void keyframe_init(struct keyframe_draft *draft)
{
	*draft = (struct keyframe_draft){.services = 0};
	buf_init(&draft->rows, KEYFRAME_BYTES_MAX);
	buf_init(&draft->index, KEYFRAME_BYTES_MAX);
}

void keyframe_fini(struct keyframe_draft *draft)
{
	buf_fini(&draft->rows);
	buf_fini(&draft->index);
}

/** Also completes each service: sets the length and the CRC of its rows in the index. */
void keyframe_end(struct keyframe_draft *draft)
{
	struct index_entry entry;

	if (draft->service.data == NULL || buf_error(&draft->rows) < 0 ||
	    buf_error(&draft->index) < 0)
		return;
	memcpy(&entry, draft->index.data + draft->entry, sizeof(entry));
	size_t len = draft->rows.len - draft->begun;
	entry.len = htole64(len);
	entry.crc = htole32(crc_of(draft->rows.data + draft->begun, len));
	memcpy(draft->index.data + draft->entry, &entry, sizeof(entry));
	draft->service.data = NULL;
}

static void keyframe_begin_service(struct keyframe_draft *draft, struct str service)
{
	struct index_entry entry = {
		.at = htole64(draft->rows.len),
		.name_len = htole32((uint32_t)service.len),
	};

	keyframe_end(draft);
	draft->begun = draft->rows.len;
	draft->entry = draft->index.len;
	draft->service = service;
	draft->services++;
	buf_add(&draft->index, &entry, sizeof(entry));
	buf_put_str(&draft->index, service);
}

void keyframe_add(struct keyframe_draft *draft, const struct instance *instance)
{
	if (draft->service.data == NULL || !str_equal(draft->service, instance->service))
		keyframe_begin_service(draft, instance->service);
	pack_instance(&draft->rows, instance);
}

void keyframe_add_entry(struct keyframe_draft *draft, const struct entry *entry)
{
	if (draft->service.data == NULL || !str_equal(draft->service, entry->service))
		keyframe_begin_service(draft, entry->service);
	pack_entry(&draft->rows, entry);
}

static int keyframe_write_all(int fd, const void *data, size_t len)
{
	const char *at = data;

	while (len > 0) {
		ssize_t n = write(fd, at, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EDQUOT || errno == EFBIG ? -ENOSPC : -errno;
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

static int keyframe_write_content(const struct keyframe_draft *draft, int fd,
                                  const struct keyframe_mark *mark)
{
	struct header header = {
		.revision = htole64(mark->revision),
		.time_ms = htole64((uint64_t)mark->time_ms),
		.index_len = htole64(draft->index.len),
		.rows_len = htole64(draft->rows.len),
		.event_checksum = htole32(mark->checksum),
		.services = htole32(draft->services),
		.index_crc = htole32(crc_of(draft->index.data, draft->index.len)),
	};

	memcpy(header.magic, magic, sizeof(magic));
	header.crc = htole32(crc_of(&header, offsetof(struct header, crc)));
	int r = keyframe_write_all(fd, &header, sizeof(header));
	if (r == 0)
		r = keyframe_write_all(fd, draft->index.data, draft->index.len);
	if (r == 0)
		r = keyframe_write_all(fd, draft->rows.data, draft->rows.len);
	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	return r;
}

int keyframe_write(struct keyframe_draft *draft, int dir_fd, const struct keyframe_mark *mark)
{
	char name[NAME_SIZE];

	keyframe_end(draft);
	if (buf_error(&draft->rows) < 0 || buf_error(&draft->index) < 0)
		return -ENOMEM;
	int fd = openat(dir_fd, NAME_PARTIAL, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
	if (fd < 0)
		return -errno;
	int r = keyframe_write_content(draft, fd, mark);
	if (close(fd) < 0 && r == 0)
		r = -errno;
	name_of(mark->revision, name);
	if (r == 0 && renameat(dir_fd, NAME_PARTIAL, dir_fd, name) < 0)
		r = -errno;
	if (r < 0)
		keyframe_remove_partial(dir_fd);
	return r;
}

/* --- the directory ------------------------------------------------------------ */

static int by_revision(const void *a, const void *b)
{
	const uint64_t *x = a;
	const uint64_t *y = b;

	return (*x > *y) - (*x < *y);
}

static bool parse_name(const char *name, uint64_t *ret_revision)
{
	size_t prefix = strlen(KEYFRAME_PREFIX);
	uint64_t revision = 0;

	if (strncmp(name, KEYFRAME_PREFIX, prefix) != 0 || strlen(name) != prefix + 16)
		return false;
	for (const char *c = name + prefix; *c != '\0'; c++) {
		if (*c < '0' || *c > '9')
			return false;
		revision = revision * 10 + (uint64_t)(*c - '0');
	}
	*ret_revision = revision;
	return true;
}

int keyframe_list(int dir_fd, uint64_t ret[KEYFRAMES_MAX], size_t *ret_count)
{
	int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *each;
	uint64_t revision;
	size_t count = 0;

	if (dir == NULL) {
		int r = -errno;

		if (fd >= 0)
			(void)close(fd); /* only read */
		return r;
	}
	while ((each = readdir(dir)) != NULL) {
		if (!parse_name(each->d_name, &revision))
			continue;
		if (count < KEYFRAMES_MAX) {
			ret[count++] = revision;
			continue;
		}
		size_t least = 0; /* a newer one replaces it */
		for (size_t i = 1; i < count; i++)
			least = ret[i] < ret[least] ? i : least;
		if (ret[least] < revision)
			ret[least] = revision;
	}
	(void)closedir(dir); /* only read */
	qsort(ret, count, sizeof(*ret), by_revision);
	*ret_count = count;
	return 0;
}

int keyframe_remove(int dir_fd, uint64_t revision)
{
	char name[NAME_SIZE];

	name_of(revision, name);
	return unlinkat(dir_fd, name, 0) < 0 ? -errno : 0;
}

void keyframe_remove_partial(int dir_fd)
{
	(void)unlinkat(dir_fd, NAME_PARTIAL, 0); /* usually absent */
}

/* --- reading --------------------------------------------------------------------- */

/** Reads exactly @p len bytes. @return 0; -EBADMSG: the file is shorter; or an error of the disk */
static int keyframe_read_at(int fd, uint64_t at, void *out, size_t len)
{
	char *end = out;

	while (len > 0) {
		ssize_t n = pread(fd, end, len, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -EBADMSG;
		end += n;
		at += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

static int keyframe_read_header(int fd, uint64_t revision, struct header *ret)
{
	struct stat stat;
	struct header header;

	if (fstat(fd, &stat) < 0)
		return -errno;
	if (!S_ISREG(stat.st_mode))
		return -EBADMSG;
	int r = keyframe_read_at(fd, 0, &header, sizeof(header));
	if (r < 0)
		return r;
	if (memcmp(header.magic, magic, sizeof(magic)) != 0 ||
	    le32toh(header.crc) != crc_of(&header, offsetof(struct header, crc)))
		return -EBADMSG;
	header.revision = le64toh(header.revision);
	header.time_ms = le64toh(header.time_ms);
	header.index_len = le64toh(header.index_len);
	header.rows_len = le64toh(header.rows_len);
	header.event_checksum = le32toh(header.event_checksum);
	header.services = le32toh(header.services);
	header.index_crc = le32toh(header.index_crc);
	if (header.revision != revision || header.index_len > KEYFRAME_BYTES_MAX ||
	    header.rows_len > KEYFRAME_BYTES_MAX ||
	    (uint64_t)stat.st_size != sizeof(header) + header.index_len + header.rows_len)
		return -EBADMSG;
	*ret = header;
	return 0;
}

static int keyframe_open(int dir_fd, uint64_t revision, int *ret_fd, struct header *ret_header)
{
	char name[NAME_SIZE];

	name_of(revision, name);
	/* O_NONBLOCK: opening a FIFO of that name would wait for a writer. */
	int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	int r = keyframe_read_header(fd, revision, ret_header);
	if (r < 0) {
		(void)close(fd); /* only read */
		return r;
	}
	*ret_fd = fd;
	return 0;
}

static int keyframe_read_rows(int fd, const struct header *header, const struct index_entry *entry,
                              struct buf *rows)
{
	/* No service without instances and entries is written. */
	if (entry->len == 0 || entry->len > header->rows_len ||
	    entry->at > header->rows_len - entry->len)
		return -EBADMSG;
	int r = buf_reserve(rows, (size_t)entry->len);
	if (r < 0)
		return -ENOMEM;
	char *to = rows->data + rows->len;
	r = keyframe_read_at(fd, sizeof(*header) + header->index_len + entry->at, to,
	                     (size_t)entry->len);
	if (r == 0 && crc_of(to, (size_t)entry->len) != entry->crc)
		r = -EBADMSG;
	if (r == 0)
		rows->len += (size_t)entry->len;
	return r;
}

/** Walks the index and reads the rows of @p service, or of all if it is empty. */
static int keyframe_read_services(int fd, const struct header *header, struct str index,
                                  struct str service, struct buf *rows)
{
	for (uint32_t i = 0; i < header->services; i++) {
		struct index_entry entry;

		if (index.len < sizeof(entry))
			return -EBADMSG;
		memcpy(&entry, index.data, sizeof(entry));
		entry.at = le64toh(entry.at);
		entry.len = le64toh(entry.len);
		entry.crc = le32toh(entry.crc);
		entry.name_len = le32toh(entry.name_len);
		index = (struct str){index.data + sizeof(entry), index.len - sizeof(entry)};
		if (entry.name_len > index.len)
			return -EBADMSG;
		bool is_wanted = service.len == 0 ||
		                 str_equal(service, (struct str){index.data, entry.name_len});
		int r = is_wanted ? keyframe_read_rows(fd, header, &entry, rows) : 0;
		if (r < 0)
			return r;
		if (is_wanted && service.len > 0)
			return 0;
		index = (struct str){index.data + entry.name_len, index.len - entry.name_len};
	}
	return index.len == 0 ? 0 : -EBADMSG;
}

static int keyframe_read_content(int fd, const struct header *header, struct str service,
                                 struct buf *rows)
{
	struct buf index;

	buf_init(&index, KEYFRAME_BYTES_MAX);
	int r = buf_reserve(&index, (size_t)header->index_len + 1) < 0 ? -ENOMEM : 0;
	if (r == 0)
		r = keyframe_read_at(fd, sizeof(*header), index.data, (size_t)header->index_len);
	if (r == 0 && crc_of(index.data, (size_t)header->index_len) != header->index_crc)
		r = -EBADMSG;
	if (r == 0)
		r = keyframe_read_services(fd, header,
		                           (struct str){index.data, (size_t)header->index_len},
		                           service, rows);
	buf_fini(&index);
	return r;
}

int keyframe_mark(int dir_fd, uint64_t revision, struct keyframe_mark *ret_mark)
{
	struct header header = {0};
	int fd = -1;
	int r = keyframe_open(dir_fd, revision, &fd, &header);

	if (r < 0)
		return r;
	(void)close(fd); /* only read */
	int64_t time_ms = (int64_t)header.time_ms;
	if (time_ms < -EVENT_TIME_MS_MAX || time_ms > EVENT_TIME_MS_MAX)
		return -EBADMSG;
	*ret_mark = (struct keyframe_mark){revision, time_ms, header.event_checksum};
	return 0;
}

int keyframe_read(int dir_fd, uint64_t revision, struct str service, struct buf *rows)
{
	struct header header = {0};
	int fd = -1;
	int r = keyframe_open(dir_fd, revision, &fd, &header);

	if (r < 0)
		return r;
	r = keyframe_read_content(fd, &header, service, rows);
	(void)close(fd); /* only read */
	return r;
}

int keyframe_check(int dir_fd, uint64_t revision, struct keyframe_mark *ret_mark)
{
	struct instance instance;
	struct entry entry;
	struct buf rows;
	int r = keyframe_mark(dir_fd, revision, ret_mark);

	buf_init(&rows, KEYFRAME_BYTES_MAX);
	if (r == 0)
		r = keyframe_read(dir_fd, revision, (struct str){NULL, 0}, &rows);
	struct str rest = {rows.data, rows.len};
	while (r == 0 && rest.len > 0)
		r = pack_is_entry(rest) ? unpack_entry(&rest, &entry)
		                        : unpack_instance(&rest, &instance);
	buf_fini(&rows);
	return r;
}
