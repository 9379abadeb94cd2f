/* Whatever octets come as a request: read or refused, within what came, and the same however
 * a chunked body is cut. */
#include "http/head.h"

#define BODY_MAX 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool fine)
{
	if (!fine) {
		abort();
	}
}

static void check_head(char *octets, size_t len)
{
	struct http_head head;

	if (http_head_parse(octets, len, &head) != 0) {
		return;
	}
	must(head.method < len && head.path < len && head.query < len);
	must(octets[head.path] == '/' && strlen(octets + head.query) < len);
	must(head.field_count <= HEAD_FIELDS_MAX);
	for (size_t i = 0; i < head.field_count; i++) {
		must(head.field[i].name < len && head.field[i].value < len);
		must(octets[head.field[i].name] != '\0');
	}
}

/* Gives how it ended; *body is to be freed. */
static int take(const char *data, size_t len, size_t step, char **body)
{
	struct http_chunks chunks = { .state = CHUNK_SIZE };
	int status = 0;

	buf_init(&chunks.body, BODY_MAX);
	for (size_t at = 0; at < len && status == 0 && chunks.state != CHUNK_OVER;) {
		size_t used = 0;
		size_t part = len - at < step ? len - at : step;

		status = http_chunks_take(&chunks, data + at, part, &used);
		must(used <= part && (used > 0 || status != 0));
		at += used;
	}
	status = status * 10 + (int)chunks.state;
	*body = buf_detach(&chunks.body);
	return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *octets = xmalloc(size + 1);
	char *whole = NULL, *cut = NULL;
	size_t scanned = 0;
	size_t blank, head_len;

	memcpy(octets, data, size);
	octets[size] = '\0';
	must(take(octets, size, size, &whole) == take(octets, size, 1, &cut));
	must(strcmp(whole, cut) == 0);
	free(whole);
	free(cut);
	blank = http_head_blank(octets, size);
	head_len = http_head_len(octets + blank, size - blank, &scanned);
	if (head_len > 0) {
		check_head(octets + blank, head_len);
	}
	free(octets);
	return 0;
}
