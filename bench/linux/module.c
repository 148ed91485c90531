/*
 * module.c - a Linux module that does to Linux's allocator what bench/ does to ours, in
 * the same loops, and prints the same lines.
 *
 * It is built without Linux's headers and imports no symbol: init.c fills `table` with
 * addresses from /proc/kallsyms before it loads the module, so calls that Linux does not
 * export can be measured as well. The types below are the calls' documented ones. What
 * the loader wants to see of a module (its descriptor's size, where the address of its
 * init function lies in it, the version text) tools/bench-linux.py takes from a module
 * of the same kernel package and gives as FRAME_SIZE, FRAME_INIT and VERMAGIC.
 *
 * Interrupts are off in all timed loops, which is to Linux's favour: no tick falls into
 * them. The clock counts instructions (-icount), the empty loop is subtracted.
 *
 * Licence of this file: MIT or GPL-2.0, at your choice; to Linux it says "Dual MIT/GPL".
 */
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long u64;
typedef _Bool bool;
#define NULL ((void *)0)
#define always_inline inline __attribute__((always_inline))
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#define GFP_KERNEL 0xcc0u
#define GFP_ATOMIC 0x820u
#define GFP_ZERO 0x100u
#define NO_NODE (-1)
#define PAGE 4096UL

/* ------------------------------------------------- what the loader looks at */

static const char info[] __attribute__((section(".modinfo"), used, aligned(1))) =
	"license=Dual MIT/GPL\0description=allocator benchmark\0name=anyctx_bench\0retpoline=Y\0vermagic=" VERMAGIC;

static int module_start(void);

#define NAME_AT 24 /* behind the state and the list node */
static struct {
	char state_and_list[NAME_AT], name[FRAME_INIT - NAME_AT];
	int (*init)(void);
	char rest[FRAME_SIZE - FRAME_INIT - 8];
} frame __attribute__((section(".gnu.linkonce.this_module"), used, aligned(64))) = {
	.name = "anyctx_bench",
	.init = module_start,
};

/* ---------------------------------------------------- what it calls of Linux */

struct symbol {
	char name[48];
	void *address;
};
#define NEEDS(var, text) static struct symbol var __attribute__((section(".anyctx.symbols"), used, aligned(8))) = { text, NULL }

NEEDS(s_vsnprintf, "vsnprintf");
NEEDS(s_kmalloc, "__kmalloc_noprof");
NEEDS(s_kfree, "kfree");
NEEDS(s_kmalloc_nolock, "kmalloc_nolock_noprof");
NEEDS(s_kmalloc_nolock_new, "_kmalloc_nolock_noprof"); /* its name since 7.x */
NEEDS(s_kfree_nolock, "kfree_nolock");
NEEDS(s_kmalloc_cache, "__kmalloc_cache_noprof");
NEEDS(s_caches, "kmalloc_caches");
NEEDS(s_cache_alloc, "kmem_cache_alloc_noprof");
NEEDS(s_cache_free, "kmem_cache_free");
NEEDS(s_cache_shrink, "kmem_cache_shrink");
NEEDS(s_alloc_pages, "alloc_pages_noprof");
NEEDS(s_free_pages, "__free_pages");
NEEDS(s_alloc_pages_nolock, "alloc_pages_nolock_noprof");
NEEDS(s_free_pages_nolock, "free_pages_nolock");
NEEDS(s_register_nmi, "__register_nmi_handler");
NEEDS(s_kthread_create, "kthread_create_on_node");
NEEDS(s_kthread_bind, "kthread_bind");
NEEDS(s_wake_up, "wake_up_process");
NEEDS(s_ioremap, "ioremap");
NEEDS(s_free_count, "nr_free_buffer_pages");

typedef void *(*kmalloc_t)(u64 size, u32 gfp);
typedef void *(*kmalloc_nolock_t)(u64 size, u32 gfp, int node);
typedef void *(*kmalloc_cache_t)(void *cache, u32 gfp, u64 size);
typedef void *(*cache_alloc_t)(void *cache, u32 gfp);
typedef void (*cache_free_t)(void *cache, void *p);
typedef void *(*alloc_pages_t)(u32 gfp, u32 order);
typedef void *(*alloc_pages_nolock_t)(u32 gfp, int node, u32 order);
typedef void (*free_pages_t)(void *page, u32 order);
typedef void (*free_t)(const void *p);

