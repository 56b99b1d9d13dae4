"""`network map --svg`: however much there is, boxes stand apart, and the picture is as wide as a page."""

import itertools
import re
from xml.etree import ElementTree

import pytest

from pydocker.cli import network_map
from pydocker.client import networks

SVG = "{http://www.w3.org/2000/svg}"


def network(number: int, members: int) -> networks.Network:
    ports = tuple(networks.Published("tcp", host, 8000 + number, 80) for host in ("0.0.0.0", "::"))
    inside = {f"{number:02d}{one:02d}" * 16: networks.Member(
        name="box" * (1 + one), mac="02:42:ac:12:00:02", ipv4=f"172.{number}.0.{one}/16", interface="eth0",
        host_interface="veth00000000000", published=ports if one % 3 == 0 else ()) for one in range(members)}
    return networks.Network(id=f"{number:064x}", name=f"net{number}", driver="bridge", interface=f"br-{number:012x}",
                            ipam=networks.Ipam((networks.Pool(f"172.{number}.0.0/16"),)), members=inside)


@pytest.mark.parametrize("sizes", [(), (1,), (0, 1, 2, 3, 10, 4, 2, 5, 1, 6, 3, 3)])
def test_no_box_hides_another(sizes: tuple[int, ...]) -> None:
    found = [network(number, members) for number, members in enumerate(sizes)]
    picture = ElementTree.fromstring(network_map.picture(network_map.host(found, {})))
    width, height = float(picture.attrib["width"]), float(picture.attrib["height"])
    boxes = [tuple(float(one.attrib[key]) for key in ("x", "y", "width", "height"))
             for one in picture.iter(f"{SVG}rect") if "x" in one.attrib]
    assert len(boxes) == 1 + len(sizes) + sum(sizes) and width < 1300
    assert all(x + w < width and y + h < height for x, y, w, h in boxes)
    for (x1, y1, w1, h1), (x2, y2, w2, h2) in itertools.combinations(boxes, 2):
        assert x1 + w1 < x2 or x2 + w2 < x1 or y1 + h1 < y2 or y2 + h2 < y1
    words = [one.text or "" for one in picture.iter(f"{SVG}text")]
    assert sum(bool(re.fullmatch(r"veth\d+ ═ eth0", one)) for one in words) == sum(sizes)
