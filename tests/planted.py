"""Claims of one invented person whose every trait is a word found nowhere else, so that it can be searched for."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping

from claimlint.write import xml_text

# What identifies the patient, the subscriber, another payer's subscriber and who is called, by what it is.
PERSON = {
    "last name": "QUILLFEATHER",
    "first name": "ZEBEDIAH",
    "middle name": "OSWINUS",
    "birth date": "19570413",
    "member id": "QX77VARN01",
    "street": "9917 WISTERIA HOLLOW",
    "city": "GRIMSBYVILLE",
    "ZIP code": "40769",
    "phone": "5025550177",
    "e-mail": "ZQ@QUILLS.EXAMPLE",
    "social security number": "987651320",
    "medical record number": "MRN884213",
    "insurer's claim number": "PC55AARGH9",
    "group or policy number": "GRP7QQ1",
    "note of the claim": "DAUGHTER HELENE SAYS",
    "note of the line": "FELL AT THE OLD MILL",
    "K3": "KINDRED THORNBURY",
    "subscriber's last name": "OTTERBURN",
    "subscriber's first name": "HORATIA",
    "subscriber's birth date": "19330922",
    "other subscriber's last name": "PERIWINKEL",
    "other subscriber's first name": "LUCASTA",
    "other subscriber's id": "OTH99ZQ7K",
    "responsible person": "MARROWBONE",
}
# Other ways in which some of it is written.
SPELLED = {
    "birth date": ("1957-04-13", "04/13/1957", "4/13/1957", "13-Apr-1957", "4/13/57"),
    "subscriber's birth date": ("1933-09-22", "09/22/1933"),
    "phone": ("(502) 555-0177", "502-555-0177"),
    "social security number": ("987-65-1320",),
}
P = PERSON
X12 = f"""ISA*00*          *00*          *ZZ*SUBMITTER      *ZZ*RECEIVER       *260202*0800*^*00501*000002041*0*P*:~
GS*HC*SUBMITTER*RECEIVER*20260202*0800*1*X*005010X222A1~
ST*837*0001*005010X222A1~
BHT*0019*00*1*20260202*0800*CH~
NM1*41*2*CLAIMLINT*****46*SUBMITTER~
PER*IC*BILLING OFFICE*TE*6145550100~
NM1*40*2*RECEIVER*****46*RECEIVER~
HL*1**20*1~
PRV*BI*PXC*261QP2000~
NM1*85*2*LAKEVIEW SPINE AND TRACTION*****XX*1000000336~
N3*100 SAMPLE STREET~
N4*ANYTOWN*OH*432150001~
REF*EI*990000001~
HL*2*1*22*1~
SBR*P**{P["group or policy number"]}******AM~
NM1*IL*1*{P["subscriber's last name"]}*{P["subscriber's first name"]}*{P["middle name"]}***MI*{P["member id"]}~
N3*{P["street"]}~
N4*{P["city"]}*KY*{P["ZIP code"]}~
DMG*D8*{P["subscriber's birth date"]}*F~
REF*SY*{P["social security number"]}~
NM1*PR*2*Buckeye Auto Insurance*****PI*BAI01~
NM1*QD*1*{P["responsible person"]}~
HL*3*2*23*0~
PAT*19~
NM1*QC*1*{P["last name"]}*{P["first name"]}*{P["middle name"]}~
N3*{P["street"]}~
N4*{P["city"]}*KY*{P["ZIP code"]}~
DMG*D8*{P["birth date"]}*M~
REF*Y4*{P["insurer's claim number"]}~
PER*IC*{P["responsible person"]}*TE*{P["phone"]}*EM*{P["e-mail"]}~
CLM*PH-1*185.5***98:B:1*Y*A*Y*Y**AA:::~
DTP*431*D8*20261301~
DTP*439*D8*20260101~
REF*G1*PENDING~
REF*EA*{P["medical record number"]}~
K3*{P["K3"]}~
NTE*ADD*{P["note of the claim"]}~
HI*ABK:MO5116*ABF:7221~
NM1*DN*1*REFERRER*SAM****XX*1000000110~
NM1*82*1*THERAPIST*TERRY****XX*100000022~
PRV*PE*PXC*PHYSICALTH~
SBR*S*18*{P["group or policy number"]}2******CI~
OI***Y***Y~
NM1*IL*1*{P["other subscriber's last name"]}*{P["other subscriber's first name"]}****MI*{P["other subscriber's id"]}~
N3*{P["street"]}~
N4*{P["city"]}*KY*{P["ZIP code"]}~
NM1*PR*2*Sample Health Plan*****PI*SHP01~
LX*1~
SV1*HC:9711:G*90*UN*2***1~
DTP*472*D8*20260128~
NTE*ADD*{P["note of the line"]}~
LX*2~
SV1*HC:97799:GP:GA:59:GA:TABLE*95*UN*0***3~
DTP*472*D8*20270128~
REF*6R*LINE2~
LX*3~
SV1*HC:97110.0:GP:ZZ*0*UN*1***1:1~
DTP*472*D8*20260231~
SE*60*0001~
GE*1*1~
IEA*1*000002041~
"""
_CELLS = {
    "Claim #": "PH-1", "Patient Last": P["last name"], "Patient First": P["first name"], "DOB": "04/13/1957",
    "Insurance": "Medicare Part B Ohio", "Ins Type": "MB", "Insured ID": P["member id"], "DOS": "01/26/2026",
    "POS": "98", "CPT": "9711", "Mods": "G", "Proc Description": "TABLE", "Line Notes": P["note of the line"],
    "Dx Codes": "MO5.16,722.1", "Diag Ptr": "C", "Qty": "0", "Charge Amt": "-65", "Total Charge": "118.005",
    "Prior Auth": "PENDING", "Referring NPI": "1000000112", "Rendering NPI": "100000022", "Group NPI": "1000000336",
    "Rendering Taxonomy": "PHYSICALTH", "Practice State": "OH", "Onset": "02/31/2026", "Injury Date": "01/01/2026",
    "P&C Claim Number": P["insurer's claim number"], "Notes": P["note of the claim"], "Middle": P["middle name"],
    "Street": P["street"], "City": P["city"], "ZIP": P["ZIP code"], "Phone": "(502) 555-0177", "Email": P["e-mail"],
    "SSN": "987-65-1320", "MRN": P["medical record number"], "Group No": P["group or policy number"],
    "Guarantor": P["responsible person"], "Other Insured": P["other subscriber's last name"],
    "Other Insured First": P["other subscriber's first name"], "Other ID": P["other subscriber's id"],
    "Subscriber Last": P["subscriber's last name"], "Subscriber First": P["subscriber's first name"],
    "Subscriber DOB": "09/22/1933", "K3": P["K3"],
}  # fmt: skip


def csv_of(*changes: Mapping[str, str]) -> str:
    """A CSV with a row for each of the changes to the planted claim."""
    out = io.StringIO()
    writer = csv.DictWriter(out, _CELLS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(_CELLS | dict(each) for each in changes or ({},))
    return out.getvalue()


CSV = csv_of({}, {"CPT": "97110.0", "Claim #": "PH-2"}, {"Claim #": "PH-3", "DOS": "46049", "POS": "11.0"})
XML = xml_text(X12.replace("~\n", "~"))


def told(text: str) -> list[str]:
    """What of the person is in a text."""
    flat = re.sub(r"\s+", " ", text).upper()
    spelled = [(kind, each) for kind, values in SPELLED.items() for each in values]
    return [f"{kind}: {value}" for kind, value in [*PERSON.items(), *spelled] if value.upper() in flat]