/* The normal cache of a size class; cache of 2^k bytes has index k, 96 and 192 have 1 and 2. */
static void *cache_of(u64 size)
{
	void **caches = s_caches.address;
	u32 k = 3;

	if (size == 96 || size == 192)
		return caches[size / 96];
	while ((1UL << k) < size)
		k++;
	return caches[k];
}

/* ------------------------------------------------------------------- machine */

static always_inline u64 clock(void)
{
	u32 lo, hi;

	__asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
	return (u64)hi << 32 | lo;
}

static always_inline u64 irqs_off(void)
{
	u64 flags;

	__asm__ volatile("pushfq; popq %0; cli" : "=r"(flags) : : "memory");
	return flags;
}

static always_inline void irqs_back(u64 flags)
{
	__asm__ volatile("pushq %0; popfq" : : "r"(flags) : "memory", "cc");
}

static always_inline void *no_call(void *arg)
{
	void *ret;

	__asm__ volatile("" : "=a"(ret) : "r"(arg)
			 : "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "memory", "cc");
	return ret;
}

/*
 * To QEMU's debug port: Linux may print later, in a thread, and that may be never. Not to
 * be called on two CPUs at once, but for the last words.
 */
static void __attribute__((format(printf, 1, 2))) say(const char *format, ...)
{
	typedef __builtin_va_list va_list;
	char text[200];
	va_list ap;

	__builtin_va_start(ap, format);
	((int (*)(char *, u64, const char *, va_list))s_vsnprintf.address)(text, sizeof(text), format, ap);
	__builtin_va_end(ap);
	for (const char *c = text; *c; c++)
		__asm__ volatile("outb %0, %w1" : : "a"(*c), "Nd"(0xe9));
}

static void __attribute__((noreturn)) leave(u32 status)
{
	for (;;)
		__asm__ volatile("outl %0, %w1" : : "a"(status), "Nd"(0xf4));
}

/* --------------------------------------------------------------- the loops */

enum call { NONE, KMALLOC, NOLOCK, CONSTANT, CACHE, PAGES, PAGES_NOLOCK };
enum shape { PAIR, GET, PUT, REPLACE, GET_EACH, PUT_EACH };

#define SLOTS 10000UL
#define ORDERS 65536UL
static void *slots[SLOTS], *scratch[SLOTS];
static u16 order[ORDERS];
static u32 times[SLOTS];

struct job {
	enum call call;
	enum shape shape;
	bool nmi;
	u64 size; /* or order of pages */
	u32 gfp;
	u64 n, ticks, nulls;
	u64 around; /* ticks, with what comes as soon as interrupts are on */
};

static always_inline void *get(enum call call, u64 size, u32 gfp, void *cache)
{
	switch (call) {
	case KMALLOC:
		return ((kmalloc_t)s_kmalloc.address)(size, gfp);
	case NOLOCK:
		return ((kmalloc_nolock_t)s_kmalloc_nolock.address)(size, gfp, NO_NODE);
	case CONSTANT:
		return ((kmalloc_cache_t)s_kmalloc_cache.address)(cache, gfp, size);
	case CACHE:
		return ((cache_alloc_t)s_cache_alloc.address)(cache, gfp);
	case PAGES:
		return ((alloc_pages_t)s_alloc_pages.address)(gfp, (u32)size);
	case PAGES_NOLOCK:
		return ((alloc_pages_nolock_t)s_alloc_pages_nolock.address)(gfp, NO_NODE, (u32)size);
	default:
		return no_call(NULL);
	}
}

static always_inline void put(enum call call, u64 size, void *cache, void *p)
{
	switch (call) {
	case KMALLOC:
	case CONSTANT:
		((free_t)s_kfree.address)(p);
		break;
	case NOLOCK:
		((free_t)s_kfree_nolock.address)(p);
		break;
	case CACHE:
		((cache_free_t)s_cache_free.address)(cache, p);
		break;
	case PAGES:
		((free_pages_t)s_free_pages.address)(p, (u32)size);
		break;
	case PAGES_NOLOCK:
		((free_pages_t)s_free_pages_nolock.address)(p, (u32)size);
		break;
	default:
		no_call(p);
		break;
	}
}

static always_inline void one_round(enum call call, enum shape shape, u64 size, u32 gfp, void *cache, u64 i)
{
	void **slot = call == NONE ? scratch : slots;

	switch (shape) {
	case PAIR:
		put(call, size, cache, get(call, size, gfp, cache));
		break;
	case GET:
	case GET_EACH:
		slot[i] = get(call, size, gfp, cache);
		break;
	case PUT:
	case PUT_EACH:
		put(call, size, cache, slot[order[i]]);
		break;
	case REPLACE:
		put(call, size, cache, slot[order[i]]);
		slot[order[i]] = get(call, size, gfp, cache);
		break;
	}
}

static always_inline void timed(enum call call, enum shape shape, struct job *j)
{
	void *cache = call == CACHE || call == CONSTANT ? cache_of(j->size) : NULL;
	u64 size = j->size, n = j->n, t;
	u32 gfp = j->gfp;

	t = clock();
	for (u64 i = 0; i < n; i++)
		one_round(call, shape, size, gfp, cache, i);
	j->ticks = clock() - t;
}

static always_inline void timed_each(enum call call, enum shape shape, struct job *j)
{
	void *cache = call == CACHE || call == CONSTANT ? cache_of(j->size) : NULL;
	u64 size = j->size, n = j->n;
	u32 gfp = j->gfp;

	j->ticks = 0;
	for (u64 i = 0; i < n; i++) {
		u64 t = clock();

		one_round(call, shape, size, gfp, cache, i);
		t = clock() - t;
		times[i] = (u32)t;
		j->ticks += t;
	}
}

static always_inline void any_shape(enum call call, struct job *j)
{
	switch (j->shape) {
	case PAIR:
		timed(call, PAIR, j);
		break;
	case GET:
		timed(call, GET, j);
		break;
	case PUT:
		timed(call, PUT, j);
		break;
	case REPLACE:
		timed(call, REPLACE, j);
		break;
	case GET_EACH:
		timed_each(call, GET_EACH, j);
		break;
	case PUT_EACH:
		timed_each(call, PUT_EACH, j);
		break;
	}
}

static void run_here(struct job *j)
{
	switch (j->call) {
	case NONE:
		any_shape(NONE, j);
		break;
	case KMALLOC:
		any_shape(KMALLOC, j);
		break;
	case NOLOCK:
		any_shape(NOLOCK, j);
		break;
	case CONSTANT:
		any_shape(CONSTANT, j);
		break;
	case CACHE:
		any_shape(CACHE, j);
		break;
	case PAGES:
		any_shape(PAGES, j);
		break;
	case PAGES_NOLOCK:
		any_shape(PAGES_NOLOCK, j);
		break;
	}
}

/* ---- in an NMI: the gate is called as the processor would */

struct nmi_action {
	void *next, *prev;
	int (*handler)(u32 cmd, void *regs);
	u64 max_duration, flags;
	const char *name;
};

static struct job *volatile nmi_job;

static int on_nmi(u32 cmd, void *regs)
{
	struct job *j = nmi_job;

	(void)cmd;
	(void)regs;
	if (!j)
		return 0;
	nmi_job = NULL;
	run_here(j);
	return 1;
}

static struct nmi_action nmi_action = { .handler = on_nmi, .name = "anyctx_bench" };

static int register_nmi(struct nmi_action *a)
{
	a->next = a->prev = a;
	return ((int (*)(u32, struct nmi_action *))s_register_nmi.address)(0, a);
}

static void run(struct job *j)
{
	u64 flags = irqs_off(), t = clock();

	if (j->nmi && j->call != NONE) {
		nmi_job = j;
		__asm__ volatile("int $2" : : : "memory");
	} else {
		run_here(j);
	}
	irqs_back(flags);
	j->around = clock() - t;
	j->nulls = 0;
	if (j->shape == GET || j->shape == GET_EACH)
		for (u64 i = 0; i < j->n; i++)
			j->nulls += !slots[i];
}

/* Hundredths of an instruction a round. */
static u64 each(struct job *j)
{
	struct job none = *j;

	none.call = NONE;
	run(&none);
	run(j);
	return (j->ticks - none.ticks) * 100 / j->n;
}

/* The same with the work that was put off. */
static u64 each_with_rest(struct job *j)
{
	struct job none = *j;

	none.call = NONE;
	run(&none);
	run(j);
	return (j->around - none.around) * 100 / j->n;
}

/* ----------------------------------------------------------------- printing */

static void figure(const char *test, const char *row, const char *column, u64 h)
{
	say("@ %s|%s|%s|%lu.%02lu\n", test, row, column, h / 100, h % 100);
}

static const char *size_name(u64 size)
{
	static char text[8];
	u64 at = sizeof(text) - 1;

	for (text[at] = 0; size; size /= 10)
		text[--at] = (char)('0' + size % 10);
	return text + at;
}

static void by_size_figure(const char *test, const char *row, u64 size, u64 h)
{
	figure(test, row, size_name(size), h);
}

/* -------------------------------------------------------------------- cases */

static const u64 sizes[] = { 8, 16, 32, 64, 96, 128, 192, 256, 512, 1024, 2048, 4096, 8192 };
#define PAIRS 1000
#define ROW 256
#define HELD 2048UL

static u64 seed = 88172645463325252UL;

static u64 next_random(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static void straight(u64 n)
{
	for (u64 i = 0; i < n; i++)
		order[i] = (u16)i;
}

static void shuffled(u64 n)
{
	straight(n);
	for (u64 i = n; i > 1; i--) {
		u64 j = next_random() % i;
		u16 t = order[j];

		order[j] = order[i - 1];
		order[i - 1] = t;
	}
}

static void pairs(const char *row, struct job j)
{
	for (u32 i = 0; i < ARRAY_SIZE(sizes); i++) {
		j.shape = PAIR;
		j.size = sizes[i];
		j.n = 8;
		run(&j);
		j.n = PAIRS;
		by_size_figure("pair.objects", row, j.size, each(&j));
	}
}

static void page_pairs(const char *row, struct job j, u32 orders)
{
	for (u32 i = 0; i < orders; i++) {
		char column[4] = { 'o', (char)('0' + i % 10), 0, 0 };

		if (i == 10) {
			column[1] = '1';
			column[2] = '0';
		}
		j.shape = PAIR;
		j.size = i;
		j.n = 8;
		run(&j);
		j.n = PAIRS / 4;
		figure("pair.pages", row, column, each(&j));
	}
}

static void one_row(const char *test, const char *get_row, const char *put_row, struct job *j)
{
	j->shape = GET;
	by_size_figure(test, get_row, j->size, each(j));
	if (j->nulls)
		say("bench: %s, %lu bytes: %lu of %lu NULL\n", test, j->size, j->nulls, j->n);
	j->shape = PUT;
	by_size_figure(test, put_row, j->size, each(j));
}

static void rows(const char *test, const char *const *name, struct job j)
{
	for (u32 i = 0; i < ARRAY_SIZE(sizes); i++) {
		j.size = sizes[i];
		j.n = ROW;
		((int (*)(void *))s_cache_shrink.address)(cache_of(j.size));
		straight(ROW);
		one_row(test, name[0], name[2], &j);
		one_row(test, name[1], name[2], &j);
		shuffled(ROW);
		one_row(test, name[1], name[3], &j);
		if (j.call != NOLOCK)
			continue;
		straight(ROW);
		j.shape = GET;
		run(&j);
		j.shape = PUT;
		by_size_figure(test, "kfree_nolock, in order: with that work", j.size, each_with_rest(&j));
	}
}

static void sort_times(u64 n)
{
	for (u64 gap = n / 2; gap; gap /= 2)
		for (u64 i = gap; i < n; i++) {
			u32 v = times[i];
			u64 k = i;

			for (; k >= gap && times[k - gap] > v; k -= gap)
				times[k] = times[k - gap];
			times[k] = v;
		}
}

static void one_single(const char *test, const char *const *row, struct job *j)
{
	struct job none = *j;
	u64 clock_ticks;

	none.call = NONE;
	run(&none);
	clock_ticks = none.ticks / none.n;
	run(j);
	sort_times(j->n);
	by_size_figure(test, row[0], j->size, (times[j->n / 2] - clock_ticks) * 100);
	by_size_figure(test, row[1], j->size, (times[j->n * 99 / 100] - clock_ticks) * 100);
	by_size_figure(test, row[2], j->size, (times[j->n - 1] - clock_ticks) * 100);
}

static void singles(const char *test, struct job j)
{
	static const char *const get_rows[] = { "kmalloc_nolock, p50", "kmalloc_nolock, p99", "kmalloc_nolock, max" };
	static const char *const put_rows[] = { "kfree_nolock, p50", "kfree_nolock, p99", "kfree_nolock, max" };

	for (u32 i = 0; i < ARRAY_SIZE(sizes); i++) {
		j.size = sizes[i];
		j.n = HELD;
		straight(HELD);
		((int (*)(void *))s_cache_shrink.address)(cache_of(j.size));
		j.shape = GET_EACH;
		one_single(test, get_rows, &j);
		j.shape = PUT_EACH;
		one_single(test, put_rows, &j);
	}
}

static void replacements(const char *row, struct job j)
{
	for (u32 i = 0; i < ARRAY_SIZE(sizes); i++) {
		j.size = sizes[i];
		j.n = SLOTS;
		j.shape = GET;
		run(&j);
		for (u64 k = 0; k < ORDERS; k++)
			order[k] = (u16)(next_random() % SLOTS);
		j.n = ORDERS;
		j.shape = REPLACE;
		by_size_figure("replace.random", row, j.size, each(&j));
		straight(SLOTS);
		j.n = SLOTS;
		j.shape = PUT;
		run(&j);
	}
}

static void objects(void)
{
	static const char *const nolock[] = { "kmalloc_nolock, cold", "kmalloc_nolock, warm", "kfree_nolock, in order",
					      "kfree_nolock, out of order" };
	static const char *const plain[] = { "kmalloc, cold", "kmalloc, warm", "kfree, in order",
					     "kfree, out of order" };
	struct job lockless = { .call = NOLOCK }, nmi = { .call = NOLOCK, .nmi = 1 };
	struct job locking = { .call = KMALLOC, .gfp = GFP_KERNEL };

	pairs("kmalloc + kfree, thread", locking);
	pairs("kmem_cache_alloc + _free", (struct job){ .call = CACHE, .gfp = GFP_KERNEL });
	pairs("kmalloc + kfree, constant size", (struct job){ .call = CONSTANT, .gfp = GFP_KERNEL });
	pairs("kmalloc + kfree, thread, zeroed", (struct job){ .call = KMALLOC, .gfp = GFP_KERNEL | GFP_ZERO });
	rows("row.kmalloc", plain, locking);
	replacements("kfree + kmalloc, thread", locking);
	if (!s_kmalloc_nolock.address)
		return;
	pairs("kmalloc_nolock + kfree_nolock, thread", lockless);
	rows("row.nolock_thread", nolock, lockless);
	singles("single.thread", lockless);
	replacements("kfree_nolock + kmalloc_nolock, thread", lockless);
	if (register_nmi(&nmi_action)) {
		say("bench: no NMI handler\n");
		return;
	}
	pairs("kmalloc_nolock + kfree_nolock, NMI", nmi);
	rows("row.nolock_nmi", nolock, nmi);
	singles("single.nmi", nmi);
}

static void pages(void)
{
	page_pairs("alloc_pages + free_pages, thread", (struct job){ .call = PAGES, .gfp = GFP_KERNEL }, 11);
	page_pairs("alloc_pages + free_pages, thread, zeroed", (struct job){ .call = PAGES, .gfp = GFP_KERNEL | GFP_ZERO }, 4);
	if (s_alloc_pages_nolock.address && s_free_pages_nolock.address)
		page_pairs("alloc_pages_nolock + free_pages_nolock, thread", (struct job){ .call = PAGES_NOLOCK }, 4);
}

static bool clock_is_exact(void)
{
	u64 rounds = 1000000, t, flags = irqs_off();

	t = clock();
	__asm__ volatile("1: decq %0; jnz 1b" : "+r"(rounds) : : "cc");
	t = clock() - t;
	irqs_back(flags);
	return t >= 2000000 && t < 2000020;
}

/* --------------------------------------------------------------- NMI storm */

/*
 * CPU 0 allocates and frees rows of 4,096 of one size; CPU 1 sends it NMIs, whose handler
 * allocates and frees one of the same size. Counted: NMIs, NULLs in them, and whether CPU 0
 * still makes progress.
 */
#define STORM_ROW 4096UL
#define STORM_NMIS 20000UL
#define STORM_GAP 40              /* calls that the thread makes between two NMIs, and up to as many more */
#define STALL 100000000000UL      /* ticks in which neither a call nor an NMI ends: a hang */

static struct {
	volatile u64 size, nmis, nulls, row_nulls, progress, stop, stopped, interrupted;
	volatile u32 *apic;
} storm;

#define IP_IN_REGS 16

static int on_storm_nmi(u32 cmd, void *regs)
{
	void *p;

	(void)cmd;
	if (!storm.size)
		return 0;
	storm.interrupted = ((u64 *)regs)[IP_IN_REGS];
	p = get(NOLOCK, storm.size, 0, NULL);
	storm.nmis++;
	storm.nulls += !p;
	if (p)
		put(NOLOCK, 0, NULL, p);
	return 1;
}

static struct nmi_action storm_action = { .handler = on_storm_nmi, .name = "anyctx_storm" };

static u64 read_msr(u32 msr)
{
	u32 lo, hi;

	__asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr));
	return (u64)hi << 32 | lo;
}

