"""What stands above the sections of results/report.html: the best choice in one line, the answers on one screen, what
they hold for, and, folded, how they were reached."""

from dataclasses import replace

from understudy.study.sources import Source

from .audits import finding
from .matrix import answers_of, audits_of, best_choice, matrix, standings
from .notes import about_generators
from .page import Answer, Answers, Block, Folded, Paragraph
from .page_material import Material
from .verdicts import RULE

NOT_AUDITED = "No audit has looked for copies of patients in these images: nothing here says that they may be shared."
SHARING = (
    "“Yes” to sharing means that the audit found no copies of patients. Whoever is responsible for the "
    "patients' data decides whether images are shared."
)


def top_of_page(m: Material) -> list[Block]:
    ranked = standings(m)
    blocks: list[Block] = [Paragraph(best_choice(m, ranked), "choice")]
    if ranked:
        audit = Paragraph(SHARING, "caveat") if m.audits else Paragraph(NOT_AUDITED, "warning")
        blocks += [matrix(m, ranked), Paragraph(about_generators(m), "caveat"), audit]
        blocks.append(Folded("The answers in sentences, and how they were reached", in_sentences(m)))
    return blocks


def in_sentences(m: Material) -> list[Block]:
    shared: dict[str, list[str]] = {}
    for a in audits_of(m):
        source = Source.of(a["generator"])
        which = f", training {source.seed}" * (source.seed > 1)
        said = f"{a['dataset']}{which}{', filtered' * a['filtered']}: {finding(a)}."
        shared.setdefault(replace(source, seed=1).name, []).append(said)
    found = [Answer(one.said, one.sentence, shared.get(g, ())) for g, one in answers_of(m).items()]
    return [Paragraph(trained(m)), Answers(found), Paragraph(RULE)]


def trained(m: Material) -> str:
    count = sum(s.repeats for s in m.settings)
    makers = f"{len(m.generators)} generator{'s' * (len(m.generators) != 1)}"
    return (
        f"Segmentation networks were trained on real images, on images made by {makers}, and on "
        f"both: {count} trainings. Every one was then scored on the same real test patients, whom neither it nor "
        "any generator had seen. If training on synthetic images alone does as well, they could stand in for real "
        "patients."
    )
