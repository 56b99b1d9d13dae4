"""`index.json`, the one file that says which images there are (OCI image spec, image-layout.md, "index.json file").

One entry stands for one name of one image: its descriptor is the manifest's, and the annotation
`org.opencontainers.image.ref.name` is the complete reference, in one of two forms, as in Docker's reference store:

    docker.io/library/alpine:3.20               a tag
    docker.io/library/alpine@sha256:…           what a registry calls it: the digest of the index or manifest it sent

An image without any name (`<none>:<none>`, "dangling") has one entry without the annotation. Everything here is pure:
a change gives a new catalog.
"""

from collections.abc import Callable, Iterator
from typing import NewType

import msgspec

from pydocker.errors import InvalidParameter
from pydocker.model.digest import Digest
from pydocker.model.image import OCI_INDEX, Descriptor
from pydocker.model.reference import Reference

REF_NAME = "org.opencontainers.image.ref.name"
_ALGORITHM = "sha256"
Name = NewType("Name", str)  # a complete reference, with a tag or a digest, not both


def name_of(reference: Reference) -> Name:
    """The entry that a reference looks for: by digest if it has one, as content is immutable, else by tag."""
    complete = reference.with_default_tag()
    if complete.digest is not None:
        return Name(f"{complete.name}@{complete.digest}")
    return Name(str(complete))


def new_name(reference: Reference) -> Name:
    """The entry that an image gets. Raises InvalidParameter for a repository `sha256`: with it, an archive could give
    its image a name that is read as another one's id (CVE-2014-8178)."""
    if reference.familiar_name == _ALGORITHM:
        raise InvalidParameter("refusing to create an ambiguous tag using digest algorithm as name")
    return name_of(reference)


class Catalog(msgspec.Struct, frozen=True, rename="camel"):
    """All entries, in the order in which they came."""

    manifests: tuple[Descriptor, ...] = ()
    schema_version: int = 2
    media_type: str = OCI_INDEX

    def find(self, name: Name) -> Descriptor | None:
        """The manifest that has this name."""
        return next((entry for entry in self.manifests if entry.annotations.get(REF_NAME) == name), None)

    def names(self, manifest: Digest) -> tuple[Name, ...]:
        """Every name of a manifest."""
        return tuple(Name(entry.annotations[REF_NAME]) for entry in self.manifests
                     if entry.digest == manifest and REF_NAME in entry.annotations)

    def unique(self) -> Iterator[Descriptor]:
        """Every manifest once, without name."""
        return iter({entry.digest: _bare(entry) for entry in self.manifests}.values())

    def with_name(self, name: Name, manifest: Descriptor) -> "Catalog":
        """`name` means `manifest` from now on; what it meant before stays, without name if it has no other."""
        rest = self.without_name(name)
        others = [entry for entry in rest.manifests
                  if entry.digest != manifest.digest or REF_NAME in entry.annotations]
        named = msgspec.structs.replace(_bare(manifest), annotations={REF_NAME: name})
        return msgspec.structs.replace(rest, manifests=(*others, named))

    def with_manifest(self, manifest: Descriptor) -> "Catalog":
        """With an image that has no name, unless it is there already."""
        if any(entry.digest == manifest.digest for entry in self.manifests):
            return self
        return msgspec.structs.replace(self, manifests=(*self.manifests, _bare(manifest)))

    def without_name(self, name: Name) -> "Catalog":
        """The image that had this name stays in the catalog."""
        found = self.find(name)
        if found is None:
            return self
        return self._only(lambda entry: entry.annotations.get(REF_NAME) != name).with_manifest(found)

    def without_manifest(self, manifest: Digest) -> "Catalog":
        """With all of its names."""
        return self._only(lambda entry: entry.digest != manifest)

    def _only(self, wanted: Callable[[Descriptor], bool]) -> "Catalog":
        return msgspec.structs.replace(self, manifests=tuple(filter(wanted, self.manifests)))


def _bare(entry: Descriptor) -> Descriptor:
    return msgspec.structs.replace(entry, annotations={})
