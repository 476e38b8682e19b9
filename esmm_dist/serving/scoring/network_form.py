"""Whether two saved networks differ in their weights alone: the graph, without names that each export makes anew."""

import re
from collections.abc import Iterator
from typing import Any

_NUMBERED = re.compile(r"^__inference_(.+)_\d+$")
_SAID = "_user_specified_name"
"""What an argument was called, which for a weight is a number"""
_OF_FILES = ("_traced_save", "_traced_restore")
"""Functions that write and read the weights, of which the graph that is called has none"""


def network_form(meta_graph: Any) -> tuple[object, ...]:
    """Return what two networks that compute the same from the same weights have in common.

    Args:
        meta_graph: ``MetaGraphDef`` of a SavedModel of networks; its names are changed
    """
    graph = meta_graph.graph_def
    for node in _nodes(graph):
        for attr in node.attr.values():
            if attr.WhichOneof("value") == "func":
                attr.func.name = _plain(attr.func.name)
    functions = []
    for function in graph.library.function:
        function.signature.name = _plain(function.signature.name)
        for argument in function.arg_attr.values():
            argument.attr.pop(_SAID, None)
        if function.signature.name not in _OF_FILES:
            functions.append(function.SerializeToString(deterministic=True))
    return (
        tuple(node.SerializeToString(deterministic=True) for node in graph.node),
        tuple(sorted(functions)),
        tuple(
            (name, each.SerializeToString(deterministic=True))
            for name, each in sorted(meta_graph.signature_def.items())
        ),
        tuple(_variables(meta_graph)),
    )


def variables_of(meta_graph: Any) -> list[str]:
    """Return the keys of the weights in the checkpoint beside a graph, in the order of ``dense_variables``."""
    return [f"dense_variables/{place}/.ATTRIBUTES/VARIABLE_VALUE" for place, _ in _variables(meta_graph)]


def _variables(meta_graph: Any) -> Iterator[tuple[int, bytes]]:
    """Yield place and form of each variable of the list ``dense_variables``, by places ascending."""
    nodes = meta_graph.object_graph_def.nodes
    listed = [child.node_id for child in nodes[0].children if child.local_name == "dense_variables"]
    places = {int(child.local_name): child.node_id for each in listed for child in nodes[each].children}
    for place in sorted(places):
        yield place, nodes[places[place]].variable.SerializeToString(deterministic=True)


def _nodes(graph: Any) -> Iterator[Any]:
    yield from graph.node
    for function in graph.library.function:
        yield from function.node_def


def _plain(name: str) -> str:
    """Return the name of a function without the number that it got when it was made."""
    found = _NUMBERED.match(name)
    return found[1] if found else name
