/* SPDX-License-Identifier: Apache-2.0 */
/* help.c: what --help says, by subcommand; the manual page says more. */
#include "cli/help.h"
#include "cli/say.h"

#include <stdio.h>
#include <string.h>

struct help_text {
	const char *command;	/* "": immure itself */
	const char *text;
};

static const struct help_text texts[] = {
	{ "",
	  "immure: run an untrusted program in a virtual machine of its own\n"
	  "\n"
	  "  immure run [OPTION...] ROOTFS [--] COMMAND [ARGUMENT...]\n"
	  "  immure plan [OPTION...] ROOTFS    what run would open, by whom, under which limits\n"
	  "  immure doctor                     can this host do it, and if not, why\n"
	  "  immure stats [NAME]               what the machines that run have counted\n"
	  "  immure limit NAME [DEVICE ...]    their rate limits, which may be changed\n"
	  "  immure net denied NAME            what its packet wall has refused\n"
	  "  immure walls [NAME]               what confines the machines that run, by the kernel\n"
	  "  immure kernel import|list|rm      the kernels that guests boot\n"
	  "  immure version\n"
	  "  immure help [SUBCOMMAND]\n"
	  "\n"
	  "Example:\n"
	  "  immure run ./rootfs -- sh -c 'uname -sr; id'\n" },
	{ "run",
	  "immure run [OPTION...] ROOTFS [--] COMMAND [ARGUMENT...]\n"
	  "\n"
	  "Boots a machine with ROOTFS (a directory, or an ext4, squashfs or erofs image) as its root\n"
	  "and runs COMMAND in it.  Streams, signals, terminal and exit status are COMMAND's.  ROOTFS\n"
	  "stays as it is: the guest writes to memory.  Options end at ROOTFS.\n"
	  "\n"
	  "  -m, --memory SIZE      memory of the machine (256M)\n"
	  "  -c, --cpus N           processors, 1 to 32 (1)\n"
	  "  -e, --env K=V          variable for COMMAND; K alone passes ours on; may be repeated\n"
	  "  -w, --workdir DIR      directory of COMMAND (/)\n"
	  "  -u, --user USER        name or number, with :group if wanted (root)\n"
	  "  -t, --tty              COMMAND has a terminal; the default on a terminal\n"
	  "  -T, --no-tty           it has none\n"
	  "      --disk FILE[,ro][,discard=off][,cache=direct][,block=SIZE][,queues=1..4]\n"
	  "                  [,grow=SIZE][,bw=SIZE][,iops=N][,burst=SIZE][,overlay[=FILE2]]\n"
	  "                  [,limit=SIZE]\n"
	  "                         raw image or block device as /dev/vdb, vdc...; may be repeated;\n"
	  "                         overlay: FILE is only read, what the guest writes goes to memory, or\n"
	  "                         to FILE2, which is made if need be; at most limit (256M in memory)\n"
	  "      --timeout T        ends the machine after T: 500ms, 30s, 5m, 1h; exit status 124\n"
	  "      --boot-timeout T   how long until the guest's agent must have answered (60s)\n"
	  "  -k, --kernel NAME|DIR  imported kernel, or a directory with vmlinux and initramfs\n"
	  "                         (the one imported last)\n"
	  "      --append WORDS     more words for the kernel command line\n"
	  "      --entry HOW        how the kernel is entered: auto, pvh, linux64\n"
	  "      --console          the guest's debug console on standard error\n"
	  "      --core-scheduling  no other program beside the machine on a core's hyperthreads\n"
	  "      --speculation HOW  host: as the host does it; restrict: none past stores or on\n"
	  "                         branches that others trained, in any process of the machine (host)\n"
	  "      --cpu-limit PERCENT  processor time of all its processes on the host, as in 150%, or\n"
	  "                         none (100% for each processor, and 100% for what serves them)\n"
	  "      --io-limit SIZE    bytes a second that the host reads and writes for it, each way (none)\n"
	  "      --pids-limit N     processes and threads on the host (as many as it has)\n"
	  "      --memory-overhead SIZE  host memory beyond the machine's own (see the manual page)\n"
	  "      --net HOW          none (the default): no network; else an interface, eth0, eth1...;\n"
	  "                         may be repeated;\n"
	  "                         user: the host's connections, through passt, without root;\n"
	  "                         tap=NAME: a tap of this host.  Then [,ip=ADDRESS/PREFIX][,gw=ADDRESS],\n"
	  "                         IPv4, IPv6 (not user), or one of each,\n"
	  "                         [,dns=ADDRESS][,mac=MAC][,mtu=N][,queues=1..4][,offload=off]\n"
	  "                         [,allow=NETWORK[:PORT]][,rate=N][,wall=off]\n"
	  "      --vsock PATH[,connections=N]  where programs on this host find the guest's sockets;\n"
	  "                         how many connections at a time (2048)\n"
	  "      --name NAME        name of the machine in messages\n"
	  "      --json[=FD]        how it ended, one JSON object on standard error or descriptor FD\n"
	  "\n"
	  "Exit status: COMMAND's; 128+N when signal N ended it; 124 timeout; 125 immure failed;\n"
	  "126 COMMAND cannot be executed; 127 COMMAND was not found.\n"
	  "^C is COMMAND's.  Twice within a second, and one more second without a sign of life from\n"
	  "the guest, ends the machine.\n"
	  "\n"
	  "Examples:\n"
	  "  immure run ./rootfs -- sh\n"
	  "  immure run -m 1G --cpus 2 -u 1000 -w /home ./rootfs -- make -j2\n"
	  "  tar c src | immure run image.erofs -- tar t | wc -l\n"
	  "  immure run --net user,allow=10.0.0.0/8:443 ./rootfs -- wget https://10.1.2.3/\n"
	  "  immure run --disk data.img --timeout 5m image.erofs -- ./job\n" },
	{ "plan",
	  "immure plan [--json] [OPTION of run...] ROOTFS\n"
	  "\n"
	  "Prints what `immure run` would open, by which process, under which user ids, namespaces and\n"
	  "limits, without starting anything.\n"
	  "\n"
	  "Examples:\n"
	  "  immure plan ./rootfs\n"
	  "  immure plan --json --disk data.img ./rootfs | python3 -m json.tool\n" },
	{ "stats",
	  "immure stats [NAME] [--json|--prom]\n"
	  "\n"
	  "Prints what the processes of the running machine NAME, or of all of yours, have counted:\n"
	  "requests, bytes, errors, throttles, kicks, interrupts, exits by reason, latencies.  Reading\n"
	  "costs the machine nothing.  A machine started with --vsock has no counters.\n"
	  "\n"
	  "  --json   one object; without NAME with all machines in it\n"
	  "  --prom   text format of Prometheus\n"
	  "\n"
	  "Example:\n"
	  "  immure run --name web ./rootfs -- ./server & immure stats web\n" },
	{ "limit",
	  "immure limit NAME [--json]\n"
	  "immure limit NAME DEVICE bw=SIZE,iops=N,burst=SIZE\n"
	  "\n"
	  "Prints the rate limits of a running machine, or changes those of DEVICE (blk0, blk1, ...,\n"
	  "vsock) from now on: bytes and operations a second, 0 for no limit, and bytes that may go\n"
	  "once beyond that.  What is not named stays.  For vsock, tx- or rx- in front means one\n"
	  "direction, from or to the guest.  Instead, a rate limiter in Firecracker's JSON:\n"
	  "\n"
	  "  immure limit web blk1 bw=100M,iops=2000\n"
	  "  immure limit web blk1 '{\"ops\": {\"size\": 100, \"refill_time\": 250}}'\n" },
	{ "net",
	  "immure net denied NAME [--json]\n"
	  "\n"
	  "Shows what the packet wall of the running machine NAME, or each of them, has refused: frames by\n"
	  "rule, and where those of late were to go.  Before a tap the kernel counts, and it takes root to\n"
	  "ask it; of --net user the machine's own process counts, for whoever started it.\n"
	  "\n"
	  "Example:\n"
	  "  immure run --name web --net tap=vm0,ip=10.9.0.2/24,allow=10.9.0.0/24:443 ./rootfs -- ./job &\n"
	  "  immure net denied web\n" },
	{ "walls",
	  "immure walls [NAME] [--json]\n"
	  "\n"
	  "Shows what confines each process of the running machine NAME, read from the kernel: ids,\n"
	  "namespaces, system call filters, capabilities, descriptors, mounts, limits.  Without NAME,\n"
	  "one line for each machine of this host.  What cannot be read is said to be so.\n"
	  "\n"
	  "  --json   one object; without NAME with all machines in it\n"
	  "\n"
	  "Exit status: 0 every wall stands; 1 something is weaker than planned, and named; 125 error.\n"
	  "\n"
	  "Example:\n"
	  "  immure run --name web ./rootfs -- ./server & immure walls web\n" },
	{ "doctor",
	  "immure doctor [--json] [--production] [--probe-guest]\n"
	  "\n"
	  "Tests what immure needs of this host by doing it: KVM (with a small guest), namespaces,\n"
	  "cgroups, seccomp, Landlock.  Each line says ok, weaker or missing, why it matters, and what to\n"
	  "do.  Exit status 0 when guests can run here, 1 when not.\n"
	  "\n"
	  "  --production    also how a host should be set up where strangers' programs run: processor\n"
	  "                  mitigations, SMT, swap, kernel settings...; and what VMs without root do\n"
	  "                  without.  Each line says ok, advice or unknown; exit status 1 on advice, too\n"
	  "  --probe-guest   only whether a Linux guest can run here; says why not in one line\n"
	  "  --json          all of it, for machines\n"
	  "\n"
	  "Example:\n"
	  "  immure doctor\n" },
	{ "kernel",
	  "immure kernel import [--name NAME] [--bzimage] [DEB|TREE|IMAGE]\n"
	  "immure kernel list [--json]\n"
	  "immure kernel rm NAME\n"
	  "\n"
	  "import makes a bootable pair (kernel and small initramfs) of a Debian kernel package, of a\n"
	  "directory with boot/vmlinuz-* and lib/modules, or of the newest kernel in /boot, and keeps\n"
	  "it in the cache.  Nothing is installed.  `immure run` boots the one imported last, or the\n"
	  "one that --kernel names.\n"
	  "\n"
	  "      --name NAME   what to call it (the kernel's version)\n"
	  "      --bzimage     keep the compressed image: boots slower\n"
	  "\n"
	  "Examples:\n"
	  "  immure kernel import\n"
	  "  immure kernel import --name trial ./linux-image-6.12.95+deb12-cloud-amd64_*.deb\n" },
	{ "version", "immure version [--json]\n" },
	{ "help", "immure help [SUBCOMMAND]\n" },
};

int help_print(const char *command)
{
	for (size_t i = 0; i < array_len(texts); i++) {
		if (strcmp(texts[i].command, command) != 0)
			continue;
		fputs(texts[i].text, stdout);
		return fflush(stdout) == 0 ? 0 : EXIT_IMMURE;
	}
	say_error("there is no subcommand %s", command);
	say_hint("`immure help` lists them.");
	return EXIT_IMMURE;
}

int cmd_help(int argc, char **argv)
{
	return help_print(argc > 1 ? argv[1] : "");
}
