"""Runs shapes (SHACL) on the record of a catalogue: validate_healthdcat.py RECORD SHAPES.ttl [SHAPES.ttl ...]

Prints a line for each issue: severity, the property, the class of what lacks it. Its own interpreter has `pyshacl`.
"""

import sys

from pyshacl import validate
from rdflib import RDF, SH, Graph

record, shapes = Graph().parse(sys.argv[1], format="json-ld"), Graph()
for path in sys.argv[2:]:
    shapes.parse(path, format="turtle")
# Release 8 has rules for properties that name no property: SHACL does not know them, and pySHACL refuses them.
for rule in set(shapes.objects(None, SH.property)):
    if (rule, SH.path, None) not in shapes:
        shapes.remove((None, SH.property, rule))

found = validate(record, shacl_graph=shapes, inference="none", advanced=True)[1]
details = set(found.objects(None, SH.detail))  # the rule within a rule, which is told by the outer one as well
lines = set()
for issue in set(found.subjects(RDF.type, SH.ValidationResult)) - details:
    severity, path, node = (found.value(issue, what) for what in (SH.resultSeverity, SH.resultPath, SH.focusNode))
    kinds = sorted(record.objects(node, RDF.type))
    names = [str(one).replace("#", "/").rsplit("/", 1)[-1] for one in (severity, path, *kinds[:1])]
    lines.add(" ".join(names))
print(*sorted(lines), sep="\n")
