"""`pydocker search`: Docker Hub, or the registry that the term names."""

from pydocker.cli import phrases, table
from pydocker.cli.command import ONE, Command
from pydocker.cli.credentials import header
from pydocker.cli.flags import FILTER, INT, switch, value, values
from pydocker.cli.ps import filters
from pydocker.cli.session import Session
from pydocker.client import registries
from pydocker.client.answers import SearchResult
from pydocker.model import reference

_WIDEST = 45  # characters of a description
HEADINGS = {
    "Name": "NAME", "Description": "DESCRIPTION", "StarCount": "STARS", "IsOfficial": "OFFICIAL",
    "IsAutomated": "AUTOMATED",
}
_COLUMNS = ("Name", "Description", "StarCount", "IsOfficial")


def search(
    session: Session, arguments: tuple[str, ...], *, filter: tuple[tuple[str, str], ...], format: str | None,
    limit: int | None, no_trunc: bool,
) -> int:
    """Print what was found, the most starred first."""
    domain, _ = reference.split(arguments[0])
    found = registries.search(session.client(), {
        "term": arguments[0], "limit": limit or None, "filters": filters(filter)}, header(session, domain))
    rows = [_row(one, no_trunc) for one in sorted(found, key=lambda one: -one.star_count)]
    session.write(table.shown(rows, HEADINGS, _COLUMNS, format, "*registry.searchContext"))
    return 0


def _row(found: SearchResult, whole: bool) -> table.Row:
    description = " ".join((found.description or "").split())
    return {
        "Name": found.name, "Description": description if whole else phrases.shortened(description, _WIDEST),
        "StarCount": str(found.star_count), "IsOfficial": "[OK]" if found.is_official else "",
        "IsAutomated": "[OK]" if found.is_automated else "",
    }


SEARCH = Command(
    "search", search, synopsis="TERM", arity=ONE,
    help="Search Docker Hub, or the registry that TERM begins with, for images",
    flags=(
        values("-f", "--filter", kind=FILTER, help="Filter output: stars=NUMBER, is-official=true"),
        value("--format", help="Format output: 'table', 'table TEMPLATE', 'json', or a Go TEMPLATE"),
        value("--limit", kind=INT, help="Max number of search results"),
        switch("--no-trunc", help="Don't truncate output"),
    ))
