# What a program may try that you should not run on your own machine. Fed to a guest's shell:
#   immure run --timeout 60s -m 128M -u 65534:65534 ROOTFS -- sh -s < hostile.sh
# Each line says what was tried and what came of it.

try() { # WHAT COMMAND...
	what=$1
	shift
	if "$@" > /tmp/out 2>&1; then
		echo "done     $what"
	else
		echo "refused  $what ($(tail -n 1 /tmp/out))"
	fi
}

try "read the host's files" cat /host/etc/shadow
try "write to the root file system" sh -c 'echo x > /etc/passwd'
try "reach the network" nc -w 2 192.0.2.1 80
try "mount a file system" mount -t tmpfs none /tmp
try "read physical memory" dd if=/dev/mem bs=4096 count=1
try "write to the root disk" dd if=/dev/zero of=/dev/vda bs=512 count=1
try "switch the machine off" poweroff -f
try "fill the memory" sh -c 'x=x; while :; do x=$x$x; done'
try "start processes without end" sh -c 'ulimit -p 50; f() { f | f & }; f; sleep 1; false'

echo "still here, and so is the host"
