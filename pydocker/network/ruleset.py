"""The firewall's table as text for `nft -f -`: its chains, which never change, and its sets, which `firewall` fills.

    prerouting, output   a port of the host's that is published leads to the container's (destination NAT)
    postrouting          what leaves a network has the host's address (masquerade)
    forward              what may pass between a network and the rest of the world; networks do not see each other
    unrouted             127.0.0.0/8 of the host cannot be reached through a bridge (CVE-2020-8558)
    carrying             no monitor carries anything out of an internal network
    advertised           no container tells the host where its routes lead (CVE-2020-13401)

`accept` ends one table's chain and no other's, `drop` is final (nft(8), "Verdict statement"): so this table can forbid
what it likes, and a foreign one that drops needs `foreign`.
"""

from collections.abc import Iterable

import msgspec

from pydocker.network.firewall import Element, add

_COMMENT = "networks of pydocker, which remembers in "
_LONGEST_COMMENT = 128  # characters: NFTNL_UDATA_TABLE_COMMENT_MAXLEN, libnftnl/udata.h
_UNSPEAKABLE = frozenset('"\\*')  # in a name between quotes


class Closed(msgspec.Struct, frozen=True):
    """What the host does not forward, of IPv4 or IPv6: all but what concerns these interfaces."""

    version: int
    links: tuple[str, ...]  # that were there before; bridges that were not may forward
    routers: tuple[str, ...]  # forwarded before, each by its own setting


_SETS = """
	set bridges { type ifname; comment "every network of ours"; }
	set neighbours { type ifname; comment "networks of other engines, whose own tables guard them"; }
	set within { type ifname . ifname; comment "whose containers may speak with each other"; }
	set internal { type ifname; comment "networks that nothing leaves or enters"; }
	set unprotected { type nf_proto . ifname; comment "networks whose containers others may reach by their addresses"; }
	set trusted { type ifname . ifname; comment "from these interfaces, too"; }
	set routed { type nf_proto . ifname; comment "networks without NAT: they answer echo requests"; }
	set open4 { type ipv4_addr . inet_proto . inet_service; comment "published ports there"; }
	set open6 { type ipv6_addr . inet_proto . inet_service; }
	set beside { type ifname . nf_proto . inet_proto . inet_service; comment "carried for neighbours"; }
	set beside4 { type ifname . ipv4_addr . inet_proto . inet_service; comment "published on one address"; }
	set beside6 { type ifname . ipv6_addr . inet_proto . inet_service; }
	set carried { type nf_proto . inet_proto . inet_service; comment "published ports that a monitor carries"; }
	set carried4 { type ipv4_addr . inet_proto . inet_service; comment "the same, published on one address"; }
	set carried6 { type ipv6_addr . inet_proto . inet_service; }
	set subnets4 { type ipv4_addr; flags interval; comment "where containers are"; }
	set subnets6 { type ipv6_addr; flags interval; }
	set masquerade4 { type ipv4_addr; flags interval; comment "subnets that are hidden behind the host"; }
	set masquerade6 { type ipv6_addr; flags interval; }
	map source4 { type ipv4_addr : ipv4_addr; flags interval; comment "the same, behind an address of their own"; }
	map source6 { type ipv6_addr : ipv6_addr; flags interval; }
	map ports4 { type inet_proto . inet_service : ipv4_addr . inet_service; comment "published on every address"; }
	map ports6 { type inet_proto . inet_service : ipv6_addr . inet_service; }
	map ports4_at { type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service; comment "published on one"; }
	map ports6_at { type ipv6_addr . inet_proto . inet_service : ipv6_addr . inet_service; }
"""

