/* SPDX-License-Identifier: Apache-2.0 */
/* Tells a person at a terminal how clients reach the server that was just started. */
#include <stdio.h>
#include <unistd.h>

#include "base/slice.h"
#include "cli/cli.h"

/* The address as a client on this machine would write it: localhost for loopback and wildcards. */
static void client_address(const char *address, char *out, size_t size)
{
    struct slice text = slice_of(address);
    ptrdiff_t colon = slice_find_last(text, ':');
    bool is_here = slice_starts_with(text, "0.0.0.0:") || slice_starts_with(text, "[::]:") ||
                   slice_starts_with(text, "127.0.0.1:") || slice_starts_with(text, "[::1]:");

    if (is_here && colon >= 0)
        (void)snprintf(out, size, "localhost:%s", address + colon + 1);
    else
        (void)snprintf(out, size, "%s", address);
}

void cli_print_welcome(const char *const *addresses, size_t count)
{
    const char *first = NULL;

    for (size_t i = 0; i < count && !first; i++) {
        if (!slice_starts_with(slice_of(addresses[i]), "unix:") && addresses[i][0] != '/')
            first = addresses[i];
    }
    if (!first || isatty(STDERR_FILENO) == 0)
        return;
    char here[160];
    client_address(first, here, sizeof(here));
    (void)fprintf(stderr,
                  "\n"
                  "  Docker      in /etc/docker/daemon.json, then restart it:\n"
                  "                { \"registry-mirrors\": [\"http://%s\"] }\n"
                  "  containerd  in /etc/containerd/certs.d/docker.io/hosts.toml:\n"
                  "                server = \"https://registry-1.docker.io\"\n"
                  "                [host.\"http://%s\"]\n"
                  "                  capabilities = [\"pull\", \"resolve\"]\n"
                  "  MicroK8s    the same in "
                  "/var/snap/microk8s/current/args/certs.d/docker.io/hosts.toml\n"
                  "  to push     docker tag IMAGE %s/NAME; docker push %s/NAME\n"
                  "\n",
                  here, here, here, here);
}
