"""Which operations of a traced graph would run on a GPU, and how they behave there; found without one.

TensorFlow's wheel for Linux has the GPU kernels in it, and registers them on a machine without a GPU too. So what is
asked of the registry here is what TensorFlow's placer asks on a machine with one: an operation without a device of its
own goes to the GPU if a kernel for its types is registered there, and to the CPU otherwise.
"""

import functools
from collections.abc import Iterator
from typing import Any

import tensorflow as tf
from tensorflow.python.framework import kernels

REFUSED = {
    # What TensorFlow 2.16.2 refuses on a GPU under op determinism: the messages in its library
    # (strings libtensorflow_cc.so.2 | grep -i determinis), with the operations that their kernels implement
    "AdjustContrast": "A deterministic GPU implementation of AdjustContrast is not",
    "AdjustContrastv2": "A deterministic GPU implementation of AdjustContrastv2 is not",
    "DepthwiseConv2dNativeBackpropFilter": "A deterministic GPU implementation of DepthwiseConvBackpropFilter is not",
    "ResizeNearestNeighborGrad": "A deterministic GPU implementation of ResizeNearestNeighborGrad is not",
    "SparseTensorDenseMatMul": "A deterministic GPU implementation of SparseTensorDenseMatmulOp is not",
    "FusedBatchNormGradV3": "A deterministic GPU implementation of fused batch-norm backprop, when training is",
    "DebugNumericSummaryV2": "Determinism is not yet supported for DebugNumericSummaryV2",
    "Dilation2DBackpropFilter": "Determinism is not yet supported for Dilation2DBackpropFilter",
    "Dilation2DBackpropInput": "Determinism is not yet supported for Dilation2DBackpropInput",
    "MaxPoolGradWithArgmax": "Determinism is not yet supported for MaxPoolGradWithArgmax",
    "Svd": "Determinism is not yet supported for SVD of matrices with 1 column",
    "Bincount": "Determinism is not yet supported in GPU implementation of Bincount",
    "DenseBincount": "Determinism is not yet supported in GPU implementation of DenseBincount",
    "FakeQuantWithMinMaxVarsGradient": "GPU implementation of FakeQuantWithMinMaxVarsGradient",
    "FakeQuantWithMinMaxVarsPerChannelGradient": "GPU implementation of FakeQuantWithMinMaxVarsPerChannelGradient",
    "ScatterUpdate": "Determinism is not yet supported in GPU implementation of Scatter ops with ref inputs",
    "CropAndResizeGradBoxes": "Deterministic GPU implementation of CropAndResizeBackpropBoxes not available",
    "CropAndResizeGradImage": "Deterministic GPU implementation of CropAndResizeBackpropImage not available",
    "SoftmaxCrossEntropyWithLogits": "GPU implementation of SoftmaxCrossEntropyWithLogits that would have been",
    "SparseSoftmaxCrossEntropyWithLogits": "GPU implementation of SparseSoftmaxCrossEntropyWithLogits that would have",
}
"""Operations that raise UnimplementedError on a GPU with ``deterministic``, and by what words."""

_MOVES = {
    *(
        "AssignVariableOp",
        "BroadcastTo",
        "Cast",
        "ConcatV2",
        "Const",
        "DynamicStitch",
        "ExpandDims",
        "Fill",
        "GatherV2",
    ),
    *("Identity", "Pack", "Range", "Reshape", "Shape", "Size", "Slice", "SplitV", "Squeeze", "StridedSlice"),
    *("ShapeN", "Split", "StopGradient"),
    *("StridedSliceGrad", "Tile", "Transpose", "Unpack", "Where", "ZerosLike", "OnesLike", "ConcatOffset", "Pad"),
}
"""Copies values, or computes shapes: each place of the result has one source (``StridedSliceGrad``: of one slice)."""

_BY_ELEMENT = {
    *("AddN", "AddV2", "AssignAddVariableOp", "AssignSubVariableOp", "Equal", "Exp", "FloorDiv", "FloorMod", "Greater"),
    *("GreaterEqual", "IsFinite", "Less", "LessEqual", "Log1p", "LogicalAnd", "LogicalNot", "LogicalOr", "Maximum"),
    *("Minimum", "Mul", "Neg", "NotEqual", "Pow", "RealDiv", "Reciprocal", "Relu", "ReluGrad", "SelectV2", "Sigmoid"),
    *("Softplus", "SoftplusGrad", "SigmoidGrad", "Sqrt", "Square", "Sub", "Rsqrt", "SquaredDifference", "Tanh"),
    *("UpperBound", "StatelessRandomGetKeyCounter", "StatelessRandomUniformV2", "RsqrtGrad", "ResourceApplyAdam"),
    *("Abs", "Sign", "Expm1", "Log", "Select"),
}
"""Each place of the result is computed by one thread, from places of the arguments; random numbers by counter."""

_SUMS = {
    "All": "reduction_gpu_kernels.cu.h: blocks in a fixed order, without atomics",
    "L2Loss": "the same reductions",
    "Max": "the same reductions",
    "Mean": "the same reductions",
    "Prod": "the same reductions",
    "Softmax": "softmax_op_gpu.cu.cc: the same reductions, over each row",
    "Sum": "the same reductions",
    "Cumsum": "scan_ops_gpu.h: a block a sequence, and no device-wide scan, 'because it is not deterministic'",
    "BatchMatMulV2": "cuBLAS on one stream, as MatMul",
    "MatMul": "cuBLAS on one stream; op determinism turns autotuning off (numeric_options_utils.h)",
    "UnsortedSegmentSum": "segment_reduction_ops_gpu.cu.h: sorted by segment where OpDeterminismRequired()",
}
"""Adds up in an order that does not depend on the timing of threads; the files are in TensorFlow's own headers."""

DETERMINISTIC = _MOVES | _BY_ELEMENT | set(_SUMS)
"""Operations whose GPU kernels give the same bits every time with ``deterministic``."""

_WITHOUT_KERNEL = {"Placeholder", "NoOp"}


def operations(graph: Any) -> Iterator[tuple[str, str, Any]]:
    """Yield (type, device, NodeDef) of every operation of a graph and of the functions that it calls."""
    definition = graph.as_graph_def()
    for node in (*definition.node, *(n for function in definition.library.function for n in function.node_def)):
        yield node.op, node.device, node


def on_gpu(graph: Any) -> set[str]:
    """Return the types of the operations that would run on a GPU of a machine that has one."""
    return {
        op
        for op, device, node in operations(graph)
        if "CPU" not in device.upper() and op not in _WITHOUT_KERNEL and _has_gpu_kernel(node)
    }


def on_cpu(graph: Any) -> set[str]:
    """Return the types of the operations that would run on the CPU of a machine with a GPU."""
    types = {op for op, _, _ in operations(graph) if op not in _WITHOUT_KERNEL}
    return {op for op, _, node in operations(graph) if op in types and not _has_gpu_kernel(node)}


def _has_gpu_kernel(node: Any) -> bool:
    return any(
        all(
            node.attr[name].type in types
            for name, types in kernel.items()
            if node.attr[name].type != tf.resource.as_datatype_enum
        )
        for kernel in _gpu_kernels(node.op)
    )


@functools.cache
def _gpu_kernels(op: str) -> list[dict[str, set[int]]]:
    """Return the types that each attribute of each GPU kernel allows; TensorFlow takes long to say so of a type."""
    return [
        {each.name: set(each.allowed_values.list.type) for each in kernel.constraint}
        for kernel in kernels.get_registered_kernels_for_op(op).kernel
        if kernel.device_type == "GPU"
    ]
