"""An independent computation of an assessment under 教督〔2017〕6号: the seven
resource indicators, the fifteen and nine items, satisfaction and vetoes.

The main-job test compares the product's assessment with this one. It shares
no code with the product: another language, its own reading of the register
and of the field sheets, and exact fractions from beginning to end. It knows
only what the main job needs.

Usage: assess.py INPUT.json > OUTPUT.json

INPUT is {"as_of": "YYYY-MM-DD", "register": "register.csv", "county": "county.csv", "visits":
[{"school": id, "sheets": ["a.jsonl", …], "ruled": {"multimedia_rooms:whole": "15", "教学楼/301/music":
"96"}}]}. OUTPUT gives, by stage, each school's values as exact fractions and as printed, with its result,
and the county's means and coefficients of variation; the county's items, dimensions and verdict. A value that
cannot be known is null.
"""

import csv
import json
import re
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


OTHERS = {
    "小学专任教师数": "teachers:primary", "初中专任教师数": "teachers:junior",
    "小学持有教师资格证的专任教师数": "certified:primary", "初中持有教师资格证的专任教师数": "certified:junior",
    "小学近5年培训满360学时专任教师数": "trained:primary", "初中近5年培训满360学时专任教师数": "trained:junior",
    "上一年度公用经费预算总额（元）": "public_funds", "上一年度教师培训经费预算总额（元）": "training_funds",
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
            rooms = {
                purpose: [Fraction(area) for area in re.split("[;；]", row[title]) if area not in ("", "无")]
                for purpose, title in (("music", "音乐教室面积（平方米）"), ("art", "美术教室面积（平方米）"))
            }
            classes = {
                stage: [int(size) for size in row[part + "各班人数"].split(";") if size]
                for part, stage in (("小学", "primary"), ("初中", "junior"))
            }
            for title, key in OTHERS.items():
                if row.get(title):
                    figures[key] = row[title]
            yield {
                "rooms": rooms,
                "classes": classes,
                "answers": {key: row[key] == "是" for key in row if key.startswith("A3-") and row[key]},
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


def observe(school, visit):
    """What inspectors saw stands in place of what was declared."""
    figures, records = school["figures"], []
    for path in visit["sheets"]:
        with open(path, encoding="utf-8") as file:
            records += [json.loads(line) for line in file if line.strip()]
    of_type = lambda kind: [record for record in records if record["type"] == kind]
    complete = {record["section"] for record in of_type("complete")}
    if "rooms" in complete:
        # Two inspectors in the same room saw one room.
        rooms = {(r.get("building"), r["number"], r["purpose"]) for r in of_type("room") if r.get("multimedia")}
        figures["multimedia_rooms:whole"] = str(len(rooms))
        seen = {}
        for room in of_type("room"):
            name = f"{room.get('building')}/{room['number']}/{room['purpose']}"
            seen.setdefault((room["purpose"], name), set()).add(area(room))
        for purpose in ("music", "art"):
            school["rooms"][purpose] = [
                sizes.pop() if len(sizes) == 1 else Fraction(visit["ruled"][name])
                for (kind, name), sizes in seen.items()
                if kind == purpose
            ]
        # A room of which nobody said whether it is networked leaves the number unknown.
        if any("multimedia" not in record for record in of_type("room")):
            del figures["multimedia_rooms:whole"]
    if "grounds" in complete:
        outdoor = [area(ground) for ground in of_type("ground") if ground["kind"] == "outdoor"]
        figures["outdoor_sports_area_m2:whole"] = str(sum(outdoor, Fraction(0)))
    if "equipment" in complete:
        values = [Fraction(e["count"]) * Fraction(e["unit_value_yuan"]) for e in of_type("equipment")]
        figures["equipment_value_yuan:whole"] = str(sum(values, Fraction(0)))
    if "classes" in complete:
        for stage in STAGES:
            school["classes"][stage] = [int(c["pupils"]) for c in of_type("class") if c["stage"] == stage]
    for record in of_type("answer"):
        school["answers"][record["question"]] = record["value"]
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
            for purpose in ("music", "art"):
                by_id[school["parent"]]["rooms"][purpose] += school["rooms"][purpose]
            for stage in STAGES:
                by_id[school["parent"]]["classes"][stage] += school["classes"][stage]
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


def county_figures(path):
    with open(path, encoding="utf-8-sig", newline="") as file:
        return {row["填报项目"]: row["填报值"] for row in csv.DictReader(file)}


def every(values):
    """All yes: for certain, certainly not, or not known."""
    values = list(values)
    if any(value is False for value in values):
        return "not_met"
    return "undetermined" if None in values or not values else "met"


def at_least(part, whole, share):
    return None if part is None or whole is None else part >= Fraction(share) * whole


def rooms_suffice(school):
    """One music and one art room of full size for each twelve classes."""
    classes = sum(len(school["classes"][stage]) for stage in STAGES)
    need = -(-classes // 12)
    large = lambda purpose, least: sum(area >= least for area in school["rooms"][purpose])
    return large("music", 96) >= need and large("art", 90) >= need


def small_enough(school):
    pupils = [figure(school, "pupils", stage) or 0 for stage in STAGES]
    return sum(pupils) <= (2500 if school["kind"] in ("nine_year", "twelve_year") else 2000)


def classes_small_enough(school):
    most = {"primary": 45, "junior": 50}
    return all(size <= most[stage] for stage in STAGES for size in school["classes"][stage])


def funded(school, county):
    """Fewer than 100 pupils are funded as if they were 100."""
    pupils = {stage: figure(school, "pupils", stage) or 0 for stage in STAGES}
    if sum(pupils.values()) >= 100:
        return True
    norm = county["public_funds_norm_primary_yuan" if pupils["primary"] else "public_funds_norm_junior_yuan"]
    funds = school["figures"].get("public_funds")
    return None if funds is None else Fraction(funds) >= 100 * Fraction(norm)


def summed(schools, *keys):
    values = [school["figures"].get(f"{key}:{stage}") for school in schools for key in keys
              for stage in STAGES if counted(school, stage)]
    return None if None in values else sum(map(Fraction, values), Fraction(0))


def items(schools, county):
    """The fifteen and nine items, satisfaction, vetoes and entry conditions."""
    figure_of = lambda name: Fraction(county[name]) if county.get(name) else None
    yes = lambda name: {"是": True, "否": False}.get(county.get(name))
    ratio = lambda part, whole, share: at_least(figure_of(part), figure_of(whole), share)
    own = [school for school in schools if any(counted(school, stage) for stage in STAGES)]
    teachers = summed(own, "teachers")
    answer = lambda question: every(school["answers"].get(question) for school in own)
    migrants = total(figure_of("migrant_children_public"), figure_of("migrant_children_purchased"))
    entrants = figure_of("junior_entrants_three_years_ago") - figure_of("junior_deaths")
    stayed = figure_of("junior_graduates") - figure_of("junior_transferred_in") + figure_of("junior_transferred_out")
    subjects = ("chinese", "mathematics", "science", "pe", "arts", "moral")
    return {
        "A2-1": every([yes("A2-1")]),
        "A2-2": every(yes(f"A2-2-{what}") for what in ("building", "staff", "funds", "equipment")),
        "A2-3": every(rooms_suffice(school) for school in own if school["kind"] != "teaching_point"),
        "A2-4": every(small_enough(school) for school in own),
        "A2-5": every(classes_small_enough(school) for school in own),
        "A2-6": every(funded(school, county) for school in own),
        "A2-7": every([figure_of("special_funds_yuan") >= 8000 * figure_of("special_pupils")]),
        "A2-8": every([ratio("teacher_salary_yuan", "civil_servant_salary_yuan", 1), yes("A2-8-performance")]),
        "A2-9": every([at_least(summed(own, "trained"), teachers, 1)]),
        "A2-10": every([yes("A2-10")]),
        "A2-11": every([
            ratio("rotated_teachers", "rotation_eligible_teachers", "0.1"),
            ratio("rotated_backbone_teachers", "rotated_teachers", "0.2"),
        ]),
        "A2-12": every([at_least(summed(own, "certified"), teachers, 1)]),
        "A2-13": every([
            figure_of("nearby_enrolment_primary_percent") >= 100,
            figure_of("nearby_enrolment_junior_percent") >= 95,
        ]),
        "A2-14": every([ratio("senior_places_assigned", "senior_places", "0.5"), yes("A2-14-rural")]),
        "A2-15": every([at_least(migrants, figure_of("migrant_children"), "0.85"), yes("A2-15-left-behind")]),
        "A3-1": every([at_least(stayed, entrants, "0.95")]),
        "A3-2": every([ratio("disabled_children_enrolled", "disabled_children", "0.95")]),
        **{f"A3-{number}": answer(f"A3-{number}") for number in (3, 5, 6, 7, 8)},
        "A3-4": every(
            at_least(*(
                None if school["figures"].get(key) is None else Fraction(school["figures"][key])
                for key in ("training_funds", "public_funds")
            ), "0.05")
            for school in own
        ),
        "A3-9": every(
            figure_of(f"monitoring_{subject}_level") >= 3
            and figure_of(f"monitoring_{subject}_difference") < Fraction("0.15")
            for subject in subjects
        ),
        "A4-1": every([figure_of("survey_satisfaction_percent") >= 85]),
        **{f"V-{number}": every([yes(f"V-{number}") is False]) for number in range(1, 7)},
        **{f"E-{number}": every([yes(f"E-{number}")]) for number in (1, 2)},
    }


def assess(case):
    schools = list(register(case["register"]))
    for visit in case["visits"]:
        school = next(school for school in schools if school["id"] == visit["school"])
        observe(school, visit)
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
    found = items(schools, county_figures(case["county"]))
    resources_of = [row["result"] for stage in STAGES for row in result[stage]["schools"].values()]
    differences = [
        item if item is None else item["met"] for stage in STAGES for item in result[stage]["county"].values()
    ]
    known = {"met": True, "not_met": False, "undetermined": None}
    dimensions = {"A1": every([known[outcome] for outcome in resources_of] + differences)}
    for dimension in ("A2", "A3", "A4", "V", "E"):
        dimensions[dimension] = every(known[v] for k, v in found.items() if k.startswith(f"{dimension}-"))
    result["items"] = found
    result["dimensions"] = dimensions
    result["outcome"] = every(known[outcome] for outcome in dimensions.values())
    return result


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as file:
        json.dump(assess(json.load(file)), sys.stdout, ensure_ascii=False, indent=1)
