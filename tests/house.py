"""A house with something to release: stacks of phantoms, a generator's weights and samples, an audit, a table."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
from audited import audit_summary
from made import LEVELS, make_stack

from understudy.files.atomic import hash_of, read_json, sha256_of_file, write_json
from understudy.generate.weights import describe, publish_weights, seeded_build
from understudy.prepare.splits import identities
from understudy.release.about import About
from understudy.release.bundle import make_release
from understudy.release.refuse import Sources
from understudy.stack import Stack, StackWriter

SUBJECTS = [f"phantom_{i:03d}" for i in range(6)]
OPTIONS = {
    "title": "Synthetic phantoms, with “quotes”: and a colon",
    "licence": "CC-BY-4.0",
    "creators": [
        {
            "name": "Ada Example",
            "affiliation": "A Hospital",
            "ror": "https://ror.org/05ynxx418",
            "orcid": "https://orcid.org/0000-0002-1825-0097",
        },
        {"name": "Bo Example", "affiliation": "A Hospital", "orcid": "https://orcid.org/0000-0001-5109-3700"},
    ],
    "date": "2026-01-31",
    "contact": "data@hospital.example",
}
TABLE = """dataset,segmenter,training_set,augmentation,ed_mean,ed_sd,mean_mean,mean_sd,repeats,failed,undefined
made,unet,real,augmented,0.81,0.01,0.805,0.012,2,,
made,unet,real+stylegan2,augmented,0.82,0.01,0.812,0.011,2,,
made,unet,stylegan2,augmented,0.71,0.01,0.703,0.02,2,,
made,unet,diffusion,augmented,0.61,0.01,0.601,0.02,2,,
made,unet,shuffled,augmented,0.01,0.01,0.011,0.02,2,,
other,unet,stylegan2,augmented,0.21,0.01,0.201,0.02,2,,
"""
# SAMPLES stands for the SHA-256 of the samples
FIDELITY = """dataset,generator,images_of,space,weights,channel,reference,frechet_matched,precision,coverage,samples_sha256,note
made,stylegan2,synthetic,random,,t1ce,train,3.25,0.5,0.25,SAMPLES,biased
made,stylegan2,test,random,,t1ce,train,1.5,0.75,1.0,SAMPLES,biased
made,stylegan2,synthetic,inception,,,train,,,,SAMPLES,not computed: no weights
"""  # noqa: E501
ANNOTATION = """dataset,generator,samples_sha256,label,measure,real,real_test,synthetic
made,stylegan2,SAMPLES,ncr_net,enclosed_share,0.9,0.8,0.2
made,stylegan2,SAMPLES,ed,enclosed_share,0.1,0.1,0.1
made,stylegan2,SAMPLES,et,enclosed_share,,,
made,stylegan2,SAMPLES,all,illegal_share,0.0,0.0,0.125
"""


class House:
    """Results of a small study in `folder`; `release()` makes the bundle of its StyleGAN 2."""

    def __init__(self, folder: Path):
        self.folder = folder / "made"
        self.generator = self.folder / "generators/stylegan2"
        self.generator.mkdir(parents=True)
        self.identities = identities("made", SUBJECTS)
        self.make_real()
        self.make_weights()
        self.make_samples()
        self.make_audit()
        self.table = folder / "dice.csv"
        self.table.write_text(TABLE)
        measured = self.make_measured()
        self.output = self.folder / "release/stylegan2"
        self.salt = folder.parent / "runs/salt"
        self.sources = Sources(
            images=self.generator / "samples.zip",
            audit=self.generator / "audit.json",
            nearest=self.generator / "nearest.safetensors",
            recheck_attack=lambda attack, weights: [],
            recheck=lambda audit, images, nearest: [],  # tests/release/test_chain.py has the real one
            train=self.folder / "stacks/train.zip",
            test=self.folder / "stacks/test.zip",
            training=self.generator / "weights.json",
            table=self.table,
            **measured,
        )
        self.about = About.of("made", "stylegan2", OPTIONS)

    def make_real(self) -> None:
        splits = {}
        for split, names in (("train", SUBJECTS[:4]), ("test", SUBJECTS[4:])):
            lineage = sorted(self.identities[name] for name in names)
            path = self.folder / f"stacks/{split}.zip"
            subjects = {
                name: {"identity": self.identities[name], "spacing_mm": [1, 1, 1], "included": [0, 1]} for name in names
            }
            source = {"dataset": "made", "split": split, "drawn": "secret"}
            make_stack(path, names, 2, lineage=lineage, subjects=subjects, source=source)
            splits[split] = {"lineage": lineage, "subjects": dict.fromkeys(names, 2), "sha256": sha256_of_file(path)}
        write_json(self.folder / "stacks/stacks.json", {"dataset": "made", "splits": splits})

    def make_weights(self) -> None:
        options = {"channel_base": 64, "channel_max": 4, "latent_size": 4, "mapping_layers": 1, "precision": "fp32"}
        network = seeded_build("stylegan2", 5, 16, 0, **options)
        train = Stack.open(self.folder / "stacks/train.zip")
        more = {"dataset": "made", "seed": 1, "images_seen": 9000, "training_sha256": train.sha256}
        about = describe("stylegan2", network, train.meta, **more)
        self.weights = self.generator / "weights.safetensors"
        publish_weights(network.networks["generator"].state_dict(), self.weights, about)

    def make_samples(self, count: int = 12, name: str = "samples", **source) -> Path:
        """A stack of images as a generator would have drawn it, and its manifest."""
        host = np.random.default_rng(5)
        real = Stack.open(self.folder / "stacks/train.zip")
        origin = {
            "dataset": "made",
            "generator": "stylegan2",
            "weights_sha256": sha256_of_file(self.weights),
            "training_sha256": real.sha256,
            "seed": 1,
        }
        origin |= source
        keys = ("channels", "labels", "height", "width", "lineage")
        path = self.generator / f"{name}.zip"
        with StackWriter(path, {key: real.meta[key] for key in keys} | {"source": origin}) as writer:
            for i in range(count):
                x_CHW = host.integers(0, 256, real.shape_CHW, dtype=np.uint8)
                x_CHW[-1] = host.choice([0, *LEVELS.values()], x_CHW[-1].shape)
                writer.add(f"{i:06d}.png", x_CHW)
        manifest = {"source": origin, "count": count, "lineage_hash": hash_of(real.meta["lineage"])}
        write_json(path.with_suffix(".json"), manifest | {"sha256": sha256_of_file(path)})
        return path

    def make_measured(self) -> dict[str, Path]:
        """Fidelity and annotation of the samples."""
        paths, sha256 = {}, sha256_of_file(self.generator / "samples.zip")
        for name, table in (("fidelity", FIDELITY), ("annotation", ANNOTATION)):
            paths[name] = self.generator / f"{name}.csv"
            paths[name].write_text(table.replace("SAMPLES", sha256))
        return paths

    def make_audit(self, name: str = "audit", images: str = "samples", **changes) -> Path:
        stack = self.generator / f"{images}.zip"
        linked = {f"{name}_sha256": sha256_of_file(self.folder / f"stacks/{name}.zip") for name in ("train", "test")}
        linked |= {"samples_sha256": sha256_of_file(stack), "count": len(Stack.open(stack))}
        audit = audit_summary(filtered=images == "filtered", **linked | changes)
        path = self.generator / f"{name}.json"
        path.write_text(json.dumps(audit))
        return path

    def with_weights(self) -> Sources:
        return replace(
            self.sources,
            weights=self.weights,
            weights_attack=self.generator / "weights_attack.json",
            weights_audit=self.generator / "audit.json",
            weights_nearest=self.generator / "nearest.safetensors",
            weights_samples=self.generator / "samples.zip",
        )

    def release(self, **how) -> Path:
        sources, about = how.pop("sources", self.sources), how.pop("about", self.about)
        make_release(sources, about, how.pop("output", self.output), how.pop("salt_file", self.salt), **how)
        return self.output

    def manifest(self) -> dict:
        return read_json(self.folder / "stacks/stacks.json")
