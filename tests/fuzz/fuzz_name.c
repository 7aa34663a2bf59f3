/* SPDX-License-Identifier: Apache-2.0 */
/* Names, tags and registries against slow, separate readings of their grammars. */
#include <regex.h>
#include <string.h>

#include "base/alloc.h"
#include "base/check.h"
#include "fuzz/fuzz.h"
#include "oci/name.h"

#define COMPONENT "[a-z0-9]+((\\.|_|__|-+)[a-z0-9]+)*"

static bool matches(regex_t *compiled, const char *pattern, const char *text)
{
    static const regex_t never;

    if (memcmp(compiled, &never, sizeof(never)) == 0) {
        CHECK(regcomp(compiled, pattern, REG_EXTENDED | REG_NOSUB) == 0);
    }
    return regexec(compiled, text, 0, NULL, 0) == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static regex_t name_form;
    static regex_t tag_form;
    static regex_t registry_form;
    struct slice text = slice_from(data, size);

    if (size > 300) {
        return 0;
    }
    AUTO_FREE char *copy = mem_strndup(size > 0 ? text.data : "", size);
    bool is_text = strlen(copy) == size;
    CHECK(name_is_valid(text) == (is_text && size <= NAME_MAX_LENGTH &&
                                  matches(&name_form, "^" COMPONENT "(/" COMPONENT ")*$", copy)));
    CHECK(tag_is_valid(text) ==
          (is_text && matches(&tag_form, "^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$", copy)));
    if (registry_is_valid(text)) {
        CHECK(is_text && size <= REGISTRY_MAX_LENGTH);
        CHECK(
            matches(&registry_form, "^([a-z0-9.-]+|\\[[0-9a-f:.]+\\])(:[1-9][0-9]{0,4})?$", copy));
    }
    (void)registry_canonical(text);
    return 0;
}
