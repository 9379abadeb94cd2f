/* What a name server may send: decoded, and verified as a reply of a key. */
#include "dns/msg.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct tsig_key key = { .name = "k256.test",
					     .alg = MAC_SHA256,
					     .secret = "0123456789abcdef",
					     .secret_len = 16 };
	static const struct tsig_mac request = { .len = 32 };
	struct tsig_reply reply = {
		.wire = data, .len = size, .request = &request, .now_s = 0x6b04f890
	};
	struct msg_expect expect = { .type = DNS_TYPE_TXT };
	struct dns_msg *msg = NULL;
	struct err err;
	bool hopeless;

	if (msg_parse(data, size, &msg, &err) == ERR_NONE) {
		for (size_t i = 0; i < msg->rr_count; i++) {
			struct wire_name name;

			/* Every decoded owner is text that can be asked for. */
			if (!wire_name_from_text(msg->rr[i].owner, &name)) {
				abort();
			}
		}
		dns_msg_free(msg);
	}
	if (wire_name_from_text("ex", &expect.name)) {
		(void)msg_is_reply(data, size, &expect);
	}
	/* A MAC of a key nobody has: no input may pass for verified. */
	if (tsig_verify_reply(&reply, &key, &hopeless, &err) == ERR_NONE) {
		abort();
	}
	return 0;
}
