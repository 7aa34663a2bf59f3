/* SPDX-License-Identifier: Apache-2.0 */
/* Names, tags and registries against slow, separate readings of their grammars. */
#include <regex.h>
#include <string.h>

#include "base/alloc.h"
#include "base/check.h"
#include "fuzz/fuzz.h"
#include "oci/name.h"

#define COMPONENT "[a-z0-9]+((\\.|_|__|-+)[a-z0-9]+)*"

struct form {
    const char *pattern;
    bool is_compiled;
    regex_t compiled;
};

static struct form name_form = {.pattern = "^" COMPONENT "(/" COMPONENT ")*$"};
static struct form tag_form = {.pattern = "^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$"};
static struct form registry_form = {.pattern =
                                        "^([a-z0-9.-]+|\\[[0-9a-f:.]+\\])(:[1-9][0-9]{0,4})?$"};

static bool matches(struct form *form, const char *text)
{
    if (!form->is_compiled) {
        CHECK(regcomp(&form->compiled, form->pattern, REG_EXTENDED | REG_NOSUB) == 0);
        form->is_compiled = true;
    }
    return regexec(&form->compiled, text, 0, NULL, 0) == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice text = slice_from(data, size);

    if (size > 300)
        return 0;
    AUTO_FREE char *copy = mem_strndup(size > 0 ? text.data : "", size);
    bool is_text = strlen(copy) == size;
    CHECK(name_is_valid(text) == (is_text && size <= NAME_MAX_LENGTH && matches(&name_form, copy)));
    CHECK(tag_is_valid(text) == (is_text && matches(&tag_form, copy)));
    if (registry_is_valid(text))
        CHECK(is_text && size <= REGISTRY_MAX_LENGTH && matches(&registry_form, copy));
    (void)registry_canonical(text);
    return 0;
}