#define ICR_NMI 0x4400u
static void send_nmi(u32 apic_id)
{
	if (read_msr(0x1b) & 0x400) {
		__asm__ volatile("wrmsr" : : "a"(ICR_NMI), "d"(apic_id), "c"(0x830) : "memory");
		return;
	}
	storm.apic[0x310 / 4] = apic_id << 24;
	storm.apic[0x300 / 4] = ICR_NMI;
}

/* A thread on CPU 1, until CPU 0 says stop or makes no progress; it takes interrupts, as
 * Linux may wait for that. */
static int send_storm(void *unused)
{
	u64 last = storm.progress + storm.nmis, since = clock(), next = storm.progress;

	(void)unused;
	while (!storm.stop) {
		u64 now = clock();

		if (storm.progress >= next) {
			next = storm.progress + STORM_GAP + now % STORM_GAP;
			send_nmi(0);
		}
		if (storm.progress + storm.nmis != last) {
			last = storm.progress + storm.nmis;
			since = now;
		} else if (now - since > STALL) {
			say("@ storm.nmi|hang|%lu|1\n", storm.size);
			say("@ storm.nmi|NMIs|%lu|%lu\n", storm.size, storm.nmis);
			say("bench: the last NMI that began interrupted %pS\n", (void *)storm.interrupted);
			leave(0x11);
		}
		__asm__ volatile("pause");
	}
	storm.stopped = 1;
	return 0;
}

