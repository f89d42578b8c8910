"""An independent computation of the seven resource indicators of 教督〔2017〕6号.

The main-job test compares the product's assessment with this one. It shares
no code with the product: another language, its own reading of the register
and of the field sheets, and exact fractions from beginning to end. It knows
only what the main job needs.

Usage: assess.py INPUT.json > OUTPUT.json

INPUT is {"as_of": "YYYY-MM-DD", "register": "register.csv", "visits": [{"school": id, "sheets":
["a.jsonl", …], "ruled": {"multimedia_rooms:whole": "15"}}]}. OUTPUT gives, by stage, each school's
values as exact fractions and as printed, with its result, and the county's means and coefficients of
variation. A value that cannot be known is null.
"""

import csv
import json
import sys
from fractions import Fraction
from math import isqrt

STAGES = ("primary", "junior")
WEIGHT = {"primary": Fraction(1), "junior": Fraction(11, 10), "senior": Fraction(132, 100)}
THRESHOLD = {
    "primary": {"L1": "4.2", "L2": "1", "L3": "0.9", "L4": "4.5", "L5": "7.5", "L6": "2000", "L7": "2.3"},
    "junior": {"L1": "5.3", "L2": "1", "L3": "0.9", "L4": "5.8", "L5": "10.2", "L6": "2500", "L7": "2.4"},
}
CV_LIMIT = {"primary": Fraction(1, 2), "junior": Fraction(45, 100)}
STAGES_OF_KIND = {
    "primary": ("primary",),
    "teaching_point": ("primary",),
    "junior": ("junior",),
    "complete_secondary": ("junior", "senior"),
    "nine_year": ("primary", "junior"),
    "twelve_year": ("primary", "junior", "senior"),
    "senior": ("senior",),
}
# The reliefs hold "in evaluations of the nearly three years after" the 2019 procedure.
RELIEF_UNTIL = "2022"


KINDS = {
    "小学": "primary", "初中": "junior", "九年一贯制": "nine_year", "十二年一贯制": "twelve_year",
    "完全中学": "complete_secondary", "高级中学": "senior", "职业学校": "vocational",
    "特殊教育学校": "special", "教学点": "teaching_point",
}
SETTINGS = {"城区": "urban", "镇区": "town", "乡村": "rural"}
OF_PART = {
    "在校生数": "pupils",
    "高于规定学历教师数": "teachers_above_required_degree",
    "县级及以上骨干教师数": "teachers_backbone",
    "体育、艺术专任教师数": "teachers_pe_art",
    "体育、艺术交流轮岗、兼职、走教教师数": "teachers_pe_art_shared",
}
PARTS = {"小学": "primary", "初中": "junior", "高中": "senior"}
OF_SCHOOL = {
    "教学及辅助用房面积（平方米）": ("teaching_area_m2", 1),
    "室内体育用房面积（平方米）": ("indoor_sports_area_m2", 1),
    "室外运动场地面积（平方米）": ("outdoor_sports_area_m2", 1),
    "教学仪器设备资产值（账面原值）（万元）": ("equipment_value_yuan", 10000),
    "网络多媒体教室数": ("multimedia_rooms", 1),
}


def register(path):
    """The schools of a register in CSV; an empty cell is no figure."""
    with open(path, encoding="utf-8-sig", newline="") as file:
        for row in csv.DictReader(file):
            figures = {}
            for part, name in PARTS.items():
                for title, quantity in OF_PART.items():
                    if row.get(part + title):
                        figures[f"{quantity}:{name}"] = row[part + title]
            for title, (quantity, unit) in OF_SCHOOL.items():
                if row.get(title):
                    figures[f"{quantity}:whole"] = str(Fraction(row[title]) * unit)
            yield {
                "id": row["学校标识码"],
                "kind": KINDS[row["办学类型"]],
                "parent": row["主校标识码"] or None,
                "setting": SETTINGS[row["城乡分类"]],
                "dense_centre": row["是否人口密度过高的中心城区学校"] == "是",
                "figures": figures,
            }


