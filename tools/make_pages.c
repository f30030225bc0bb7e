// make_pages - the manual page and the shells' completions, out of what `gvhmr --help` and `gvhmr COMMAND --help` say.
//
//     make_pages GVHMR man|bash|zsh|fish FILE
#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_COMMANDS = 40, MAX_LINES = 200, MAX_OPTIONS = 100, MAX_TEXT = 1 << 15 };

typedef struct option { // "  -o, --output FILE   the video": o, output, FILE, the video
    char letter;        // 0: none
    const char *name;   // "": none
    const char *value;  // "": none, or not shown
    char text[512];
} option;

typedef struct command {
    char name[32], about[160];
    char help[MAX_TEXT]; // its lines, each ended by 0
    char *line[MAX_LINES];
    int lines;
    option option[MAX_OPTIONS];
    int options;
    int option_at[MAX_LINES]; // per line: 1 + the option it belongs to, or 0
} command;

static command commands[MAX_COMMANDS];
static int count;

static void die(const char *what, const char *which) {
    fprintf(stderr, "make_pages: %s: %s\n", what, which);
    exit(1);
}

static void read_output(char *text, const char *program, const char *arguments) {
    char line[4096];
    snprintf(line, sizeof line, "'%s' %s --help", program, arguments);
    FILE *f = popen(line, "r");
    if (!f) die("cannot run", line);
    size_t n = fread(text, 1, MAX_TEXT - 1, f);
    text[n] = 0;
    if (pclose(f) != 0 || n == MAX_TEXT - 1) die("failed, or too long an answer", line);
}

// ---- reading

static void append(char *text, size_t size, const char *more) {
    size_t n = strlen(text);
    snprintf(text + n, size - n, "%s%s", n ? " " : "", more);
}

// Cuts the line up: after the names, one space and a word is the value; the rest is the text.
static void read_option(option *o, char *p) {
    *o = (option){.name = "", .value = ""};
    if (p[0] == '-' && p[1] != '-') {
        o->letter = p[1];
        p += 2;
        while (*p == ',' || (*p == ' ' && p[1] == '-')) p++;
    }
    if (p[0] == '-') {
        o->name = p += 2;
        while (*p && *p != ' ') p++;
    }
    if (p[0] == ' ' && p[1] != ' ' && p[1]) {
        *p++ = 0;
        o->value = p;
        while (*p && *p != ' ') p++;
    }
    if (*p) *p++ = 0;
    while (*p == ' ') p++;
    append(o->text, sizeof o->text, p);
}

static void read_command(command *c, const char *program) {
    static char copy[MAX_COMMANDS][MAX_TEXT]; // options are cut out of this one
    read_output(c->help, program, c->name);
    char *mine = copy[c - commands];
    memcpy(mine, c->help, MAX_TEXT);
    option *last = NULL;
    for (char *p = c->help, *end; *p; p = end + 1) {
        if (!(end = strchr(p, '\n'))) die("a line without end", c->name);
        *end = 0;
        char *q = mine + (p - c->help);
        q[end - p] = 0;
        size_t indent = strspn(q, " ");
        if (c->lines == MAX_LINES || c->options == MAX_OPTIONS) die("too many lines", c->name);
        if (indent >= 2 && q[indent] == '-') {
            last = &c->option[c->options++];
            read_option(last, q + indent);
        } else if (last && indent > 8) {
            append(last->text, sizeof last->text, q + indent);
        } else {
            last = NULL;
        }
        c->option_at[c->lines] = last ? c->options : 0;
        c->line[c->lines++] = p;
    }
}

// The list of `gvhmr --help`: two spaces, a name, spaces, what it does.
static void read_all(const char *program) {
    static char text[MAX_TEXT];
    read_output(text, program, "");
    for (char *p = strtok(text, "\n"); p; p = strtok(NULL, "\n")) {
        if (strncmp(p, "  ", 2) != 0 || !islower((unsigned char)p[2])) continue;
        if (count == MAX_COMMANDS) die("too many commands", p);
        command *c = &commands[count++];
        if (sscanf(p, "%31s %159[^\n]", c->name, c->about) != 2) die("not a command", p);
    }
    for (int i = 0; i < count; i++) read_command(&commands[i], program);
    if (count == 0) die("no commands", program);
}

// ---- the manual

