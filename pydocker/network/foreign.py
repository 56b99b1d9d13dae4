"""Other people's firewalls: chains at the forward hook that drop what no rule of theirs accepts.

Every base chain of a hook has to let a packet pass, whosever table it is in (nft(8)). With iptables' `-P FORWARD DROP`
(ufw and Docker do that), or a last rule that rejects (firewalld), nothing of ours would get through, and no
rule of our own table can change that. So there, and nowhere else, two rules for each bridge go to the top of that
chain, with a comment that says whose they are, and are taken away with the network. They open nothing that our
own table has not accepted: what it drops stays dropped.

They are of the kind that iptables-nft can show (`-A FORWARD -i pydocker0 -j ACCEPT`): a rule that it does not
understand would make it refuse the whole table.
"""

from collections.abc import Iterable, Sequence

from pydocker.network.nft import Chain, Rule

_FAMILIES = ("ip", "ip6", "inet")
_DROPPING = ({"drop"}, {"reject"})
_SIDES = {"from": "iifname", "to": "oifname"}


def forwarding(chains: Iterable[Chain], table: str) -> tuple[Chain, ...]:
    """The base chains at the forward hook that are not ours."""
    return tuple(one for one in chains if one.hook == "forward" and one.type == "filter" and one.family in _FAMILIES
                 and (one.family, one.table) != ("inet", table))


def drops(chain: Chain, rules: Sequence[Rule]) -> bool:
    """Whether what no rule names is dropped: by the policy, or by a last rule without any condition."""
    return chain.policy == "drop" or bool(rules and _unconditional(rules[-1]))


def _unconditional(rule: Rule) -> bool:
    words = [set(one) for one in rule.expressions if set(one) != {"counter"}]
    return len(words) == 1 and (words[0] in _DROPPING or _is_target(rule))


def _is_target(rule: Rule) -> bool:
    """REJECT of iptables, which nft's JSON tells by its name only."""
    return any(b'"REJECT"' in bytes(value) for one in rule.expressions for key, value in one.items() if key == "xt")


def exceptions(table: str, chain: Chain, rules: Sequence[Rule], bridges: Iterable[str]) -> str:
    """The commands after which the chain lets these bridges pass, and none that were ours before.

    A chain that drops nothing (any more) needs none.
    """
    ours = {rule.comment: rule.handle for rule in rules if _is_ours(table, rule)}
    wanted = dict(_wanted(table, bridges)) if drops(chain, others((table,), rules)) else {}
    where = f"{chain.family} {chain.table} {chain.name}"
    added = (f'insert rule {where} {match} counter accept comment "{comment}"\n'
             for comment, match in wanted.items() if comment not in ours)
    gone = (f"delete rule {where} handle {handle}\n" for comment, handle in ours.items() if comment not in wanted)
    return "".join((*added, *gone))


def others(tables: Iterable[str], rules: Iterable[Rule]) -> list[Rule]:
    """Without the exceptions of the engines whose tables these are."""
    return [rule for rule in rules if not any(_is_ours(table, rule) for table in tables)]


def _is_ours(table: str, rule: Rule) -> bool:
    return rule.comment.startswith(f"{table}: ")


def drops_through(table: str, chain: Chain, rules: Sequence[Rule], bridge: str) -> bool:
    """Whether it drops what comes through this bridge: it has no exceptions for it, and needs them."""
    return "insert rule" in exceptions(table, chain, rules, (bridge,))


def _wanted(table: str, bridges: Iterable[str]) -> Iterable[tuple[str, str]]:
    return ((f"{table}: {side} {bridge}", f'{key} "{bridge}"') for bridge in bridges for side, key in _SIDES.items())
