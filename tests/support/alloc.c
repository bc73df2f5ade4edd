/* SPDX-License-Identifier: Apache-2.0 */
/* The linker sends malloc and its kin here (-Wl,--wrap), for the objects of the test program. */
#include "tests/support/alloc.h"

#include <errno.h>
#include <stdlib.h>

static struct {
    bool armed;
    bool happened;
    int left; /* allocations that still work */
} plan;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__real_reallocarray(void *old, size_t count, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__wrap_reallocarray(void *old, size_t count, size_t size);

void alloc_fail_at(int n)
{
    plan.armed = true;
    plan.happened = false;
    plan.left = n;
}

bool alloc_fail_off(void)
{
    plan.armed = false;
    return plan.happened;
}

/* Whether this allocation is the one to fail. */
static bool is_the_one(void)
{
    if (!plan.armed || plan.happened)
        return false;
    if (plan.left-- > 0)
        return false;
    plan.happened = true;
    errno = ENOMEM;
    return true;
}

void *__wrap_malloc(size_t size)
{
    return is_the_one() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return is_the_one() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
    return is_the_one() ? NULL : __real_realloc(old, size);
}

void *__wrap_reallocarray(void *old, size_t count, size_t size)
{
    return is_the_one() ? NULL : __real_reallocarray(old, count, size);
}
