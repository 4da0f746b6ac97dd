/* What compel puts into the victim beside our `ping`: one command that does nothing and succeeds. */

/* Not all of std.h: it includes headers that Debian does not package. */
#include <compel/plugins/std/infect.h>

int parasite_trap_cmd(int cmd, void *args)
{
	(void)cmd;
	(void)args;
	return 0;
}

int parasite_daemon_cmd(int cmd, void *args)
{
	(void)cmd;
	(void)args;
	return 0;
}

void parasite_cleanup(void)
{
}
