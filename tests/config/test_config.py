"""A config is checked before anything runs: each mistake is one line with the key, what was found, what is allowed."""

import copy
from pathlib import Path

import pytest

from understudy.config.study import complete, load_yaml

ROOT = Path(__file__).resolve().parents[2]
SMALL = {"datasets": {"made": {"phantom": {}, "test_subjects": 5}}, "generators": {"stylegan2": {}}}
SMALL["release"] = {"title": "t", "licence": "CC0-1.0", "creators": [{"name": "n"}], "date": "2026-01-31"}
CATALOGUE = {
    "legislation": ["http://data.europa.eu/eli/reg/2025/327/oj"],
    "categories": ["EHRS"],
    "access_body": {"name": "b", "contact": "b@b.example"},
}


def with_value(path, value):
    config = copy.deepcopy(SMALL)
    *parents, last = path.split(".")
    place = config
    for key in parents:
        place = place.setdefault(key, {})
    place[last] = value
    return config


def test_default_regions_hold_as_far_as_there_are_their_labels():
    regions = complete(with_value("images.labels", {"ed": 100, "et": 200}))["evaluation"]["regions"]
    assert regions == {"enhancing": ["et"]}
    assert len(complete(SMALL)["evaluation"]["regions"]) == 3


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("genrators", {}, "top level: found unknown key `genrators` (did you mean `generators`?)"),
        ("generators.stylegan2.r1_gama", 1, "generators.stylegan2: found unknown key `r1_gama` (did you mean"),
        ("generators.stylegan2.batch", "32", "generators.stylegan2.batch: found '32' (str); allowed: an integer"),
        ("generators.stylegan2.batch", 0, "generators.stylegan2.batch: found 0; allowed: at least 1"),
        ("generators.stylegan2.precision", "fp8", "found 'fp8'; allowed: 'fp32', 'tf32', 'bf16', 'fp16'"),
        ("generators.stylegan5", {}, "found unknown key `stylegan5` (did you mean `stylegan3`?)"),
        ("experiments.augmentations", ["augmentd"], "found 'augmentd'; allowed: 'augmented', 'plain' (did you mean"),
        ("experiments.repeats", 2.5, "experiments.repeats: found 2.5 (float); allowed: an integer"),
        ("datasets.made.layout", "brats2022", "datasets.made.layout: found 'brats2022'; allowed: 'brats2018'"),
        ("datasets.made.phantom.size", 500, "datasets.made.phantom.size: found 500; allowed: at most 240"),
        ("datasets.Made up", {}, "small letters, digits and _"),
        ("datasets", {}, "datasets: found {}; allowed: at least 1 entries"),
        ("evaluation.regions", {"core": ["et", "ct"]}, "evaluation.regions.core: found ct; allowed: ncr_net, ed, et"),
        ("evaluation.regions", {"et": ["et"]}, "evaluation.regions: found et, which is a label"),
        ("images.size", 96, "images.size: found 96; allowed: a power of two of at least 8, by stylegan2"),
        ("images.size", 32768, "images.size: found 32768; allowed: at most 16384"),
        ("images.labels", {"ed": 102, "et": 102}, "images.labels: found grey levels [102, 102]; allowed: ascending"),
        ("images.decisive", "t3", "images.decisive: found 't3'; allowed: one of ['t1', 't1ce', 't2', 'flair']"),
        ("images.channels", ["t1", "t2"], "then 'seg' as the last"),
        ("datasets.made.split", str(ROOT / "config/splits/brats2020.csv"), "found split and test_subjects"),
        ("datasets.made.root", "data", "allowed: one of `root` (a folder of NIfTI files) and `phantom`"),
        ("datasets.made.identities", "no.csv", "datasets.made.identities: found 'no.csv', which is no file"),
        ("datasets.made.labels", {1: "necrosis"}, "datasets.made.labels: found necrosis; allowed: the names of"),
        ("results", "", "results: found ''; allowed: at least 1 character"),
        ("datasets.made.test_subjects", 40, "found 40 of 40 phantoms; some must be left to train"),
        ("generators", {}, "experiments.training_sets: found ['real+synthetic', 'synthetic'] but no generators"),
        ("segmenters.unet.depth", 10, "segmenters.unet.depth: found 10; 256 pixels cannot be halved that often"),
        ("segmenters.unet.samples", 10, "found 80000, more than its samples"),
        ("release.generators", ["stylegan1"], "release.generators: found stylegan1; allowed: stylegan2"),
        ("release.images", "all", "release.images: found 'all'; allowed: 'filtered', 'samples'"),
        ("release.creators", [{"orcid": "x"}], "release.creators.0: found no `name`, which it needs"),
        (
            "release.health_catalogue",
            {**CATALOGUE, "legislation": ["the law"]},
            "release.health_catalogue.legislation.0: found 'the law'; allowed: address of a web page, https://...",
        ),
        ("release.salt_file", "no.salt", "release.salt_file: found 'no.salt', which is no file"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line_with_its_key(path, value, message):
    with pytest.raises(ValueError, match="^config, ") as error:
        complete(with_value(path, value))
    assert message in str(error.value)
    assert len(str(error.value).splitlines()) == 1, error.value


@pytest.mark.parametrize("name", ["diffusion", "rectified_flow"])
def test_the_denoising_network_says_what_it_cannot(name):
    """Its sizes are those that can be halved, not powers of two."""

    def config(size, **options):
        images, segmenters = {"size": size}, {"unet": {"depth": 4}}
        return {**SMALL, "images": images, "segmenters": segmenters, "generators": {name: options}}

    assert complete(config(96, multipliers=[1, 2, 2]))["images"]["size"] == 96
    for options, message in [
        ({}, f"generators.{name}.multipliers: found null; for 96 pixels a list is needed"),
        ({"multipliers": [1] * 7}, "96 pixels cannot be halved that often"),
        ({"multipliers": [1], "heads": 3}, f"generators.{name}.width: found 64; allowed: a multiple of heads"),
        ({"multipliers": [1], "evaluations": 0}, f"generators.{name}.evaluations: found 0; allowed: at least"),
    ]:
        with pytest.raises(ValueError, match="^config, ") as error:
            complete(config(96, **options))
        assert message in str(error.value) and "\n" not in str(error.value)


def test_all_mistakes_are_told_at_once():
    config = with_value("experiments.repeats", 0) | {"sed": 3}
    with pytest.raises(ValueError) as error:
        complete(config)
    assert len(str(error.value).splitlines()) == 2


def test_a_release_needs_its_terms_before_anything_runs():
    with pytest.raises(ValueError) as error:
        complete({**SMALL, "release": {"generators": ["stylegan2"]}})
    keys = [line.split(":")[0] for line in str(error.value).splitlines()]
    assert keys == [f"config, release.{key}" for key in ("creators", "date", "licence", "title")]


def test_a_date_needs_no_quotes(tmp_path):
    (tmp_path / "c.yaml").write_text("datasets: {a: {phantom: {}, test_subjects: 5}}\nrelease: {date: 2026-01-31}\n")
    config = complete({**load_yaml(tmp_path / "c.yaml"), "generators": {"stylegan2": {}}})
    assert config["release"]["date"] == "2026-01-31"


@pytest.mark.parametrize(("text", "message"), [("a: [", "broken YAML"), ("- a", "found list, expected sections")])
def test_a_file_that_is_no_config_is_named(tmp_path, text, message):
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(ValueError, match=message):
        load_yaml(tmp_path / "c.yaml")
    with pytest.raises(ValueError, match="No such file"):
        load_yaml(tmp_path / "missing.yaml")


@pytest.mark.parametrize(
    ("fidelity", "message"),
    [
        (
            {"channels": ["t1ce", "pet"]},
            "evaluation.fidelity.channels: found ['pet']; allowed: names of images.channels",
        ),
        ({"segmenter": "swin"}, "evaluation.fidelity.segmenter: found 'swin'; allowed: one of ['unet']"),
        ({"spaces": ["segmenter"]}, "evaluation.fidelity.spaces: found segmenter; it needs experiments.keep_weights"),
        ({"spaces": ["vgg"]}, "found 'vgg'; allowed: 'inception', 'radimagenet', 'dinov2', 'segmenter', 'random'"),
    ],
)
def test_feature_spaces_that_cannot_work_are_one_line(fidelity, message):
    config = with_value("evaluation.fidelity", fidelity) | {"segmenters": {"unet": {}}}
    with pytest.raises(ValueError) as error:
        complete(config)
    assert message in str(error.value) and "\n" not in str(error.value)


def test_a_file_serves_as_the_segmenter_of_a_feature_space():
    config = with_value("evaluation.fidelity", {"spaces": ["segmenter"], "weights": {"segmenter": "w.safetensors"}})
    assert complete(config)["evaluation"]["fidelity"]["channels"] == ["t1ce"]


def test_a_training_that_may_stop_early_has_no_snapshots():
    stops = {"memorization_action": "stop", "memorization_limit": 0.1}
    config = with_value("experiments", {"snapshots": {"generators": ["stylegan2"]}})
    config |= {"generators": {"stylegan2": stops}}
    with pytest.raises(ValueError, match="snapshots.generators: found stylegan2, whose memorization_action is stop"):
        complete(config)
    config["generators"] = {"stylegan2": stops | {"memorization_action": "choose"}}
    assert complete(config)["experiments"]["snapshots"]["shares"] == [25, 50, 75]


@pytest.mark.parametrize(
    ("experiments", "message"),
    [
        (
            {"proportions": {"generators": ["stylegan9"]}},
            "experiments.proportions.generators: found stylegan9; allowed: stylegan2, or such as stylegan2-50percent",
        ),
        (
            {"proportions": {"generators": ["stylegan2"], "total": 9, "real": [0, 10]}},
            "experiments.proportions.real: found [10]; allowed: at most the total, 9",
        ),
        (
            {"ensembles": {"generators": ["stylegan2-50percent"]}},
            "experiments.ensembles.generators: found stylegan2-50percent; allowed: stylegan2, as others are trained",
        ),
        (
            {"snapshots": {"generators": ["stylegan2-seed2"]}},
            "experiments.snapshots.generators: found stylegan2-seed2; allowed: stylegan2",
        ),
        (
            {"snapshots": {"generators": ["stylegan2"], "shares": [50, 100]}},
            "experiments.snapshots.shares.1: found 100",
        ),
        (
            {"training_sets": ["real", "stylegan2-snapshot50"]},
            "found 'stylegan2-snapshot50'",
        ),
        (
            {"subset": {"generators": ["stylegan2"], "segmenters": ["swin"]}},
            "experiments.subset.segmenters: found swin; allowed: unet",
        ),
        (
            {"subset": {"generators": ["stylegan2"], "augmentation": "plain"}, "augmentations": ["augmented"]},
            "experiments.subset.augmentation: found plain; allowed: one of experiments.augmentations, augmented",
        ),
        (
            {"few_subjects": {"generators": ["stylegan2"]}},
            "experiments.few_subjects.kinds: found fine-tuned; it needs experiments.keep_weights",
        ),
        (
            {"few_subjects": {"generators": ["stylegan2"], "subjects": [2], "kinds": []}},
            "experiments.few_subjects.subjects: found 2, of whom unet cannot hold out any to validate",
        ),
        (
            {"few_subjects": {"generators": ["stylegan2"], "kinds": [], "subjects_of": "unseen"}},
            "experiments.few_subjects.subjects_of: found unseen with stylegan2; generators have to leave",
        ),
        (
            {"generator_seeds": 4},
            "experiments.generator_seeds: found 4 with 10 repeats; allowed: a divisor of repeats",
        ),
        (
            {"generator_seeds": 5, "share_job": True},
            "experiments.share_job: found true with 5 generator_seeds; allowed: false, as repeats then",
        ),
        (
            {"training_sets": ["real-20percent", "stylegan2+other-seed2"]},
            "experiments.training_sets: found stylegan2+other-seed2 with other-seed2; allowed: real, stylegan2",
        ),
    ],
)
def test_experiments_that_cannot_work_are_one_line(experiments, message):
    config = with_value("experiments", experiments) | {"segmenters": {"unet": {}}}
    with pytest.raises(ValueError) as error:
        complete(config)
    assert message in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"evaluation": {"calibration": True}}, "evaluation.calibration: found true with the segmenter nnunet; allow"),
        ({"evaluation": {"network_ensembles": True}}, "evaluation.network_ensembles: found true with the segmenter nn"),
        ({"evaluation": {"external": ["made"]}}, "evaluation.external: found datasets with the segmenter nnunet; allo"),
        (
            {"evaluation": {"fidelity": {"spaces": ["segmenter"], "segmenter": "nnunet"}}},
            "evaluation.fidelity.segmenter: found nnunet, whose features are not known; allowed: another",
        ),
        (
            {"experiments": {"few_subjects": {"generators": ["stylegan2"]}}},
            "experiments.few_subjects.kinds: found fine-tuned with the segmenter nnunet; allowed: other kinds",
        ),
        ({"segmenters": {"nnunet": {"samples": 9}}}, "segmenters.nnunet: found unknown key `samples`; allowed: epochs"),
    ],
)  # fmt: skip
def test_what_nnunet_cannot_is_one_line(changes, message):
    config = copy.deepcopy(SMALL) | {"segmenters": {"unet": {}, "nnunet": {}}}
    for part, values in changes.items():
        config[part] = {**config.get(part, {}), **values}
    config["experiments"] = {**config.get("experiments", {}), "keep_weights": True}
    with pytest.raises(ValueError, match="^config, ") as error:
        complete(config)
    assert message in str(error.value)


