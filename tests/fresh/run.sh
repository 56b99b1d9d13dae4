#!/bin/sh
# A new user's machine, in a directory: a bare Debian with git, make and python3, this checkout cloned into it, and the
# two commands of the README typed there. In namespaces of its own but for the network, which fetches the packages.
#
#   run.sh [DIRECTORY]     keeps nothing; DIRECTORY is where the root file system goes (default: below /var/tmp)
#
# What this machine knows about where packages come from (apt's sources and proxies, pip's settings, certificates) is
# handed on as it is; everything else is as the distribution has it. SUITE chooses another release of Debian, TARGETS
# what is made there, INCLUDE further packages (comma-separated), and KEEP a directory that the finished root file system
# becomes: `make test-vm` makes its machine that way.
set -eu

[ "$(id -u)" -eq 0 ] || { echo 'only root can make a root file system and namespaces: sudo make test-fresh' >&2; exit 1; }
here=$(cd "$(dirname "$0")" && pwd)
source=$(cd "$here/../.." && pwd)
work=$(mktemp -d "${1:-/var/tmp}/pydocker-fresh.XXXXXX")
root=$work/root
name=$(basename "$work")

# The hierarchies of cgroups: `/sys/fs/cgroup` on v2, one directory each on v1, both on hybrid systems.
hierarchies() {
    awk '{ for (i = 7; $i != "-"; i++); if ($(i + 1) ~ /^cgroup2?$/) print $5 }' /proc/self/mountinfo
}

# Everything inside ended with its PID namespace, so nothing can hold these; what resists is reported.
clean_up() {
    status=$?
    trap '' INT TERM
    hierarchies | while read -r hierarchy; do
        [ ! -d "$hierarchy/$name" ] || find "$hierarchy/$name" -depth -type d -exec rmdir {} \;
    done
    rm -rf --one-file-system "$work"
    exit $status
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Debian's own archives among apt's sources, as `URI RELEASE COMPONENT` (those of others need other keys).
archives() {
    apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' |
        awk -v suite="$suite" '$2 ~ "^" suite "($|-)"' | sort -u
}

# A worktree has its history elsewhere, and inside there is only the checkout.
if [ ! -d "$source/.git" ]; then
    git -c safe.directory='*' clone --quiet --bare "$source" "$work/source"
    source=$work/source
fi

suite=${SUITE:-$(. /etc/os-release && echo "$VERSION_CODENAME")}
mirror=$(archives | awk -v suite="$suite" '$2 == suite { print $1; exit }')
echo "making a bare Debian ($suite) in $root"
debootstrap --variant=minbase --include="git,make,python3${INCLUDE:+,$INCLUDE}" "$suite" "$root" ${mirror:+"$mirror"} \
    >"$work/debootstrap.log" 2>&1 || { tail -n 20 "$work/debootstrap.log" >&2; exit 1; }
rm -f "$root"/var/cache/apt/archives/*.deb

# Where packages come from.
archives | sed 's/^/deb /' >"$root/etc/apt/sources.list.d/machine.list"
[ ! -s "$root/etc/apt/sources.list.d/machine.list" ] || : >"$root/etc/apt/sources.list"
for file in /etc/apt/apt.conf $(grep -ls 'Acquire' /etc/apt/apt.conf.d/* || true); do
    [ ! -f "$file" ] || cp "$file" "$root$file"
done
cp -L /etc/resolv.conf /etc/hosts "$root/etc/"
certificates=${SSL_CERT_FILE:-${REQUESTS_CA_BUNDLE:-}}
[ -z "$certificates" ] || cp -L "$certificates" "$root/etc/machine-certificates.crt"

# pip's settings become one file; the directories that they name are there, read-only, under the same names (of an
# index the one above it: the files that its pages link to lie beside them), and so are copies of files (constraints).
python3 -m pip config list 2>/dev/null | grep -v '^:env:\|\.cert=\|^install\.user' >"$work/pip.list" || true
env | sed -n 's/^PIP_\(FIND_LINKS\|INDEX_URL\|EXTRA_INDEX_URL\|TRUSTED_HOST\|DEFAULT_TIMEOUT\)=/&/p' >"$work/environment"
env | grep -i '^\(http\|https\|no\)_proxy=' >>"$work/environment" || true
if [ -n "$certificates" ]; then
    for variable in PIP_CERT SSL_CERT_FILE REQUESTS_CA_BUNDLE; do
        echo "$variable=/etc/machine-certificates.crt" >>"$work/environment"
    done
fi
python3 - "$work/pip.list" "$root/etc/pip.conf" <<'PYTHON'
import ast, collections, sys
sections = collections.defaultdict(dict)
for line in open(sys.argv[1]):
    key, _, value = line.strip().partition("=")
    section, _, option = key.partition(".")
    sections[section][option] = ast.literal_eval(value)
with open(sys.argv[2], "w") as file:
    for section, options in sections.items():
        file.write(f"[{section}]\n" + "".join(f"{k} = " + v.replace("\n", "\n    ") + "\n" for k, v in options.items()))
PYTHON
cat "$root/etc/pip.conf" "$work/environment" | tr ' =' '\n\n' |
    sed -n 's,^file://\(/.*\)/[^/]*/*$,\1,p; /^\//p' | sort -u |
    while read -r path; do
        [ ! -f "$path" ] || install -D -m 644 "$path" "$root$path"
        case $path in /etc/*) ;; /*/*) [ ! -d "$path" ] || echo "$path" ;; esac
    done >"$work/directories"

# A cgroup of its own in every hierarchy, which becomes the root of the cgroup namespace.
hierarchies | while read -r hierarchy; do
    mkdir "$hierarchy/$name"
    for file in cpuset.cpus cpuset.mems; do
        [ ! -e "$hierarchy/$name/$file" ] || [ -e "$hierarchy/cgroup.controllers" ] ||
            cat "$hierarchy/$file" >"$hierarchy/$name/$file"
    done
done
hierarchies >"$work/hierarchies"

# On v2 the processes leave the namespace's root for a leaf: a cgroup that hands controllers to its children has to be
# without processes (cgroups(7)). All but the network is new then.
# shellcheck disable=SC2016
leave_root='
    while read -r hierarchy; do
        [ -e "$hierarchy/cgroup.controllers" ] || continue
        mkdir "$hierarchy/$name/processes"
        echo $$ >"$hierarchy/$name/processes/cgroup.procs"
    done <"$work/hierarchies"
    exec unshare --mount --propagation private --pid --fork --kill-child --uts --ipc "$0"'

env -i $(tr '\n' ' ' <"$work/environment") root="$root" source="$source" work="$work" name="$name" \
    TARGETS="${TARGETS:-demo test}" \
    PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 \
    sh -c 'while read -r hierarchy; do echo $$ >"$hierarchy/$name/cgroup.procs"; done <"$work/hierarchies"
           exec unshare --cgroup sh -c "$0" "$1"' "$leave_root" \
    "$here/inside.sh"
[ -z "${KEEP:-}" ] || mv "$root" "$KEEP"