static void roff(FILE *f, const char *text) {
    if (*text == '.' || *text == '\'') fputs("\\&", f);
    for (; *text; text++) {
        if (*text == '\\')
            fputs("\\e", f);
        else if (*text == '-')
            fputs("\\-", f);
        else
            fputc(*text, f);
    }
}

static void roff_option(FILE *f, const option *o) {
    fputs(".TP\n\\fB", f);
    if (o->letter) fprintf(f, "\\-%c", o->letter);
    if (o->letter && *o->name) fputs("\\fR, \\fB", f);
    if (*o->name) fputs("\\-\\-", f), roff(f, o->name);
    fputs("\\fR", f);
    if (*o->value) fputs(" \\fI", f), roff(f, o->value), fputs("\\fR", f);
    fputs("\n", f);
    roff(f, o->text);
    fputs("\n", f);
}

// Lines as they stand, those of an option as a tagged paragraph.
static void roff_command(FILE *f, const command *c) {
    bool open = false;
    fprintf(f, ".SS gvhmr %s\n", c->name);
    for (int i = 0; i < c->lines; i++) {
        bool is_option = c->option_at[i] > 0;
        if (is_option && i > 0 && c->option_at[i] == c->option_at[i - 1]) continue;
        if (open == is_option) fputs(open ? ".fi\n" : i ? ".PP\n.nf\n" : ".nf\n", f), open = !open;
        if (is_option)
            roff_option(f, &c->option[c->option_at[i] - 1]);
        else
            roff(f, c->line[i]), fputs("\n", f);
    }
    if (open) fputs(".fi\n", f);
}

static void write_man(FILE *f) {
    fputs(".TH GVHMR 1 \"\" \"gvhmr " GVHMR_VERSION "\" \"User Commands\"\n.SH NAME\n"
          "gvhmr \\- world\\-grounded human motion from one ordinary video\n.SH SYNOPSIS\n"
          ".B gvhmr\n.I COMMAND\n[\\fIoptions\\fR]\n.SH DESCRIPTION\n"
          "For every person in a video: the SMPL\\-X pose and shape, the place in front of the camera, and the way "
          "through a world that is aligned with gravity. On a processor alone.\n",
          f);
    for (int i = 0; i < count; i++) {
        fprintf(f, ".TP\n\\fBgvhmr %s\\fR\n", commands[i].name);
        roff(f, commands[i].about);
        fputs("\n", f);
    }
    fputs(".SH COMMANDS\n", f);
    for (int i = 0; i < count; i++) roff_command(f, &commands[i]);
    fputs(".SH EXIT STATUS\n0: done; 1: failed, with one line that says why; 2: a wrong command line.\n"
          ".SH ENVIRONMENT\n.TP\n\\fBGVHMR_DATA\\fR\na folder with models, looked at before those that came with the "
          "program\n.TP\n\\fBOMP_NUM_THREADS\\fR\nprocessor threads where \\fB\\-\\-threads\\fR is not given\n",
          f);
}

// ---- completions

static bool is_file(const option *o) {
    return *o->value && !strchr(o->value, '|') &&
           (strstr(o->value, "FILE") || strstr(o->value, "DIR") || strstr(o->value, "VIDEO") || strchr(o->value, '.'));
}

// Words without anything that a shell would take for its own; `also` is dropped, too.
static void plain(FILE *f, const char *text, const char *also) {
    for (; *text; text++)
        if (!strchr("'\"`$\\", *text) && !strchr(also, *text)) fputc(*text, f);
}

static void words(FILE *f, const char *text) { // a|b|c
    for (; *text; text++) fputc(*text == '|' ? ' ' : *text, f);
}

