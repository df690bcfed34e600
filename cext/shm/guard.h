/* shm/guard.h - arming the check of announced stores (test build only; see guard.c). */
#ifndef SHOAL_SHM_GUARD_H
#define SHOAL_SHM_GUARD_H

#ifdef SHOAL_CHECK_TOUCH
/* This process's arena becomes read-only but for what is announced. After the slot's repair. */
void guard_arm(void);
#else
static inline void guard_arm(void) {}
#endif

#endif
