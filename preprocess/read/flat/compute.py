"""Arrow's compute functions, loaded when a log first needs one: that takes 0.04 s, and most logs need none."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow.compute as pc
else:

    class _WhenNeeded:
        """Stands for ``pyarrow.compute``."""

        def __getattr__(self, name: str) -> Any:
            import pyarrow.compute

            return getattr(pyarrow.compute, name)

    pc = _WhenNeeded()

__all__ = ["pc"]
