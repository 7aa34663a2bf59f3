/* SPDX-License-Identifier: Apache-2.0 */
/* Completions for shells, and manual pages, from the table of commands. Nothing that they print
 * depends on the machine or the day, so that the copies under packaging/ can be compared. */
#include <string.h>

#include "commands.h"
#include "help.h"

/* Of commands whose options are in their text. */
#define SERVE_OPTIONS "--config --listen --admin --data --user --workers --set --help"

static bool is_server(const struct command *command)
{
    return strcmp(command->name, "serve") == 0 || strcmp(command->name, "check") == 0;
}

/* ---- bash ---- */

static void print_options(const struct command *command, FILE *out)
{
    if (is_server(command)) {
        (void)fprintf(out, "%s", SERVE_OPTIONS);
        return;
    }
    const char *separator = "";
    for (const struct option_row *option = option_rows(); option->name; option++) {
        if ((command->options & option->bit) == 0)
            continue;
        (void)fprintf(out, "%s--%s", separator, option->name);
        separator = " ";
    }
}

static void print_names(const char *separator, FILE *out)
{
    for (const struct command *command = command_rows(); command->name; command++)
        (void)fprintf(out, "%s%s", command == command_rows() ? "" : separator, command->name);
}

static void print_bash(FILE *out)
{
    (void)fprintf(out,
                  "# Completion of entrepot for bash. Made by entrepot help completion bash.\n"
                  "_entrepot()\n{\n"
                  "    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}\n"
                  "    if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
                  "        mapfile -t COMPREPLY < <(compgen -W '");
    print_names(" ", out);
    (void)fprintf(out,
                  " --version --help' -- \"$word\")\n"
                  "        return\n    fi\n"
                  "    case $before in\n"
                  "    --output | -o) mapfile -t COMPREPLY < <(compgen -W 'table json' -- "
                  "\"$word\"); return ;;\n"
                  "    --by) mapfile -t COMPREPLY < <(compgen -W 'upstream repository next' -- "
                  "\"$word\"); return ;;\n"
                  "    --config | -c | --socket | --from | --data) mapfile -t COMPREPLY < "
                  "<(compgen -f -- \"$word\"); return ;;\n"
                  "    esac\n"
                  "    case ${COMP_WORDS[1]} in\n");
    for (const struct command *command = command_rows(); command->name; command++) {
        if (command->options == 0 && !is_server(command))
            continue;
        (void)fprintf(out, "    %s) mapfile -t COMPREPLY < <(compgen -W '", command->name);
        print_options(command, out);
        (void)fprintf(out, "' -- \"$word\") ;;\n");
    }
    (void)fprintf(out, "    help) mapfile -t COMPREPLY < <(compgen -W 'settings example completion "
                       "man ");
    print_names(" ", out);
    (void)fprintf(out, "' -- \"$word\") ;;\n    esac\n}\ncomplete -F _entrepot entrepot\n");
}

/* ---- zsh ---- */

static void print_quoted(const char *text, FILE *out)
{
    for (; *text != '\0'; text++) {
        if (*text == '\'')
            (void)fputs("'\\''", out);
        else if (*text == ':' || *text == '[' || *text == ']')
            (void)fprintf(out, "\\%c", *text);
        else
            (void)fputc(*text, out);
    }
}

static void print_zsh_options(const struct command *command, FILE *out)
{
    for (const struct option_row *option = option_rows(); option->name; option++) {
        if ((command->options & option->bit) == 0)
            continue;
        (void)fprintf(out, " \\\n            '--%s[", option->name);
        print_quoted(option->help, out);
        (void)fprintf(out, "]%s%s%s'", option->value ? ":" : "", option->value ? option->value : "",
                      !option->value                       ? ""
                      : option->bit == COMMAND_OUTPUT      ? ":(table json)"
                      : option->bit == COMMAND_BY          ? ":(upstream repository next)"
                      : strcmp(option->value, "NAME") == 0 ? ": "
                                                           : ":_files");
    }
}

static void print_zsh(FILE *out)
{
    (void)fprintf(out, "#compdef entrepot\n"
                       "# Completion of entrepot for zsh. Made by entrepot help completion zsh.\n"
                       "_entrepot() {\n"
                       "    local -a commands=(\n");
    for (const struct command *command = command_rows(); command->name; command++) {
        (void)fprintf(out, "        '%s:", command->name);
        print_quoted(command->summary, out);
        (void)fprintf(out, "'\n");
    }
    (void)fprintf(out, "    )\n"
                       "    if (( CURRENT == 2 )); then\n"
                       "        _describe command commands\n        return\n    fi\n"
                       "    local name=$words[2]\n"
                       "    shift words\n    (( CURRENT-- ))\n"
                       "    case $name in\n");
    for (const struct command *command = command_rows(); command->name; command++) {
        if (command->options == 0)
            continue;
        (void)fprintf(out, "    %s) _arguments", command->name);
        print_zsh_options(command, out);
        (void)fprintf(out, " ;;\n");
    }
    (void)fprintf(out, "    serve | check) _values option %s ;;\n", SERVE_OPTIONS);
    (void)fprintf(out, "    help) _describe command commands ;;\n    esac\n}\n_entrepot \"$@\"\n");
}