def test_an_experiment_of_another_segmenter_leaves_nnunet_out():
    few = {"generators": ["stylegan2"], "segmenters": ["unet"]}
    config = copy.deepcopy(SMALL) | {"segmenters": {"unet": {}, "nnunet": {}}}
    config["experiments"] = {**config.get("experiments", {}), "keep_weights": True, "few_subjects": few}
    own = complete(config)["segmenters"]["nnunet"]
    assert own == {"epochs": 1000, "iterations_per_epoch": 250, "validation_fraction": 0.2, "collapse": "fail"}


def test_an_experiment_without_generators_is_not_made_and_asks_for_nothing():
    config = with_value("experiments", {"few_subjects": {"subjects": [2]}}) | {"segmenters": {"unet": {}}}
    assert complete(config)["experiments"]["few_subjects"]["generators"] == []


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("images.channels", ["t1", "../t2", "seg"], "images.channels.1: found '../t2'; allowed: letters, digits"),
        ("images.channels", ["t1", "=1", "seg"], "images.channels.1: found '=1'; allowed: letters, digits"),
        ("images.channels", ["t1", "t" * 65, "seg"], "images.channels.1: found .*at most 64 characters"),
        ("images.channels", ["t1", "t2\n", "seg"], "images.channels.1: found 't2.n'; allowed: text without"),
        ("images.labels", {"<b>": 51}, "images.labels: found '<b>'; allowed: letters, digits"),
        ("images.labels", {"ed\n": 51}, "images.labels: found the name 'ed.n'; allowed: one without characters"),
        ("images.labels", {"mean": 51}, "images.labels: found mean, which tables use themselves"),
        ("datasets", {"a\n": {"phantom": {}, "test_subjects": 5}}, "datasets: found the name 'a.n'"),
        ("datasets", {"a" * 65: {"phantom": {}, "test_subjects": 5}}, "datasets: found .*at most 64 characters"),
        ("imports", {"x" * 65: {"stack": "pyproject.toml"}}, "imports: found .*at most 64 characters"),
        ("segmenters", {"unet": {}, "a\u202eb": {}}, "segmenters: found 'a.*b'; allowed: small letters"),
        ("report.shareable", "yes", "report.shareable: found 'yes' .*allowed: .*boolean|true or false"),
    ],
)
def test_names_are_names_alone(path, value, expected):
    with pytest.raises(ValueError, match=expected):
        complete(with_value(path, value), ROOT)


