/* SPDX-License-Identifier: Apache-2.0 */
/* compile_parse.c: reads a policy file, strictly.
 *
 *   rule   = name [ cond { "&&" cond } ] [ "when" word { "&&" word } ] "#" reason
 *   cond   = arg [ "&" values ] ( "==" | ">=" | "<" ) values
 *   values = value { "|" value }
 *
 * The file is ours, so there is nobody to defend against but ourselves: a name that does not
 * exist, a condition that can never hold or adds nothing, and a line without a reason are
 * errors, because each is a rule that does not say what its author believes. */
#include "policy/compile.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

struct parser {
	struct policy *policy;
	const char *file;
	unsigned int line;
	const char *at;		/* rest of the line, up to the '#' */
	char token[48];
};

static bool fail(struct parser *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static bool fail(struct parser *s, const char *fmt, ...)
{
	char *error = s->policy->error;
	size_t size = sizeof(s->policy->error);
	int n = snprintf(error, size, "%s:%u: ", s->file, s->line);
	va_list ap;

	va_start(ap, fmt);
	if (n > 0 && (size_t)n < size)
		vsnprintf(error + n, size - (size_t)n, fmt, ap);
	va_end(ap);
	return false;
}

static bool is_word(char c)
{
	return isalnum((unsigned char)c) || c == '_';
}

/* Moves the next token into s->token; empty at the end of the rule. */
static bool next(struct parser *s)
{
	size_t n = 0;

	while (*s->at == ' ' || *s->at == '\t')
		s->at++;
	if (*s->at == '-' || is_word(*s->at)) {
		do {
			if (n + 1 == sizeof(s->token))
				return fail(s, "a word is too long");
			s->token[n++] = *s->at++;
		} while (is_word(*s->at));
	} else if (*s->at != '\0') {
		s->token[n++] = *s->at++;
		if (strchr("=>&", s->token[0]) && (*s->at == '=' || *s->at == '&'))
			s->token[n++] = *s->at++;
	}
	s->token[n] = '\0';
	return true;
}

static bool token_is(const struct parser *s, const char *what)
{
	return strcmp(s->token, what) == 0;
}

static bool parse_value(struct parser *s, uint64_t *out)
{
	char *end;

	if (s->token[0] == '\0')
		return fail(s, "a value is missing");
	if (policy_constant(s->token, out))
		return true;
	if (s->token[0] != '-' && !isdigit((unsigned char)s->token[0]))
		return fail(s, "unknown name '%s'", s->token);
	errno = 0;
	*out = s->token[0] == '-' ? (uint64_t)strtoll(s->token, &end, 0) :
				    strtoull(s->token, &end, 0);
	if (errno || *end != '\0' || end == s->token)
		return fail(s, "'%s' is not a number", s->token);
	return true;
}

/* "A | B | C"; the token behind it is current afterwards. */
static bool parse_values(struct parser *s, uint64_t *out)
{
	uint64_t value;

	*out = 0;
	do {
		if (!next(s) || !parse_value(s, &value))
			return false;
		*out |= value;
		if (!next(s))
			return false;
	} while (token_is(s, "|"));
	return true;
}

static bool check_cond(struct parser *s, const struct policy_rule *r,
		       const struct policy_cond *c, bool masked)
{
	if (masked && c->op != POLICY_EQ)
		return fail(s, "a mask goes with '=='");
	if (c->mask == 0)
		return fail(s, "a mask of 0 says nothing");
	if (c->op == POLICY_EQ && (c->value & ~c->mask))
		return fail(s, "can never hold: the value has bits outside the mask");
	if (c->op == POLICY_FROM && c->value >= POLICY_FD_END)
		return fail(s, "can never hold: descriptors end at %d", POLICY_FD_END - 1);
	for (unsigned int i = 0; i < r->nconds; i++) {
		if (r->cond[i].arg == c->arg)
			return fail(s, "argument %u is compared twice; use two lines, or one "
				    "mask", c->arg);
	}
	return true;
}

/* Spaces in a condition are the author's; its text for tables has single ones. */
static void keep_text(struct policy_cond *c, const char *from, const char *to)
{
	size_t n = 0;

	for (const char *p = from; p < to && n + 1 < sizeof(c->text); p++) {
		bool space = *p == ' ' || *p == '\t';

		if (!space)
			c->text[n++] = *p;
		else if (n && c->text[n - 1] != ' ')
			c->text[n++] = ' ';
	}
	while (n && c->text[n - 1] == ' ')
		n--;
	c->text[n] = '\0';
}

/* `len < 512`: no bit from the ninth on, which is one masked comparison. */
static bool limit_mask(struct parser *s, struct policy_cond *c, bool masked)
{
	if (masked)
		return fail(s, "a mask goes with '=='");
	if (c->value == 0 || (c->value & (c->value - 1)) != 0)
		return fail(s, "'<' takes a power of two");
	c->mask = ~(c->value - 1);
	c->value = 0;
	return true;
}

/* The argument's name is the current token; the token behind the condition is current
 * afterwards. */
static bool parse_cond(struct parser *s, struct policy_rule *r)
{
	struct policy_cond c = { .op = POLICY_EQ, .mask = UINT64_MAX };
	const char *from = s->at - strlen(s->token);
	int arg = policy_arg(r->name, s->token);
	bool is_fd = token_is(s, "fd") || token_is(s, "target"), masked, below;

	if (arg < 0)
		return fail(s, "%s has no argument '%s'", r->name, s->token);
	if (r->nconds == POLICY_CONDS)
		return fail(s, "more conditions than arguments");
	c.arg = (unsigned int)arg;
	if (!next(s))
		return false;
	masked = token_is(s, "&");
	if (masked && !parse_values(s, &c.mask))
		return false;
	below = token_is(s, "<");
	if (token_is(s, ">=")) {
		if (!is_fd)
			return fail(s, "'>=' is for 'fd' and 'target' only");
		c.op = POLICY_FROM;
	} else if (!token_is(s, "==") && !below) {
		return fail(s, "expected '==', '>=' or '<', not '%s'", s->token);
	}
	if (!parse_values(s, &c.value) || (below && !limit_mask(s, &c, masked)) ||
	    !check_cond(s, r, &c, masked))
		return false;
	keep_text(&c, from, s->at - strlen(s->token));
	r->cond[r->nconds++] = c;
	return true;
}

static bool same_cond(const struct policy_cond *a, const struct policy_cond *b)
{
	return a->arg == b->arg && a->op == b->op && a->mask == b->mask &&
	       a->value == b->value;
}

/* Does everything that satisfies @tight satisfy @coarse? */
static bool implies(const struct policy_cond *tight, const struct policy_cond *coarse)
{
	if (tight->arg != coarse->arg)
		return false;
	if (same_cond(tight, coarse))
		return true;
	if (coarse->op == POLICY_FROM && tight->op == POLICY_FROM)
		return tight->value >= coarse->value;
	if (coarse->op == POLICY_FROM)	/* between no free bit set and all of them */
		return tight->value >= coarse->value &&
		       (tight->value | ~tight->mask) < POLICY_FD_END;
	return tight->op == POLICY_EQ && (coarse->mask & ~tight->mask) == 0 &&
	       (tight->value & coarse->mask) == coarse->value;
}

static bool covers(const struct policy_rule *coarse, const struct policy_rule *tight)
{
	if (coarse->nr != tight->nr || (coarse->when & ~tight->when) != 0)
		return false;
	for (unsigned int i = 0; i < coarse->nconds; i++) {
		bool implied = false;

		for (unsigned int j = 0; j < tight->nconds; j++)
			implied |= implies(&tight->cond[j], &coarse->cond[i]);
		if (!implied)
			return false;
	}
	return true;
}

static bool append_rule(struct parser *s, const struct policy_rule *r)
{
	struct policy *p = s->policy;

	for (size_t i = 0; i < p->nrules; i++) {
		if (covers(&p->rule[i], r))
			return fail(s, "adds nothing to line %u", p->rule[i].line);
		if (covers(r, &p->rule[i]))
			return fail(s, "makes line %u pointless", p->rule[i].line);
	}
	if (p->nrules == POLICY_RULES)
		return fail(s, "more than %d rules", POLICY_RULES);
	p->rule[p->nrules++] = *r;
	p->when |= r->when;
	return true;
}

/* "when console && vsock": the first of them is current. */
static bool parse_when(struct parser *s, struct policy_rule *r)
{
	do {
		unsigned int word;

		if (!next(s))
			return false;
		word = policy_word(s->token);
		if (word == 0)
			return fail(s, "'%s' is not a word for configurations", s->token);
		if ((r->when & word) != 0)
			return fail(s, "'%s' is there twice", s->token);
		r->when |= word;
		if (!next(s))
			return false;
	} while (token_is(s, "&&"));
	return s->token[0] == '\0' || fail(s, "expected '&&' or '#', not '%s'", s->token);
}

static bool parse_rule(struct parser *s, const char *reason)
{
	struct policy_rule r = { .line = s->line };

	if (!next(s))
		return false;
	r.nr = policy_syscall(s->token);
	if (r.nr < 0)
		return fail(s, "no such system call: '%s'", s->token);
	if ((size_t)snprintf(r.name, sizeof(r.name), "%s", s->token) >= sizeof(r.name))
		return fail(s, "a word is too long");
	if (!next(s))
		return false;
	for (bool first = true; s->token[0] != '\0' && !token_is(s, "when"); first = false) {
		if (!first && !token_is(s, "&&"))
			return fail(s, "expected '&&' or '#', not '%s'", s->token);
		if (!first && !next(s))
			return false;
		if (!parse_cond(s, &r))
			return false;
	}
	if (token_is(s, "when") && !parse_when(s, &r))
		return false;
	if ((size_t)snprintf(r.reason, sizeof(r.reason), "%s", reason) >= sizeof(r.reason))
		return fail(s, "the reason is longer than %zu characters",
			    sizeof(r.reason) - 1);
	return append_rule(s, &r);
}

static bool parse_line(struct parser *s, char *line)
{
	char *reason = strchr(line, '#');
	size_t len = strlen(line);

	while (len && isspace((unsigned char)line[len - 1]))
		line[--len] = '\0';
	s->at = line + strspn(line, " \t");
	if (*s->at == '\0' || *s->at == '#')
		return true;
	if (!reason)
		return fail(s, "a rule needs its reason: '# why'");
	*reason++ = '\0';
	reason += strspn(reason, " \t");
	if (*reason == '\0')
		return fail(s, "the reason is empty");
	return parse_rule(s, reason);
}

bool policy_parse(struct policy *p, FILE *f, const char *file)
{
	struct parser s = { .policy = p, .file = file };
	char line[512];

	memset(p, 0, sizeof(*p));
	while (fgets(line, sizeof(line), f)) {
		s.line++;
		if (!strchr(line, '\n') && !feof(f))
			return fail(&s, "the line is longer than %zu characters",
				    sizeof(line) - 2);
		if (!parse_line(&s, line))
			return false;
	}
	if (ferror(f))
		return fail(&s, "read: %s", strerror(errno));
	if (p->nrules == 0)
		return fail(&s, "no rules");
	return true;
}

void policy_variant(struct policy *out, const struct policy *p, unsigned int when)
{
	memset(out, 0, sizeof(*out));
	for (size_t i = 0; i < p->nrules; i++) {
		if ((p->rule[i].when & ~when) == 0)
			out->rule[out->nrules++] = p->rule[i];
	}
}

const char *policy_variant_name(char *out, const char *file, unsigned int when)
{
	int len = snprintf(out, POLICY_NAME, "%s", file);

	for (unsigned int bit = 1; bit <= when && len < POLICY_NAME; bit <<= 1) {
		if ((when & bit) != 0)
			len += snprintf(out + len, (size_t)(POLICY_NAME - len), "+%s",
					policy_word_name(bit));
	}
	return out;
}

static bool cond_holds(const struct policy_cond *c, uint64_t arg)
{
	if (c->op == POLICY_FROM)
		return arg >= c->value && arg < POLICY_FD_END;
	return (arg & c->mask) == c->value;
}

bool policy_allows(const struct policy *p, int nr, const uint64_t args[6])
{
	for (size_t i = 0; i < p->nrules; i++) {
		const struct policy_rule *r = &p->rule[i];
		bool holds = r->nr == nr;

		for (unsigned int c = 0; c < r->nconds; c++)
			holds = holds && cond_holds(&r->cond[c], args[r->cond[c].arg]);
		if (holds)
			return true;
	}
	return false;
}

const struct policy_rule *policy_uncovered(const struct policy *coarse,
					   const struct policy *tight)
{
	for (size_t i = 0; i < tight->nrules; i++) {
		bool covered = false;

		for (size_t j = 0; j < coarse->nrules; j++)
			covered |= covers(&coarse->rule[j], &tight->rule[i]);
		if (!covered)
			return &tight->rule[i];
	}
	return NULL;
}
