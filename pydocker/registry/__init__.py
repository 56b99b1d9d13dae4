"""Talking to registries: the OCI distribution specification's pull half, with verified bytes as the only result.

    Repository          what the rest of the engine sees: a manifest, a blob           repository
       │
       ├── manifest     which documents are accepted, and what they must say           (pure)
       ├── blob         a layer's bytes, counted, digested, resumed                    (pure but for the waiting)
       ├── refusal      a registry's error document in Docker's words                  (pure)
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
