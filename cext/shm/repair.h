/* shm/repair.h - putting right what a dead process left in its slot. */
#ifndef SHOAL_SHM_REPAIR_H
#define SHOAL_SHM_REPAIR_H

#include "shm/slot.h"

/* Undoes records of `s` down to `target` (a value slot.undo_top once had). The process must be in that slot. */
void txn_undo_to(struct slot *s, shm_off target);
/* Carries out the frees of a committed transaction of this process's slot. */
void txn_carry_out_frees(void);

/* Gives back the slot's undo chunks beyond the first. */
void txn_release_chunks(struct slot *s);

/* The first part of slot_repair() alone: undoes the slot's system operation and frees its allocator locks. When several slots are left by
 * one death of everything, all of them need this before any is repaired, since a repair may take those locks. */
void slot_repair_allocator(void);

/* Repairs this process's slot after its last owner's death: system operation, transaction, lock words, caches. May be
 * repeated after a death in the middle. Returns true when something was under way. */
bool slot_repair(void);

#endif
