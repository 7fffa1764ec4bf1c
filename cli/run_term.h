/* SPDX-License-Identifier: Apache-2.0 */
/* run_term.h: the caller's terminal while a guest's terminal is shown in it. */
#ifndef IMMURE_CLI_RUN_TERM_H
#define IMMURE_CLI_RUN_TERM_H

#include "core/base.h"

/* True when standard input and output are both terminals. */
bool term_interactive(void);

/* The window's size, from whichever standard stream is a terminal; 0, 0 when none is. */
void term_size(uint16_t *rows, uint16_t *cols);

/* Every key goes to the guest from now on, until term_restore() or the end of the process,
 * however it ends.  Does nothing when standard input is no terminal. */
void term_raw(void);

/* Still raw, but ^C is a signal for us again: there is no guest to take it. */
void term_signals(void);

/* As it was.  Safe at any time and more than once. */
void term_restore(void);

#endif
