"""YAML as bytes in, plain values out: by libyaml where it is there, twelve times as fast.

Its reader goes as deep as the text does, with no look at the stack: a hundred thousand brackets end
the process. So the depth is looked at first, by its parser, which keeps no stack of calls.
"""

from typing import Any

import yaml

FAST_LOADER: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_DEEPEST = 100


def read_yaml(text: bytes | str, loader: type[yaml.SafeLoader] = FAST_LOADER) -> Any:
    """Return what a text holds.

    Args:
        text: In UTF-8, if it is bytes.
        loader: A safe one.

    Raises:
        yaml.YAMLError: It is no YAML of plain values, or more than 100 levels deep.
        ValueError: A value cannot be, such as the 31st of February.
    """
    depth = 0
    for event in yaml.parse(text, Loader=loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > _DEEPEST:
                raise yaml.YAMLError(f"it is more than {_DEEPEST} levels deep")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
    return yaml.load(text, Loader=loader)  # noqa: S506 - a safe one
