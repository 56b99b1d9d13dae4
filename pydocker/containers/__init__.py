"""The engine's containers: what can be asked of them. `Containers` is the API's backend; each verb has its own module.

    create      config.json: names, image defaults, checks             lifecycle   start stop restart kill
    status      what a container's state truly is                      removal     remove, and everything it leaves
    bundle      the OCI spec, as small pure functions                  streams     attach, wait, resize
    store       records and names on disk                              exec        exec sessions
"""

from pydocker.containers.service import Containers

__all__ = ["Containers"]
