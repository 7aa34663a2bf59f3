/* SPDX-License-Identifier: Apache-2.0 */
/* A configuration as children get it: in two sealed memory files, of which only one contains the
 * credentials of upstreams. role_policy.h says which roles get that one. */
#include "base/buf.h"
#include "base/error.h"
#include "base/fd.h"
#include "config/config.h"
#include "ipc/channel.h"
#include "master_state.h"

static int seal(const struct config *config, bool with_secrets, int *out_fd, struct error *err)
{
    AUTO_BUF struct buf text;

    buf_init(&text, CONFIG_TEXT_MAX);
    config_print(config, with_secrets, &text);
    if (text.is_over) {
        return error_set(err, ERR_TOO_LARGE, "the configuration is longer than %u bytes",
                         CONFIG_TEXT_MAX);
    }
    return fd_memory_file("configuration", buf_bytes(&text), out_fd, err);
}

int sealed_config_open(struct sealed_config *sealed, struct config *config, struct error *err)
{
    struct sealed_config made = {.config = NULL, .fd = -1, .secret_fd = -1};
    int rc = seal(config, false, &made.fd, err);

    if (rc == 0)
        rc = seal(config, true, &made.secret_fd, err);
    if (rc != 0) {
        sealed_config_close(&made);
        return rc;
    }
    made.config = config_ref(config);
    *sealed = made;
    return 0;
}

void sealed_config_close(struct sealed_config *sealed)
{
    fd_close(&sealed->fd);
    fd_close(&sealed->secret_fd);
    config_unref(&sealed->config);
}

void sealed_config_send(struct master *master, struct child *child,
                        const struct sealed_config *sealed)
{
    struct message_config message = {.number = ++master->config_number};
    bool has_secrets = role_policy(child->seat->role)->has_secrets;

    channel_send(child->line, MESSAGE_CONFIG, &message,
                 has_secrets ? sealed->secret_fd : sealed->fd);
}