_CHAINS = """
	chain published {
		comment "the source stays what it is: the container sees who asks"
		dnat ip to ip daddr . meta l4proto . th dport map @ports4_at
		dnat ip to meta l4proto . th dport map @ports4
		dnat ip6 to ip6 daddr . meta l4proto . th dport map @ports6_at
		dnat ip6 to meta l4proto . th dport map @ports6
	}
	chain prerouting {
		comment "127.0.0.0/8 from outside is a lie; what comes from fe80::/10 cannot be forwarded"
		type nat hook prerouting priority dstnat; policy accept;
		ip daddr 127.0.0.0/8 return
		ip6 daddr { ::1, fe80::/10 } return
		iifname . meta nfproto . meta l4proto . th dport @beside return
		iifname . ip daddr . meta l4proto . th dport @beside4 return
		iifname . ip6 daddr . meta l4proto . th dport @beside6 return
		meta l4proto { tcp, udp, sctp } fib daddr type local jump published
	}
	chain output {
		comment "the host's own connections to its published ports"
		type nat hook output priority -100; policy accept;
		ip6 daddr { ::1, fe80::/10 } return
		meta l4proto { tcp, udp, sctp } fib daddr type local jump published
	}
	chain postrouting {
		type nat hook postrouting priority srcnat; policy accept;
		oifname @bridges ct status dnat ip saddr @subnets4 masquerade comment "answers must come back through the host"
		oifname @bridges ct status dnat ip6 saddr @subnets6 masquerade
		ip saddr 127.0.0.0/8 oifname @bridges masquerade comment "127.0.0.1 is somebody else in the container"
		oifname @bridges return
		snat ip to ip saddr map @source4
		snat ip6 to ip6 saddr map @source6
		ip saddr @masquerade4 masquerade
		ip6 saddr @masquerade6 masquerade
	}
	chain unrouted {
		comment "bridges have route_localnet, for the host's own 127.0.0.1"
		type filter hook prerouting priority raw; policy accept;
		iifname @bridges ip daddr 127.0.0.0/8 drop
		iifname @bridges ip saddr 127.0.0.0/8 drop
	}
	chain advertised {
		type filter hook input priority filter; policy accept;
		iifname @bridges icmpv6 type { nd-router-advert, nd-redirect } drop
	}
	chain carrying {
		comment "who is in an internal network does not get out of it by way of a monitor"
		type filter hook input priority filter; policy accept;
		iifname @internal meta nfproto . meta l4proto . th dport @carried counter drop
		iifname @internal ip daddr . meta l4proto . th dport @carried4 counter drop
		iifname @internal ip6 daddr . meta l4proto . th dport @carried6 counter drop
	}
	chain incoming {
		ct status dnat accept comment "by a published port"
		meta nfproto . oifname @unprotected iifname != @bridges accept
		iifname . oifname @trusted accept
		ip daddr . meta l4proto . th dport @open4 accept
		ip6 daddr . meta l4proto . th dport @open6 accept
		meta nfproto . oifname @routed icmp type echo-request accept
		meta nfproto . oifname @routed icmpv6 type echo-request accept
		counter drop comment "no published port leads there"
	}
	chain others {
		comment "neither from our networks nor to them"
		iifname @neighbours return
		oifname @neighbours return
OTHERS	}
	chain forward {
		type filter hook forward priority filter; policy accept;
		iifname != @bridges oifname != @bridges goto others
		ct state established,related accept
		iifname . oifname @within accept
		iifname @internal counter drop comment "nothing leaves an internal network"
		oifname @internal counter drop comment "nothing enters it"
		oifname @bridges jump incoming
	}
"""

_CLOSED = """
		meta nfproto ipv{version} meta iifkind "bridge" iifname != {{ {links} }} return comment "its maker has rules"
		meta nfproto ipv{version} meta oifkind "bridge" oifname != {{ {links} }} return
		meta nfproto ipv{version} {others}counter drop comment "the host became a router for our networks alone"
"""


def ruleset(table: str, elements: Iterable[Element], closed: Iterable[Closed] = (), directory: str = "") -> str:
    """The whole table, whatever is there now.

    `closed`: as far as the host was no router before, and is to be none for others.
    `directory`: where its engine keeps what it has to remember; other engines of this host look there.
    """
    body = _SETS + _CHAINS.replace("OTHERS", "".join(map(_closed, closed)))
    comment = f"{_COMMENT}{directory}"
    if len(comment) > _LONGEST_COMMENT or _UNSPEAKABLE.intersection(directory) or not directory:
        comment = _COMMENT.split(",")[0]
    return (f"add table inet {table}\ndelete table inet {table}\n"
            f'table inet {table} {{\n\tcomment "{comment}"{body}}}\n' + add(table, elements))


def directory(shape: str) -> str:
    """The other way round, from the table as nft(8) lists it; "" if it does not tell."""
    return shape.partition(_COMMENT)[2].partition('"')[0]


def _closed(what: Closed) -> str:
    routers = _links(what.routers)
    return _CLOSED.format(version=what.version, links=_links(what.links) or '"lo"',
                          others=f"iifname != {{ {routers} }} " if routers else "").lstrip("\n")


def _links(names: Iterable[str]) -> str:
    """Names as nft(8) writes them; those that it cannot write are left out, and as good as new."""
    return ", ".join(f'"{name}"' for name in names if not _UNSPEAKABLE.intersection(name))
