"""Writes a training set as a data set of nnU-Net v2: images, annotations, dataset.json, splits_final.json, lineage.

python scripts/export_training_set.py --dataset phantom --training-set real --seed 1 \\
  --stacks results/phantom/stacks/train.zip --output folder
"""

import argparse
from pathlib import Path

from understudy.run.command_line import named_os_errors, run
from understudy.run.seeds import seed_of
from understudy.segment.nnunet_folder import Limits, export_training_set
from understudy.study.sources import REAL, parts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", required=True, help="name of the data set; nnU-Net knows it as Dataset001_NAME")
    parser.add_argument("--training-set", required=True, help="such as real, real+stylegan2")
    parser.add_argument("--stacks", required=True, nargs="+", type=Path, help="one per part of the training set")
    parser.add_argument("--apart", type=Path, help="stack of the real images, whose held-out subjects validate")
    parser.add_argument("--images", type=int, default=20000, help="at most; of more, some are drawn by lot")
    parser.add_argument("--folds", type=int, default=5, help="of the cross-validation")
    parser.add_argument("--repeat", type=int, default=1, help="whose subjects, of a part such as real-10subjects")
    parser.add_argument("--seed", required=True, type=int, help="of the study")
    parser.add_argument("--output", required=True, type=Path, help="folder for nnUNet_raw and nnUNet_preprocessed")
    a = parser.parse_args()
    with named_os_errors():
        if a.images < 1 or a.folds < 2:
            raise ValueError(f"found --images {a.images} and --folds {a.folds}, expected at least 1 and 2")
        named = parts(a.training_set)
        if len(named) != len(a.stacks):
            raise ValueError(f"--stacks: found {len(a.stacks)} files, expected one for each of {', '.join(named)}")
        lineage = export_training_set(
            a.training_set,
            dict(zip(named, a.stacks, strict=True)) | ({REAL: a.apart} if a.apart else {}),
            a.output,
            a.dataset,
            limits=Limits(a.images, 1 / a.folds, a.folds),
            split_seed=seed_of(a.seed, a.dataset),
            repeat=a.repeat,
            apart=a.apart is not None,
        )
    print(f"{lineage['images']} images in {lineage['folds']} folds: {a.output}")


if __name__ == "__main__":
    run(main)
