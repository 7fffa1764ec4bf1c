/* SPDX-License-Identifier: Apache-2.0 */
/* conn.c: credit and the connection table.
 *
 * The guest chooses ports, counters and buffer sizes, all of them freely.  Counters are only
 * ever subtracted, modulo 2^32, and the difference is compared; ports are keys of a hash table
 * whose seed the guest does not know.
 *
 * The windows of streams.  Each connection is promised WINDOW_MIN; blocks for PLAN_VSOCK_CONNS of those
 * are set aside.  What the pool has beyond (WINDOW_SPARE) makes the windows of early
 * connections larger, up to WINDOW_MAX: each new one gets at most an eighth of what is left, so
 * nobody gets all, and a window never shrinks, so a promise is never taken back.  The sum
 * of all promises, counted in blocks, cannot exceed the pool. */
#include "devices/vsock/conn.h"

#include "devices/vsock/wire.h"

enum {
	SPARE_SHARE = 8,
	COOKIE_BITS = 11,
	COOKIE_MASK = PLAN_VSOCK_CONNS - 1,
};

_Static_assert(PLAN_VSOCK_CONNS == 1 << COOKIE_BITS, "an entry's number fills the low bits");

void credit_init(struct credit *c, uint32_t window)
{
	*c = (struct credit){ .window = window };
}

void credit_heard(struct credit *c, uint32_t buf_alloc, uint32_t fwd_cnt)
{
	c->peer_buf_alloc = buf_alloc;
	c->peer_fwd_cnt = fwd_cnt;
}

uint32_t credit_available(const struct credit *c)
{
	uint32_t under_way = c->tx_cnt - c->peer_fwd_cnt;

	return under_way < c->peer_buf_alloc ? c->peer_buf_alloc - under_way : 0;
}

void credit_sent(struct credit *c, uint32_t n)
{
	c->tx_cnt += n;
}

bool credit_received(struct credit *c, uint32_t n)
{
	uint32_t held = c->rx_cnt - c->fwd_cnt;	/* <= window, always */

	if (n > c->window - held)
		return false;
	c->rx_cnt += n;
	return true;
}

void credit_passed_on(struct credit *c, uint32_t n)
{
	c->fwd_cnt += n;
}

bool credit_should_tell(const struct credit *c)
{
	/* A quarter: the guest goes on sending while the news travels. */
	return c->fwd_cnt - c->told >= c->window / 4;
}

void conn_table_init(struct conn_table *t, uint64_t seed, uint32_t limit)
{
	t->limit = limit;
	t->seed = seed;
	t->next_port = PORT_FIRST;
}

static uint16_t index_of(const struct conn_table *t, const struct conn *c)
{
	return (uint16_t)(c - t->conn);
}

static struct conn *entry(struct conn_table *t, uint16_t number)
{
	return number != 0 ? &t->conn[number - 1] : NULL;
}

struct conn *conn_new(struct conn_table *t, enum conn_state state, int type, int fd)
{
	struct conn *c = entry(t, t->free);
	uint32_t generation;
	int slot = type == VSOCK_TYPE_SEQPACKET ? message_slot(&t->messages) : 0;

	if (slot < 0)
		return NULL;
	if (c != NULL)
		t->free = c->hash_next;
	else if (t->fresh < t->limit)
		c = &t->conn[t->fresh++];
	else
		return NULL;
	generation = c->generation;
	*c = (struct conn){ .generation = generation, .fd = fd, .state = (uint8_t)state,
			    .type = (uint8_t)type, .slot = (uint8_t)slot };
	if (type == VSOCK_TYPE_SEQPACKET)
		message_take_slot(&t->messages, c->slot);
	t->used++;
	return c;
}

void conn_free(struct conn_table *t, struct conn *c)
{
	for (int i = 0; i < CONN_LISTS; i++)
		conn_list_remove(t, (enum conn_list)i, c);
	conn_unbind(t, c);
	conn_drop_backlog(t, c);
	if (c->type == VSOCK_TYPE_SEQPACKET)
		message_free_slot(&t->messages, c->slot);
	t->spare -= c->extra;
	c->state = CONN_FREE;
	c->generation++;
	c->hash_next = t->free;
	t->free = (uint16_t)(index_of(t, c) + 1);
	t->used--;
}

bool conn_waiting(const struct conn_table *t, const struct conn *c)
{
	return c->fifo.len > 0 && (c->type != VSOCK_TYPE_SEQPACKET ||
				   t->messages.count[c->slot] > 0);
}

