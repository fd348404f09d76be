"""Attacks a generator through its weights, as somebody could to whom they were given: weights_attack.json."""

import argparse
from pathlib import Path

from understudy.audit.weights_attack import attack, nothing_to_attack
from understudy.files.atomic import sha256_of_file, write_json
from understudy.files.json_forms import WeightsAttack
from understudy.files.outside import checked
from understudy.generate.misfit import misfits
from understudy.generate.weights import load_generator, read_metadata
from understudy.run import command_line, machine
from understudy.stack import Stack


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", required=True, type=Path, help="weights.safetensors of train_generator")
    parser.add_argument("--train", required=True, type=Path, help="stack of the training subjects")
    parser.add_argument("--test", required=True, type=Path, help="stack of the test subjects")
    parser.add_argument("--seed", required=True, type=int, help="of the study")
    parser.add_argument("--output", required=True, type=Path, help="weights_attack.json")
    machine.add_device_arguments(parser)
    a = parser.parse_args()
    with command_line.named_os_errors():
        train, test = Stack.open(a.train), Stack.open(a.test)
        if (metadata := read_metadata(a.weights)).get("failure"):
            told = nothing_to_attack(metadata)
        else:
            generator, _ = load_generator(a.weights, machine.use_device(a.device, a.threads))
            told = attack(lambda x_NCHW: misfits(generator, metadata, x_NCHW, a.seed), metadata, train, test)
        links = {"weights_sha256": sha256_of_file(a.weights), "train_sha256": train.sha256, "test_sha256": test.sha256}
        write_json(a.output, checked(WeightsAttack, told | links, str(a.output), "an attack on weights"))


if __name__ == "__main__":
    command_line.run(main)
