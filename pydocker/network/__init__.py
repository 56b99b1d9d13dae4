"""Networks: what they are on disk, which addresses they give, and the steps that make them in the kernel.

    store      <data root>/networks/<id>/network.json     which networks there are
    endpoints  <run root>/networks/<id>/endpoints.json    who is in them now; read by DNS, the firewall and inspect
    ipam       which subnet a network gets, and which address a container (pure)
    asked      from a request to a network (pure)
    plan       from a network and an endpoint to steps (pure)
    steps      the host's part: bridge, address
    places     a container's part: namespace, veth pair, address, route; each with its reason and its command
    naming     where a container asks for names: 127.0.0.11 in its namespace
    names      what names and addresses mean to a container; `packets`, `upstreams`, `resolvconf`, `hosts` beside it
               (all pure; monitor/dns.py answers with them)
    netlink    the kernel's side of the steps, and the only place that knows pyroute2
    service    what the API and the containers ask for, put together

The monitor imports nothing that imports pyroute2, which costs 150 ms and 20 MB, and is the server's.
"""
