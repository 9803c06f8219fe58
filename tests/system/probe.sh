# What a process can see of its own confinement, in sections; every line is compared between runtimes.
section() { echo "== $1"; }
section status
grep -E '^(Uid|Gid|Groups|Cap|NoNewPrivs|Seccomp:|SigBlk|SigIgn|SigCgt|SigPnd|Cpus_allowed_list)' /proc/self/status
section stat
read -r line < /proc/$$/stat
set -- $line
echo "leads its group $(($1 == $5)), leads its session $(($1 == $6)), terminal $(($7 != 0)), nice ${19}"
section limits
cut -c1-70 /proc/self/limits
section env
tr '\0' '\n' < /proc/$$/environ | sort
section fds
for fd in /proc/$$/fd/*; do echo "${fd##*/} $(readlink "$fd")"; done
section place
pwd
readlink /proc/$$/cwd
readlink /proc/$$/root
umask
hostname
section ns
for name in cgroup ipc mnt net pid time user uts; do readlink "/proc/$$/ns/$name"; done
section maps
cat /proc/self/uid_map /proc/self/gid_map /proc/self/setgroups /proc/self/timens_offsets
section mounts
cat /proc/self/mountinfo
section files
for file in / /bin /tmp /dev /dev/* /dev/pts/* /dev/shm /proc /sys /sys/fs/cgroup /mnt /mnt/* /mnt/*/*; do
    [ -e "$file" ] || [ -L "$file" ] && stat -c '%n %A %u:%g %t:%T' "$file"
    [ -L "$file" ] && echo "$file leads to $(readlink "$file")"
done
section cgroup
grep '^0::' /proc/self/cgroup
section settings
for name in oom_score_adj personality; do echo "$name $(cat /proc/self/$name 2>&1)"; done
for name in kernel/domainname kernel/msgmax kernel/shm_rmid_forced net/ipv4/ip_forward fs/mqueue/msg_max; do
    echo "$name $(cat /proc/sys/$name 2>&1)"
done
ionice -p $$ 2>&1
section net
cut -d: -f1 /proc/net/dev | sort
ifconfig lo 2>&1 | grep -E 'UP|inet '
section writes
for file in /new /tmp/new /dev/new /dev/shm/new /proc/sys/kernel/domainname /proc/sysrq-trigger /sys/new /sys/fs/cgroup/new; do
    if (true > "$file") 2> /tmp/why; then echo "$file can be written"; else echo "$file $(cat /tmp/why 2> /dev/null)"; fi
done
section reads
for file in /proc/kcore /proc/keys /proc/timer_list /dev/null /dev/zero /dev/random; do
    echo "$file $(head -c 1 $file 2>&1 | wc -c)"
done
section stdin
if [ -t 0 ]; then stty -a 2> /dev/null | sed 's/= /=/g; s/rows /rows=/; s/columns /columns=/' | tr -s '; ' '\n'; else cat; fi
section end