/* ---- fish ---- */

static void print_fish_text(const char *text, FILE *out)
{
    for (; *text != '\0'; text++) {
        if (*text == '\'' || *text == '\\')
            (void)fputc('\\', out);
        (void)fputc(*text, out);
    }
}

static void print_fish(FILE *out)
{
    (void)fprintf(out, "# Completion of entrepot for fish. Made by entrepot help completion fish.\n"
                       "complete -c entrepot -f\n");
    for (const struct command *command = command_rows(); command->name; command++) {
        (void)fprintf(out, "complete -c entrepot -n __fish_use_subcommand -a %s -d '",
                      command->name);
        print_fish_text(command->summary, out);
        (void)fprintf(out, "'\n");
        for (const struct option_row *option = option_rows(); option->name; option++) {
            if ((command->options & option->bit) == 0)
                continue;
            (void)fprintf(out, "complete -c entrepot -n '__fish_seen_subcommand_from %s' -l %s",
                          command->name, option->name);
            if (option->letter)
                (void)fprintf(out, " -s %c", option->letter);
            if (option->value)
                (void)fprintf(out, " -r");
            if (option->value && strcmp(option->value, "FILE") == 0)
                (void)fprintf(out, " -F");
            (void)fprintf(out, " -d '");
            print_fish_text(option->help, out);
            (void)fprintf(out, "'\n");
        }
    }
}

bool completion_print(const char *shell, FILE *out)
{
    if (strcmp(shell, "bash") == 0)
        print_bash(out);
    else if (strcmp(shell, "zsh") == 0)
        print_zsh(out);
    else if (strcmp(shell, "fish") == 0)
        print_fish(out);
    else
        return false;
    return true;
}

/* ---- man(1) ---- */

static void print_roff(const char *text, FILE *out)
{
    bool is_line_start = true;

    for (; *text != '\0'; text++) {
        if (is_line_start && (*text == '.' || *text == '\''))
            (void)fputs("\\&", out);
        if (*text == '\\')
            (void)fputs("\\e", out);
        else if (*text == '-')
            (void)fputs("\\-", out);
        else
            (void)fputc(*text, out);
        is_line_start = *text == '\n';
    }
}

static void print_capitals(const char *text, FILE *out)
{
    for (; *text != '\0'; text++)
        (void)fputc(*text >= 'a' && *text <= 'z' ? *text - 'a' + 'A' : *text, out);
}

static void print_command_page(const struct command *command, FILE *out)
{
    (void)fprintf(out, ".TH ENTREPOT\\-");
    print_capitals(command->name, out);
    (void)fprintf(out,
                  " 1 \"\" Entrepot \"Entrepot Manual\"\n.SH NAME\nentrepot\\-%s \\- %s\n"
                  ".SH SYNOPSIS\n.B entrepot %s\n",
                  command->name, command->summary, command->name);
    if (command->options != 0)
        (void)fprintf(out, "[options]\n");
    print_roff(command->arguments, out);
    (void)fprintf(out, "%s.SH DESCRIPTION\n.nf\n", command->arguments[0] ? "\n" : "");
    print_roff(command->text, out);
    (void)fprintf(out, ".fi\n");
    if (command->options != 0)
        (void)fprintf(out, ".SH OPTIONS\n");
    for (const struct option_row *option = option_rows(); option->name; option++) {
        if ((command->options & option->bit) == 0)
            continue;
        (void)fprintf(out, ".TP\n.B ");
        if (option->letter)
            (void)fprintf(out, "\\-%c, ", option->letter);
        (void)fprintf(out, "\\-\\-");
        print_roff(option->name, out);
        (void)fprintf(out, "%s%s\n", option->value ? " " : "", option->value ? option->value : "");
        print_roff(option->help, out);
        (void)fputc('\n', out);
    }
    (void)fprintf(out, ".SH EXIT STATUS\n0 done, 1 failed, 2 usage\n"
                       ".SH SEE ALSO\n.BR entrepot (1)\n");
}

static void print_program_page(FILE *out)
{
    (void)fprintf(out, ".TH ENTREPOT 1 \"\" Entrepot \"Entrepot Manual\"\n.SH NAME\n"
                       "entrepot \\- a container image registry\n.SH SYNOPSIS\n"
                       ".B entrepot\nCOMMAND [options]\n.SH DESCRIPTION\n"
                       "A registry that stores what is pushed, and fetches missing images from\n"
                       "Docker Hub or other registries once.\n.SH COMMANDS\n");
    for (const struct command *command = command_rows(); command->name; command++)
        (void)fprintf(out, ".TP\n.BR entrepot\\-%s (1)\n%s\n", command->name, command->summary);
    (void)fprintf(out,
                  ".SH FILES\n.TP\n.I /etc/entrepot/entrepot.yaml\nthe configuration; entrepot "
                  "help settings explains it\n.TP\n.I /var/lib/entrepot\nwhat is stored\n");
}

void manual_print(const struct command *command, FILE *out)
{
    if (command)
        print_command_page(command, out);
    else
        print_program_page(out);
}
