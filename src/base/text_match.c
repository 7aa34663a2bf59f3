/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Matches patterns of the configuration, and measures the distance between two words.
 *
 * A pattern is matched by going forward and, at a mismatch, back to the last star, which then takes
 * one more byte. One mark for '*' and one for stars that cross '/' are enough: whatever an earlier
 * star of the same kind could take in addition, the later one can take as well.
 */
#include <string.h>

#include "base/text.h"

#define WORD_MAX     64
#define DISTANCE_MAX 4

/* Where to go back to: the pattern after the star, and the text that the star has not taken yet. */
struct mark {
    bool is_set;
    size_t pattern;
    size_t text;
};

struct walk {
    struct slice pattern;
    struct slice text;
    size_t at_pattern;
    size_t at_text;
    struct mark star; /* '*' */
    struct mark deep; /* a star that crosses '/' */
};

static bool is_deep_star(struct slice pattern, size_t at)
{
    if (at + 1 < pattern.length)
        return pattern.data[at + 1] == '*';
    return at == 0 || pattern.data[at - 1] == '/';
}

static void enter_star(struct walk *walk)
{
    bool is_deep = is_deep_star(walk->pattern, walk->at_pattern);

    while (walk->at_pattern < walk->pattern.length && walk->pattern.data[walk->at_pattern] == '*')
        walk->at_pattern++;
    walk->star.is_set = false;
    *(is_deep ? &walk->deep : &walk->star) = (struct mark){true, walk->at_pattern, walk->at_text};
}

/* Let the last star take one more byte. */
static bool go_back(struct walk *walk)
{
    struct mark *mark = NULL;

    if (walk->star.is_set && walk->star.text < walk->text.length &&
        walk->text.data[walk->star.text] != '/')
        mark = &walk->star;
    else if (walk->deep.is_set && walk->deep.text < walk->text.length)
        mark = &walk->deep;
    if (!mark)
        return false;
    if (mark == &walk->deep)
        walk->star.is_set = false;
    mark->text++;
    walk->at_pattern = mark->pattern;
    walk->at_text = mark->text;
    return true;
}

static bool step(struct walk *walk)
{
    char expected;
    char found;

    if (walk->at_pattern == walk->pattern.length || walk->at_text == walk->text.length)
        return false;
    expected = walk->pattern.data[walk->at_pattern];
    found = walk->text.data[walk->at_text];
    if (expected == '?' ? found == '/' : expected != found)
        return false;
    walk->at_pattern++;
    walk->at_text++;
    return true;
}

bool text_matches(struct slice pattern, struct slice text)
{
    struct walk walk = {.pattern = pattern, .text = text};

    for (;;) {
        if (walk.at_pattern < pattern.length && pattern.data[walk.at_pattern] == '*') {
            enter_star(&walk);
            continue;
        }
        if (walk.at_pattern == pattern.length && walk.at_text == text.length)
            return true;
        if (!step(&walk) && !go_back(&walk))
            return false;
    }
}

static unsigned smaller(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

unsigned text_distance(struct slice a, struct slice b)
{
    unsigned row[WORD_MAX + 1];

    if (a.length > WORD_MAX || b.length > WORD_MAX)
        return slice_equal(a, b) ? 0 : DISTANCE_MAX;
    for (unsigned i = 0; i <= b.length; i++)
        row[i] = i;
    for (unsigned i = 0; i < a.length; i++) {
        unsigned diagonal = row[0];

        row[0] = i + 1;
        for (unsigned j = 0; j < b.length; j++) {
            unsigned changed = diagonal + (a.data[i] != b.data[j]);

            diagonal = row[j + 1];
            row[j + 1] = smaller(changed, smaller(row[j], row[j + 1]) + 1);
        }
    }
    return smaller(row[b.length], DISTANCE_MAX);
}
