"""BASE networks as a user would write them, for the tests of plug-ins."""

import warnings
from typing import Any, ClassVar

import keras
import tensorflow as tf

from esmm_dist.model.base_network import BaseNetwork
from esmm_dist.model.pooled_fields import PooledFields


class FirstColumn(BaseNetwork):
    """Returns the first pooled column of the user."""

    def call(self, pooled: PooledFields, dropout_seed: tf.Tensor | None = None) -> tf.Tensor:
        return tf.gather(pooled.user[:, :1], pooled.group_of_impression)


class ByFields(BaseNetwork):
    """Returns the sum of two fields by their names."""

    def call(self, pooled: PooledFields, dropout_seed: tf.Tensor | None = None) -> tf.Tensor:
        of_user = tf.reduce_sum(pooled.per_impression("u"), axis=1, keepdims=True)
        return of_user + tf.reduce_sum(pooled.field("i"), axis=1, keepdims=True)


class UserAlone(BaseNetwork):
    """Sees the user's id alone, however many fields there are."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.last = keras.layers.Dense(self.outputs)
        self.unused = self.variable(tf.ones([2]), "unused")

    def call(self, pooled: PooledFields, dropout_seed: tf.Tensor | None = None) -> tf.Tensor:
        return self.last(pooled.per_impression("user"))


class Shared(BaseNetwork):
    """Returns the first columns of the impression, one an output."""

    always_shared = True

    def call(self, pooled: PooledFields, dropout_seed: tf.Tensor | None = None) -> tf.Tensor:
        return pooled.impression[:, : self.outputs]


class NoNetwork:
    """Is none."""


def not_even_a_class() -> None: ...


class OfLayers(BaseNetwork):
    """Keras layers one after the other, then the outputs."""

    layers_of: ClassVar[Any] = staticmethod(lambda: [])

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.hidden = self.layers_of()
        self.last = keras.layers.Dense(self.outputs)

    def call(self, pooled: PooledFields, dropout_seed: tf.Tensor | None = None) -> tf.Tensor:
        x = keras.ops.take(pooled.user, pooled.group_of_impression, axis=0)
        x = keras.ops.concatenate([x, pooled.impression], axis=1)
        for layer in self.hidden:
            x = layer(x)
        return self.last(x)


class MyNormal(keras.initializers.Initializer):
    """An initialiser of a user's own, that draws from NumPy's global generator."""

    def __call__(self, shape: Any, dtype: Any = None, **kwargs: Any) -> Any:
        import numpy as np

        return tf.constant(np.random.normal(size=shape), dtype=dtype)


def my_uniform(shape: Any, dtype: Any = None) -> Any:
    """Draw from TensorFlow's global generator."""
    return tf.random.uniform(shape, -0.1, 0.1, dtype=dtype)


class DefaultDense(OfLayers):
    layers_of = staticmethod(lambda: [keras.layers.Dense(6, activation="relu")])


class ByName(OfLayers):
    layers_of = staticmethod(
        lambda: [
            keras.layers.Dense(6, kernel_initializer=name) for name in ("he_normal", "lecun_uniform", "orthogonal")
        ]
    )


class AsObjects(OfLayers):
    layers_of = staticmethod(
        lambda: [
            keras.layers.Dense(6, kernel_initializer=initializer)
            for initializer in (keras.initializers.GlorotNormal(), keras.initializers.TruncatedNormal(), MyNormal())
        ]
    )


class AsFunction(OfLayers):
    layers_of = staticmethod(lambda: [keras.layers.Dense(6, kernel_initializer=my_uniform, activation="tanh")])


class Normalised(OfLayers):
    layers_of = staticmethod(lambda: [keras.layers.Dense(6), keras.layers.LayerNormalization(), keras.layers.ReLU()])


class Dropped(OfLayers):
    layers_of = staticmethod(
        lambda: [keras.layers.Dense(8), keras.layers.Dropout(0.5), keras.layers.Dense(8), keras.layers.Dropout(0.5)]
    )


class Noisy(OfLayers):
    layers_of = staticmethod(lambda: [keras.layers.Dense(6), keras.layers.GaussianNoise(0.5)])


class OnceMore(OfLayers):
    """The same dropout layer twice."""

    layers_of = staticmethod(lambda: [keras.layers.Dropout(0.5)] * 2)


class Frozen(OfLayers):
    layers_of = staticmethod(lambda: [keras.layers.Dense(6, trainable=False), keras.layers.Dense(6)])


class Regularised(OfLayers):
    layers_of = staticmethod(lambda: [keras.layers.Dense(6, kernel_regularizer=keras.regularizers.L2(0.5))])


class BatchNormalised(OfLayers):
    layers_of = staticmethod(lambda: [keras.layers.Dense(6), keras.layers.BatchNormalization()])


class ActivityRegularised(OfLayers):
    layers_of = staticmethod(lambda: [keras.layers.Dense(6, activity_regularizer="l2")])


class Squeezed(OfLayers):
    """Returns a vector, not a column."""

    def call(self, pooled: PooledFields, dropout_seed: tf.Tensor | None = None) -> tf.Tensor:
        return super().call(pooled, dropout_seed)[:, 0]


class OfUsers(BaseNetwork):
    """Returns a row a user."""

    def call(self, pooled: PooledFields, dropout_seed: tf.Tensor | None = None) -> tf.Tensor:
        return tf.reduce_sum(pooled.user, axis=1, keepdims=True)


class Failing(BaseNetwork):
    def call(self, pooled: PooledFields, dropout_seed: tf.Tensor | None = None) -> tf.Tensor:
        raise TypeError("a mistake")


class WrongField(BaseNetwork):
    """Keras cannot build its layer, and warns at length before the error comes."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.last = keras.layers.Dense(self.outputs)

    def call(self, pooled: PooledFields, dropout_seed: tf.Tensor | None = None) -> tf.Tensor:
        return self.last(pooled.per_impression("no such"))


class Warns(BaseNetwork):
    """Warns, and is right."""

    def call(self, pooled: PooledFields, dropout_seed: tf.Tensor | None = None) -> tf.Tensor:
        warnings.warn("slow", stacklevel=1)
        return pooled.impression[:, :1]
