"""The report as JUnit XML, for continuous integration."""

from __future__ import annotations

import xml.etree.ElementTree as Xml
from typing import TYPE_CHECKING

from .edge import Verdict
from .table import verdict_text

if TYPE_CHECKING:
    from .report import Report


def render(report: Report) -> str:
    """One suite per edge, one case per layer; what was not observed is skipped, not passed."""
    root = Xml.Element("testsuites", name=f"intarsia verify {report.name}")
    for edge, ends in report.edges.items():
        counts = report.counts_of(edge)
        failures = sum(count for verdict, count in counts.items() if verdict.bad)
        name = f"{edge}: {' to '.join(report.worlds[end] for end in ends)}"
        skipped = counts.get(Verdict.UNOBSERVED, 0) + counts.get(Verdict.GIVEN, 0)
        suite = Xml.SubElement(
            root,
            "testsuite",
            name=name,
            tests=str(len(report.layers)),
            failures=str(failures),
            skipped=str(skipped),
        )
        for layer in report.layers:
            result = layer.edges[edge]
            case = Xml.SubElement(suite, "testcase", classname=f"{report.name}.{edge}", name=layer.name)
            text = verdict_text(edge, result, result.cumulative)
            divergence = next(
                (one for one in report.divergences if (one.edge, one.layer) == (edge, layer.name)), None
            )
            if result.verdict.bad or divergence:
                Xml.SubElement(case, "failure", message=str(divergence or text), type=str(edge)).text = text
            elif result.verdict in (Verdict.UNOBSERVED, Verdict.GIVEN):
                Xml.SubElement(case, "skipped", message=result.reason or "tensor not observed")
            elif result.verdict is Verdict.WARN:
                Xml.SubElement(case, "system-out").text = text
    Xml.indent(root)
    return Xml.tostring(root, encoding="unicode", xml_declaration=True) + "\n"
