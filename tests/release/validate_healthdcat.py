"""Runs shapes (SHACL) on the record of a catalogue: validate_healthdcat.py RECORD SHAPES [SHAPES ...]

A relative path of shapes is one within the packages of its own interpreter, which has `pyshacl`. Prints a line for
each issue: severity, the constraint, the property, the class of what is not as it asks.
"""

import sys
import sysconfig
from pathlib import Path

from pyshacl import validate
from rdflib import RDF, SH, Graph

record, shapes = Graph().parse(sys.argv[1], format="json-ld"), Graph()
for path in sys.argv[2:]:
    shapes.parse(Path(sysconfig.get_path("purelib"), path))
# Release 8 has rules for properties that name no property: SHACL does not know them, and pySHACL refuses them.
for rule in set(shapes.objects(None, SH.property)):
    if (rule, SH.path, None) not in shapes:
        shapes.remove((None, SH.property, rule))

found = validate(record, shacl_graph=shapes, inference="none", advanced=True)[1]
lines = set()
for issue in found.subjects(RDF.type, SH.ValidationResult):
    if (issue, SH.detail, None) in found:  # a rule that consists of others, which are told themselves
        continue
    parts = (SH.resultSeverity, SH.sourceConstraintComponent, SH.resultPath, SH.focusNode)
    severity, constraint, path, node = (found.value(issue, part) for part in parts)
    kinds = sorted(record.objects(node, RDF.type))
    names = [str(one).replace("#", "/").rsplit("/", 1)[-1] for one in (severity, constraint, path, *kinds[:1])]
    lines.add(" ".join(names).replace("ConstraintComponent", ""))
for line in sorted(lines):
    print(line)
