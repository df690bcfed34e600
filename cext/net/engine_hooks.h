/* net/engine_hooks.h - the Python functions that C calls; set once by engine_callbacks(), NULL in C tests. */
#ifndef SHOAL_NET_ENGINE_HOOKS_H
#define SHOAL_NET_ENGINE_HOOKS_H

struct cmd;

struct engine_hooks {
    void (*command)(struct cmd *); /* runs a PY row */
    void (*control)(void);         /* the control descriptor is readable */
    void (*tick)(void);            /* now and then */
};
extern struct engine_hooks engine_hooks;

#endif
