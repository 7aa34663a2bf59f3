/* SPDX-License-Identifier: Apache-2.0 */
#include "cmocka_first.h"

#include <string.h>

#include "base/hash.h"
#include "base/text.h"

static void assert_hash(enum hash_algorithm algorithm, const char *text, const char *expected)
{
    struct hash hash;
    uint8_t out[HASH_SIZE_MAX];
    char hex[2 * HASH_SIZE_MAX + 1];

    hash_init(&hash, algorithm);
    hash_update(&hash, text, strlen(text));
    hash_final(&hash, out);
    text_print_hex(out, hash_size(algorithm), hex);
    assert_string_equal(hex, expected);
}

static void hashes_match_the_published_vectors(void **state)
{
    (void)state;
    assert_hash(HASH_SHA256, "",
                "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    assert_hash(HASH_SHA256, "abc",
                "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_hash(HASH_SHA512, "abc",
                "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
                "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f");
}

static void copied_state_carries_on_where_it_was(void **state)
{
    const enum hash_algorithm algorithms[] = {HASH_SHA256, HASH_SHA512};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct hash first;
        struct hash second;
        uint8_t whole[HASH_SIZE_MAX];
        uint8_t carried[HASH_SIZE_MAX];
        char text[300];

        memset(text, 'x', sizeof(text));
        hash_init(&first, algorithms[i]);
        hash_update(&first, text, 131);
        memcpy(&second, &first, sizeof(second));
        hash_update(&first, text + 131, sizeof(text) - 131);
        hash_final(&first, whole);
        hash_update(&second, text + 131, 69);
        hash_update(&second, NULL, 0);
        hash_update(&second, text + 200, sizeof(text) - 200);
        hash_final(&second, carried);
        assert_memory_equal(whole, carried, hash_size(algorithms[i]));
    }
}

static void length_of_what_was_hashed_is_known(void **state)
{
    (void)state;
    const enum hash_algorithm algorithms[] = {HASH_SHA256, HASH_SHA512};
    for (unsigned i = 0; i < 2; i++) {
        struct hash hash;

        hash_init(&hash, algorithms[i]);
        for (uint64_t length = 0; length <= 300; length++) {
            assert_true(hash_has_seen(&hash, algorithms[i], length));
            assert_false(hash_has_seen(&hash, algorithms[i], length + 1));
            assert_false(hash_has_seen(&hash, algorithms[i], length + 128));
            assert_false(hash_has_seen(&hash, algorithms[1 - i], length));
            hash_update(&hash, "", 1);
        }
        assert_false(hash_has_seen(&hash, algorithms[i], UINT64_MAX));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hashes_match_the_published_vectors),
        cmocka_unit_test(copied_state_carries_on_where_it_was),
        cmocka_unit_test(length_of_what_was_hashed_is_known),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