def test_words_of_a_release_may_have_lines():
    assert complete(with_value("release.citation", "One line.\nAnother.\n"))["release"]["citation"]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"generators": ["stylegan3"]}, "generators: found stylegan3; allowed: stylegan2, stylegan2-filtered"),
        ({"channels": ["t1", "seg"]}, "channels: found seg; allowed: t1, t1ce, t2, flair"),
        ({"images": 4, "repeats": 5}, "repeats: found 5; allowed: at most half of the 8 images"),
        ({"answers": ["none.json"]}, "answers: found 'none.json', which is no file"),
        ({"generators": [], "answers": ["pyproject.toml"]}, "answers: found answers without generators"),
        ({"confidence": 5}, "confidence: found 5; allowed: at most 4"),
    ],
)
def test_a_reader_study_that_cannot_be_is_named(changes, expected):
    config = with_value("reader_study", {"generators": ["stylegan2"], **changes})
    with pytest.raises(ValueError, match=r"config, reader_study\." + expected):
        complete(config, ROOT)


PATHS = [
    "results",
    "runs",
    "datasets.made.root",
    "datasets.made.split",
    "datasets.made.identities",
    "release.salt_file",
]
PATHS += ["imports.theirs.stack", "segmenters.swin.pretrained", "evaluation.fidelity.weights.dinov2"]
PATHS += ["release.licence_file", "reader_study.answers"]


