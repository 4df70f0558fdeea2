"""Names of tools in namespaces: one for everybody else, and the two that OpenAI Responses has. Reads and writes no requests."""

from __future__ import annotations

from msgspec import Raw

from anyllm_fast.neutral.losses import Where
from anyllm_fast.neutral.members import take_string
from anyllm_fast.neutral.request import Members, ToolForm

Forms = dict[bytes, ToolForm]


def in_namespace(space: bytes, name: bytes) -> bytes:
    """`SPACE__NAME` (spans)."""
    return b"%b__%b" % (space, name)


def full_name(name: Raw, members: Members, forms: Forms, where: Where) -> Raw:
    """A tool's name as everybody else has it: with the `namespace` that is taken out of `members`, or with the one that the tool
    has in `forms` where its name alone leaves no doubt (models and clients leave it out)."""
    span = bytes(name)[1:-1]
    space = take_string(members, "namespace", where)
    if space is not None and len(memoryview(space)) > 2:
        return Raw(b'"%b"' % in_namespace(bytes(space)[1:-1], span))
    if span not in forms:
        found = [key for key, form in forms.items() if form.namespace and form.name == span]
        if len(found) == 1:
            return Raw(b'"%b"' % found[0])
    return name
