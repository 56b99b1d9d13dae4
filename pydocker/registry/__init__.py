"""Talking to registries: the OCI distribution specification, both ways, with verified bytes as the only result.

    Repository          what the rest of the engine sees: a manifest, a blob           repository  (login, search)
       │
       ├── manifest     which documents are accepted, and what they must say           (pure)
       ├── mirrors      where a repository is asked for, by the configuration          (pure)
       ├── blob         a layer's bytes, counted, digested, resumed                    (pure but for the waiting)
       ├── upload       a layer's way up: there already, mounted, sent, resumed
       ├── listing      tags and repositories, page by page
       ├── refusal      a registry's error document in Docker's words                  (pure)
       ▼
    Endpoint            one registry at one address: https, or http where that may be  endpoint
       ▼
    Exchange            one question, answered: redirects, then auth, then retries     exchange
       │
       ├── auth         401 -> challenge -> token or password -> again                 (a generator, no I/O)
       ├── challenge    the WWW-Authenticate header                                    (pure)
       ├── credentials  the X-Registry-Auth header                                     (pure)
       ├── patience     how long to wait before the next try                           (pure)
       ├── hosts        who may be spoken to in plain HTTP                             (pure but for one name look-up)
       ▼
    Transport           one request, one answer; the only place that knows requests    transport, trust (TLS)

A registry is not trusted: whatever it sends is bounded in size, checked against a digest that came from somewhere
else, and stripped of control characters before a person sees it. Credentials are added to requests for the registry's
own origin and its token server, and to nothing else: a redirect cannot carry them away (CVE-2020-15157).
"""
