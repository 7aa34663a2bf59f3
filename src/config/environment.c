/* SPDX-License-Identifier: Apache-2.0 */
/* Settings from the environment: ENTREPOT_STORAGE_PATH is storage.path, and so on. The entries of a
 * list are separated by commas. */
#include <string.h>

#include "base/slice.h"
#include "reader.h"

static const char prefix[] = "ENTREPOT_";

/* Is `name` the setting's in capitals, with '_' for '.'? */
static bool is_name_of(struct slice name, const struct setting *setting)
{
    struct slice path = slice_of(setting->path);

    if (path.length != name.length)
        return false;
    for (size_t i = 0; i < path.length; i++) {
        char wanted = setting_capital(path.data[i]);

        if (name.data[i] != wanted)
            return false;
    }
    return true;
}

/* When there is a Service with our name, Kubernetes sets ENTREPOT_PORT_32000_TCP_ADDR and the like
 * in every container. */
static bool is_of_kubernetes(struct slice name)
{
    return slice_starts_with(name, "SERVICE_") || slice_is(name, "PORT") ||
           slice_starts_with(name, "PORT_");
}

/* A build with failpoints reads this variable by itself. */
static bool is_of_tests(struct slice name)
{
#ifdef ENTREPOT_FAILPOINTS
    return slice_is(name, "FAILPOINTS");
#else
    (void)name;
    return false;
#endif
}

static void read_one(struct reader *reader, struct slice name, struct slice value)
{
    char shown[128] = {0};
    size_t length = name.length < sizeof(shown) - 1 ? name.length : sizeof(shown) - 1;

    memcpy(shown, name.data, length);
    struct position at = {shown, 0, 0};
    struct slice key = slice_skip(name, sizeof(prefix) - 1);
    for (size_t i = 0; i < settings_of_config.count; i++) {
        const struct setting *setting = &settings_of_config.items[i];

        if (is_name_of(key, setting)) {
            reader_set_text(reader, setting, value, &at);
            /* `shown` does not outlive this call. */
            reader->at[i] = (struct position){"environment", 0, 0};
            return;
        }
    }
    if (!is_of_kubernetes(key) && !is_of_tests(key))
        reader_warning(reader, &at, NULL, "there is no such setting; the variable is ignored");
}

void environment_read(struct reader *reader, const char *const *environment)
{
    for (; environment && *environment; environment++) {
        struct slice value = slice_of(*environment);
        struct slice name;

        if (slice_split(&value, '=', &name) && slice_starts_with(name, prefix))
            read_one(reader, name, value);
    }
}
