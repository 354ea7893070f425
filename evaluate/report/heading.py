"""The page's title, from the data, and where its results come from."""

from pathlib import Path
from typing import Any, Mapping, Optional

from convert.sources.ilsvrc import CLASS_NAMES_SHA256
from convert.sources.layouts import SPLITS
from evaluate.report.blocks import Fact, Facts
from evaluate.report.inputs import Inputs
from evaluate.report.translations import Translate

ILSVRC = "ImageNet (ILSVRC2012)"


def page_title(inputs: Inputs, t: Translate) -> str:
    """Return a title that names the images of the result with the most crops or else of the run."""
    best = inputs.best
    if best is not None and best.result.is_ilsvrc:
        return t("Inception-v4 on {data}", data=ILSVRC)
    if best is not None:
        return t("Inception-v4 on {data}, {classes} classes",
                 data=_short_name(best.result.records), classes=f"{best.result.classes:,}")
    config = inputs.run.config if inputs.run else {}
    if config.get("data"):
        records = inputs.record_sets.get(config.get("data_sha256") or "")
        if records is None:
            return t("Inception-v4 on {data}", data=_short_name(config["data"]))
        if records.class_names_sha256 == CLASS_NAMES_SHA256:
            return t("Inception-v4 on {data}", data=ILSVRC)
        return t("Inception-v4 on {data}, {classes} classes", data=_short_name(config["data"]),
                 classes=f"{len(records.class_names):,}")
    return t("Inception-v4")


def _short_name(folder: str) -> str:
    """Return the folder without that of its split; of a path from the root its name alone."""
    path = Path(folder)
    if path.name in SPLITS and len(path.parts) > 1:
        path = path.parent
    return path.name if path.is_absolute() else path.as_posix()


def origin_facts(inputs: Inputs, t: Translate) -> Optional[Facts]:
    """Return when, from which commit, on which host and device the results and the run were made;
    None where the page has neither."""
    of_run = inputs.run.config if inputs.run else {}
    made: list[Mapping[str, Any]] = [item.result.made for item in inputs.evaluations]
    if of_run:
        made.insert(0, of_run.get("made") or {})
    if not made:
        return None
    dates, commits, hosts = (sorted({each[key] for each in made if each.get(key)})
                             for key in ("date", "commit", "host"))
    devices = dict.fromkeys([of_run.get("device"),
                             *(item.result.device for item in inputs.evaluations)])
    facts = {t("date"): " – ".join(dict.fromkeys(dates[:1] + dates[-1:])),
             t("commit"): ", ".join(commits), t("host"): ", ".join(hosts),
             t("device"): ", ".join(filter(None, devices))}
    known = [Fact(label, value) for label, value in facts.items() if value]
    unknown = ", ".join(label for label, value in facts.items() if not value)
    if unknown:
        known.append(Fact(unknown, t("not recorded (older version)")))
    return Facts(known, "origin")
