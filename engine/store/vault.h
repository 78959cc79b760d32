/* Secrets at rest: AES-256-GCM, a random nonce each, the row's identity as associated data, a key id; the key in a file of its own (0600, outside the
   state's folder) or a systemd service credential. Pure but for the key file. */
#ifndef NF_ENGINE_STORE_VAULT_H
#define NF_ENGINE_STORE_VAULT_H

#include "engine/base/buf.h"
#include "engine/base/secret.h"

struct vault;

/* option: --key-file or NULL; then NIGHTFERRY_KEY_FILE, $CREDENTIALS_DIRECTORY/nightferry.key, /etc/nightferry/vault.key where readable, else XDG config
   nightferry/vault.key. create: made (32 random octets as hex, 0600) when absent and the path is ours to make. Refused: a key inside the state's folder,
   or readable by others. */
int vault_open(struct vault **out, const char *option, const char *state_path, bool create, struct err *err);
void vault_close(struct vault **v);
/* identity: "user:17:password"; sealed is nonce | ciphertext | tag; key_id: 16 hex digits of SHA-256 of the key. */
int vault_seal(
	const struct vault *v, const char *identity, const struct secret *plain, struct buf *sealed, struct err *err);
/* ERR_VAULT: another key, or tampered with. */
int vault_unseal(const struct vault *v, const char *identity, const void *sealed, size_t n, struct secret **out,
	struct err *err);
const char *vault_key_id(const struct vault *v);

#endif