void conn_drop_backlog(struct conn_table *t, struct conn *c)
{
	if (c->type == VSOCK_TYPE_SEQPACKET)
		message_drop(&t->messages, c->slot);
	credit_passed_on(&c->credit, c->fifo.len);
	fifo_drop(&t->pool, &c->fifo);
}

static uint32_t bucket(const struct conn_table *t, uint32_t guest_port, uint32_t host_port)
{
	uint64_t x = ((uint64_t)guest_port << 32 | host_port) ^ t->seed;

	/* Two rounds of multiply and fold: each input bit reaches the top twelve. */
	x = (x ^ x >> 32) * 0xd6e8feb86659fd93ull;
	x = (x ^ x >> 32) * 0xd6e8feb86659fd93ull;
	return (uint32_t)(x >> 52);
}

_Static_assert(CONN_HASH == 1 << 12, "bucket() yields twelve bits");

void conn_bind(struct conn_table *t, struct conn *c, uint32_t guest_port, uint32_t host_port)
{
	uint16_t *head = &t->hash[bucket(t, guest_port, host_port)];
	uint32_t extra = (WINDOW_SPARE - t->spare) / SPARE_SHARE;

	if (c->type == VSOCK_TYPE_SEQPACKET) {
		credit_init(&c->credit, WINDOW_SEQ);
	} else {
		extra = (uint32_t)min_u64(extra, (WINDOW_MAX - WINDOW_MIN) / BLOCK_BYTES);
		t->spare += extra;
		c->extra = (uint16_t)extra;
		credit_init(&c->credit, WINDOW_MIN + extra * BLOCK_BYTES);
	}
	c->guest_port = guest_port;
	c->host_port = host_port;
	c->bound = true;
	c->hash_next = *head;
	*head = (uint16_t)(index_of(t, c) + 1);
}

void conn_unbind(struct conn_table *t, struct conn *c)
{
	uint16_t number = (uint16_t)(index_of(t, c) + 1);
	uint16_t *at;

	if (!c->bound)
		return;
	at = &t->hash[bucket(t, c->guest_port, c->host_port)];
	while (*at != number)
		at = &t->conn[*at - 1].hash_next;
	*at = c->hash_next;
	c->bound = false;
}

struct conn *conn_find(struct conn_table *t, uint32_t guest_port, uint32_t host_port)
{
	struct conn *c = entry(t, t->hash[bucket(t, guest_port, host_port)]);

	while (c != NULL && (c->guest_port != guest_port || c->host_port != host_port))
		c = entry(t, c->hash_next);
	return c;
}

uint32_t conn_pick_port(struct conn_table *t, uint32_t guest_port)
{
	uint32_t port;

	/* Ends: there are more ports than entries that could hold one. */
	do {
		port = t->next_port;
		t->next_port = port == PORT_LAST ? PORT_FIRST : port + 1;
	} while (conn_find(t, guest_port, port) != NULL);
	return port;
}

uint32_t conn_cookie(const struct conn_table *t, const struct conn *c)
{
	return c->generation << COOKIE_BITS | index_of(t, c);
}

struct conn *conn_by_cookie(struct conn_table *t, uint32_t cookie)
{
	struct conn *c = &t->conn[cookie & COOKIE_MASK];

	return c->state != CONN_FREE && conn_cookie(t, c) == cookie ? c : NULL;
}

void conn_list_add(struct conn_table *t, enum conn_list which, struct conn *c)
{
	struct conn_ends *ends = &t->list[which];
	uint16_t number = (uint16_t)(index_of(t, c) + 1);

	if ((c->lists & 1 << which) != 0)
		return;
	c->lists |= (uint8_t)(1 << which);
	c->link[which] = (struct conn_link){ .prev = ends->last };
	if (ends->last != 0)
		t->conn[ends->last - 1].link[which].next = number;
	else
		ends->first = number;
	ends->last = number;
	ends->count++;
}

void conn_list_remove(struct conn_table *t, enum conn_list which, struct conn *c)
{
	struct conn_ends *ends = &t->list[which];
	struct conn_link at = c->link[which];

	if ((c->lists & 1 << which) == 0)
		return;
	c->lists &= (uint8_t)~(1 << which);
	if (at.prev != 0)
		t->conn[at.prev - 1].link[which].next = at.next;
	else
		ends->first = at.next;
	if (at.next != 0)
		t->conn[at.next - 1].link[which].prev = at.prev;
	else
		ends->last = at.prev;
	ends->count--;
}

struct conn *conn_list_first(struct conn_table *t, enum conn_list which)
{
	return entry(t, t->list[which].first);
}

struct conn *conn_list_next(struct conn_table *t, enum conn_list which, const struct conn *c)
{
	return entry(t, c->link[which].next);
}