def refusal(path, value):
    """The lines that a config with this path is refused with."""
    with pytest.raises(ValueError) as refused:
        complete(with_value(path, [value] if path.endswith("answers") else value))
    return str(refused.value).splitlines()


@pytest.mark.parametrize("path", PATHS)
def test_a_path_that_snakemake_or_a_program_would_misread_is_refused_in_a_line(path):
    wildcard = "{'; Snakemake takes { and } for a wildcard: rename it"
    assert f"config, {path}: found 'a {{b}}' with '{wildcard}" in refusal(path, "a {b}")
    option = "programs take it for an option: write ./ or the whole path before it"
    assert f"config, {path}: found '-a\\nb'; {option}" in refusal(path, "-a\nb")
    home = "nothing puts a home folder in the place of ~: write the whole path"
    assert f"config, {path}: found '~/a'; {home}" in refusal(path, "~/a")
    nothing = "with '\\x00'; no file system has this character: rename it"
    assert f"config, {path}: found 'a\\x00' {nothing}" in refusal(path, "a\0")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("audit: {limit: .nan}", "found the number nan, expected a finite one"),
        ("audit: {limit: .inf}", "found the number inf"),
        ("a: &a {b: *a}", "more than 200000 values or 50 levels"),
        ("a: &a [*a]", "more than 200000 values or 50 levels"),
        (
            "a: &a [x,x,x,x,x,x,x,x,x]\n"
            + "".join(f"{c}: &{c} [{','.join(['*' + b] * 9)}]\n" for b, c in zip("abcdefgh", "bcdefghi", strict=True)),
            "more than 200000 values",
        ),
        ("[" * 50_000, "broken YAML"),
        ("a: 2026-13-45", "broken YAML"),
        ("!!python/object/apply:os.system ['touch pwned']", "broken YAML"),
    ],
)
def test_what_is_larger_than_it_looks_or_no_number(tmp_path, text, said):
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(ValueError, match="c.yaml: found ") as error:
        load_yaml(tmp_path / "c.yaml")
    assert said in str(error.value) and len(str(error.value)) < 500