def area(record):
    if "area_m2" in record:
        return Fraction(record["area_m2"])
    return Fraction(record["length_m"]) * Fraction(record["width_m"])


def observe(figures, visit):
    """What inspectors saw stands in place of what was declared."""
    records = []
    for path in visit["sheets"]:
        with open(path, encoding="utf-8") as file:
            records += [json.loads(line) for line in file if line.strip()]
    of_type = lambda kind: [record for record in records if record["type"] == kind]
    complete = {record["section"] for record in of_type("complete")}
    if "rooms" in complete:
        # Two inspectors in the same room saw one room.
        rooms = {(r.get("building"), r["number"], r["purpose"]) for r in of_type("room") if r.get("multimedia")}
        figures["multimedia_rooms:whole"] = str(len(rooms))
        # A room of which nobody said whether it is networked leaves the number unknown.
        if any("multimedia" not in record for record in of_type("room")):
            del figures["multimedia_rooms:whole"]
    if "grounds" in complete:
        outdoor = [area(ground) for ground in of_type("ground") if ground["kind"] == "outdoor"]
        figures["outdoor_sports_area_m2:whole"] = str(sum(outdoor, Fraction(0)))
    if "equipment" in complete:
        values = [Fraction(e["count"]) * Fraction(e["unit_value_yuan"]) for e in of_type("equipment")]
        figures["equipment_value_yuan:whole"] = str(sum(values, Fraction(0)))
    stated = {}
    for record in of_type("quantity"):
        stated.setdefault(f"{record['quantity']}:{record.get('part', 'whole')}", set()).add(record["value"])
    for key, values in stated.items():
        if len(values) == 1:
            figures[key] = values.pop()
        else:
            figures[key] = visit["ruled"][key]


def figure(school, quantity, part):
    text = school["figures"].get(f"{quantity}:{part}")
    return None if text is None else Fraction(text)


def total(*values):
    return None if any(value is None for value in values) else sum(values, Fraction(0))


def merge_branches(schools):
    """A site that is not counted as a school of its own adds its figures to its parent's."""
    by_id = {school["id"]: {**school, "figures": dict(school["figures"])} for school in schools}
    for school in schools:
        if school.get("parent"):
            target = by_id[school["parent"]]["figures"]
            for key, value in school["figures"].items():
                target[key] = str(Fraction(target[key]) + Fraction(value)) if key in target else value
            del by_id[school["id"]]
    return list(by_id.values())


def parts_with_pupils(school):
    parts = set(STAGES_OF_KIND.get(school["kind"], ())) | {
        part for part in WEIGHT if (figure(school, "pupils", part) or 0) > 0
    }
    return [part for part in WEIGHT if part in parts]


def counted(school, stage):
    if school["kind"] in ("special", "vocational"):
        return False
    pupils = figure(school, "pupils", stage)
    if school["kind"] == "teaching_point" and pupils is not None and pupils < 50:
        return False
    return stage in parts_with_pupils(school)


def share(school, stage):
    """This stage's part of what the whole school has, as a factor."""
    parts = parts_with_pupils(school)
    weighted = total(*(
        None if figure(school, "pupils", part) is None else WEIGHT[part] * figure(school, "pupils", part)
        for part in parts
    ))
    own = figure(school, "pupils", stage)
    if weighted is None or own is None or weighted == 0:
        return None
    return WEIGHT[stage] * own / weighted


