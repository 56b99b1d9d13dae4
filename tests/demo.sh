#!/bin/sh
# What a container is, shown on an image that is made here: no registry is needed.
#
# Every line that starts with `$` is a command that you can type yourself. A failure of any of them ends the demo.
set -eu

IMAGE=demo
NAMES='demo-limited demo-web'
work=$(mktemp -d)

finish() {
    status=$?
    rm -rf "$work"
    if [ $status -ne 0 ]; then
        pydocker rm -f $NAMES >/dev/null 2>&1 || true
        pydocker network rm demo-net >/dev/null 2>&1 || true
        pydocker volume rm demo-data >/dev/null 2>&1 || true
    fi
    exit $status
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

say() { printf '\n%s\n' "$1"; }

# Show a command as one would type it, run it, and show its output indented; its exit status is ours.
show() {
    printf '  $ %s\n' "$1"
    if output=$(eval "$1" 2>&1); then
        printf '%s\n' "$output" | sed '/^$/d; s/^/      /'
    else
        status=$?
        printf '%s\n' "$output" | sed 's/^/      /' >&2
        printf 'demo: this command failed with exit code %d: %s\n' "$status" "$1" >&2
        exit 1
    fi
}

# As `show`, and the output has to match a pattern of the shell: a demo that only prints proves nothing.
expect() {
    show "$2"
    # shellcheck disable=SC2254
    case $output in
        $1) ;;
        *) printf 'demo: expected %s of: %s\n' "$1" "$2" >&2; exit 1 ;;
    esac
}

busybox=$(command -v busybox || true)
[ -n "$busybox" ] || busybox=/bin/busybox
[ -x "$busybox" ] || { echo 'demo: busybox is missing (Debian: busybox-static)' >&2; exit 1; }

say "An image is a root file system and a few words about it. This one is the host's busybox and links to it:"
root=$work/root
mkdir -p "$root/bin" "$root/dev" "$root/etc" "$root/proc" "$root/root" "$root/sys" "$root/tmp"
cp "$busybox" "$root/bin/busybox"
for applet in $("$busybox" --list); do
    [ "$applet" = busybox ] || ln -s busybox "$root/bin/$applet"
done
echo 'root:x:0:0:root:/root:/bin/sh' >"$root/etc/passwd"
echo 'root:x:0:' >"$root/etc/group"
tar -C "$root" -cf "$work/root.tar" .
export IMAGE work
# shellcheck disable=SC2016
show 'pydocker import -c "CMD [\"sh\"]" "$work/root.tar" $IMAGE'
show "pydocker images $IMAGE"

say "Its own hostname (a UTS namespace); the host is called $(hostname):"
expect 'inside' "pydocker run --rm --hostname inside $IMAGE hostname"

say 'Its own processes (a PID namespace): the program is PID 1, and sees nobody else:'
expect 'I am PID 1
*' "pydocker run --rm $IMAGE sh -c 'echo I am PID \$\$; ps'"

say "Its own mounts (a mount namespace): / is an overlay of the image's layers, /proc and /dev are its own:"
expect 'overlay on / *' "pydocker run --rm $IMAGE sh -c 'mount | cut -c-70 | head -n 5'"

say 'Its own network (a network namespace), here without any connection to the outside:'
expect '*lo: *LOOPBACK,UP*' "pydocker run --rm --network none $IMAGE ip addr"

say 'A network of their own for two containers (a bridge), in which they find each other by name:'
show 'pydocker network create demo-net'
show "pydocker run -d --name demo-web --network demo-net $IMAGE sh -c 'hostname > /index.html; exec httpd -f -h /'"
expect '*demo-web*' 'pydocker network map'
expect '????????????' "pydocker run --rm --network demo-net $IMAGE sh -c 'for try in 1 2 3 4 5; do wget -qO- http://demo-web && exit; sleep 1; done; exit 1' 2>/dev/null"
show 'pydocker rm -f demo-web'
show 'pydocker network rm demo-net'

say 'A memory limit (a cgroup): 64 MiB are 67108864 bytes, read back by the container from its own cgroup:'
expect '67108864' "pydocker run --rm -m 64m $IMAGE sh -c 'cat /sys/fs/cgroup/memory.max 2>/dev/null || cat /sys/fs/cgroup/memory/memory.limit_in_bytes'"

say 'A file written in one container is not in the next: each has a layer of its own above the image:'
expect 'written' "pydocker run --rm $IMAGE sh -c 'echo written > /file && cat /file'"
expect '*No such file or directory*' "pydocker run --rm $IMAGE cat /file || true"

say 'Unless it is in a volume, which outlives every container:'
show "pydocker run --rm -v demo-data:/data $IMAGE sh -c 'echo kept > /data/file'"
expect 'kept' "pydocker run --rm -v demo-data:/data $IMAGE cat /data/file"
show 'pydocker volume rm demo-data'

say 'A container in the background: its output is kept, commands can join it, and its exit code is known:'
pydocker rm -f demo-limited >/dev/null 2>&1 || true
show "pydocker run -d --name demo-limited -m 64m -e GREETING=hello $IMAGE sh -c 'echo \$GREETING; exec sleep 1000'"
expect '*demo-limited*' 'pydocker ps'
for _ in 1 2 3 4 5 6 7 8 9; do [ -z "$(pydocker logs demo-limited 2>&1)" ] || break; sleep 0.3; done
expect 'hello' 'pydocker logs demo-limited'
expect '*sleep 1000*' 'pydocker exec demo-limited ps'
show 'pydocker kill demo-limited'
expect '137' 'pydocker wait demo-limited'
show 'pydocker rm demo-limited'

hub='import urllib.request as r, urllib.error as e
try: r.urlopen("https://registry-1.docker.io/v2/", timeout=5)
except e.HTTPError: pass'
if python3 -c "$hub" 2>/dev/null; then
    say 'An image that somebody else made, from Docker Hub:'
    if pydocker pull -q alpine >/dev/null 2>"$work/pull"; then
        expect '*Alpine*' 'pydocker run --rm alpine cat /etc/os-release'
    else
        echo "  Docker Hub answers, but not with alpine: $(tail -n 1 "$work/pull")"
    fi
else
    say 'Docker Hub cannot be reached from here, so alpine is neither pulled nor run: all else works without it.'
fi

cat <<END

All of this worked. To try next:
  pydocker run --rm -it $IMAGE sh                 a shell in a container
  pydocker run --dry-run $IMAGE sh                every step that makes it, with its reason
  pydocker run -d --name web $IMAGE sleep 1000    one in the background; pydocker ps, logs, exec -it, stop, rm
  pydocker pull alpine:3.20                     an image from Docker Hub
The real docker client works as well: DOCKER_HOST=unix:///run/pydocker.sock docker ps
END