static void write_bash(FILE *f) {
    fputs("# bash completion for gvhmr\n_gvhmr() {\n    local cur=${COMP_WORDS[COMP_CWORD]} options=\n"
          "    if [ \"$COMP_CWORD\" -eq 1 ]; then\n        COMPREPLY=($(compgen -W '",
          f);
    for (int i = 0; i < count; i++) fprintf(f, "%s ", commands[i].name);
    fputs("--help --version' -- \"$cur\"))\n        return\n    fi\n"
          "    case ${COMP_WORDS[1]}:${COMP_WORDS[COMP_CWORD-1]} in\n",
          f);
    for (int i = 0; i < count; i++)
        for (int k = 0; k < commands[i].options; k++) {
            const option *o = &commands[i].option[k];
            if (!strchr(o->value, '|')) continue;
            fprintf(f, "    %s:--%s) COMPREPLY=($(compgen -W '", commands[i].name, o->name);
            words(f, o->value);
            fputs("' -- \"$cur\")); return ;;\n", f);
        }
    fputs("    esac\n    case ${COMP_WORDS[1]} in\n", f);
    for (int i = 0; i < count; i++) {
        fprintf(f, "    %s) options='", commands[i].name);
        for (int k = 0; k < commands[i].options; k++) {
            const option *o = &commands[i].option[k];
            if (*o->name) fprintf(f, "--%s ", o->name);
        }
        fputs("--help' ;;\n", f);
    }
    fputs("    esac\n    case $cur in\n    -*) COMPREPLY=($(compgen -W \"$options\" -- \"$cur\")) ;;\n"
          "    *) COMPREPLY=() ;; # files, by -o default\n    esac\n}\n"
          "complete -o default -o filenames -F _gvhmr gvhmr\n",
          f);
}

static void zsh_option(FILE *f, const option *o) {
    fputs("        '", f);
    if (*o->name)
        fprintf(f, "--%s", o->name);
    else
        fprintf(f, "-%c", o->letter);
    fputs("[", f);
    plain(f, o->text, "[]:");
    fputs("]", f);
    if (strchr(o->value, '|'))
        fprintf(f, ":%s:(", "value"), words(f, o->value), fputs(")", f);
    else if (*o->value)
        fprintf(f, ":%s:%s", o->value, is_file(o) ? "_files" : "");
    fputs("' \\\n", f);
}

static void write_zsh(FILE *f) {
    fputs("#compdef gvhmr\n_gvhmr() {\n    local -a commands=(\n", f);
    for (int i = 0; i < count; i++) {
        fprintf(f, "        '%s:", commands[i].name);
        plain(f, commands[i].about, ":");
        fputs("'\n", f);
    }
    fputs("    )\n    if (( CURRENT == 2 )); then\n        _describe command commands\n        return\n    fi\n"
          "    local command=$words[2]\n    shift words\n    (( CURRENT-- ))\n    case $command in\n",
          f);
    for (int i = 0; i < count; i++) {
        fprintf(f, "    %s) _arguments \\\n", commands[i].name);
        for (int k = 0; k < commands[i].options; k++) zsh_option(f, &commands[i].option[k]);
        fputs("        '--help[all options]' '*:file:_files' ;;\n", f);
    }
    fputs("    esac\n}\n_gvhmr \"$@\"\n", f);
}

static void write_fish(FILE *f) {
    fputs("# fish completion for gvhmr\n", f);
    for (int i = 0; i < count; i++) {
        const command *c = &commands[i];
        fprintf(f, "complete -c gvhmr -n __fish_use_subcommand -f -a %s -d '", c->name);
        plain(f, c->about, "");
        fputs("'\n", f);
        for (int k = 0; k < c->options; k++) {
            const option *o = &c->option[k];
            fprintf(f, "complete -c gvhmr -n '__fish_seen_subcommand_from %s'", c->name);
            if (o->letter) fprintf(f, " -s %c", o->letter);
            if (*o->name) fprintf(f, " -l %s", o->name);
            if (strchr(o->value, '|'))
                fputs(" -x -a '", f), words(f, o->value), fputs("'", f);
            else if (*o->value)
                fputs(is_file(o) ? " -r -F" : " -x", f);
            fputs(" -d '", f);
            plain(f, o->text, "");
            fputs("'\n", f);
        }
    }
}

int main(int argc, char **argv) {
    static const struct {
        const char *kind;
        void (*write)(FILE *);
    } kinds[] = {{"man", write_man}, {"bash", write_bash}, {"zsh", write_zsh}, {"fish", write_fish}};
    if (argc != 4) die("expected", "GVHMR man|bash|zsh|fish FILE");
    read_all(argv[1]);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (strcmp(kinds[i].kind, argv[2]) != 0) continue;
        FILE *f = fopen(argv[3], "w");
        if (!f) die("cannot write", argv[3]);
        kinds[i].write(f);
        if (ferror(f) || fclose(f) != 0) die("cannot write", argv[3]);
        return 0;
    }
    die("unknown kind", argv[2]);
}
