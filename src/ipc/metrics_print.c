/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Prometheus text format 0.0.4: for each family HELP, TYPE and its series. A histogram has
 * cumulative buckets by upper bound in seconds, the sum, and the count. A series whose name has not
 * come yet is left out.
 */
#include <stdio.h>

#include "base/buf.h"
#include "base/check.h"
#include "metrics_table.h"

#define SELECTOR_MAX 512

static const char *const label_keys[METRIC_LABELS] = {
    [METRIC_LABEL_role] = "role",         [METRIC_LABEL_operation] = "operation",
    [METRIC_LABEL_upstream] = "upstream", [METRIC_LABEL_status] = "status",
    [METRIC_LABEL_outcome] = "outcome",
};

static const char *const statuses[METRIC_STATUSES] = {
#define METRIC_STATUS(value) #value,
#include "ipc/metrics.def"
};

static const char *const outcomes[METRIC_OUTCOMES] = {
#define METRIC_OUTCOME(value) #value,
#include "ipc/metrics.def"
};

/* NULL: there is no such value yet. */
static const char *value_text(enum metric_label label, unsigned index)
{
    switch (label) {
    case METRIC_LABEL_role:
        return process_role_name((enum process_role)index);
    case METRIC_LABEL_operation:
        return metrics_name_text(METRIC_NAME_operation, index);
    case METRIC_LABEL_upstream:
        return metrics_name_text(METRIC_NAME_upstream, index);
    case METRIC_LABEL_status:
        return statuses[index];
    case METRIC_LABEL_outcome:
        return outcomes[index];
    case METRIC_LABEL_none:
    case METRIC_LABELS:
        break;
    }
    return "";
}

static void print_escaped(struct buf *out, const char *text, bool is_quoted)
{
    for (; *text; text++) {
        if (*text == '\\' || (is_quoted && *text == '"')) {
            buf_append_byte(out, '\\');
            buf_append_byte(out, *text);
        } else if (*text == '\n') {
            buf_append_text(out, "\\n");
        } else {
            buf_append_byte(out, *text);
        }
    }
}

static void print_label(struct buf *out, const char *key, const char *value)
{
    if (out->length > 0)
        buf_append_byte(out, ',');
    buf_append_text(out, key);
    buf_append_text(out, "=\"");
    print_escaped(out, value, true);
    buf_append_byte(out, '"');
}

/* Print the labels of a series without braces. False if one of its values does not exist yet. */
static bool print_selector(const struct metric_family *family, const unsigned values[2],
                           struct buf *out)
{
    buf_clear(out);
    for (unsigned i = 0; i < 2; i++) {
        enum metric_label label = family->labels[i];
        const char *text = value_text(label, values[i]);

        if (!text)
            return false;
        CHECK(label < METRIC_LABELS);
        if (label != METRIC_LABEL_none)
            print_label(out, label_keys[label], text);
    }
    return true;
}

static void print_sample(struct buf *out, const struct metric_family *family, const char *suffix,
                         struct buf *selector)
{
    buf_printf(out, "entrepot_%s%s", family->name, suffix);
    if (selector->length > 0)
        buf_printf(out, "{%s}", buf_text(selector));
    buf_append_byte(out, ' ');
}

static void print_bucket(struct buf *out, const struct metric_family *family, unsigned bucket,
                         struct buf *selector, uint64_t count)
{
    bool is_last = bucket == METRICS_BUCKETS - 1;
    size_t length = selector->length;
    char bound[32] = "+Inf";

    if (!is_last)
        (void)snprintf(bound, sizeof(bound), "%g", (double)metrics_bounds[bucket] / 1e6);
    print_label(selector, "le", bound);
    print_sample(out, family, "_bucket", selector);
    buf_printf(out, "%llu\n", (unsigned long long)count);
    selector->length = length;
}

static void print_histogram(struct buf *out, enum metric metric, size_t series,
                            enum process_role role, struct buf *selector)
{
    const struct metric_family *family = &metric_families[metric];
    uint64_t count = 0;

    for (unsigned i = 0; i < METRICS_BUCKETS; i++) {
        count += metrics_read(metric, series + i, role);
        print_bucket(out, family, i, selector, count);
    }
    uint64_t us = metrics_read(metric, series + METRICS_BUCKETS, role);
    print_sample(out, family, "_sum", selector);
    buf_printf(out, "%llu.%06llu\n", (unsigned long long)(us / 1000000),
               (unsigned long long)(us % 1000000));
    print_sample(out, family, "_count", selector);
    buf_printf(out, "%llu\n", (unsigned long long)count);
}

/* With the label `role`, the first value is the role and the series the only one in its blocks. */
static void print_series(struct buf *out, enum metric metric, const unsigned values[2],
                         struct buf *selector)
{
    const struct metric_family *family = &metric_families[metric];
    bool is_by_role = family->labels[0] == METRIC_LABEL_role;
    enum process_role role = is_by_role ? (enum process_role)values[0] : ROLES;
    size_t series = metrics_series(metric, is_by_role ? 0 : values[0], values[1]);

    if (!print_selector(family, values, selector))
        return;
    if (family->kind == METRIC_KIND_SECONDS) {
        print_histogram(out, metric, series, role, selector);
        return;
    }
    print_sample(out, family, family->kind == METRIC_KIND_COUNTER ? "_total" : "", selector);
    buf_printf(out, "%llu\n", (unsigned long long)metrics_read(metric, series, role));
}

static void print_head(struct buf *out, const struct metric_family *family)
{
    static const char *const types[] = {
        [METRIC_KIND_COUNTER] = "counter",
        [METRIC_KIND_GAUGE] = "gauge",
        [METRIC_KIND_PEAK] = "gauge",
        [METRIC_KIND_SECONDS] = "histogram",
    };
    const char *suffix = family->kind == METRIC_KIND_COUNTER ? "_total" : "";

    buf_printf(out, "# HELP entrepot_%s%s ", family->name, suffix);
    print_escaped(out, family->help, false);
    buf_printf(out, "\n# TYPE entrepot_%s%s %s\n", family->name, suffix, types[family->kind]);
}

void metrics_print(struct buf *out)
{
    AUTO_BUF struct buf selector;

    buf_init(&selector, SELECTOR_MAX);
    for (unsigned i = 0; i < METRICS; i++) {
        const struct metric_family *family = &metric_families[i];
        bool is_by_role = family->labels[0] == METRIC_LABEL_role;
        unsigned count = is_by_role ? ROLES : family->sizes[0];
        unsigned values[2];

        print_head(out, family);
        for (values[0] = 0; values[0] < count; values[0]++) {
            for (values[1] = 0; values[1] < family->sizes[1]; values[1]++)
                print_series(out, (enum metric)i, values, &selector);
        }
    }
}
