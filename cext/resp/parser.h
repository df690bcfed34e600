/* resp/parser.h - bytes from a socket into commands, without copying them.
 *
 * Two ways in, same result. parse_whole() takes a multibulk command that lies complete in the buffer, keeps no state and gives up (0)
 * on anything unusual. parser_feed() takes everything: inline commands, commands in pieces, wrong input; it remembers in struct
 * parser how far it came, so that no byte is looked at twice however small the pieces are. Arguments point into the caller's buffer.
 *
 * Words of errors and limits are Redis' own. As there, the byte after a length's CR and the two bytes behind a bulk are not looked at.
 * Private memory only; nothing shared, no locks.
 */
#ifndef SHOAL_RESP_PARSER_H
#define SHOAL_RESP_PARSER_H

#include "base/base.h"

#define PARSE_LINE_MAX (64u << 10)     /* bytes of an inline command, or of a length that has no end */
#define PARSE_PAD 16u                  /* bytes behind the input that must be readable, whatever they hold */
#define PARSE_UNAUTH_ARGS 10
#define PARSE_UNAUTH_BULK (16 << 10)
#define PARSE_BIG_BULK (32u << 10)     /* an argument from which on room is made for all of it at once */

struct parse_limits {
    int64_t max_bulk;   /* proto-max-bulk-len */
    bool authenticated; /* false: the two limits above */
};

struct parser {          /* all zero = at the start of a command */
    struct slice *args;  /* malloc'ed; until PARSE_DONE `p` is an offset from the command's start, not a pointer */
    uint32_t argc, cap;
    int64_t left;        /* arguments still to come */
    int64_t bulk;        /* bytes of the next argument + 1; 0 = its length is still to be read */
    size_t at;           /* next byte to look at, from the command's start */
    uint8_t *text;       /* inline commands: the words without quotes; malloc'ed */
    char error[64];      /* PARSE_ERROR: the words behind "Protocol error: " */
};

enum parse_result {
    PARSE_MORE,   /* not complete: feed again, from the same start, with more behind it */
    PARSE_DONE,   /* args[0..argc) point into the buffer (or to `text`); *used bytes belong to it */
    PARSE_EMPTY,  /* *used bytes that are no command (an empty line, *0) */
    PARSE_ERROR   /* `error` says why; the connection cannot go on */
};

/* A whole multibulk command at p[0..n): returns the bytes it takes, 0 if parser_feed() must look. At most `cap` arguments. */
size_t parse_whole(const uint8_t *p, size_t n, int64_t max_bulk, struct slice *argv, uint32_t cap, uint32_t *argc);

/* p[0..n): all bytes from the command's start on. */
enum parse_result parser_feed(struct parser *s, const uint8_t *p, size_t n, const struct parse_limits *limits, size_t *used);

/* After PARSE_MORE: bytes from the command's start that the buffer should have room for, 0 = no opinion. */
size_t parser_room(const struct parser *s);

/* Ready for the next command; frees what it holds. */
void parser_reset(struct parser *s);

/* Splits a line into words as redis-cli and inline commands do: quotes, \n \r \t \b \a \xHH inside "", \' inside ''. Words are written to
 * `text` (n bytes suffice) and listed in args (n / 2 + 1 suffice); -1: unbalanced quotes. */
int64_t parse_words(const uint8_t *p, size_t n, uint8_t *text, struct slice *args);

#endif
