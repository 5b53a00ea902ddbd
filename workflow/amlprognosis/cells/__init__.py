"""Single cells: load, check, embed, annotate and score an atlas.

Heavy libraries (scanpy, umap, igraph) are imported inside the functions that need them.
"""

from __future__ import annotations
