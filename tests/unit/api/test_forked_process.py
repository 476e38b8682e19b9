"""A child of a fork refuses at once what would wait without end."""

import os

import esmm_dist
from esmm_dist.errors import StackError


def test_a_process_forked_after_tensorflow_was_loaded_refuses_to_use_it(shop):
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            esmm_dist.load_model(shop.run)
        except StackError as e:
            os.write(write, str(e).encode())
        finally:
            os._exit(0)
    os.close(write)
    os.waitpid(child, 0)
    with os.fdopen(read) as said:
        assert "multiprocessing.get_context('spawn')" in said.read()
    esmm_dist.load_model(shop.run).close()  # the parent goes on
