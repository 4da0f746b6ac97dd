/*
 * Throws C++ exceptions out of its handlers of SIGSEGV and SIGFPE (-fnon-call-exceptions), as compilers of other languages
 * make of null references and divisions by zero: the unwinder goes from the handler's frame to the place of the fault.
 *
 * exceptions [alternate]: the handlers run on an alternate stack.
 */
#include <csignal>
#include <cstdint>
#include <cstdlib>

#include "rounds.h"

namespace {

constexpr std::size_t SIZE = 64 * 1024;

struct Null {};
struct Zero {};

void handler(int signal, siginfo_t *, void *)
{
	if (signal == SIGSEGV)
		throw Null();
	throw Zero();
}

__attribute__((noinline)) int fetch(const volatile int *from, int guard)
{
	int value = *from;
	return value + guard;
}

__attribute__((noinline)) int divide(volatile int by, int guard)
{
	return guard / by;
}

/* Counts the destructors that the unwinder must call on its way. */
unsigned long undone;
struct Counted {
	~Counted() { undone++; }
};

}

int main(int count, char **arguments)
{
	struct sigaction action = {};
	stack_t stack = {};
	unsigned long caught = 0;

	stack.ss_sp = std::malloc(SIZE);
	stack.ss_size = SIZE;
	action.sa_sigaction = handler;
	action.sa_flags = SA_SIGINFO | SA_NODEFER;
	if (count > 1 && !strcmp(arguments[1], "alternate")) {
		action.sa_flags |= SA_ONSTACK;
		if (sigaltstack(&stack, nullptr))
			return 4;
	}
	if (sigaction(SIGSEGV, &action, nullptr) || sigaction(SIGFPE, &action, nullptr))
		return 4;
	for (unsigned long round = 1;; round++) {
		for (int n = 0; n < 500; n++) {
			unsigned long before = caught;
			try {
				Counted counted;
				fetch(nullptr, n);
				damaged("a read of nothing succeeds", static_cast<unsigned long>(n));
			} catch (const Null &) {
				caught++;
			}
			try {
				Counted counted;
				divide(0, n);
				damaged("a division by zero succeeds", static_cast<unsigned long>(n));
			} catch (const Zero &) {
				caught++;
			}
			if (caught != before + 2 || undone != caught)
				damaged("exceptions caught:", caught);
		}
		round_over(round);
	}
}
