#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Feed each checker something good and something bad: a lint that cannot fail is worth nothing."""
import pathlib
import subprocess
import sys
import tempfile
import unittest

sys.path[:0] = [str(pathlib.Path(__file__).parent), str(pathlib.Path(__file__).parent.parent)]
sys.dont_write_bytecode = True

# pylint: disable=wrong-import-position
import check_dialect
import check_docs
import check_duplicates
import check_format
import check_names
import check_paths
import check_sizes
import check_tiers
import check_words
from support import runner, waiting

HEAD = "/* SPDX-License-Identifier: Apache-2.0 */\n/* What it is. */\n"


class LintTest(unittest.TestCase):
    """A tree of its own for each test."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name).resolve()

    def write(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def assert_finds(self, check, *parts):
        """One problem, which contains all of the parts."""
        found = check(self.root)
        self.assertEqual(len(found), 1, found)
        for part in parts:
            self.assertIn(part, found[0])

    def assert_clean(self, check):
        self.assertEqual(check(self.root), [])


class Dialect(LintTest):
    """Each pair: how it is written elsewhere, and what --fix makes of it."""

    PAIRS = (
        ("void f(int *p)\n{\n    if (p == NULL)\n        g();\n}\n", "void f(int *p)\n{\n    if (!p)\n        g();\n}\n"),
        ("int f(int **p)\n{\n    return *p != NULL && a->b[1].c(2) == NULL;\n}\n",
         "int f(int **p)\n{\n    return *p && !a->b[1].c(2);\n}\n"),
        ("void f(void)\n{\n    g(sizeof *a->b, sizeof x - 1);\n}\n", "void f(void)\n{\n    g(sizeof(*a->b), sizeof(x) - 1);\n}\n"),
        ("int f(void)\n{\n    int result = g(&a->result);\n\n    return result;\n}\n",
         "int f(void)\n{\n    int rc = g(&a->result);\n\n    return rc;\n}\n"),
        ("void f(void)\n{\n    struct a b = {\n        .c = 1,\n    };\n    g(b);\n}\n",
         "void f(void)\n{\n    struct a b = {\n        .c = 1,\n    };\n\n    g(b);\n}\n"),
        ("void f(void)\n{\n    if (a) {\n        g();\n    } else {\n        h();\n    }\n}\n",
         "void f(void)\n{\n    if (a)\n        g();\n    else\n        h();\n}\n"),
        ("void f(void)\n{\n    if (a)\n        g();\n    else {\n        h();\n        i();\n    }\n}\n",
         "void f(void)\n{\n    if (a) {\n        g();\n    } else {\n        h();\n        i();\n    }\n}\n"),
        ("void f(void)\n{\n    while (a)\n        if (b)\n            g();\n}\n",
         "void f(void)\n{\n    while (a) {\n        if (b)\n            g();\n    }\n}\n"),
    )

    def test_finds_and_mends(self):
        for other, ours in self.PAIRS:
            with self.subTest(other):
                self.assertTrue(check_dialect.problems(other))
                self.assertEqual(check_dialect.fix_text(other), ours)
                self.assertEqual(check_dialect.problems(ours), [])

    def test_a_loop_is_no_declaration(self):
        text = ("void f(void)\n{\n    LIST_EACH (link, calls) {\n        int a = 1;\n\n        g(link, a);\n    }\n}\n\n"
                "void h(void)\n{\n    g(a);\n    g(b);\n}\n")
        self.assertEqual(check_dialect.problems(text), [])

    def test_leaves_what_needs_its_braces(self):
        for text in (
                "void f(void)\n{\n    if (a) { /* why */\n        g();\n    }\n}\n",
                "void f(void)\n{\n    if (a) {\n        /* why */\n        g();\n    }\n}\n",
                "void f(void)\n{\n    if (a) {\n        g(1,\n          2);\n    }\n}\n",
                "#define A(x) \\\n    if (x) { \\\n        g(); \\\n    }\n",
                "/* p == NULL */\nvoid f(void)\n{\n    g(\"== NULL\");\n}\n"):
            with self.subTest(text):
                self.assertEqual(check_dialect.problems(text), [])


class Sizes(LintTest):
    def setUp(self):
        waiting.need_program("ctags")
        super().setUp()

    def function(self, lines, parameters="void"):
        return f"int big({parameters})\n{{\n" + "    work();\n" * (lines - 3) + "}\n"

    def test_lines_of_a_function(self):
        self.write("src/base/a.c", self.function(80))
        self.assert_clean(check_sizes.check)
        self.write("src/base/a.c", self.function(81))
        self.assert_finds(check_sizes.check, "src/base/a.c:big", "81 function lines")

    def test_lines_of_a_file(self):
        self.write("src/base/a.c", "\n" * 801)
        self.assert_finds(check_sizes.check, "801 file lines")

    def test_parameters(self):
        self.write("src/base/a.c", self.function(5, "int a, int (*b)(int, int), int c, int d, int e, int f"))
        self.assert_clean(check_sizes.check)
        self.write("src/base/a.c", self.function(5, "int a, int b, int c, int d, int e, int f, int g"))
        self.assert_finds(check_sizes.check, "7 parameters")

    def test_fields(self):
        self.write("include/base/a.h", "struct wide {\n" + "".join(f"    int f{i};\n" for i in range(31)) + "};\n")
        self.assert_finds(check_sizes.check, "wide", "31 struct fields")

    def test_exceptions_need_a_reason_and_a_use(self):
        self.write("src/base/a.c", self.function(81))
        self.write("tests/lint/size_exceptions.txt", "src/base/a.c:big # a table\n")
        self.assert_clean(check_sizes.check)
        self.write("tests/lint/size_exceptions.txt", "src/base/a.c:big\n")
        self.assert_finds(check_sizes.check, "no reason")
        self.write("tests/lint/size_exceptions.txt", "src/base/a.c:big # a table\nsrc/base/b.c # gone\n")
        self.assert_finds(check_sizes.check, "not there any more")


class Tiers(LintTest):
    def test_lower_parts_are_allowed(self):
        self.write("src/worker/b.h", "")
        self.write("src/worker/a.c", '#include "worker/a.h"\n#include "base/buf.h"\n'
                                     '#include "b.h"\n#include <stdio.h>\n')
        self.write("src/main.c", '#include "worker/worker.h"\n#include "config/config.h"\n')
        self.assert_clean(check_tiers.check)

    def test_upper_parts_are_not(self):
        self.write("src/base/a.c", '\n#include "oci/digest.h"\n')
        self.assert_finds(check_tiers.check, "src/base/a.c:2", "base/ may not use oci/")

    def test_roles_do_not_meet(self):
        self.write("include/worker/a.h", '#include "keeper/keeper.h"\n')
        self.assert_finds(check_tiers.check, "worker/ may not use keeper/")

    def test_private_headers_of_others(self):
        self.write("src/store/layout.h", "")
        self.write("src/net/a.c", '#include "layout.h"\n')
        self.assert_finds(check_tiers.check, "not beside it")

    def test_relative_paths(self):
        self.write("src/net/a.c", '#include "../store/layout.h"\n')
        self.assert_finds(check_tiers.check, "relative path")

    def test_ledger_is_read_with_a_permit(self):
        self.write("src/rules/a.c", "int a = blob_find(txn);\n")
        self.write("src/keeper/a.c", "int a = blob_find(txn);\n")
        self.write("src/worker/a.c", "/* blob_find() */\nint a = visible_blob(txn);\n")
        self.assert_clean(check_tiers.check)
        self.write("src/worker/b.c", "\nint a = manifest_find_in(txn);\n")
        self.assert_finds(check_tiers.check, "src/worker/b.c:2", "manifest_find_in() reads the ledger without a permit")

    def test_unknown_parts(self):
        self.write("src/util/a.c", "")
        self.assert_finds(check_tiers.check, "not in the table")

    def test_doors(self):
        self.write("src/base/jsonio.c", "#include <jansson.h>\n")
        self.write("src/store/ledger_table.c", "#include <lmdb.h>\n")
        self.assert_clean(check_tiers.check)
        self.write("src/net/http_conn.c", "#include <event2/event.h>\n")
        self.assert_finds(check_tiers.check, "only src/net/loop.c may include <event2/event.h>")


class Words(LintTest):
    def check_line(self, line, *parts):
        self.write("src/base/a.c", HEAD + "static void f(void)\n{\n    " + line + "\n}\n")
        if parts:
            self.assert_finds(check_words.check, "src/base/a.c:5", *parts)
        else:
            self.assert_clean(check_words.check)

    def test_banned_functions(self):
        self.check_line("strcpy(a, b);", "strcpy is banned")
        self.check_line("n = atoi (a);", "atoi is banned")
        self.check_line("p = malloc(8);", "malloc is banned outside src/base/alloc.c")
        self.check_line("n = strtoull(a, 0, 10);", "outside src/base/text.c")

    def test_names_that_only_look_banned(self):
        self.check_line('map_free(&map); pool->free(x); say("malloc(1) strcpy(2)"); /* free(it) */')

    def test_allowed_file(self):
        self.write("src/base/alloc.c", HEAD + "void f(void *p)\n{\n    free(p);\n}\n")
        self.assert_clean(check_words.check)

    def test_line_comments(self):
        self.check_line("x = 1; // one", "// comment")
        self.check_line('url = "http://x"; /* http://y */ c = \'"\'; d = "//";')

    def test_unfinished_work(self):
        self.check_line("/* TODO: later */", "TODO without an issue")
        self.check_line("/* TODO(#12): later */")

    def test_state_is_set_in_one_place(self):
        self.check_line("flight->state = 1;", "_set_state")
        self.check_line("if (flight->state == 1) flight->started = 1;")
        self.write("src/base/a.c", HEAD + "static void flight_set_state(struct flight *flight,\n"
                                          "                             int next)\n{\n    flight->state = next;\n}\n")
        self.assert_clean(check_words.check)

    def test_first_lines(self):
        self.write("src/base/a.c", "/* What it is. */\nint x;\n")
        self.assert_finds(check_words.check, "no SPDX line")
        self.write("src/base/a.c", "/* SPDX-License-Identifier: Apache-2.0 */\n\nint x;\n")
        self.assert_finds(check_words.check, "says what it is")


class Docs(LintTest):
    def check_header(self, body, *missing):
        guard = "#ifndef BASE_THING_H\n#define BASE_THING_H\n\n"
        self.write("include/base/thing.h", HEAD + guard + body + "\n#endif\n")
        found = check_docs.check(self.root)
        self.assertEqual([line.split(": ")[1].split()[0] for line in found], list(missing), found)
        return found

    def test_comment_above(self):
        self.check_header("/* One. */\nint one(void);\n")

    def test_comment_on_the_line(self):
        self.check_header("int one(void); /* One. */\nint two(void);\n", "two")

    def test_comment_covers_its_group_only(self):
        self.check_header("/* Both. */\nint one(void);\nint two(void);\n\nint three(void);\n", "three")

    def test_comment_in_the_middle_covers_one(self):
        self.check_header("int one(void);\n/* Two. */\nint two(void);\nint three(void);\n", "one", "three")

    def test_structs_and_enums(self):
        self.check_header("struct other {\n    int a; /* a field */\n\n    int b;\n};\n\n"
                          "/* Said. */\nenum kind {\n    A,\n};\n", "other")
        self.check_header("struct other { /* Said. */\n    int a;\n};\n")

    def test_what_the_file_is_about(self):
        self.check_header("struct error;\nstruct other;\n\nstruct thing {\n    int a;\n};\n")

    def test_macros_are_not_declarations(self):
        self.check_header("#define X(a) \\\n    do_it(a); \\\n    again(a)\n\n/* One. */\n"
                          "int one(int a,\n        int b)\n    __attribute__((format(printf, 1, 2)));\n")

    def test_file_and_line_are_named(self):
        found = self.check_header("int one(void);\n", "one")
        self.assertTrue(found[0].startswith("include/base/thing.h:6: "), found)


class Duplicates(LintTest):
    def lines(self, first, count, indent="    "):
        return "".join(f"{indent}call_{i}(x);\n\n" for i in range(first, first + count))

    def test_ten_lines_in_two_files(self):
        self.write("src/base/a.c", "int a;\n" + self.lines(0, 10) + "int b;\n")
        self.write("src/net/b.c", "/* other */\n{\n" + self.lines(0, 10, "\t") + "}\n")
        self.assert_finds(check_duplicates.check, "src/base/a.c:2: 10 lines are the same as src/net/b.c:3")

    def test_longer_runs_are_reported_once(self):
        self.write("src/base/a.c", self.lines(0, 25))
        self.write("src/net/b.c", self.lines(0, 25))
        self.assert_finds(check_duplicates.check, "25 lines")

    def test_within_one_file(self):
        self.write("src/base/a.c", self.lines(0, 12) + "int b;\n" + self.lines(0, 12))
        self.assert_finds(check_duplicates.check, "12 lines")

    def test_nine_lines_and_includes_are_fine(self):
        includes = "".join(f"#include <a{i}.h>\n" for i in range(20))
        self.write("src/base/a.c", includes + self.lines(0, 9))
        self.write("src/net/b.c", includes + self.lines(0, 9))
        self.assert_clean(check_duplicates.check)


class Names(LintTest):
    def test_one_definition_and_any_number_of_uses(self):
        self.write("include/base/a.h", "struct line;\nstruct line {\n    int x;\n};\nstruct line *line_new(void);\n")
        self.write("src/base/a.c", "struct line *line_new(void)\n{\n    return (struct line *)0;\n}\n\n"
                                   "static int run(void)\n{\n    return 0;\n}\n")
        self.write("src/net/b.c", "static int run(void)\n{\n    struct line *line = line_new();\n    return !line;\n}\n")
        self.assert_clean(check_names.check)

    def test_a_tag_in_two_parts(self):
        self.write("src/base/a.c", "struct line {\n    int x;\n};\n")
        self.write("src/net/b.c", "/* struct line { */\n\nstruct line {\n    int x;\n};\n")
        self.assert_finds(check_names.check, "src/base/a.c:1", "struct line", "in base and net", "src/net/b.c:3")

    def test_a_tag_of_two_kinds(self):
        self.write("include/ipc/a.h", "enum state {\n    A,\n};\n")
        self.write("src/ipc/b.h", "union\n    state {\n    int x;\n};\n")
        self.assert_finds(check_names.check, "enum state", "twice in ipc")

    def test_a_tag_in_two_files_of_a_part(self):
        self.write("src/worker/a.c", "struct entry { int x; };\n")
        self.write("src/worker/b.c", "struct entry { int y; };\n")
        self.assert_finds(check_names.check, "struct entry", "twice in worker")

    def test_external_functions(self):
        self.write("src/worker/a.c", "void request_end(struct request *request,\n                 int why)\n{\n}\n")
        self.write("src/keeper/b.c", "int request_end(void)\n{\n    return 0;\n}\n")
        self.assert_finds(check_names.check, "function request_end", "in keeper and worker")

    def test_static_and_inline_functions_have_names_of_their_own(self):
        self.write("src/worker/a.c", "static void on_done(void)\n{\n}\n")
        self.write("src/keeper/b.c", "static void on_done(void)\n{\n}\n")
        self.write("include/net/c.h", "static inline void on_done(void)\n{\n}\n")
        self.assert_clean(check_names.check)

    def test_macros_are_no_definitions(self):
        macro = "#define MAKE(name) \\\n    struct message { \\\n        int x; \\\n    };\n"
        self.write("src/worker/a.c", macro)
        self.write("src/keeper/b.c", macro)
        self.assert_clean(check_names.check)

    def test_exceptions_need_a_reason_and_a_use(self):
        self.write("src/worker/a.c", "struct entry { int x; };\n")
        self.write("src/worker/b.c", "struct entry { int y; };\n")
        self.write("tests/lint/name_exceptions.txt", "# what may be\nentry # about to be renamed\n")
        self.assert_clean(check_names.check)
        self.write("tests/lint/name_exceptions.txt", "entry\n")
        self.assert_finds(check_names.check, "no reason for entry")
        self.write("tests/lint/name_exceptions.txt", "entry # a\nother # b\n")
        self.assert_finds(check_names.check, "other is not defined twice any more")


class Paths(LintTest):
    def test_folders_of_a_machine(self):
        self.write("docs/a.md", "built in " + "/" + "work/main\n")
        self.assert_finds(check_paths.check, "docs/a.md:1")
        self.write("docs/a.md", "see https://example.com/work/main and ${HOME}/root/x, $DIR/work/, a/home/b/\n")
        self.assert_clean(check_paths.check)

    def test_only_tracked_files(self):
        waiting.need_program("git")
        subprocess.run(["git", "init", "-q", str(self.root)], check=True)
        self.write("a.txt", "/" + "root/x\n")
        self.assert_clean(check_paths.check)
        subprocess.run(["git", "-C", str(self.root), "add", "a.txt"], check=True)
        self.assert_finds(check_paths.check, "a.txt:1")


class Format(LintTest):
    def setUp(self):
        waiting.need_program(check_format.PROGRAM)
        super().setUp()

    def test_unformatted_code(self):
        self.write(".clang-format", "BasedOnStyle: LLVM\n")
        self.write("src/base/a.c", "int x;\n")
        self.assert_clean(check_format.check)
        self.write("src/base/a.c", "int   x;\n")
        self.assert_finds(check_format.check, "a.c:1")


if __name__ == "__main__":
    sys.exit(runner.main([pathlib.Path(__file__).stem]))