def test_a_limit_that_is_no_number_never_reaches_an_audit():
    """Comparisons with it are all false: everything would pass."""
    with pytest.raises(ValueError, match="found the number nan"):
        complete({**SMALL, "audit": {"limit": float("nan")}})


def test_weights_that_draw_without_their_guard_are_not_released():
    config = {**SMALL, "generators": {"diffusion": {"guard": 1}}}
    released = {"generators": ["diffusion"], **SMALL["release"]}
    assert complete({**config, "release": released})["generators"]["diffusion"]["guard"] == 1
    with pytest.raises(ValueError, match="release.weights: found true; diffusion has a guard"):
        complete({**config, "release": {**released, "weights": True}})


def test_a_bids_data_set_needs_channels_that_bids_knows():
    released = {**SMALL["release"], "bids": "whole_head"}
    assert complete({**SMALL, "release": released})["release"]["bids"] == "whole_head"
    channels = {"images": {**SMALL.get("images", {}), "channels": ["adc", "seg"], "decisive": "adc"}}
    with pytest.raises(ValueError, match="release.bids: found whole_head; allowed: null, as BIDS has no .* adc"):
        complete({**SMALL, **channels, "release": released})


def test_a_record_for_health_catalogues_needs_where_and_from_whom_the_images_are():
    creators = [{"name": "n", "affiliation": "A Hospital"}]
    complete_one = {"creators": creators, "contact": "a@a.example", "url": "https://a.example"}
    released = {**SMALL["release"], "health_catalogue": CATALOGUE}
    made = complete({**SMALL, "release": {**released, **complete_one}})["release"]
    assert made["health_catalogue"] == {**CATALOGUE, "public": False}
    with pytest.raises(ValueError) as error:
        complete({**SMALL, "release": {**released, "licence": "LicenseRef-ours", "contact": "the front desk"}})
    assert [line.removeprefix("config, release.") for line in str(error.value).splitlines()] == [
        "contact: found the front desk; release.health_catalogue needs an e-mail address or a web page",
        "creators: found no affiliation; release.health_catalogue needs one, which publishes the images",
        "health_catalogue.public: found false, and LicenseRef-ours; the record is one of public data",
        "url: found none; release.health_catalogue needs the address of a web page",
    ]
    own = {**released, **complete_one, "licence": "LicenseRef-ours", "health_catalogue": {**CATALOGUE, "public": True}}
    assert complete({**SMALL, "release": own})