def resources(school, stage, as_of):
    """X_i of each item: what the stage has, before it is divided by pupils."""
    of_stage = lambda quantity: figure(school, quantity, stage)
    whole = lambda quantity: figure(school, quantity, "whole")
    pupils = of_stage("pupils")
    relief = as_of[:4] <= RELIEF_UNTIL

    pe_art = of_stage("teachers_pe_art")
    if relief and school["setting"] == "rural" and pupils is not None and 50 <= pupils < 100:
        pe_art = total(pe_art, of_stage("teachers_pe_art_shared") or Fraction(0))
    indoor, outdoor = whole("indoor_sports_area_m2"), whole("outdoor_sports_area_m2")
    sports = total(indoor, outdoor)
    if relief and school.get("dense_centre"):
        for extra in ("relief_onsite_sports_area_m2", "relief_leased_sports_area_m2"):
            sports = total(sports, whole(extra) or Fraction(0))
    teaching = whole("teaching_area_m2")
    teaching = None if teaching is None or indoor is None else teaching - indoor

    factor = share(school, stage)
    split = lambda value: None if value is None or factor is None else value * factor
    return {
        "L1": of_stage("teachers_above_required_degree"),
        "L2": of_stage("teachers_backbone"),
        "L3": pe_art,
        "L4": split(teaching),
        "L5": split(sports),
        "L6": split(whole("equipment_value_yuan")),
        "L7": split(whole("multimedia_rooms")),
    }


def per_hundred(item):
    return 100 if item in ("L1", "L2", "L3", "L7") else 1


def verdict(values, stage):
    """At least six met, and the remaining one at 85 % of its requirement or more."""
    met = [v is not None and v >= Fraction(THRESHOLD[stage][item]) for item, v in values.items()]
    missing = sum(v is None for v in values.values())
    failed = [item for (item, v), ok in zip(values.items(), met) if v is not None and not ok]
    far = any(values[item] < Fraction(85, 100) * Fraction(THRESHOLD[stage][item]) for item in failed)
    if len(failed) >= 2 or far:
        return "not_met"
    return "undetermined" if missing else "met"


def printed(value, decimals):
    """A fraction that is not negative, rounded half away from zero."""
    units = (value * 10**decimals + Fraction(1, 2)).__floor__()
    return f"{units // 10**decimals}.{units % 10**decimals:0{decimals}d}"


def printed_root(square, decimals):
    """The square root of a fraction, rounded half away from zero."""
    root = isqrt(square.numerator * 4 * 100**decimals // square.denominator)
    units = (root + 1) // 2
    return f"{units // 10**decimals}.{units % 10**decimals:0{decimals}d}"


def assess(case):
    schools = list(register(case["register"]))
    for visit in case["visits"]:
        school = next(school for school in schools if school["id"] == visit["school"])
        observe(school["figures"], visit)
    schools = merge_branches(schools)
    result = {}
    for stage in STAGES:
        rows = []
        for school in schools:
            if not counted(school, stage):
                continue
            pupils = figure(school, "pupils", stage)
            have = resources(school, stage, case["as_of"])
            values = {
                item: None if x is None or not pupils else x * per_hundred(item) / pupils
                for item, x in have.items()
            }
            rows.append((school["id"], pupils, have, values, verdict(values, stage)))
        county = {}
        for item in THRESHOLD[stage]:
            if any(row[2][item] is None or not row[1] for row in rows) or not rows:
                county[item] = None
                continue
            pupils = sum(row[1] for row in rows)
            have = sum(row[2][item] for row in rows)
            square = pupils * sum(row[2][item] ** 2 / row[1] for row in rows) / have**2 - 1
            county[item] = {
                "mean": printed(have * per_hundred(item) / pupils, 2),
                "coefficient": printed_root(square, 3),
                "six_decimals": printed_root(square, 6),
                "met": square <= CV_LIMIT[stage] ** 2,
            }
        result[stage] = {
            "schools": {
                row[0]: {
                    "values": {k: None if v is None else str(v) for k, v in row[3].items()},
                    "printed": {k: None if v is None else printed(v, 2) for k, v in row[3].items()},
                    "result": row[4],
                }
                for row in rows
            },
            "county": county,
        }
    return result


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as file:
        json.dump(assess(json.load(file)), sys.stdout, ensure_ascii=False, indent=1)
