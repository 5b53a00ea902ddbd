"""Reading of YAML files in which a key that stands twice is a mistake."""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from amlprognosis.errors import InputError


class _Strict(yaml.SafeLoader):
    """YAML whose mappings have each key once; PyYAML takes the last one without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen = set()
        for key, _ in node.value:
            name = getattr(key, "value", None)
            if isinstance(name, str) and key.tag != "tag:yaml.org,2002:merge":
                if name in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"key {name!r} stands twice in one mapping; remove one", key.start_mark
                    )
                seen.add(name)
        return super().construct_mapping(node, deep)


def read_yaml(path: str | Path) -> Any:
    """Content of a YAML file.

    Raises
    ------
    InputError
        No such file, no text, no YAML, or a key that stands twice in a mapping, with the line.
    """
    try:
        loader = _Strict(Path(path).read_text(encoding="utf-8"))
        try:
            return loader.get_single_data()
        finally:
            loader.dispose()
    except FileNotFoundError:
        raise InputError(f"{path}: no such study file; give the path of a YAML file") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); give the path of a YAML file") from None
    except RecursionError:
        raise InputError(f"{path}: not a YAML file: brackets within brackets without end") from None
    except (yaml.YAMLError, ValueError) as error:  # a text that looks like a date but is none is a ValueError
        raise InputError(f"{path}: not a YAML file: {' '.join(str(error).split())}") from None