static void start_sender(void)
{
	void *(*create)(int (*)(void *), void *, int, const char *) = s_kthread_create.address;
	void *thread = create(send_storm, NULL, NO_NODE, "anyctx_storm");

	((void (*)(void *, u32))s_kthread_bind.address)(thread, 1);
	((int (*)(void *))s_wake_up.address)(thread);
}

static void storm_size(u64 size)
{
	storm.nmis = storm.nulls = storm.row_nulls = storm.stop = storm.stopped = storm.progress = 0;
	storm.size = size;
	say("bench: storm, %lu bytes\n", size);
	start_sender();
	while (storm.nmis < STORM_NMIS) {
		for (u64 i = 0; i < STORM_ROW; i++) {
			slots[i] = get(KMALLOC, size, GFP_ATOMIC, NULL);
			storm.row_nulls += !slots[i];
			storm.progress++;
		}
		for (u64 i = 0; i < STORM_ROW; i++) {
			((free_t)s_kfree.address)(slots[i]);
			storm.progress++;
		}
	}
	storm.stop = 1;
	while (!storm.stopped)
		__asm__ volatile("pause");
	say("@ storm.nmi|NMIs|%lu|%lu\n", size, storm.nmis);
	say("@ storm.nmi|NULLs in NMIs|%lu|%lu\n", size, storm.nulls);
	say("@ storm.nmi|NULLs in the thread|%lu|%lu\n", size, storm.row_nulls);
	say("@ storm.nmi|hang|%lu|0\n", size);
	storm.size = 0;
}

static void run_storm(void)
{
	static const u64 storm_sizes[] = { 64, 256, 1024, 4096, 8192 };

	storm.apic = ((void *(*)(u64, u64))s_ioremap.address)(0xfee00000, PAGE);
	register_nmi(&storm_action);
	for (u32 i = 0; i < ARRAY_SIZE(storm_sizes); i++)
		storm_size(storm_sizes[i]);
}

static int module_start(void)
{
	if (!s_kmalloc_nolock.address)
		s_kmalloc_nolock = s_kmalloc_nolock_new;
	if (STORM) {
		run_storm();
		leave(0x10);
	}
	if (!clock_is_exact()) {
		say("bench: error: the clock does not count instructions\n");
		leave(0x11);
	}
	objects();
	pages();
	if (!clock_is_exact())
		leave(0x11);
	leave(0x10);
}