def test_a_rehearsal_is_not_released():
    released = {**SMALL, "release": {"generators": ["stylegan2"], **SMALL["release"]}}
    assert complete(released)["rehearsal"] is False
    with pytest.raises(ValueError, match="release.generators: found stylegan2; allowed: none, as this study is a `reh"):
        complete({**released, "rehearsal": True})
    complete({**SMALL, "rehearsal": True})


def test_a_release_of_subjects_that_everybody_can_draw():
    config = {**SMALL, "release": {"generators": ["stylegan2"], **SMALL["release"]}}
    assert complete(config)["datasets"]["made"]["draw"] == "secret"
    seeded = {**config, "datasets": {"made": {**SMALL["datasets"]["made"], "draw": "seed"}}}
    with pytest.raises(ValueError, match="datasets.made.draw: found seed, so everybody can draw"):
        complete(seeded)


def test_the_question_is_something_that_is_trained():
    config = with_value("evaluation.primary", ["synthetic", "real-20percent"])
    with pytest.raises(ValueError, match="evaluation.primary: found real-20percent; allowed: what is trained, real"):
        complete(config)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"evaluation": {"external": ["c"]}}, "evaluation.external: found c; allowed: a, b"),
        ({"evaluation": {"external": ["a"]}, "datasets": ["a"]}, "found a, which is the only dataset"),
        ({"evaluation": {"external": ["b"]}, "keep": False}, "it needs experiments.keep_weights"),
        ({"evaluation": {"external": ["b"]}, "seed": 1}, "found a and b, phantoms of one seed"),
        ({"held_out": {"shared_by": ["c"]}}, "experiments.site_held_out.shared_by: found c; allowed: a, b"),
        ({"held_out": {"shared_by": ["a"], "datasets": ["a"]}}, "found no dataset that shares images with a"),
        ({"held_out": {"percent": [20]}}, "experiments.site_held_out.percent: found [20]; allowed: 100 among them"),
        ({"held_out": {"generators": ["stylegan7"]}}, "found stylegan7; allowed: stylegan2"),
    ],
)
def test_sites_that_cannot_be_compared_are_one_line(changes, message):
    seeds = {"a": 1, "b": changes.get("seed", 2)}
    asked = {**SMALL, "datasets": {}, "evaluation": changes.get("evaluation", {})}
    for name in changes.get("datasets", seeds):
        asked["datasets"][name] = {"phantom": {"seed": seeds[name]}, "test_subjects": 5}
    held_out = {"generators": ["stylegan2"], **changes["held_out"]} if "held_out" in changes else {}
    asked["experiments"] = {"keep_weights": changes.get("keep", True), "site_held_out": held_out}
    with pytest.raises(ValueError, match="^config, ") as error:
        complete(asked)
    assert message in str(error.value) and len(str(error.value).splitlines()) == 1, error.value


def test_two_years_of_brats_share_patients():
    brats = {"root": "raw", "test_subjects": 5}
    asked = {**SMALL, "datasets": {"a": brats, "b": brats | {"layout": "brats2021"}}}
    asked |= {"experiments": {"keep_weights": True}, "evaluation": {"external": ["b"]}}
    with pytest.raises(ValueError, match="which are both BraTS and share patients under other names"):
        complete(asked)
