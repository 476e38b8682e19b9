"""Train ESMM with TorchRec's embedding kernels (FBGEMM) on the CPU; print the speed as one JSON line.

Runs in the peers' environment (``make bench-peers``), with exported batches that are ready in memory before the clock
starts. One table, row-wise Adagrad fused into the backward pass, weighted sum pooling, two 256-128 towers whose first
layers are one product, Adam for them. Two forms:

- ``repeated``: a bag an impression and field, as TorchRec's own models do it; the users' ids are repeated for each
  impression of a group.
- ``grouped``: the users' fields in a table of their own, one bag a group, and the pooled vectors are repeated. It is
  what a user could write by hand on these kernels; an id of both sides then has two rows.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch
from batches import Bags, Export, PeerBatch
from fbgemm_gpu.split_embedding_configs import EmbOptimType
from fbgemm_gpu.split_table_batched_embeddings_ops_common import EmbeddingLocation, PoolingMode
from fbgemm_gpu.split_table_batched_embeddings_ops_training import (
    ComputeDevice,
    SplitTableBatchedEmbeddingBagsCodegen,
)
from torch import nn
from torch.nn import functional

DIM = 16
TensorBags = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


class Esmm(nn.Module):
    """Two towers over pooled rows."""

    def __init__(self, export: Export, *, grouped: bool) -> None:
        super().__init__()
        fields = [export.user_fields, export.impression_fields]
        self.tables = nn.ModuleList(_table(export.rows, n) for n in (fields if grouped else [sum(fields)]))
        self.first = nn.Linear(sum(fields) * DIM, 2 * 256)
        self.second = nn.ModuleList(nn.Linear(256, 128) for _ in range(2))
        self.logit = nn.ModuleList(nn.Linear(128, 1) for _ in range(2))
        for weight in (*self.first.weight.chunk(2), *(layer.weight for layer in (*self.second, *self.logit))):
            nn.init.xavier_uniform_(weight)  # of each tower's part of the first layer by itself
        for layer in (self.first, *self.second, *self.logit):
            nn.init.zeros_(layer.bias)

    def forward(self, bags: list[TensorBags], group: torch.Tensor) -> torch.Tensor:
        """Return logits float32 [B, 2]."""
        pooled = [
            table(rows, offsets, weights) for table, (rows, offsets, weights) in zip(self.tables, bags, strict=True)
        ]
        columns = pooled[0] if len(pooled) == 1 else torch.cat([pooled[0].index_select(0, group), pooled[1]], 1)
        hidden = functional.relu(self.first(columns)).chunk(2, dim=1)
        logits = [
            logit(functional.relu(second(part)))
            for part, second, logit in zip(hidden, self.second, self.logit, strict=True)
        ]
        return torch.cat(logits, 1)


def _table(rows: int, fields: int) -> SplitTableBatchedEmbeddingBagsCodegen:
    table = SplitTableBatchedEmbeddingBagsCodegen(
        [(rows, DIM, EmbeddingLocation.HOST, ComputeDevice.CPU)],
        feature_table_map=[0] * fields,
        optimizer=EmbOptimType.EXACT_ROWWISE_ADAGRAD,
        learning_rate=0.05,
        eps=1e-7,
        pooling_mode=PoolingMode.SUM,
        stochastic_rounding=False,
    )
    table.init_embedding_weights_uniform(-0.01, 0.01)
    (state,) = table.split_optimizer_states()
    state[0].fill_(0.1)
    return table


def loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return the mean of the CTR loss plus that of the CTCVR loss, in log space."""
    log_p, log_q = functional.logsigmoid(logits), functional.logsigmoid(-logits)
    log_both = log_p.sum(1)
    log_not_both = torch.logaddexp(log_q[:, 0], log_p[:, 0] + log_q[:, 1])
    click, conversion = labels[:, 0], labels[:, 1]
    of_click = click * log_p[:, 0] + (1 - click) * log_q[:, 0]
    of_both = conversion * log_both + (1 - conversion) * log_not_both
    return -(of_click + of_both).mean()


def tensors(batch: PeerBatch) -> tuple[list[TensorBags], torch.Tensor, torch.Tensor]:
    """Return a batch as tensors: bags of each table, group of each impression, labels."""
    bags = [bags for bags in (batch.repeated, batch.user, batch.impression) if bags is not None]
    return [_of(one) for one in bags], torch.from_numpy(batch.group_of_impression), torch.from_numpy(batch.labels)


def _of(bags: Bags) -> TensorBags:
    return torch.from_numpy(bags.rows), torch.from_numpy(bags.offsets), torch.from_numpy(bags.weights)


def main() -> None:
    """Train, time, score the test split."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("export", type=Path)
    parser.add_argument("--form", choices=["repeated", "grouped"], default="repeated")
    parser.add_argument("--warm-steps", type=int, default=8)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--scores", type=Path, help="file of the test split's logits and labels")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(arguments.seed)
    export, grouped = Export.open(arguments.export), arguments.form == "grouped"
    model = Esmm(export, grouped=grouped)
    dense = [weight for name, weight in model.named_parameters() if not name.startswith("tables")]
    optimizer = torch.optim.Adam(dense, lr=1e-3, eps=1e-7, fused=True)
    batches = [tensors(batch) for batch in export.train(grouped=grouped)]
    wall = cpu = impressions = 0.0
    for step, (bags, group, labels) in enumerate(batches):
        if step == arguments.warm_steps:
            wall, cpu, impressions = time.monotonic(), time.process_time(), 0
        optimizer.zero_grad(set_to_none=True)
        loss(model(bags, group), labels).backward()
        optimizer.step()
        impressions += len(labels)
    wall, cpu = time.monotonic() - wall, time.process_time() - cpu
    if arguments.scores:
        tests = [tensors(batch) for batch in export.test(grouped=grouped)]
        with torch.no_grad():
            logits = torch.cat([model(bags, group) for bags, group, _ in tests])
        np.savez(arguments.scores, logits=logits.numpy(), labels=torch.cat([labels for *_, labels in tests]).numpy())
    print(json.dumps({"impressions": impressions, "wall_s": wall, "cpu_s": cpu}))


if __name__ == "__main__":
    main()
